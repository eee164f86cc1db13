//! What a client has asked its connection to be, and the connection is not.
//!
//! A `MULTI` or a `SELECT` that is refused is mostly followed by requests that rely on it, sent before
//! the refusal was read. None of them must be done by itself, or in another database:
//!
//! | after a refused | every request gets an error, but for | until |
//! |---|---|---|
//! | `MULTI` | `WATCH`, `UNWATCH`, `MULTI`, `QUIT`; `EXEC` gets `-EXECABORT` | `EXEC`, `DISCARD` or `RESET` |
//! | `SELECT`| what the proxy answers itself, or refuses | a `SELECT` that is not refused, or `RESET` |
//!
//! In a transaction Redis queues whatever comes but for these, `PING` and `AUTH`, too. Owns: which
//! requests get such an error. Never: outlives the client; but it goes where the client goes.

use crate::base::Key;
use crate::config::UnknownCommands;
use crate::protocol::Request;
use crate::protocol::command::Command;
use crate::protocol::command::CommandError;
use crate::protocol::command::Handling;
use crate::protocol::command::Local;
use crate::proxy::Proxy;
use crate::proxy::failure::RequestError;

/// What a client was refused, and has not taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unmet {
    /// A transaction.
    pub transaction: bool,
    /// Another database.
    pub database: bool,
}

const TRANSACTION: u8 = 1;
const DATABASE: u8 = 2;

impl Unmet {
    /// Nothing, for nearly every client.
    #[inline]
    #[must_use]
    pub fn is_nothing(self) -> bool {
        !(self.transaction || self.database)
    }

    /// As one byte.
    #[must_use]
    pub fn bits(self) -> u8 {
        let transaction = if self.transaction { TRANSACTION } else { 0 };
        transaction | if self.database { DATABASE } else { 0 }
    }

    /// What `bits` has made; `None` if that says something that nobody here knows.
    #[must_use]
    pub fn of_bits(bits: u8) -> Option<Unmet> {
        (bits & !(TRANSACTION | DATABASE) == 0).then_some(Unmet {
            transaction: bits & TRANSACTION != 0,
            database: bits & DATABASE != 0,
        })
    }
}

/// What a transaction is made of, and what Redis does at once in the middle of one.
fn is_of_transactions(command: &Command) -> bool {
    let names = ["exec", "discard", "multi", "watch", "unwatch"];
    names.contains(&command.name) || command.is_local(Local::Quit) || command.is_local(Local::Reset)
}

impl Proxy {
    /// Answers a request of a client that believes itself in a transaction or in another database,
    /// if it must not be done: whether it did.
    pub(in crate::proxy) fn answers_unmet(
        &mut self,
        key: Key,
        found: Result<&'static Command, CommandError>,
        request: &Request<'_>,
    ) -> bool {
        let client = &mut self.clients.slab[key];
        let unmet = client.session.unmet();
        let mut set_transaction = |transaction| {
            client.session.set_unmet(Unmet {
                transaction,
                ..unmet
            });
        };
        let error = match found {
            Ok(command) if unmet.transaction && command.name == "exec" => {
                set_transaction(false);
                RequestError::Aborted
            }
            Ok(command) if unmet.transaction && is_of_transactions(command) => {
                set_transaction(command.name != "discard");
                return false;
            }
            Ok(_) if unmet.transaction => RequestError::NoTransaction,
            Ok(command) => match command.handling(request) {
                Handling::Local(_) | Handling::Refuse(_) => return false,
                _ => RequestError::WrongDatabase,
            },
            Err(CommandError::Unknown) => {
                let rules = &self.pools[client.pool.index()].config;
                match (rules.unknown_commands, unmet.transaction) {
                    (UnknownCommands::Refuse, _) => return false,
                    (UnknownCommands::Forward, true) => RequestError::NoTransaction,
                    (UnknownCommands::Forward, false) => RequestError::WrongDatabase,
                }
            }
            // Its own error says more.
            Err(_) => return false,
        };
        self.reply_error(key, error);
        true
    }

    /// A command gets an error instead of what it asks for.
    pub(in crate::proxy) fn note_refused(&mut self, key: Key, command: &Command) {
        let session = &mut self.clients.slab[key].session;
        let unmet = session.unmet();
        session.set_unmet(Unmet {
            transaction: unmet.transaction || command.name == "multi",
            database: unmet.database || command.is_local(Local::Select),
        });
    }
}
