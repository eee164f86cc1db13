//! twemproxy's configuration file, from its text to pools that obey every rule.
//!
//! ```text
//! text ─ serde_yaml ─► raw tree ─┐
//!      └ saphyr ─► positions ────┴─► nodes with positions ─ keys' table ─► pools ─ rules ─► Config
//! ```
//!
//! | step | files |
//! |---|---|
//! | the text becomes a tree, as twemproxy reads it, and each value keeps its line | `raw`, `shape`, `position`, `node` |
//! | each key of a pool becomes a value, by its one row | `keys` (the rows), `row` (what a row makes), `forms`, `values` |
//! | what a form needs to read one text | `scalar`, `address`, `endpoint`, `commands` |
//! | a pool and its lists | `pool`, `servers`, `sentinels`, `order` |
//! | what is not said but follows; rules about several keys; rules about all pools | `implied`, `hold`; `rules`; `validate` |
//! | what is wrong or odd, in words | `error`, `warning`, collected by `findings` |
//! | the result; its places for life; what a reload changes; whether the file may be half written | `file`; `table`; `difference`; `loss` |
//!
//! Owns: the grammar of the file, its defaults and its rules, and where in the file a mistake is. Every
//! problem is reported, not only the first, so that an operator mends a file once. Never: opens a socket,
//! resolves a name, knows what the keys are used for. No text of the file survives in [`Config`] except
//! names, and passwords as [`Secret`]s.

mod address;
mod commands;
mod difference;
mod endpoint;
mod error;
mod file;
mod findings;
mod forms;
mod hold;
mod implied;
mod keys;
mod loss;
mod node;
mod order;
mod pool;
mod position;
mod raw;
mod row;
mod rules;
mod scalar;
mod sentinels;
mod servers;
mod shape;
mod table;
mod validate;
mod values;
mod warning;

use std::path::Path;

pub use commands::CommandNames;
pub use difference::Difference;
pub use difference::PoolChanges;
pub use difference::PoolDifference;
pub use difference::ServerDifference;
pub use endpoint::HostPort;
pub use endpoint::ListenAddress;
pub use endpoint::ServerAddress;
pub use endpoint::ServerConfig;
pub use error::ConfigError;
pub use error::ConfigErrorKind;
pub use error::ConfigErrors;
pub use file::Config;
pub use hold::FAILOVER_BESIDES;
pub use hold::HoldTime;
pub use keys::AccessConfig;
pub use keys::ConnectionConfig;
pub use keys::FailureConfig;
pub use keys::GreetingConfig;
pub use keys::KEYS;
pub use keys::Key;
pub use keys::LimitConfig;
pub use keys::ListenConfig;
pub use keys::MappingConfig;
pub use keys::PoolConfig;
pub use keys::ReplicaConfig;
pub use keys::SentinelConfig;
pub use keys::TimeoutConfig;
pub use loss::loss;
pub use order::twemproxy_order;
pub use row::Effect;
pub use row::Origin;
pub use row::Row;
pub use table::Table;
pub use table::TooMany;
pub use values::OnServerFailure;
pub use values::Protocol;
pub use values::PubsubMode;
pub use values::ReadFrom;
pub use values::ReadyServers;
pub use values::Secret;
pub use values::UnknownCommands;
pub use warning::Warning;
pub use warning::WarningKind;

impl Config {
    /// Reads and validates the file at `path`.
    ///
    /// # Errors
    ///
    /// Every problem of the file, or why it cannot be read.
    pub fn read(path: &Path) -> Result<Config, ConfigErrors> {
        Config::of_file(path, std::fs::read(path))
    }

    /// Validates what was `read` from the file at `path`.
    ///
    /// # Errors
    ///
    /// As [`Config::read`].
    pub fn of_file(path: &Path, read: std::io::Result<Vec<u8>>) -> Result<Config, ConfigErrors> {
        let file = path.display().to_string();
        match read {
            Ok(bytes) => match std::str::from_utf8(&bytes) {
                Ok(text) => Config::parse(text, &file),
                Err(error) => Err(ConfigErrors::not_utf8(&file, &bytes, &error)),
            },
            Err(error) => Err(ConfigErrors::unreadable(&file, &error)),
        }
    }

    /// Validates `text`; `file` is what error messages call it.
    ///
    /// # Errors
    ///
    /// Every problem of the text.
    pub fn parse(text: &str, file: &str) -> Result<Config, ConfigErrors> {
        // A byte order mark is not part of the first pool's name.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match raw::read(text) {
            Ok(root) => {
                validate::config(&root, file).map_err(|errors| ConfigErrors::new(file, errors))
            }
            Err(error) => Err(ConfigErrors::new(file, vec![error])),
        }
    }
}
