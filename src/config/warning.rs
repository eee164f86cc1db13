//! What is allowed and probably not meant.
//!
//! Owns: the texts of the warnings that the start-up logs. Never: an error; a file with warnings
//! is served.

use std::fmt;
use std::sync::Arc;

/// One warning, displayed as `conf/a.yml:12:3: alpha.reuseport: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// As given to [`crate::config::Config::parse`].
    pub file: Arc<str>,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
    /// Which value, as in `alpha.reuseport`.
    pub key: String,
    /// What about it.
    pub kind: WarningKind,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Warning {
            file,
            line,
            column,
            key,
            kind,
        } = self;
        write!(f, "{file}:{line}:{column}: {key}: {kind}")
    }
}

/// What is probably not meant, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WarningKind {
    /// `auto_eject_hosts` in a pool that has servers without names.
    EjectsUnnamedServers {
        /// How many of its servers have no name.
        unnamed: usize,
        /// The first of them, with the name that keeps its keys where they are.
        example: String,
    },
    /// `auto_eject_hosts` in a pool without `timeout`.
    EjectsWithoutTimeout,
    /// `reuseport`, which is always on.
    ReuseportAlwaysOn,
    /// `hold_ms` or `hold_bytes` in a pool that does not hold.
    HoldsNothing,
    /// `replica_lag_ms` in a pool that reads from masters.
    ReadsNoReplica,
    /// `require_sentinel_quorum` with one or two Sentinels.
    FewSentinels {
        /// How many there are.
        count: usize,
    },
    /// A key of memcached's in a pool that speaks Redis's protocol.
    OnlyMemcached,
    /// A key of Redis's in a pool that speaks memcached's protocol.
    OnlyRedis,
    /// Ejection in a pool whose servers are followed by Sentinels.
    EjectsWithSentinels,
    /// `listen: *:port`.
    ListensOnStar,
    /// A unix socket's permissions that are not an octal number.
    OddMode {
        /// What the file says.
        found: String,
        /// What it was read as; 0 leaves the umask's.
        mode: u32,
    },
    /// A blank after the weight and nothing after the blank.
    EmptyServerName,
    /// A host that no resolver can know.
    ServerHostCannotBe {
        /// The host.
        host: String,
    },
    /// A server's path that does not fit into a socket address.
    ServerPathTooLong {
        /// The longest that fits.
        limit: usize,
    },
}

impl fmt::Display for WarningKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WarningKind::EjectsUnnamedServers { unnamed, example } => write!(
                f,
                "servers without a name ({unnamed} here) are placed by their address, so that \
                 their keys move when it changes; give them the names that keep every key in its \
                 place, as in `- {example}`"
            ),
            WarningKind::EjectsWithoutTimeout => f.write_str(
                "without `timeout:` a server that accepts connections and stays silent is never \
                 ejected; set one",
            ),
            WarningKind::ReuseportAlwaysOn => {
                f.write_str("of no effect: every worker listens with SO_REUSEPORT")
            }
            WarningKind::HoldsNothing => {
                f.write_str("of no effect without `on_server_failure: hold`")
            }
            WarningKind::OnlyMemcached => {
                f.write_str("of no effect with `redis: true`: it is about memcached's `get`")
            }
            WarningKind::OnlyRedis => {
                f.write_str("of no effect without `redis: true`: memcached has nothing like it")
            }
            WarningKind::ReadsNoReplica => {
                f.write_str("of no effect without `read_from: prefer-replica` or `replica`")
            }
            WarningKind::FewSentinels { count } => write!(
                f,
                "with {count} in `sentinels:` the loss of one can stop all writes; list three or \
                 more, on machines that do not fail together"
            ),
            WarningKind::EjectsWithSentinels => f.write_str(
                "a server that fails is ejected before the Sentinels have replaced it: its keys \
                 move away and back, and what was written meanwhile is lost to readers; with \
                 `sentinels:` say `on_server_failure: hold` or `fail`",
            ),
            WarningKind::ListensOnStar => f.write_str(
                "to the resolver `*` is the loopback address, not every address; that is 0.0.0.0",
            ),
            WarningKind::OddMode { found, mode: 0 } => write!(
                f,
                "permissions `{}` are not an octal number; left to the umask, as twemproxy does",
                found.escape_debug()
            ),
            WarningKind::OddMode { found, mode } => write!(
                f,
                "permissions `{}` are not an octal number; read as {mode:#o}, as twemproxy does",
                found.escape_debug()
            ),
            WarningKind::EmptyServerName => f.write_str(
                "the blank at the end gives this server an empty name, as in twemproxy; its keys \
                 move when the blank goes",
            ),
            WarningKind::ServerHostCannotBe { host } => write!(
                f,
                "no resolver can know the host `{}`; this server will never be reached",
                host.escape_debug()
            ),
            WarningKind::ServerPathTooLong { limit } => write!(
                f,
                "a socket's path has at most {limit} bytes; this server will never be reached"
            ),
        }
    }
}
