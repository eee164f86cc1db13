//! `ctl switch-master`: somebody says where a master is now.
//!
//! Owns: the command's words, both ways. A name stands for the same server in every pool that has
//! one of that name, because keys live by names. Never: asks whether the server there is a master;
//! each pool's own connections find out.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::net::SocketAddr;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::control::conduct::Control;
use crate::control::conduct::Switched;
use crate::control::conduct::in_words;
use crate::stats::Shape;

use super::Reply;

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
    let shape = control.stats.shape.clone();
    let places = places_of(&shape, name);
    if places.is_empty() {
        return reply.refused(unknown(&shape, name));
    }
    let (mut text, mut done) = (String::new(), false);
    for (pool, server) in places {
        let of = &shape.pools[pool.index()].name;
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
fn places_of(shape: &Shape, name: &str) -> Vec<(PoolIdx, ServerIdx)> {
    let mut places = Vec::new();
    for (pool, servers) in (0..).map(PoolIdx).zip(&shape.pools) {
        let servers = (0..).map(ServerIdx).zip(&servers.servers);
        let named = servers.filter(|(_, known)| &***known == name);
        places.extend(named.map(|(server, _)| (pool, server)));
    }
    places
}

fn unknown(shape: &Shape, name: &str) -> String {
    let names = shape.pools.iter().flat_map(|pool| &pool.servers);
    let names: BTreeSet<&str> = names.map(|name| &**name).collect();
    let names: Vec<&str> = names.into_iter().collect();
    format!(
        "there is no server `{name}`; there are: {}\n",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::stats::PoolShape;

    use super::*;

    fn shape() -> Shape {
        let pool = |name: &str, servers: &[&str]| PoolShape {
            name: Arc::from(name),
            servers: servers.iter().map(|name| Arc::from(*name)).collect(),
        };
        Shape {
            pools: vec![pool("a", &["m1", "m2"]), pool("b", &["m2", "m3"])],
        }
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
        assert_eq!(places_of(&shape(), "m2"), everywhere);
        assert_eq!(places_of(&shape(), "m"), []);
        let words = "there is no server `m`; there are: m1, m2, m3\n";
        assert_eq!(unknown(&shape(), "m"), words);
    }
}
