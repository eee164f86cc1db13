//! `-t`: is this configuration file valid?
//!
//! Owns: what is said about it. Never: listens, connects, resolves a name, prints.

use std::path::Path;

use crate::config::Config;
use crate::config::OnServerFailure;
use crate::config::Protocol;
use crate::process::cli::NAME;
use crate::process::conf_file;

/// The configuration in `path`.
///
/// # Errors
///
/// The lines that say everything that is wrong with it.
pub fn read(path: &Path) -> Result<Config, String> {
    conf_file::read(path).map_err(|errors| {
        let path = path.display();
        format!("{errors}\n{NAME}: configuration file '{path}' syntax is invalid\n")
    })
}

/// The lines that say that the file in `path` is valid, and what is odd about it.
///
/// # Errors
///
/// The lines that say everything that is wrong with it.
pub fn test_conf(path: &Path) -> Result<String, String> {
    let config = read(path)?;
    let mut lines = String::new();
    for warning in config.warnings() {
        lines += &format!("warning: {warning}\n");
    }
    for pool in &config.pools {
        // twemproxy's default, and an easy mistake before Redis.
        if pool.protocol == Protocol::Memcached {
            let name = &pool.name;
            lines += &format!("{name}: speaks memcached's protocol, without `redis: true`\n");
        }
        if pool.failure.policy == OnServerFailure::Hold {
            let (name, hold_time) = (&pool.name, pool.failure.hold_time);
            lines += &format!("{name}: requests for a failed server are held: {hold_time}\n");
        }
    }
    let path = path.display();
    lines += &format!("{NAME}: configuration file '{path}' syntax is ok\n");
    Ok(lines)
}
