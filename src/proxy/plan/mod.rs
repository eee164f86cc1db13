//! What is done with one request: answered here, refused, or asked of servers, and how replies join.
//!
//! ```text
//!   authorize ──► plan ──► dispatch
//!   may it ask?   what?    on which connections?
//! ```
//!
//! Owns: the decision, which depends on the request, the client's session and the pool's router alone,
//! and the join of replies. Never: sends anything, changes anything but its scratch space.

mod authorize;
mod family;
pub(in crate::proxy) mod gather;
mod parts;
#[cfg(test)]
mod tests;
mod within;

use crate::base::ServerIdx;
use crate::config::UnknownCommands;
use crate::protocol::Expect;
use crate::protocol::Page;
use crate::protocol::TopicKind;
use crate::protocol::command::Access;
use crate::protocol::command::Args;
use crate::protocol::command::Command;
use crate::protocol::command::CommandError;
use crate::protocol::command::ErrorsBy;
use crate::protocol::command::Flags;
use crate::protocol::command::Gather;
use crate::protocol::command::Handling;
use crate::protocol::command::KeyIndexes;
use crate::protocol::command::Local;
use crate::protocol::command::TimeoutAt;
use crate::proxy::failure::RequestError;
use crate::proxy::plan::family::family_of;
use crate::proxy::pool::Pool;
use crate::proxy::pool::walk::Step;
use crate::proxy::server_conn::queue::Retry;
use crate::proxy::server_conn::queue::Terms;
use crate::telemetry::Family;

pub(in crate::proxy) use authorize::authorize;
pub(in crate::proxy) use authorize::authorizes_all;
pub(in crate::proxy) use authorize::relies_on_after;
pub(in crate::proxy) use parts::Parts;
pub(in crate::proxy) use within::Within;
pub(in crate::proxy) use within::plan_within;

/// As in twemproxy, a command that may go anywhere goes where this key lives.
pub(in crate::proxy) const PLACEHOLDER: &[u8] = b"placeholder";

/// A channel has one home also where any server will do for a key: who publishes has to meet who listens.
pub(in crate::proxy) const CHANNEL_DRAW: u32 = 0;

/// How a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) struct Ask {
    /// What its command says of it, as the server's FIFO keeps it.
    pub(in crate::proxy) terms: Terms,
    /// Whether a replica may answer it.
    pub(in crate::proxy) replica: bool,
    /// Whether a server does it while it runs a script, so that it must not wait for that one's reply.
    pub(in crate::proxy) while_busy: bool,
}

impl Ask {
    /// Of a command that is not in the table.
    const UNKNOWN: Ask = Ask {
        terms: Terms::new(Retry::Never, ErrorsBy::Anybody, Expect::ONE),
        replica: false,
        while_busy: false,
    };

    #[inline]
    fn of(command: &Command, expect: Expect) -> Ask {
        let retry = Retry::of(command.safe_to_retry());
        let terms = Terms::new(retry, command.errors, expect);
        Ask {
            terms: terms.of_family(family_of(command)),
            replica: command.may_ask_replica(),
            while_busy: command.flags.has(Flags::ALLOW_BUSY),
        }
    }

    /// Of a question about the server itself.
    pub(in crate::proxy) fn of_question() -> Ask {
        let terms = Terms::new(Retry::Once, ErrorsBy::Server, Expect::ONE);
        Ask {
            terms: terms.of_family(Family::Other),
            replica: false,
            while_busy: false,
        }
    }

    /// Of a transaction, which is never sent again, and is the master's.
    pub(in crate::proxy) fn of_transaction(writes: bool) -> Ask {
        let (retry, family) = match writes {
            true => (Retry::Never, Family::Write),
            false => (Retry::Used, Family::Read),
        };
        // No script's error stands where EXEC's does.
        let terms = Terms::new(retry, ErrorsBy::Server, Expect::ONE);
        Ask {
            terms: terms.of_family(family),
            replica: false,
            while_busy: false,
        }
    }

    /// The same with another reply.
    pub(in crate::proxy) fn expecting(self, expect: Expect) -> Ask {
        Ask {
            terms: self.terms.expecting(expect),
            ..self
        }
    }

    /// Whether it may change something.
    #[inline]
    pub(in crate::proxy) fn writes(self) -> bool {
        self.terms.retry() == Retry::Never
    }
}

/// What is done with a request.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) enum Plan {
    /// The proxy answers it by itself.
    Answer(Local),
    /// It gets an error, in the table's words.
    Refuse(CommandError),
    /// One server gets all of it.
    Forward(ServerIdx, Ask),
    /// One server gets all of it, on a connection that the client has for itself, and answers when
    /// something has happened.
    Wait(ServerIdx, Ask, TimeoutAt),
    /// One server gets all of it, on a connection that the client has for itself until its transaction
    /// is over.
    Watch(ServerIdx, Ask),
    /// Its client listens to topics of a kind, on connections that are for that alone.
    Subscribe(TopicKind),
    /// It listens to some of them no longer.
    Unsubscribe(TopicKind),
    /// Several servers get the part with their keys, as the [`Parts`] say.
    Fan(Fan, Ask),
    /// Every server that has keys gets all of it.
    All(Gather, Ask),
    /// One server gets it with its own cursor.
    Page(ServerIdx, Page, Ask),
    /// The walk over all keys has ended.
    LastPage,
}

impl Plan {
    /// Whether it may change something.
    pub(in crate::proxy) fn writes(&self) -> bool {
        match self {
            Plan::Answer(_)
            | Plan::Refuse(_)
            | Plan::Watch(..)
            | Plan::Subscribe(_)
            | Plan::Unsubscribe(_)
            | Plan::Page(..)
            | Plan::LastPage => false,
            Plan::Forward(_, ask)
            | Plan::Wait(_, ask, _)
            | Plan::Fan(_, ask)
            | Plan::All(_, ask) => ask.writes(),
        }
    }

    /// Whether it may change something at `server`.
    pub(in crate::proxy) fn writes_to(&self, server: ServerIdx, parts: &Parts) -> bool {
        self.writes()
            && match self {
                Plan::Forward(only, _) | Plan::Wait(only, ..) => *only == server,
                Plan::Fan(..) => parts.servers().contains(&server),
                _ => true,
            }
    }
}

/// A request with keys on several servers.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) struct Fan {
    /// Of each part.
    pub(in crate::proxy) command: &'static Command,
    pub(in crate::proxy) keys: KeyIndexes,
    /// How the replies join.
    pub(in crate::proxy) join: Gather,
}

/// What is done with a request that its client may make. `random` is a draw of the caller's: with the
/// distribution of that name any server will do, and the same one for all keys.
#[inline]
pub(in crate::proxy) fn plan<A: Args + ?Sized>(
    request: &A,
    (found, expect): (Result<&'static Command, CommandError>, Expect),
    pool: &Pool,
    random: u32,
    parts: &mut Parts,
) -> Result<Plan, RequestError> {
    let command = match found {
        Ok(command) => command,
        Err(CommandError::Unknown) if forwards_unknown(pool, request) => {
            return to_one(pool, request.arg(1), random, Ask::UNKNOWN);
        }
        Err(error) => return Ok(Plan::Refuse(error)),
    };
    let ask = Ask::of(command, expect);
    let handling = command.handling(request);
    let join = match handling {
        Handling::Local(local) => return Ok(Plan::Answer(local)),
        Handling::Refuse(why) => return Ok(Plan::Refuse(CommandError::Refused(command, why))),
        Handling::ForwardAnywhere => return to_one(pool, PLACEHOLDER, random, ask),
        Handling::Subscribe(kind) => return Ok(Plan::Subscribe(kind)),
        Handling::Unsubscribe(kind) => return Ok(Plan::Unsubscribe(kind)),
        Handling::Publish => return to_one(pool, request.arg(1), CHANNEL_DRAW, ask),
        Handling::AskAll(join) => return to_all(pool, command, join, ask),
        Handling::Walk => return next_page(pool, request, ask),
        Handling::Forward | Handling::Wait(_) | Handling::Watch => None,
        Handling::Split(join) => Some(join),
    };
    let keys = match command.keys(request) {
        Ok(keys) => keys,
        Err(error) => return Ok(Plan::Refuse(CommandError::Keys(error))),
    };
    if handling == Handling::Watch {
        // It changes nothing, and is not asked again on another connection.
        let ask = Ask {
            terms: ask.terms.with_retry(Retry::Used),
            ..ask
        };
        return match to_owner(request, keys, pool, random, ask)? {
            Plan::Forward(server, ask) => Ok(Plan::Watch(server, ask)),
            plan => Ok(plan),
        };
    }
    if let Handling::Wait(at) = handling {
        return match to_owner(request, keys, pool, random, ask)? {
            Plan::Forward(server, ask) => Ok(Plan::Wait(server, ask, at)),
            plan => Ok(plan),
        };
    }
    match join {
        Some(join) if keys.len() != 1 => {
            parts.divide(request, keys, pool, random);
            let fan = Fan {
                command,
                keys,
                join,
            };
            match parts.servers() {
                [] => Err(RequestError::NoServer),
                // Whose values those are, only who gathers them knows.
                [only] if !ask.terms.expect().is_of_part() => Ok(Plan::Forward(*only, ask)),
                _ => Ok(Plan::Fan(fan, ask)),
            }
        }
        _ => to_owner(request, keys, pool, random, ask),
    }
}

/// Where a request goes that has one key, at its command's one place for it, and for which nothing else
/// is to be decided: what nearly all are. Of others it says nothing, and [`plan`] is to be asked.
#[inline]
pub(in crate::proxy) fn plain<A: Args + ?Sized>(
    request: &A,
    (command, expect): (&'static Command, Expect),
    pool: &Pool,
) -> Option<(ServerIdx, Ask)> {
    let key = command.only_key(request)?;
    Some((pool.home_of(key)?, Ask::of(command, expect)))
}

/// Whether a command that is not in the table goes where its first argument lives.
pub(in crate::proxy) fn forwards_unknown<A: Args + ?Sized>(pool: &Pool, request: &A) -> bool {
    pool.config.unknown_commands == UnknownCommands::Forward && request.len() >= 2
}

/// To the server where one key lives.
#[inline]
fn to_one(pool: &Pool, key: &[u8], random: u32, ask: Ask) -> Result<Plan, RequestError> {
    let server = pool.server_of(key, random);
    server
        .map(|server| Plan::Forward(server, ask))
        .ok_or(RequestError::NoServer)
}

/// To every server. What writes must reach all of them, also one that is ejected and comes back.
fn to_all(pool: &Pool, command: &Command, join: Gather, ask: Ask) -> Result<Plan, RequestError> {
    match command.access == Access::Write && pool.has_ejected() {
        true => Err(RequestError::Incomplete),
        false => Ok(Plan::All(join, ask)),
    }
}

/// To the server that the cursor of a walk over all keys leads to.
fn next_page<A: Args + ?Sized>(pool: &Pool, request: &A, ask: Ask) -> Result<Plan, RequestError> {
    let is_live = |server: ServerIdx| pool.servers[server.index()].has_keys();
    if let Some(only) = pool.walk.only() {
        return match is_live(only) {
            true => Ok(Plan::Forward(only, ask)),
            false => Err(RequestError::NoServer),
        };
    }
    let digits = std::str::from_utf8(request.arg(1)).ok();
    let digits = digits.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let cursor = digits.and_then(|text| text.parse().ok());
    let cursor = cursor.ok_or(RequestError::NoCursor)?;
    match pool.walk.step(cursor, is_live) {
        Step::Page(server, page) => Ok(Plan::Page(server, page, ask)),
        Step::End if cursor == 0 => Err(RequestError::NoServer),
        Step::End => Ok(Plan::LastPage),
        Step::Nowhere => Err(RequestError::NoCursor),
    }
}

/// To the one server where all keys live; without a key always to the same.
#[inline]
fn to_owner<A: Args + ?Sized>(
    request: &A,
    keys: KeyIndexes,
    pool: &Pool,
    random: u32,
    ask: Ask,
) -> Result<Plan, RequestError> {
    let mut indexes = keys.iter();
    let (first, random) = match indexes.next() {
        Some(first) => (request.arg(first), random),
        None => (PLACEHOLDER, 0),
    };
    let server = pool.server_of(first, random);
    if indexes.any(|index| pool.server_of(request.arg(index), random) != server) {
        return Err(RequestError::CrossServer);
    }
    server
        .map(|server| Plan::Forward(server, ask))
        .ok_or(RequestError::NoServer)
}
