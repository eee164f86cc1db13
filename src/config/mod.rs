//! twemproxy's configuration file: text → raw → validated.
//!
//! Owns: the grammar of the file, its defaults and its rules, where in the file a mistake is.
//! Never: opens a socket, resolves a name, knows what the keys are used for.
//!
//! ```text
//! text ─ serde_yaml ─► raw tree ─┐
//!      └ saphyr ─► positions ────┴─► nodes with places ─ keys' table ─► drafts ─ rules ─► Config
//! ```
//!
//! Every problem of a file is reported, not only the first; no text of the file survives in
//! [`Config`] except names, and passwords as [`Secret`]s.

mod address;
mod difference;
mod draft;
mod error;
mod findings;
mod hold;
mod keys;
mod node;
mod order;
mod pool;
mod position;
mod raw;
mod scalar;
mod sentinels;
mod shape;
mod table;
mod types;
mod validate;
mod warning;

use std::path::Path;

pub use difference::difference;
pub use difference::loss;
pub use error::ConfigError;
pub use error::ConfigErrorKind;
pub use error::ConfigErrors;
pub use hold::FAILOVER_BESIDES;
pub use hold::HoldTime;
pub use keys::KEYS;
pub use keys::Key;
pub use order::twemproxy_order;
pub use table::Table;
pub use table::TooMany;
pub use types::Config;
pub use types::ConnectionConfig;
pub use types::FailureConfig;
pub use types::GreetingConfig;
pub use types::HostPort;
pub use types::LimitConfig;
pub use types::ListenAddress;
pub use types::ListenConfig;
pub use types::MappingConfig;
pub use types::OnServerFailure;
pub use types::PoolConfig;
pub use types::Protocol;
pub use types::ReadFrom;
pub use types::ReadyServers;
pub use types::ReplicaConfig;
pub use types::Secret;
pub use types::SentinelConfig;
pub use types::ServerAddress;
pub use types::ServerConfig;
pub use types::TimeoutConfig;
pub use types::UnknownCommands;
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
