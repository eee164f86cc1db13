//! What is sent first on a pool's server connections, by what they are for.
//!
//! Owns: which question a server must answer before it gets a request. Never: a byte of it, which is the
//! protocol's.

use std::borrow::Cow;

use crate::config::PoolConfig;
use crate::config::Secret;
use crate::protocol::Greeting;
use crate::protocol::Login;
use crate::protocol::Question;
use crate::proxy::pool::conns::ConnKind;
use crate::proxy::pool::spoken;

/// Who is at the other end, and what is to be known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Greeted {
    /// A server, of which nothing bad is known.
    Server,
    /// One that has to prove that it serves.
    Proving,
    /// A replica.
    Replica,
}

/// Those of the base kind, which are sent time and again.
#[derive(Debug)]
pub(in crate::proxy) struct Greetings {
    server: Greeting,
    proving: Greeting,
    replica: Greeting,
}

impl Greetings {
    pub(in crate::proxy) fn new(config: &PoolConfig, base: ConnKind) -> Greetings {
        Greetings {
            server: greeting(config, base, Greeted::Server),
            proving: greeting(config, base, Greeted::Proving),
            replica: greeting(config, base, Greeted::Replica),
        }
    }

    pub(in crate::proxy) fn base(&self, greeted: Greeted) -> Cow<'_, Greeting> {
        Cow::Borrowed(match greeted {
            Greeted::Server => &self.server,
            Greeted::Proving => &self.proving,
            Greeted::Replica => &self.replica,
        })
    }
}

/// What is sent first on a connection of a kind.
pub(in crate::proxy) fn greeting(config: &PoolConfig, kind: ConnKind, to: Greeted) -> Greeting {
    let follows_sentinels = !config.sentinels.addresses.is_empty();
    let question = match to {
        _ if follows_sentinels => Some(Question::Role),
        Greeted::Replica => Some(Question::Role),
        Greeted::Proving => Some(Question::Serves),
        Greeted::Server => None,
    };
    let password = config.greeting.redis_auth.as_ref();
    let login = Login {
        password: password.map(Secret::expose),
        database: kind.database,
        version: kind.version,
    };
    spoken(config).greeting(&login, question)
}
