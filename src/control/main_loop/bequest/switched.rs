//! Where servers are that somebody at `ctl` has moved. Masters that Sentinels have moved are theirs.

use std::net::SocketAddr;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use tracing::info;

use crate::control::main_loop::Control;
use crate::messages::SocketAddress;

/// `ctl switch-master`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Switched {
    pool: String,
    server: String,
    /// Where the file had it. A file that has it elsewhere by now is newer than what was said.
    file: String,
    /// Where it is.
    address: SocketAddr,
}

pub(super) fn leave(control: &Control) -> serde_json::Result<Value> {
    let mut all = Vec::new();
    for (pool, server, config) in control.table.all_servers() {
        let told = control.servers.probes.is_told(pool, server)
            && !control.servers.sentinels.follows(pool);
        let known = control.servers.probes.known(pool, server);
        if let (true, Some(SocketAddress::Tcp(address))) = (told, known.first()) {
            let of = control.table.pool(pool).map(|pool| pool.name.to_string());
            all.push(Switched {
                pool: of.unwrap_or_default(),
                server: config.name.to_string(),
                file: config.address.to_string(),
                address: *address,
            });
        }
    }
    serde_json::to_value(all)
}

pub(super) fn take(control: &mut Control, said: Value) -> serde_json::Result<()> {
    let all: Vec<Switched> = serde_json::from_value(said)?;
    let table = std::sync::Arc::clone(&control.table);
    for (pool, server, config) in table.all_servers() {
        let of = table.pool(pool).map_or("", |pool| &pool.name);
        let is_meant = |s: &&Switched| {
            (s.pool.as_str(), s.server.as_str()) == (of, &config.name)
                && s.file == config.address.to_string()
        };
        let Some(switched) = all.iter().find(is_meant) else {
            continue;
        };
        let to = switched.address;
        let addresses = vec![SocketAddress::Tcp(to)];
        let is_there = control.servers.probes.is_told(pool, server)
            && control.servers.probes.known(pool, server) == addresses;
        if control.servers.sentinels.follows(pool) || is_there {
            continue;
        }
        info!(pool = of, server = %config.name, %to, source = "hand-over", "master moved");
        control.move_server(pool, server, addresses);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::main_loop::bequest::tests::is_understood;

    #[test]
    fn the_first_release_and_this_one_understand_each_other() {
        let all: Vec<Switched> = is_understood("switched_masters");
        assert_eq!(all[0].address.to_string(), "10.0.0.2:6379");
    }
}
