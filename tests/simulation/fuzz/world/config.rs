//! The pools of a run, and what the control plane may say of them.

use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use coremux::base::PoolIdx;
use coremux::base::ServerIdx;
use coremux::config::Config;
use coremux::config::Table;
use coremux::messages::Change;
use coremux::messages::SocketAddress;
use coremux::proxy::Reload;

use crate::dice::Dice;

pub const IN_FLIGHT_MAX: usize = 16;
pub const OUTPUT_LIMIT: usize = 64 << 10;

/// More than a reply of `material` has, gathered ones included.
pub const REPLY_BYTES_MAX: usize = 2 << 20;

/// Ports of replicas.
const REPLICAS_FROM: u16 = 2000;

/// Keys, and what a pool may have for them.
const CHOICES: &[(&str, &[&str])] = &[
    ("client_requests_in_flight", &["16"]),
    ("client_output_limit", &["65536"]),
    ("hold_ms", &["40"]),
    ("connect_timeout", &["60"]),
    ("distribution", &["ketama", "modula", "random"]),
    ("server_connections", &["1", "1", "2", "3"]),
    ("on_server_failure", &["rehash", "fail", "hold"]),
    ("preconnect", &["true", "false"]),
    ("timeout", &["0", "30", "500"]),
    ("unknown_commands", &["forward", "refuse"]),
    ("server_queue_bytes", &["65536", "16777216"]),
    ("client_idle_timeout", &["0", "0", "200"]),
];

/// Of Redis alone, and of memcached alone.
const REDIS_CHOICES: &[(&str, &[&str])] = &[("redis", &["true"]), ("redis_db", &["0", "0", "3"])];
const MEMCACHED_CHOICES: &[(&str, &[&str])] =
    &[("redis", &["false"]), ("partial_get", &["true", "false"])];

pub fn config(redis: bool, dice: &mut Dice) -> Config {
    let own = match redis {
        true => REDIS_CHOICES,
        false => MEMCACHED_CHOICES,
    };
    let mut lines = Vec::new();
    for pool in 0..dice.between(1, 2) {
        lines.push(format!("pool{pool}:"));
        lines.push(format!("  listen: 127.0.0.1:{}", 9 + pool));
        for (key, values) in CHOICES.iter().chain(own) {
            lines.push(format!("  {key}: {}", dice.pick(values)));
        }
        if redis && dice.percent(10) {
            lines.push("  redis_auth: secret".to_owned());
        }
        if redis && dice.percent(50) {
            lines.push("  sentinels: ['127.0.0.1:26379']".to_owned());
            let read_from = dice.pick(&["master", "prefer-replica", "replica"]);
            lines.push(format!("  read_from: {read_from}"));
        }
        lines.push("  servers:".to_owned());
        for server in 0..dice.between(1, 4) {
            let host = match dice.percent(80) {
                true => "127.0.0.1".to_owned(),
                false => format!("host{server}.example"),
            };
            let (port, weight) = (70 + dice.below(3), dice.between(1, 3));
            lines.push(format!("  - {host}:{port}{server}:{weight} s{server}"));
        }
    }
    let text = lines.join("\n");
    Config::parse(&text, "fuzz.yml").unwrap_or_else(|problems| panic!("{problems:?} in\n{text}"))
}

/// What a name was found to mean.
pub fn found(pool: PoolIdx, server: ServerIdx) -> Change {
    let addresses = vec![address(7)];
    Change::Addresses {
        pool,
        server,
        addresses,
    }
}

fn address(port: u16) -> SocketAddress {
    SocketAddress::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

fn replica(number: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, REPLICAS_FROM + number))
}

/// Whether that is where replicas are, and only they.
pub fn is_replica(address: &SocketAddress) -> bool {
    let SocketAddress::Tcp(address) = address else {
        return false;
    };
    (REPLICAS_FROM..REPLICAS_FROM + 3).contains(&address.port())
}

/// Another file.
pub fn reload(table: &Table, redis: bool, dice: &mut Dice) -> Reload {
    let next = table
        .next(Arc::new(config(redis, dice)))
        .expect("places are left");
    let known = next.all_servers().filter(|(pool, server, config)| {
        let before = table.server(*pool, *server);
        before.is_some_and(|before| before.address != config.address)
    });
    Reload {
        difference: Arc::new(coremux::config::Difference::between(table, &next)),
        moved: known.map(|(pool, server, _)| (pool, server)).collect(),
        table: Arc::new(next),
    }
}

/// Says something of a pool and server, maybe of one that is served no longer.
pub fn change(table: &Table, dice: &mut Dice) -> Change {
    let places: Vec<usize> = table.places().collect();
    let index = dice.below(places.len());
    let pool = PoolIdx(u16::try_from(index).expect("few pools"));
    let server = ServerIdx(u16::try_from(dice.below(places[index])).expect("few servers"));
    let addresses = (0..dice.below(3)).map(|n| address(8 + n as u16)).collect();
    match dice.below(10) {
        0 => Change::Addresses {
            pool,
            server,
            addresses,
        },
        1 => Change::Moved {
            pool,
            server,
            addresses: vec![address(1000 + dice.below(3) as u16)],
        },
        2 => Change::Fence {
            pool,
            fenced: dice.percent(30),
        },
        3 => Change::Suspect { pool, server },
        4 => Change::Eject { pool, server },
        5 => Change::Reachable { pool, server },
        6..9 => Change::Replicas {
            pool,
            server,
            addresses: (0..dice.below(4)).map(|n| replica(n as u16)).collect(),
        },
        _ => match dice.below(8) {
            0 => Change::HoldWrites {
                pool,
                server,
                within: Duration::from_millis(dice.between(0, 100) as u64),
            },
            1 => Change::ReleaseWrites { pool, server },
            2 => Change::Hold {
                pool,
                within: Duration::from_millis(dice.between(0, 100) as u64),
            },
            _ => Change::Readmit { pool, server },
        },
    }
}
