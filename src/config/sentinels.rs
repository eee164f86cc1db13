//! The list of a pool's Sentinels.
//!
//! Owns: the rules about the list. Never: the grammar of one address, which is `address`'s; what
//! the pool's other keys say.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use crate::config::address;
use crate::config::endpoint::HostPort;
use crate::config::error::ConfigErrorKind;
use crate::config::findings::Entry;
use crate::config::findings::Findings;
use crate::config::findings::what_is;
use crate::config::node::Value;
use crate::config::position::FilePosition;

/// Each has two connections to each Sentinel for each pool; nobody runs more than seven.
const SENTINELS_MAX: usize = 32;

/// The Sentinels in the file's order.
pub(super) fn read(entry: &Entry<'_>, findings: &mut Findings) -> Vec<HostPort> {
    let &Entry { path, at, value } = entry;
    let items = match &value.value {
        Value::List(items) => items.as_slice(),
        // One needs no list.
        Value::Text(text) if !text.is_empty() => std::slice::from_ref(value),
        _ => &[],
    };
    if items.is_empty() {
        findings.error(at, path, ConfigErrorKind::NoSentinels);
    }
    if items.len() > SENTINELS_MAX {
        let kind = ConfigErrorKind::TooMany {
            what: "Sentinels",
            count: items.len(),
            limit: SENTINELS_MAX,
        };
        findings.error(at, path, kind);
        return Vec::new();
    }
    let mut first: HashMap<HostPort, FilePosition> = HashMap::new();
    let mut sentinels = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let read = match &item.value {
            Value::Text(text) => address::sentinel(text),
            other => Err(ConfigErrorKind::NotOneValue {
                found: what_is(other),
            }),
        };
        let address = match read {
            Ok(address) => address,
            Err(kind) => {
                findings.error(item.at, &path, kind);
                continue;
            }
        };
        match first.entry(address.clone()) {
            Slot::Vacant(vacant) => {
                vacant.insert(item.at);
                sentinels.push(address);
            }
            Slot::Occupied(first) => {
                let kind = ConfigErrorKind::SentinelTwice {
                    address: address.to_string(),
                    first_line: first.get().line,
                };
                findings.error(item.at, &path, kind);
            }
        }
    }
    sentinels
}
