//! Whether a client may make a request: it has given the password, the pool allows the command, and what
//! the request relies on is so.
//!
//! Owns: the answer, and what the client relies on afterwards. Never: changes a session.

use crate::config::UnknownCommands;
use crate::protocol::command::Args;
use crate::protocol::command::Command;
use crate::protocol::command::CommandError;
use crate::protocol::command::Handling;
use crate::protocol::command::Local;
use crate::protocol::command::Traits;
use crate::proxy::client::Session;
use crate::proxy::client::unmet::Unmet;
use crate::proxy::failure::RequestError;
use crate::proxy::plan::Plan;
use crate::proxy::pool::Pool;

/// Whether a client may ask what the table has found.
///
/// # Errors
///
/// What it is told instead.
#[inline]
pub(in crate::proxy) fn authorize<A: Args + ?Sized>(
    request: &A,
    found: Result<&'static Command, CommandError>,
    session: &Session,
    pool: &Pool,
) -> Result<(), RequestError> {
    if !session.is_authenticated() && !answers_anyone(found) {
        return Err(RequestError::NotAuthenticated);
    }
    let unmet = session.unmet();
    if !unmet.is_nothing() {
        relies(request, found, unmet, pool)?;
    }
    found.map_or(Ok(()), |command| {
        permits(pool, command)?;
        match session.only_listens() {
            true => goes_with_messages(command),
            false => Ok(()),
        }
    })
}

/// Whether a client may ask whatever the pool's configuration lets its clients use, and relies on nothing
/// that is not so; and that lets them use this command. Then [`authorize`] says so, too.
#[inline]
pub(in crate::proxy) fn authorizes_all(
    session: &Session,
    pool: &Pool,
    command: &'static Command,
) -> bool {
    let access = &pool.config.access;
    session.is_authenticated()
        && session.unmet().is_nothing()
        && !session.only_listens()
        && access.deny.is_empty()
        && !command.traits.has(Traits::NEEDS_LEAVE)
}

/// Whether the pool's configuration lets its clients use a command.
#[inline]
fn permits(pool: &Pool, command: &Command) -> Result<(), RequestError> {
    let access = &pool.config.access;
    if command.traits.has(Traits::NEEDS_LEAVE) && !access.allow.has(command.name) {
        return Err(RequestError::NeedsLeave(command.name));
    }
    match !access.deny.is_empty() && access.deny.has(command.name) {
        true => Err(RequestError::Denied(command.name)),
        false => Ok(()),
    }
}

/// Whether a command may be asked between messages that look like replies.
#[cold]
fn goes_with_messages(command: &Command) -> Result<(), RequestError> {
    let nothing: [&[u8]; 0] = [];
    match command.handling(&nothing) {
        Handling::Subscribe(_)
        | Handling::Unsubscribe(_)
        | Handling::Local(Local::Ping | Local::Quit | Local::Reset) => Ok(()),
        _ => Err(RequestError::OnlyListens(command.name)),
    }
}

/// What a client may ask before it has given the password.
fn answers_anyone(found: Result<&'static Command, CommandError>) -> bool {
    let Ok(command) = found else { return false };
    let nothing: [&[u8]; 0] = [];
    matches!(
        command.handling(&nothing),
        Handling::Local(Local::Auth | Local::Hello | Local::Quit | Local::Reset)
    )
}

/// Whether a request may be done for a client that believes itself in another database.
fn relies<A: Args + ?Sized>(
    request: &A,
    found: Result<&'static Command, CommandError>,
    unmet: Unmet,
    pool: &Pool,
) -> Result<(), RequestError> {
    let is_asked = match found {
        Ok(command) => !matches!(
            command.handling(request),
            Handling::Local(_) | Handling::Refuse(_)
        ),
        Err(CommandError::Unknown) => pool.config.unknown_commands == UnknownCommands::Forward,
        // Its own error says more.
        Err(_) => false,
    };
    match is_asked && unmet.database {
        true => Err(RequestError::WrongDatabase),
        false => Ok(()),
    }
}

/// What a client that has relied on `unmet` relies on after a request was planned so.
pub(in crate::proxy) fn relies_on_after(
    unmet: Unmet,
    planned: &Result<Plan, RequestError>,
) -> Unmet {
    let Ok(Plan::Refuse(CommandError::Refused(command, _) | CommandError::WrongArity(command))) =
        planned
    else {
        return unmet;
    };
    Unmet {
        watch: (unmet.watch || command.name == "watch") && command.name != "unwatch",
        ..unmet
    }
}
