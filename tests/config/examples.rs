//! Every file in `conf/` is read as its comments say, without a warning; so is the configuration
//! of the tutorial that users come with, which does earn warnings.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use coremux::config::Config;
use coremux::config::HoldTime;
use coremux::config::KEYS;
use coremux::config::ListenAddress;
use coremux::config::OnServerFailure;
use coremux::config::PoolConfig;
use coremux::config::Protocol;
use coremux::config::UnknownCommands;
use coremux::config::WarningKind;
use coremux::route::Distribution;
use coremux::route::Hash;

fn conf() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conf")
}

/// The file's pools; an example with a warning is a bad example.
fn pools(file: &str) -> Vec<PoolConfig> {
    let config = Config::read(&conf().join(file)).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config.warnings(), [], "{file}");
    config.pools
}

fn the_pool(file: &str) -> PoolConfig {
    let mut pools = pools(file);
    assert_eq!(pools.len(), 1, "{file}");
    pools.remove(0)
}

fn mode(pool: &PoolConfig) -> Option<u32> {
    match pool.listen.address {
        ListenAddress::Tcp(_) => None,
        ListenAddress::Unix { mode, .. } => mode,
    }
}

/// `name=address*weight` of each server.
fn servers(pool: &PoolConfig) -> Vec<String> {
    let one = |server: &coremux::config::ServerConfig| {
        format!("{}={}*{}", server.name, server.address, server.weight)
    };
    pool.servers.iter().map(one).collect()
}

/// Each file in `conf/` and the test that reads it.
const COVERED: &[(&str, fn())] = &[
    ("nutcracker.yml", nutcracker_yml),
    ("quickstart.yml", quickstart_yml),
    ("memcached.yml", memcached_yml),
    ("data.yml", data_yml),
    ("sentinel.yml", sentinel_yml),
    ("unix-sockets.yml", unix_sockets_yml),
    ("multi-pool.yml", multi_pool_yml),
];

#[test]
fn every_file_in_conf_is_an_example_that_a_test_reads() {
    let mut there = BTreeSet::new();
    for entry in std::fs::read_dir(conf()).expect("conf/ is there") {
        let path = entry.expect("conf/ can be read").path();
        if path.is_file() && path.extension().is_some_and(|extension| extension == "yml") {
            let name = path.file_name().expect("a file has a name");
            there.insert(name.to_string_lossy().into_owned());
        }
    }
    let covered: BTreeSet<String> = COVERED.iter().map(|(file, _)| (*file).into()).collect();
    assert_eq!(there, covered);
    for (_, test) in COVERED {
        test();
    }
}

#[test]
fn the_default_file_names_every_key_there_is_with_its_default() {
    let text = std::fs::read_to_string(conf().join("nutcracker.yml")).expect("it is there");
    for key in KEYS {
        let shown = text.lines().any(|line| {
            let line = line.trim_start_matches(['#', ' ']);
            line.starts_with(&format!("{}:", key.name))
        });
        assert!(shown, "conf/nutcracker.yml does not show {}", key.name);
        let in_comment = text.lines().find_map(|line| {
            let said = line.strip_prefix("#   ")?.strip_prefix(key.name)?;
            let said = said.strip_prefix(':')?;
            Some(said.split('#').next().unwrap_or(said).trim())
        });
        assert!(
            in_comment.is_none_or(|said| said == key.default),
            "conf/nutcracker.yml says {in_comment:?} for {}, whose default is {:?}",
            key.name,
            key.default
        );
    }
}

fn nutcracker_yml() {
    let pool = the_pool("nutcracker.yml");
    assert_eq!(&*pool.name, "alpha");
    assert_eq!(pool.listen.address.to_string(), "127.0.0.1:22121");
    assert_eq!(pool.protocol, Protocol::Redis);
    assert_eq!(pool.timeouts.request, Some(Duration::from_millis(400)));
    assert_eq!(
        servers(&pool),
        ["alpha1=127.0.0.1:6379*1", "alpha2=127.0.0.1:6380*1"]
    );
}

fn quickstart_yml() {
    let pool = the_pool("quickstart.yml");
    assert_eq!(&*pool.name, "quickstart");
    assert_eq!(pool.listen.address.to_string(), "127.0.0.1:22121");
    assert_eq!(pool.protocol, Protocol::Redis);
    assert!(!pool.failure.ejects());
    assert!(pool.timeouts.request.is_some());
    assert_eq!(
        servers(&pool),
        ["one=127.0.0.1:6391*1", "two=127.0.0.1:6392*1"]
    );
}

fn memcached_yml() {
    let pool = the_pool("memcached.yml");
    assert!(pool.partial_get);
    assert_eq!(pool.protocol, Protocol::Memcached);
    assert!(pool.failure.ejects());
    assert_eq!(pool.failure.policy, OnServerFailure::Rehash);
    assert_eq!(pool.failure.limit, 2);
    assert_eq!(pool.failure.retry_timeout, Duration::from_secs(30));
    assert_eq!(
        servers(&pool),
        [
            "cache1=127.0.0.1:11211*1",
            "cache2=127.0.0.1:11212*1",
            "cache3=127.0.0.1:11213*2"
        ]
    );
}

fn data_yml() {
    let pool = the_pool("data.yml");
    assert_eq!(pool.protocol, Protocol::Redis);
    assert!(!pool.failure.ejects());
    assert_eq!(pool.failure.policy, OnServerFailure::Hold);
    assert_eq!(
        pool.failure.hold_time,
        HoldTime::Fixed(Duration::from_millis(800))
    );
    let password = pool
        .greeting
        .redis_auth
        .as_ref()
        .map(|secret| secret.expose());
    assert_eq!(password, Some(b"change-me".as_slice()));
    assert!(pool.connections.preconnect);
    assert!(pool.servers.iter().all(|server| server.named));
}

fn sentinel_yml() {
    let pool = the_pool("sentinel.yml");
    let sentinels: Vec<String> = pool
        .sentinels
        .addresses
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        sentinels,
        ["10.0.0.21:26379", "10.0.0.22:26379", "10.0.0.23:26379"]
    );
    let password = pool
        .sentinels
        .password
        .as_ref()
        .map(|secret| secret.expose());
    assert_eq!(password, Some(b"change-me-too".as_slice()));
    assert_eq!(pool.sentinels.user, None);
    assert!(!pool.sentinels.require_quorum);
    assert_eq!(pool.failure.hold_time, HoldTime::BySentinels);
    assert!(pool.servers.iter().all(|server| server.named));
    assert_eq!(pool.failure.policy, OnServerFailure::Hold);
}

fn unix_sockets_yml() {
    let pool = the_pool("unix-sockets.yml");
    assert_eq!(pool.listen.address.to_string(), "/run/coremux/local.sock");
    assert_eq!(mode(&pool), Some(0o660));
    assert_eq!(
        servers(&pool),
        ["one=/run/redis/one.sock*1", "two=/run/redis/two.sock*1"]
    );
}

fn multi_pool_yml() {
    let pools = pools("multi-pool.yml");
    let facts: Vec<_> = pools
        .iter()
        .map(|pool| {
            (
                &*pool.name,
                pool.protocol,
                pool.mapping.distribution,
                pool.mapping.hash,
            )
        })
        .collect();
    use Protocol::Memcached;
    use Protocol::Redis;
    assert_eq!(
        facts,
        [
            ("pages", Memcached, Distribution::Modula, Hash::OneAtATime),
            ("copies", Redis, Distribution::Random, Hash::Fnv1a64),
            ("sessions", Redis, Distribution::Ketama, Hash::Fnv1a64),
        ]
    );
}

#[test]
fn the_tutorials_configuration_loads_unchanged() {
    let text = "\
alpha:
  listen: 0.0.0.0:22121
  hash: fnv1a_64
  distribution: ketama
  auto_eject_hosts: true
  redis: true
  server_retry_timeout: 2000
  server_failure_limit: 1
  servers:
   - 192.168.223.128:6379:1
   - 192.168.223.131:6379:1
";
    let config = Config::parse(text, "nutcracker.yml").unwrap_or_else(|errors| panic!("{errors}"));
    let pool = &config.pools[0];
    assert_eq!(pool.mapping.hash, Hash::Fnv1a64);
    assert_eq!(pool.mapping.distribution, Distribution::Ketama);
    assert!(pool.failure.ejects());
    assert_eq!(pool.protocol, Protocol::Redis);
    assert_eq!(pool.failure.retry_timeout, Duration::from_secs(2));
    assert_eq!(pool.failure.limit, 1);
    // The address is the name, as in twemproxy, so every key stays where it is.
    assert_eq!(
        servers(pool),
        [
            "192.168.223.128:6379=192.168.223.128:6379*1",
            "192.168.223.131:6379=192.168.223.131:6379*1"
        ]
    );
    assert!(pool.servers.iter().all(|server| !server.named));
    // What twemproxy would not have said.
    let kinds: Vec<_> = config.warnings().iter().map(|w| w.kind.clone()).collect();
    assert_eq!(
        kinds,
        [
            WarningKind::EjectsUnnamedServers {
                unnamed: 2,
                example: "192.168.223.128:6379:1 192.168.223.128:6379".to_owned()
            },
            WarningKind::EjectsWithoutTimeout,
        ]
    );
}

#[test]
fn a_pool_with_nothing_but_what_it_must_have_gets_twemproxys_defaults() {
    let text = "a:\n  listen: /tmp/a\n  servers: [b:1:1]\n";
    let config = Config::parse(text, "a.yml").unwrap_or_else(|errors| panic!("{errors}"));
    let pool = &config.pools[0];
    assert_eq!(pool.listen.address.to_string(), "/tmp/a");
    assert_eq!(mode(pool), None);
    assert_eq!(pool.mapping.hash, Hash::Fnv1a64);
    assert_eq!(pool.mapping.hash_tag, None);
    assert_eq!(pool.mapping.distribution, Distribution::Ketama);
    assert_eq!(pool.timeouts.request, None);
    assert_eq!(pool.listen.backlog, 512);
    assert_eq!(pool.limits.client_connections, None);
    assert_eq!(pool.protocol, Protocol::Memcached);
    assert!(
        !pool.listen.tcpkeepalive
            && !pool.connections.preconnect
            && !pool.failure.ejects()
            && !pool.listen.freebind
    );
    assert_eq!(pool.greeting.redis_auth, None);
    assert_eq!(pool.greeting.redis_db, 0);
    assert_eq!(pool.connections.per_server, NonZeroU32::MIN);
    assert_eq!(pool.failure.retry_timeout, Duration::from_secs(30));
    assert_eq!(pool.failure.limit, 2);
    assert_eq!(pool.unknown_commands, UnknownCommands::Refuse);
    assert_eq!(pool.failure.policy, OnServerFailure::Fail);
    assert_eq!(pool.sentinels.addresses, []);
    assert_eq!(pool.sentinels.password, None);
    // And so does one that comes from no file.
    let made = PoolConfig::new("a", pool.listen.address.clone(), pool.servers.clone());
    assert_eq!(made, *pool);
}

#[test]
fn saying_a_default_is_saying_nothing() {
    let read = |line: &str| {
        let text = format!("a:\n  listen: /tmp/a\n  servers: [b:1:1]\n  {line}\n");
        let config = Config::parse(&text, "a.yml").unwrap_or_else(|errors| panic!("{errors}"));
        config.pools[0].clone()
    };
    let nothing = read("");
    for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
        let said = read(&format!("{}: {}", key.name, key.default));
        assert_eq!(said, nothing, "{}", key.name);
    }
}
