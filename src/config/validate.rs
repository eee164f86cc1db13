//! The tree becomes pools, and the pools a [`Config`].
//!
//! Owns: the rules about more than one pool: a name or an address that two of them have. Never: stops at
//! the first problem; looks into a pool, which is left to `pool`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::config::endpoint::ListenAddress;
use crate::config::error::ConfigError;
use crate::config::error::ConfigErrorKind;
use crate::config::file::Config;
use crate::config::findings::Findings;
use crate::config::findings::what_is;
use crate::config::keys::PoolConfig;
use crate::config::node::Node;
use crate::config::node::Value;
use crate::config::pool;
use crate::config::position::FilePosition;
use crate::config::servers::INDICES_MAX;

/// The configuration that `root` says, or everything that is wrong with it.
pub(super) fn config(root: &Node, file: &str) -> Result<Config, Vec<ConfigError>> {
    let mut findings = Findings::new(file);
    let pools = pools(root, &mut findings);
    if !findings.errors.is_empty() {
        return Err(findings.errors);
    }
    let mut config = Config::from_pools(pools);
    config.warnings = findings.warnings;
    config
        .warnings
        .sort_by_key(|warning| (warning.line, warning.column));
    Ok(config)
}

fn pools(root: &Node, findings: &mut Findings) -> Vec<PoolConfig> {
    let entries = match entries(root) {
        Ok(entries) => entries,
        Err(kind) => {
            findings.error(root.at, "", kind);
            return Vec::new();
        }
    };
    let mut names: HashMap<&str, FilePosition> = HashMap::new();
    let mut listens = Listens::default();
    let mut pools = Vec::new();
    for (key, value) in entries {
        let Some(name) = findings.name(key, "") else {
            continue;
        };
        if name.is_empty() {
            findings.error(key.at, "", ConfigErrorKind::EmptyPoolName);
        }
        match names.entry(name) {
            Entry::Vacant(first) => {
                first.insert(key.at);
            }
            Entry::Occupied(first) => {
                let first_line = first.get().line;
                findings.error(key.at, name, ConfigErrorKind::PoolTwice { first_line });
            }
        }
        let read = pool::read(name, key.at, value, findings);
        if let Some((listen, at)) = read.listen() {
            if let Err(kind) = listens.add(name, listen, at) {
                findings.error(at, &format!("{name}.listen"), kind);
            }
        }
        pools.push(read.finish());
    }
    pools
}

fn entries(root: &Node) -> Result<&[(Node, Node)], ConfigErrorKind> {
    match &root.value {
        Value::Map(entries) if entries.len() > INDICES_MAX => Err(ConfigErrorKind::TooMany {
            what: "pools",
            count: entries.len(),
            limit: INDICES_MAX,
        }),
        Value::Map(entries) if !entries.is_empty() => Ok(entries),
        Value::Map(_) | Value::Nothing => Err(ConfigErrorKind::NoPools),
        other => Err(ConfigErrorKind::NotPools {
            found: what_is(other),
        }),
    }
}

/// Where the pools so far listen: two listeners of one process on one address would take each
/// other's clients.
#[derive(Default)]
struct Listens<'a> {
    first: HashMap<ListenAddress, (&'a str, FilePosition)>,
}

impl<'a> Listens<'a> {
    fn add(
        &mut self,
        pool: &'a str,
        listen: &ListenAddress,
        at: FilePosition,
    ) -> Result<(), ConfigErrorKind> {
        let mut address = listen.clone();
        if let ListenAddress::Unix { mode, .. } = &mut address {
            // One path with two modes is one socket.
            *mode = None;
        }
        match self.first.entry(address) {
            Entry::Vacant(first) => {
                first.insert((pool, at));
                Ok(())
            }
            Entry::Occupied(first) => {
                let (pool, first) = *first.get();
                Err(ConfigErrorKind::ListenTwice {
                    pool: pool.to_owned(),
                    first_line: first.line,
                })
            }
        }
    }
}
