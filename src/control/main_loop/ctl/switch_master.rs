//! `ctl switch-master`: somebody says where a master is now.
//!
//! Owns: the command's words, both ways. A name stands for the same server in every pool that has
//! one of that name, because keys live by names. Never: asks whether the server there is a master;
//! each pool's own connections find out.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::config::Table;
use crate::control::main_loop::Control;
use crate::control::main_loop::Switched;
use crate::control::main_loop::in_words;

use crate::control::asked::Reply;

/// Done if any pool has the server where it was said to be; refused if none has, which is so where
/// Sentinels know better.
pub(super) fn act(control: &mut Control, arguments: &[String], reply: Reply) {
    let [name, ip, port] = arguments else {
        return reply.refused("usage: switch-master NAME IP PORT\n".to_owned());
    };
    let to = match address(ip, port) {
        Ok(to) => to,
        Err(words) => return reply.refused(words),
    };
    let table = Arc::clone(&control.table);
    let places = places_of(&table, name);
    if places.is_empty() {
        return reply.refused(unknown(&table, name));
    }
    let (mut text, mut done) = (String::new(), false);
    for (pool, server) in places {
        let of = table.pool(pool).map_or("?", |pool| &pool.name);
        text += &match control.switch(pool, server, to) {
            Switched::Moved(from) => {
                done = true;
                let from = in_words(&from);
                format!("pool {of}: {name} moved from {from} to {to}\n")
            }
            Switched::There => {
                done = true;
                format!("pool {of}: {name} is at {to} already\n")
            }
            Switched::Sentinels => format!(
                "pool {of}: not moved: its sentinels say where {name} is; they were asked just now\n"
            ),
        };
    }
    match done {
        true => reply.done(text),
        false => reply.refused(text),
    }
}

/// As Sentinel writes it to its scripts; IPv6 with or without brackets.
fn address(ip: &str, port: &str) -> Result<SocketAddr, String> {
    let bare = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']'));
    let address: IpAddr = bare
        .unwrap_or(ip)
        .parse()
        .map_err(|_| format!("`{ip}` is no IP address\n"))?;
    match port.parse() {
        Ok(port @ 1..) => Ok(SocketAddr::new(address, port)),
        _ => Err(format!("`{port}` is no port: 1 to 65535\n")),
    }
}

/// Every server of that name.
fn places_of(table: &Table, name: &str) -> Vec<(PoolIdx, ServerIdx)> {
    let named = table
        .all_servers()
        .filter(|(.., known)| &*known.name == name);
    named.map(|(pool, server, _)| (pool, server)).collect()
}

fn unknown(table: &Table, name: &str) -> String {
    let names = table.all_servers().map(|(.., known)| &*known.name);
    let names: BTreeSet<&str> = names.collect();
    let names: Vec<&str> = names.into_iter().collect();
    format!(
        "there is no server `{name}`; there are: {}\n",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    use super::*;

    fn table() -> Table {
        let pool = |name: &str, port: u16, servers: &[&str]| {
            let servers = servers.iter().map(|name| format!("  - h:1:1 {name}\n"));
            let servers: String = servers.collect();
            format!("{name}:\n  listen: 127.0.0.1:{port}\n  redis: true\n  servers:\n{servers}")
        };
        let text = pool("a", 1, &["m1", "m2"]) + &pool("b", 2, &["m2", "m3"]);
        let config = Config::parse(&text, "test.yml").expect("a good configuration");
        Table::new(Arc::new(config))
    }

    #[test]
    fn an_address_is_an_ip_and_a_port_as_sentinel_writes_them() {
        let good = |ip, port, text: &str| assert_eq!(address(ip, port).unwrap().to_string(), text);
        good("10.0.0.1", "6379", "10.0.0.1:6379");
        good("fd00::1", "1", "[fd00::1]:1");
        good("[fd00::1]", "65535", "[fd00::1]:65535");
        for (ip, port) in [
            ("redis-1", "6379"),
            ("10.0.0.1:6379", "6379"),
            ("[10.0.0.1", "6379"),
            ("", "6379"),
            ("10.0.0.1", "0"),
            ("10.0.0.1", "65536"),
            ("10.0.0.1", "-1"),
            ("10.0.0.1", ""),
        ] {
            let words = address(ip, port).unwrap_err();
            assert!(words.contains("is no"), "{words}");
        }
    }

    #[test]
    fn a_name_is_a_server_of_every_pool_that_has_it() {
        let everywhere = [(PoolIdx(0), ServerIdx(1)), (PoolIdx(1), ServerIdx(0))];
        assert_eq!(places_of(&table(), "m2"), everywhere);
        assert_eq!(places_of(&table(), "m"), []);
        let words = "there is no server `m`; there are: m1, m2, m3\n";
        assert_eq!(unknown(&table(), "m"), words);
    }
}
