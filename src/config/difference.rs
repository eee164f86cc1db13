//! What is different between two configurations, in words.
//!
//! Owns: the lines that a reload logs and answers with, one for each pool, server and key. Never:
//! prints a password; decides what follows.

use std::time::Duration;

use crate::config::hold::HoldTime;
use crate::config::table::matches;
use crate::config::types::Config;
use crate::config::types::OnServerFailure;
use crate::config::types::PoolConfig;
use crate::config::types::Protocol;
use crate::config::types::ReadFrom;
use crate::config::types::ReadyServers;
use crate::config::types::Secret;
use crate::config::types::ServerConfig;
use crate::config::types::UnknownCommands;

/// What `new` no longer has of `old`, if it is a pool or most of a pool's servers: so looks the half
/// of a file that somebody is writing. They are counted, because a server without a name is another one
/// at another address.
#[must_use]
pub fn loss(old: &Config, new: &Config) -> Option<String> {
    let matches = matches(old, new);
    let mut pools = old.pools.iter().enumerate();
    pools.find_map(|(position, was)| {
        let name = &was.name;
        match matches.iter().position(|of| *of == Some(position)) {
            None => Some(format!("pool {name}")),
            Some(now) => {
                let (now, was) = (new.pools[now].servers.len(), was.servers.len());
                (2 * now < was).then(|| format!("{} of {was} servers of pool {name}", was - now))
            }
        }
    })
}

/// What has to be done to come from `old` to `new`, a line each, as in
/// `server reweighted pool=alpha server=one weight=2 was=1`; none if they say the same.
#[must_use]
pub fn difference(old: &Config, new: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    let matches = matches(old, new);
    for (position, pool) in old.pools.iter().enumerate() {
        if !matches.contains(&Some(position)) {
            lines.push(format!("pool removed pool={}", pool.name));
        }
    }
    for (pool, matched) in new.pools.iter().zip(matches) {
        match matched {
            None => {
                let (name, address, servers) =
                    (&pool.name, &pool.listen.address, pool.servers.len());
                lines.push(format!(
                    "pool added pool={name} address={address} servers={servers}"
                ));
            }
            Some(was) => of_pool(&old.pools[was], pool, &mut lines),
        }
    }
    lines
}

fn of_pool(old: &PoolConfig, new: &PoolConfig, lines: &mut Vec<String>) {
    let name = &new.name;
    if old.name != new.name {
        lines.push(format!("pool renamed pool={name} was={}", old.name));
    }
    for ((key, was), (_, value)) in values(old).into_iter().zip(values(new)) {
        if was != value {
            lines.push(match (was, value) {
                (Value::Shown(was), Value::Shown(value)) => {
                    format!("key changed pool={name} {key}={value} was={was}")
                }
                _ => format!("key changed pool={name} key={key}"),
            });
        }
    }
    let in_new = |server: &ServerConfig| new.servers.iter().any(|s| s.name == server.name);
    for server in old.servers.iter().filter(|server| !in_new(server)) {
        lines.push(format!("server removed pool={name} server={}", server.name));
    }
    for server in &new.servers {
        let mut olds = old.servers.iter();
        let (of, address, weight) = (&server.name, &server.address, server.weight);
        let Some(was) = olds.find(|old| old.name == server.name) else {
            lines.push(format!(
                "server added pool={name} server={of} address={address} weight={weight}"
            ));
            continue;
        };
        if was.address != server.address {
            lines.push(format!(
                "server moved pool={name} server={of} address={address} was={}",
                was.address
            ));
        }
        if was.weight != server.weight {
            lines.push(format!(
                "server reweighted pool={name} server={of} weight={weight} was={}",
                was.weight
            ));
        }
    }
}

#[derive(PartialEq, Eq)]
enum Value<'a> {
    Shown(String),
    Hidden(Option<&'a Secret>),
}

/// Every key of a pool but `servers`, with its value as the file would say it.
fn values(pool: &PoolConfig) -> Vec<(&'static str, Value<'_>)> {
    let shown = |text: &dyn ToString| Value::Shown(text.to_string());
    let millis = |time: Duration| Value::Shown(time.as_millis().to_string());
    let hold = match pool.failure.hold_time {
        HoldTime::Fixed(time) => millis(time),
        HoldTime::BySentinels => shown(&"by the sentinels"),
    };
    let millis_or_none = |time: Option<Duration>| millis(time.unwrap_or_default());
    let sentinels = pool.sentinels.addresses.iter().map(ToString::to_string);
    let limit = pool
        .limits
        .client_connections
        .map_or(0, std::num::NonZero::get);
    let listen = match &pool.listen.address {
        crate::config::types::ListenAddress::Unix {
            path,
            mode: Some(mode),
        } => format!("{} {mode:o}", path.display()),
        listen => listen.to_string(),
    };
    let tag = pool.mapping.hash_tag.map_or_else(String::new, |tag| {
        [tag.open, tag.close]
            .iter()
            .map(|&b| char::from(b))
            .collect()
    });
    vec![
        ("listen", Value::Shown(listen)),
        ("client_connections", shown(&limit)),
        ("hash", shown(&pool.mapping.hash.name())),
        ("hash_tag", Value::Shown(tag)),
        ("distribution", shown(&pool.mapping.distribution.name())),
        ("timeout", millis_or_none(pool.timeouts.request)),
        ("backlog", shown(&pool.listen.backlog)),
        ("tcpkeepalive", shown(&pool.listen.tcpkeepalive)),
        ("redis", shown(&(pool.protocol == Protocol::Redis))),
        (
            "redis_auth",
            Value::Hidden(pool.greeting.redis_auth.as_ref()),
        ),
        ("redis_db", shown(&pool.greeting.redis_db)),
        ("preconnect", shown(&pool.connections.preconnect)),
        ("auto_eject_hosts", shown(&pool.failure.ejects())),
        ("server_connections", shown(&pool.connections.per_server)),
        ("server_retry_timeout", millis(pool.failure.retry_timeout)),
        ("server_failure_limit", shown(&pool.failure.limit)),
        ("freebind", shown(&pool.listen.freebind)),
        (
            "unknown_commands",
            Value::Shown(unknown(pool.unknown_commands)),
        ),
        (
            "on_server_failure",
            Value::Shown(failure(pool.failure.policy)),
        ),
        ("hold_ms", hold),
        ("hold_bytes", shown(&pool.failure.hold_bytes)),
        (
            "client_output_limit",
            shown(&pool.limits.client_output_bytes),
        ),
        (
            "client_requests_in_flight",
            shown(&pool.limits.client_requests_in_flight),
        ),
        ("server_queue_bytes", shown(&pool.limits.server_queue_bytes)),
        (
            "client_idle_timeout",
            millis_or_none(pool.timeouts.client_idle),
        ),
        ("connect_timeout", millis(pool.timeouts.connect)),
        (
            "resolve_interval",
            millis_or_none(pool.timeouts.resolve_interval),
        ),
        (
            "sentinels",
            Value::Shown(sentinels.collect::<Vec<_>>().join(",")),
        ),
        (
            "sentinel_user",
            Value::Shown(
                pool.sentinels
                    .user
                    .as_deref()
                    .unwrap_or_default()
                    .to_owned(),
            ),
        ),
        (
            "sentinel_password",
            Value::Hidden(pool.sentinels.password.as_ref()),
        ),
        (
            "read_from",
            Value::Shown(read_from(pool.replicas.read_from)),
        ),
        ("replica_lag_ms", millis(pool.replicas.lag)),
        (
            "require_sentinel_quorum",
            shown(&pool.sentinels.require_quorum),
        ),
        ("ready_servers", Value::Shown(ready(pool.ready_servers))),
    ]
}

fn unknown(value: UnknownCommands) -> String {
    match value {
        UnknownCommands::Refuse => "refuse",
        UnknownCommands::Forward => "forward",
    }
    .to_owned()
}

fn failure(value: OnServerFailure) -> String {
    match value {
        OnServerFailure::Rehash => "rehash",
        OnServerFailure::Fail => "fail",
        OnServerFailure::Hold => "hold",
    }
    .to_owned()
}

fn read_from(value: ReadFrom) -> String {
    match value {
        ReadFrom::Master => "master",
        ReadFrom::PreferReplica => "prefer-replica",
        ReadFrom::Replica => "replica",
    }
    .to_owned()
}

fn ready(value: ReadyServers) -> String {
    match value {
        ReadyServers::All => "all".to_owned(),
        ReadyServers::AtLeast(number) => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pools(pools: &[(&str, u16, usize)]) -> Config {
        let pool = |(name, port, servers): &(&str, u16, usize)| {
            let servers = (0..*servers).map(|n| format!("  - 127.0.0.1:{}:1\n", n + 1));
            let head = format!("{name}:\n  listen: 127.0.0.1:{port}\n  redis: true\n  servers:\n");
            head + &servers.collect::<String>()
        };
        let text: String = pools.iter().map(pool).collect();
        Config::parse(&text, "test.yml").expect("a good configuration")
    }

    #[test]
    fn a_pool_that_is_gone_or_has_less_than_half_of_its_servers_is_a_loss() {
        let old = pools(&[("a", 1, 4), ("b", 2, 1)]);
        let lost = |new: &[(&str, u16, usize)]| loss(&old, &pools(new));
        assert_eq!(lost(&[("a", 1, 4)]).as_deref(), Some("pool b"));
        let few = lost(&[("a", 1, 1), ("b", 2, 1)]);
        assert_eq!(few.as_deref(), Some("3 of 4 servers of pool a"));
        for kept in [
            [("a", 1, 2), ("b", 2, 1)],
            [("renamed", 1, 4), ("b", 2, 9)],
            [("b", 3, 1), ("a", 4, 4)],
        ] {
            assert_eq!(lost(&kept), None, "{kept:?}");
        }
    }

    use crate::config::KEYS;

    fn config(text: &str) -> Config {
        Config::parse(text, "test.yml").expect("a good configuration")
    }

    fn pool(name: &str, port: u16, keys: &str, servers: &[&str]) -> String {
        let servers: String = servers.iter().map(|s| format!("  - {s}\n")).collect();
        format!("{name}:\n  listen: 127.0.0.1:{port}\n  redis: true\n{keys}  servers:\n{servers}")
    }

    #[test]
    fn every_key_is_compared() {
        let of = config(&pool("a", 1, "", &["h:1:1"]));
        let compared: Vec<&str> = values(&of.pools[0]).iter().map(|(key, _)| *key).collect();
        for key in KEYS {
            // Servers have lines of their own, and `reuseport` says nothing.
            let elsewhere = ["servers", "reuseport"].contains(&key.name);
            assert_eq!(compared.contains(&key.name), !elsewhere, "{}", key.name);
        }
    }

    #[test]
    fn each_difference_is_a_line_and_none_is_none() {
        let old = pool(
            "a",
            1,
            "  timeout: 100\n",
            &["h:1:1 one", "h:2:1 two", "h:3:1 three"],
        ) + &pool("b", 2, "", &["h:1:1"])
            + &pool("c", 3, "", &["h:1:1"]);
        let new = pool(
            "a",
            1,
            "  redis_auth: secret\n",
            &["h:9:1 one", "h:2:5 two", "h:4:1 four"],
        ) + &pool("beta", 2, "", &["h:1:1"])
            + &pool("d", 4, "", &["h:1:1", "h:2:1"]);
        let (old, new) = (config(&old), config(&new));
        assert_eq!(difference(&old, &old), Vec::<String>::new());
        let mut lines = difference(&old, &new);
        lines.sort();
        let expected = [
            "key changed pool=a key=redis_auth",
            "key changed pool=a timeout=0 was=100",
            "pool added pool=d address=127.0.0.1:4 servers=2",
            "pool removed pool=c",
            "pool renamed pool=beta was=b",
            "server added pool=a server=four address=h:4 weight=1",
            "server moved pool=a server=one address=h:9 was=h:1",
            "server removed pool=a server=three",
            "server reweighted pool=a server=two weight=5 was=1",
        ];
        assert_eq!(lines, expected);
    }
}
