//! What a key can say besides numbers, times and texts.
//!
//! Owns: the choices, and the password that is never printed. Never: how the file writes them,
//! which is `forms`'s.

use std::fmt;
use std::num::NonZeroU32;

/// What a pool speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RESP.
    Redis,
    /// memcached's text protocol.
    Memcached,
    /// The one of the tests, which no file can name.
    #[cfg(any(test, debug_assertions))]
    Numbered,
}

impl Protocol {
    /// As people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Redis => "redis",
            Protocol::Memcached => "memcached",
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => "numbered",
        }
    }
}

/// What a command that is not in the table gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownCommands {
    /// An error reply.
    #[default]
    Refuse,
    /// Its first argument is taken for a key.
    Forward,
}

/// Who answers commands that only read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// The master, as everything else.
    Master,
    /// A replica if one may be read, else the master.
    PreferReplica,
    /// A replica and nobody else.
    Replica,
}

/// On which server connections clients listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PubsubMode {
    /// Each on its own.
    Exclusive,
    /// All of a worker on one to each server.
    Shared,
}

/// How many of its servers a pool needs to be called ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadyServers {
    /// Every one.
    All,
    /// So many, or all if there are fewer.
    AtLeast(NonZeroU32),
}

impl ReadyServers {
    /// How many that is of `servers`.
    #[must_use]
    pub fn of(self, servers: usize) -> usize {
        match self {
            ReadyServers::All => servers,
            ReadyServers::AtLeast(number) => servers.min(number.get() as usize),
        }
    }
}

impl Default for ReadyServers {
    /// One: a pool that serves a part of its keys serves. Every proxy sees the same servers, so
    /// sending the clients to another one would take away that part, too.
    fn default() -> ReadyServers {
        ReadyServers::AtLeast(NonZeroU32::MIN)
    }
}

/// What becomes of the requests for a server that does not serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnServerFailure {
    /// The server is ejected and its keys move to the others until it is readmitted
    /// (`auto_eject_hosts: true`). For caches.
    Rehash,
    /// They get an error at once; no key moves. For data.
    Fail,
    /// They wait for the server to come back or to be replaced, within `hold_ms` and
    /// `hold_bytes`, then get an error; no key moves. For data with failover.
    Hold,
}

/// A password: it is compared, and sent, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the password's bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Secret {
        Secret(bytes.into())
    }

    /// The password's bytes, for comparing and sending.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_is_never_printed() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
    }
}
