//! One pool of the tree becomes a pool that obeys its rules.
//!
//! Owns: the walk through the pool's keys, each by its row. Never: stops at the first problem; says what a
//! row does, which `keys` does; a rule about several keys, which `rules` has.

use crate::config::endpoint::ListenAddress;
use crate::config::error::ConfigErrorKind;
use crate::config::findings::Entry;
use crate::config::findings::Findings;
use crate::config::findings::what_is;
use crate::config::keys;
use crate::config::keys::PoolConfig;
use crate::config::node::Node;
use crate::config::node::Value;
use crate::config::position::FilePosition;
use crate::config::rules;
use crate::config::rules::Said;
use crate::config::rules::SaidKey;

/// A pool as far as it could be read.
pub(super) struct PoolRead<'a> {
    pool: PoolConfig,
    said: Said<'a>,
}

/// Reads the pool `name`, whose keys are in `value`.
pub(super) fn read<'a>(
    name: &str,
    at: FilePosition,
    value: &'a Node,
    findings: &mut Findings,
) -> PoolRead<'a> {
    let mut read = PoolRead {
        pool: PoolConfig::unsaid(name),
        said: Said::nothing(at),
    };
    let Value::Map(entries) = &value.value else {
        let found = what_is(&value.value);
        findings.error(at, name, ConfigErrorKind::NotAPool { found });
        return read;
    };
    for (key, value) in entries {
        read.key(key, value, findings);
    }
    rules::check(&read.pool, &read.said, findings);
    let said = &read.said;
    read.pool.imply(|key| said.has(key));
    rules::look_for_oddities(&read.pool, said, findings);
    read
}

impl<'a> PoolRead<'a> {
    /// Where the pool listens, and where in the file it says so.
    pub(super) fn listen(&self) -> Option<(&ListenAddress, FilePosition)> {
        let at = self.said.right("listen")?;
        Some((&self.pool.listen.address, at))
    }

    /// The pool, of use if no problem was found.
    pub(super) fn finish(mut self) -> PoolConfig {
        // Until now they were in the file's order, in which warnings name them.
        self.pool.sort_servers();
        self.pool
    }

    fn key(&mut self, key: &Node, value: &'a Node, findings: &mut Findings) {
        let Some(name) = findings.name(key, &self.pool.name) else {
            return;
        };
        let path = rules::path(&self.pool, name);
        let Some(row) = keys::find(name) else {
            let kind = ConfigErrorKind::UnknownKey {
                nearest: keys::nearest(name),
                choices: keys::names(),
            };
            findings.error(key.at, &path, kind);
            return;
        };
        if let Some(first) = self.said.at(row.name) {
            let first_line = first.line;
            findings.error(key.at, &path, ConfigErrorKind::KeyTwice { first_line });
            return;
        }
        let entry = Entry {
            path: &path,
            at: key.at,
            value,
        };
        let right = (row.read)(&mut self.pool, &entry, findings);
        let said = SaidKey {
            at: key.at,
            value,
            right,
        };
        self.said.add(row.name, said);
    }
}
