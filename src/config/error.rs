//! What is wrong with a file, where, and what would be right.
//!
//! Owns: the texts an operator reads. Never: repeats a password.

use std::fmt;

use thiserror::Error;

use crate::config::position::FilePosition;

/// Every problem of one file, in the file's order; displayed one a line, each as
/// `conf/a.yml:12:9: alpha.hash: unknown hash …`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct ConfigErrors {
    /// As given to [`crate::config::Config::parse`].
    pub file: String,
    /// At least one.
    pub errors: Vec<ConfigError>,
}

impl ConfigErrors {
    pub(super) fn new(file: &str, mut errors: Vec<ConfigError>) -> ConfigErrors {
        assert!(!errors.is_empty(), "a file without problems is valid");
        errors.sort_by_key(|error| (error.line, error.column));
        ConfigErrors {
            file: file.to_owned(),
            errors,
        }
    }

    pub(super) fn unreadable(file: &str, error: &std::io::Error) -> ConfigErrors {
        let kind = ConfigErrorKind::Unreadable {
            cause: error.to_string(),
        };
        ConfigErrors::new(file, vec![ConfigError::of_file(kind)])
    }

    pub(super) fn not_utf8(file: &str, bytes: &[u8], error: &std::str::Utf8Error) -> ConfigErrors {
        let place = FilePosition::after(&bytes[..error.valid_up_to()]);
        let error = ConfigError::at(place, "", ConfigErrorKind::NotUtf8);
        ConfigErrors::new(file, vec![error])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{}:{error}", self.file)?;
        }
        Ok(())
    }
}

/// One problem; displayed as `12:9: alpha.hash: unknown hash …`, without the file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct ConfigError {
    /// From 1; 0 when the whole file is meant.
    pub line: u32,
    /// From 1; 0 when the whole file is meant.
    pub column: u32,
    /// Which value, as in `alpha.hash` or `alpha.servers[2]` (from 0); empty when it is none.
    pub key: String,
    /// What is wrong with it.
    pub kind: ConfigErrorKind,
}

impl ConfigError {
    pub(super) fn at(place: FilePosition, key: &str, kind: ConfigErrorKind) -> ConfigError {
        ConfigError {
            line: place.line,
            column: place.column,
            key: key.to_owned(),
            kind,
        }
    }

    fn of_file(kind: ConfigErrorKind) -> ConfigError {
        ConfigError {
            line: 0,
            column: 0,
            key: String::new(),
            kind,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line != 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key.escape_debug())?;
        }
        write!(f, " {}", self.kind)
    }
}

/// A cause.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigErrorKind {
    /// The file cannot be opened or read.
    #[error("cannot be read: {cause}")]
    Unreadable {
        /// The system's words.
        cause: String,
    },
    /// A byte that is not UTF-8.
    #[error("this byte is not UTF-8; save the file as UTF-8")]
    NotUtf8,
    /// It is not YAML, or YAML of a kind that is not read.
    #[error("not one YAML document: {message}")]
    Yaml {
        /// The YAML reader's words.
        message: String,
    },
    /// There is nothing in the file.
    #[error("no pools; a pool is `name:` and below it, indented, `listen:` and `servers:`")]
    NoPools,
    /// The file is a text or a list.
    #[error("{found} where pools are wanted; a pool is `name:` and below it, indented, its keys")]
    NotPools {
        /// What it is.
        found: &'static str,
    },
    /// A pool that is a text or a list.
    #[error("{found} where a pool's keys are wanted; below the name, indented, `listen:` …")]
    NotAPool {
        /// What it is.
        found: &'static str,
    },
    /// A key that is a list or a mapping.
    #[error("{found} where a name is wanted")]
    NotAName {
        /// What it is.
        found: &'static str,
    },
    /// A pool named "".
    #[error("a pool's name cannot be empty")]
    EmptyPoolName,
    /// Two pools of one name.
    #[error("pool given twice; the first is on line {first_line}")]
    PoolTwice {
        /// Where the first is.
        first_line: u32,
    },
    /// A key given twice in one pool.
    #[error("given twice; the first is on line {first_line}")]
    KeyTwice {
        /// Where the first is.
        first_line: u32,
    },
    /// A key that is not in [`crate::config::KEYS`].
    #[error("unknown key; {}", right_key(*.nearest, .choices))]
    UnknownKey {
        /// The known key that it resembles.
        nearest: Option<&'static str>,
        /// All that are known.
        choices: Vec<&'static str>,
    },
    /// A list or mapping for a key that takes one value.
    #[error("{found} where one value is wanted; a text that begins with {{ [ or ! needs quotes")]
    NotOneValue {
        /// What it is.
        found: &'static str,
    },
    /// A key without a value.
    #[error("no value; leave the key out if none is meant")]
    EmptyText,
    /// Not a number, or one out of range.
    #[error("`{}` is not a number from {min} to {max}; digits only", clip(.found))]
    NotANumber {
        /// What the file says.
        found: String,
        /// The least that is right.
        min: u64,
        /// The most that is right.
        max: u64,
    },
    /// Not one of a few names.
    #[error("unknown {what} `{}`; one of {}", clip(.found), .choices.join(", "))]
    NotOneOf {
        /// What it should name.
        what: &'static str,
        /// What the file says.
        found: String,
        /// What is right.
        choices: Vec<&'static str>,
    },
    /// Something else than commands' names.
    #[error("{found} where a list of commands is wanted, as in [flushall, config set]")]
    NotCommands {
        /// What it is.
        found: &'static str,
    },
    /// Not a command's name.
    #[error("`{}` is no command that is known; `coremux` has those of docs/commands.md", clip(.found))]
    NoSuchCommand {
        /// What the file says.
        found: String,
    },
    /// A command that nobody is refused, or everybody.
    #[error("`{}` needs no leave; those that do: {}", .name.replace('|', " "), .choices.join(", "))]
    NeedsNoLeave {
        /// The command.
        name: &'static str,
        /// Those that do.
        choices: Vec<String>,
    },
    /// Not two bytes.
    #[error("`{}` is not two characters, as in \"{{}}\"", clip(.found))]
    NotAHashTag {
        /// What the file says.
        found: String,
    },
    /// Not an address to listen on.
    #[error("`{}`: {why}; right are `ip:port`, `name:port`, `/path`, `/path 0660`", clip(.found))]
    NotAListenAddress {
        /// What the file says.
        found: String,
        /// Which part is wrong.
        why: &'static str,
    },
    /// Not permissions of a socket.
    #[error("`{}` are not permissions; octal, at most 0777", clip(.found))]
    NotAMode {
        /// What the file says.
        found: String,
    },
    /// A unix socket's path is longer than the system can bind.
    #[error("the path has {bytes} bytes; a socket's path has at most {limit}")]
    PathTooLong {
        /// How long it is.
        bytes: usize,
        /// The longest.
        limit: usize,
    },
    /// Not a server.
    #[error("`{}`: {why}; right are `host:port:weight [name]`, `/path:weight [name]`", clip(.found))]
    NotAServer {
        /// What the file says.
        found: String,
        /// Which part is wrong.
        why: &'static str,
    },
    /// `listen` is not there.
    #[error("`listen:` is missing; right are `listen: ip:port`, `listen: /path`")]
    ListenMissing,
    /// `servers` is not there, or empty.
    #[error("no servers; `servers:` and below it, one a line, `- host:port:weight [name]`")]
    NoServers,
    /// Two servers of one name in a pool.
    #[error(
        "a second server `{}`, the first is on line {first_line}; a name (without one, the \
         address) places a server's keys and must be its own", clip(.name)
    )]
    ServerTwice {
        /// The name that both have.
        name: String,
        /// Where the first is.
        first_line: u32,
    },
    /// Two pools listen on one address.
    #[error("pool {} on line {first_line} listens there", .pool.escape_debug())]
    ListenTwice {
        /// The first pool.
        pool: String,
        /// Where its `listen` is.
        first_line: u32,
    },
    /// A password in a memcached pool.
    #[error("only valid for a redis pool; add `redis: true`")]
    AuthWithoutRedis,
    /// `auto_eject_hosts` says one thing and `on_server_failure` another.
    #[error(
        "contradicts `auto_eject_hosts: {ejects}` on line {line}; `rehash` goes with true, `fail` \
         and `hold` go with false"
    )]
    EjectContradiction {
        /// What `auto_eject_hosts` says.
        ejects: bool,
        /// Where it says so.
        line: u32,
    },
    /// Not a Sentinel's address.
    #[error("`{}`: {why}; right are `host:port`, `[ip6]:port`, `host:port:weight [name]`", clip(.found))]
    NotASentinel {
        /// What the file says.
        found: String,
        /// Which part is wrong.
        why: &'static str,
    },
    /// `sentinels` is empty.
    #[error(
        "no Sentinels; below it, one a line, `- host:port`; leave the key out if none is meant"
    )]
    NoSentinels,
    /// A Sentinel given twice.
    #[error("a second Sentinel {}, the first is on line {first_line}", clip(.address))]
    SentinelTwice {
        /// The address.
        address: String,
        /// Where the first is.
        first_line: u32,
    },
    /// A server without a name in a pool with Sentinels.
    #[error(
        "no name, and with `sentinels:` a server's name is that of its master at the Sentinels \
         (`sentinel monitor NAME …`); as in `- {} NAME`", clip(.server)
    )]
    UnnamedWithSentinels {
        /// The server, without a name.
        server: String,
    },
    /// Sentinels in a memcached pool.
    #[error("only valid for a redis pool; add `redis: true`")]
    SentinelsWithoutRedis,
    /// A key about Sentinels in a pool that has none.
    #[error("needs `sentinels:`, and this pool has none")]
    NeedsSentinels,
    /// Replicas are to be read in a pool without Sentinels.
    #[error("needs `sentinels:`, which say what replicas there are; this pool has none")]
    ReplicasWithoutSentinels,
    /// `sentinel_user` alone.
    #[error("needs `sentinel_password:`; a user without a password cannot log in")]
    UserWithoutPassword,
    /// More pools, or servers in a pool, than there are indices.
    #[error("{count} {what}; the limit is {limit}")]
    TooMany {
        /// Pools or servers.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
}

fn right_key(nearest: Option<&str>, choices: &[&str]) -> String {
    match nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("one of {}", choices.join(", ")),
    }
}

/// The start of `found`, fit for a line of a terminal.
fn clip(found: &str) -> String {
    const SHOWN: usize = 80;
    let start: String = found.chars().take(SHOWN).collect();
    let dots = if start.len() < found.len() { "…" } else { "" };
    format!("{}{dots}", start.escape_debug())
}
