//! The list of a pool's servers.
//!
//! Owns: the rules about the list. Never: the grammar of one server, which is `address`'s; what the
//! pool's other keys say.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;

use crate::config::address;
use crate::config::endpoint::ServerConfig;
use crate::config::error::ConfigErrorKind;
use crate::config::findings::Entry;
use crate::config::findings::Findings;
use crate::config::findings::what_is;
use crate::config::node::Node;
use crate::config::node::Value;
use crate::config::position::FilePosition;

/// `PoolIdx` and `ServerIdx` have 16 bits, and the last number is nobody's: of a request's fragments
/// it says that there is none.
pub(super) const INDICES_MAX: usize = u16::MAX as usize;

/// The items of the list; one server needs none.
pub(super) fn items(value: &Node) -> &[Node] {
    match &value.value {
        Value::List(items) => items.as_slice(),
        Value::Text(text) if !text.is_empty() => std::slice::from_ref(value),
        _ => &[],
    }
}

/// The servers in the file's order.
pub(super) fn read(entry: &Entry<'_>, findings: &mut Findings) -> Vec<ServerConfig> {
    let &Entry { path, at, value } = entry;
    let items = items(value);
    if items.is_empty() {
        findings.error(at, path, ConfigErrorKind::NoServers);
    }
    if items.len() > INDICES_MAX {
        let kind = ConfigErrorKind::TooMany {
            what: "servers",
            count: items.len(),
            limit: INDICES_MAX,
        };
        findings.error(at, path, kind);
        return Vec::new();
    }
    let mut names: HashMap<Arc<str>, FilePosition> = HashMap::new();
    let mut servers = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Value::Text(text) = &item.value else {
            let found = what_is(&item.value);
            findings.error(item.at, &path, ConfigErrorKind::NotOneValue { found });
            continue;
        };
        let server = match address::server(text) {
            Ok((server, odd)) => {
                if let Some(odd) = odd {
                    findings.warning(item.at, &path, odd);
                }
                server
            }
            Err(kind) => {
                findings.error(item.at, &path, kind);
                continue;
            }
        };
        match names.entry(Arc::clone(&server.name)) {
            Slot::Vacant(first) => {
                first.insert(item.at);
            }
            Slot::Occupied(first) => {
                let kind = ConfigErrorKind::ServerTwice {
                    name: server.name.to_string(),
                    first_line: first.get().line,
                };
                findings.error(item.at, &path, kind);
            }
        }
        servers.push(server);
    }
    servers
}
