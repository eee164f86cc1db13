//! What is done with one request of a client that is within a transaction.
//!
//! | Redis | here |
//! |---|---|
//! | queues it | queues it, if a server will answer it |
//! | does it at once: `EXEC`, `DISCARD`, `RESET`, `QUIT` | the same |
//! | refuses it, and the transaction goes on: `MULTI`, `WATCH` | the same |
//! | refuses it, and `EXEC` with it: an unknown command, a wrong number of arguments | the same, and what only the proxy can answer, or what would change a connection that others use |
//!
//! A command that waits does not wait within a transaction.

use crate::protocol::command::Args;
use crate::protocol::command::Command;
use crate::protocol::command::CommandError;
use crate::protocol::command::Flags;
use crate::protocol::command::Handling;
use crate::protocol::command::Local;
use crate::proxy::client::transaction::Home;
use crate::proxy::failure::RequestError;
use crate::proxy::plan::CHANNEL_DRAW;
use crate::proxy::plan::forwards_unknown;
use crate::proxy::pool::Pool;

/// What is done with a request within a transaction.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) enum Within {
    /// It is done now.
    Now(Local),
    /// It gets this error, and the transaction goes on.
    Told(RequestError),
    /// It gets an error in the table's words, and nothing of the transaction is done.
    Refuse(CommandError),
    /// It waits for `EXEC`; whether it may change something.
    Queue(Home, bool),
}

/// What is done with a request. `draw` stands for chance where the pool chooses by it.
///
/// # Errors
/// What it gets instead, and nothing of the transaction is done.
pub(in crate::proxy) fn plan_within<A: Args + ?Sized>(
    request: &A,
    found: Result<&'static Command, CommandError>,
    pool: &Pool,
    draw: u32,
) -> Result<Within, RequestError> {
    let command = match found {
        Ok(command) => command,
        Err(CommandError::Unknown) if forwards_unknown(pool, request) => {
            let home = Home::At(pool.server_of(request.arg(1), draw));
            return Ok(Within::Queue(home, true));
        }
        Err(error) => return Ok(Within::Refuse(error)),
    };
    if command.name == "watch" {
        return Ok(Within::Told(RequestError::WatchWithin));
    }
    if command.flags.has(Flags::NO_MULTI) {
        return Err(RequestError::NotWithin);
    }
    let writes = !command.safe_to_retry();
    match command.handling(request) {
        Handling::Local(local @ (Local::Exec | Local::Discard | Local::Reset | Local::Quit)) => {
            Ok(Within::Now(local))
        }
        Handling::Local(Local::Multi) => Ok(Within::Told(RequestError::Nested)),
        // Any server says the same.
        Handling::Local(Local::Ping | Local::Echo | Local::Time | Local::Unwatch) => {
            Ok(Within::Queue(Home::Anywhere, false))
        }
        Handling::AskAll(_) => match pool.live_servers()[..] {
            [only] => Ok(Within::Queue(Home::At(Some(only)), writes)),
            _ => Err(RequestError::NotWithin),
        },
        Handling::Local(_) | Handling::Walk | Handling::Subscribe(_) | Handling::Unsubscribe(_) => {
            Err(RequestError::NotWithin)
        }
        Handling::Publish => {
            let home = pool.server_of(request.arg(1), CHANNEL_DRAW);
            Ok(Within::Queue(Home::At(home), writes))
        }
        Handling::ForwardAnywhere => Ok(Within::Queue(Home::Anywhere, writes)),
        Handling::Forward | Handling::Split(_) | Handling::Wait(_) | Handling::Watch => {
            match command.keys(request) {
                // Any server refuses it, when its turn comes.
                Err(_) => Ok(Within::Queue(Home::Anywhere, writes)),
                Ok(keys) => {
                    let mut names = keys.iter().map(|index| request.arg(index));
                    let mut home = Home::Anywhere;
                    names.try_for_each(|name| {
                        home = home.with(Home::At(pool.server_of(name, draw)))?;
                        Ok(())
                    })?;
                    Ok(Within::Queue(home, writes))
                }
            }
        }
        Handling::Refuse(why) => Ok(Within::Refuse(CommandError::Refused(command, why))),
    }
}
