//! What a server says of its own state reaches the client as it is.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use crate::support::Client;
use crate::support::FakeServer;
use crate::support::Pool;
use crate::support::Port;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;
use crate::support::words;

fn configure(redis: &Redis, line: &str) {
    assert_eq!(redis.client().call(words(line)), Reply::ok(), "{line}");
}

/// Two servers; the first, `s1`, is the one with troubles.
struct Stand {
    servers: Vec<Redis>,
    proxy: Proxy,
    troubled: String,
    healthy: String,
}

impl Stand {
    fn start() -> Stand {
        // So that a directory can be set; the argument's default is to refuse that.
        let first = Redis::start_with(&["--enable-protected-configs", "local"]);
        let servers = vec![first, Redis::start()];
        let proxy = Proxy::coremux(&[Pool::over("alpha", &servers)]);
        Stand {
            troubled: proxy.key_on("alpha", "s1", "key"),
            healthy: proxy.key_on("alpha", "s2", "key"),
            proxy,
            servers,
        }
    }

    /// The same request, through the proxy and past it, gets the same error, which begins so; by
    /// itself, split over both servers, and between requests for the other server.
    fn same_error(&self, request: &[&str], begins: &str) {
        let mut client = self.proxy.client("alpha");
        let requests = [
            vec!["SET", &self.healthy, "value"],
            request.to_vec(),
            vec!["GET", &self.healthy],
        ];
        let replies = client.pipeline(requests);
        let direct = self.servers[0].client().call(request);
        assert!(direct.error().starts_with(begins), "{direct:?}");
        assert_eq!(replies, [Reply::ok(), direct, Reply::bulk("value")]);
    }

    fn same_error_split(&self, begins: &str) {
        let mut client = self.proxy.client("alpha");
        let requests = [
            vec!["MSET", &self.healthy, "value", &self.troubled, "value"],
            vec!["GET", &self.healthy],
        ];
        let replies = client.pipeline(requests);
        assert!(replies[0].error().starts_with(begins), "{replies:?}");
        assert_eq!(replies[1], Reply::bulk("value"));
    }
}

#[test]
fn out_of_memory() {
    let stand = Stand::start();
    configure(&stand.servers[0], "CONFIG SET maxmemory 1");
    for request in [
        vec!["SET", &stand.troubled, "value"],
        vec!["HSET", &stand.troubled, "field", "value"],
        vec![
            "EVAL",
            "return redis.call('SET',KEYS[1],1)",
            "1",
            &stand.troubled,
        ],
    ] {
        stand.same_error(&request, "OOM command not allowed");
    }
    stand.same_error_split("OOM command not allowed when used memory > 'maxmemory'");
    configure(&stand.servers[0], "CONFIG SET maxmemory 0");
    let mut client = stand.proxy.client("alpha");
    assert_eq!(client.call(["SET", &stand.troubled, "value"]), Reply::ok());
}

#[test]
fn busy_with_a_script() {
    let stand = Stand::start();
    configure(&stand.servers[0], "CONFIG SET busy-reply-threshold 1");
    let mut client = stand.proxy.client("alpha");
    client.send(["EVAL", "while true do end", "1", &stand.troubled]);
    eventually("the server says that it is busy", || {
        match stand.servers[0].client().call(["GET", "x"]) {
            Reply::Error(text) => {
                assert!(text.starts_with("BUSY "), "{text}");
                Some(())
            }
            _ => None,
        }
    });
    // Another connection to the server: on the same one the replies wait for the script.
    let other = Proxy::coremux(&[Pool::over("alpha", &stand.servers)]);
    let busy = other.client("alpha").call(["GET", &stand.troubled]);
    assert!(
        busy.error()
            .starts_with("BUSY Redis is busy running a script"),
        "{busy:?}"
    );
    let healthy = other.client("alpha").call(["SET", &stand.healthy, "value"]);
    assert_eq!(healthy, Reply::ok());
    assert_eq!(
        stand.servers[0].client().call(["SCRIPT", "KILL"]),
        Reply::ok()
    );
    let killed = client.read();
    assert!(
        killed
            .error()
            .contains("Script killed by user with SCRIPT KILL"),
        "{killed:?}"
    );
    assert_eq!(client.call(["SET", &stand.troubled, "value"]), Reply::ok());
}

#[test]
fn cannot_save() {
    let stand = Stand::start();
    let directory = tempfile::TempDir::new().unwrap();
    let gone = directory.path().join("gone");
    std::fs::create_dir(&gone).unwrap();
    let mut direct = stand.servers[0].client();
    assert_eq!(
        direct.call(["CONFIG", "SET", "save", "3600 1000000"]),
        Reply::ok()
    );
    let path = gone.to_str().unwrap();
    assert_eq!(direct.call(["CONFIG", "SET", "dir", path]), Reply::ok());
    std::fs::remove_dir(&gone).unwrap();
    // Redis says it of requests that come after a save has failed.
    eventually("a save fails", || {
        let _ = direct.call(["BGSAVE"]);
        let reply = direct.call(["SET", &stand.troubled, "value"]);
        matches!(reply, Reply::Error(text) if text.starts_with("MISCONF")).then_some(())
    });
    stand.same_error(&["SET", &stand.troubled, "value"], "MISCONF ");
    stand.same_error_split("MISCONF ");
}

#[test]
fn a_replica_without_its_master() {
    let stand = Stand::start();
    let nobody = Port::reserve();
    configure(
        &stand.servers[0],
        &format!("REPLICAOF 127.0.0.1 {}", nobody.number()),
    );
    stand.same_error(
        &["SET", &stand.troubled, "value"],
        "READONLY You can't write",
    );
    configure(&stand.servers[0], "CONFIG SET replica-serve-stale-data no");
    stand.same_error(
        &["GET", &stand.troubled],
        "MASTERDOWN Link with MASTER is down",
    );
    configure(&stand.servers[0], "REPLICAOF NO ONE");
    configure(&stand.servers[0], "CONFIG SET min-replicas-to-write 1");
    stand.same_error(
        &["SET", &stand.troubled, "value"],
        "NOREPLICAS Not enough good replicas",
    );
}

#[test]
fn an_unknown_script_a_wrong_type_a_missing_password() {
    let stand = Stand::start();
    let sha = "0123456789012345678901234567890123456789";
    stand.same_error(
        &["EVALSHA", sha, "1", &stand.troubled],
        "NOSCRIPT No matching script",
    );
    stand.servers[0]
        .client()
        .call(["RPUSH", &stand.troubled, "x"]);
    stand.same_error(
        &["GET", &stand.troubled],
        "WRONGTYPE Operation against a key",
    );
    configure(&stand.servers[0], "CONFIG SET requirepass secret");
    // The connection that is open is not asked; a new one is.
    let other = Proxy::coremux(&[Pool::over("alpha", &stand.servers)]);
    let reply = other.client("alpha").call(["GET", &stand.troubled]);
    assert_eq!(reply.error(), "NOAUTH Authentication required.");
}

fn loading(client: &mut Client, key: &str) -> Reply {
    client.call(["GET", key])
}

#[test]
fn loading_its_data() {
    let text = "LOADING Redis is loading the dataset in memory";
    let ready = Arc::new(AtomicBool::new(false));
    let fake = FakeServer::answering({
        let ready = Arc::clone(&ready);
        move |_| {
            let reply = match ready.load(Ordering::SeqCst) {
                true => "$5\r\nvalue\r\n".to_owned(),
                false => format!("-{text}\r\n"),
            };
            Some(reply.into_bytes())
        }
    });
    let redis = Redis::start();
    let pool = Pool::new("alpha")
        .server(fake.address())
        .server(redis.address());
    let proxy = Proxy::coremux(&[pool]);
    let (of_fake, of_redis) = (
        proxy.key_on("alpha", "s1", "key"),
        proxy.key_on("alpha", "s2", "key"),
    );
    let mut client = proxy.client("alpha");
    for _ in 0..20 {
        // Nothing is ejected: the pool does not say so.
        assert_eq!(loading(&mut client, &of_fake).error(), text);
        assert_eq!(client.call(["MGET", &of_fake, &of_redis]).error(), text);
        assert_eq!(client.call(["SET", &of_redis, "value"]), Reply::ok());
    }
    ready.store(true, Ordering::SeqCst);
    assert_eq!(loading(&mut client, &of_fake), Reply::bulk("value"));
    assert_eq!(fake.connections(), 1, "an error is no reason to close");
}

#[test]
fn a_long_error_and_an_odd_one() {
    let errors = [
        format!("-ERR {}\r\n", "x".repeat(100_000)),
        "-\r\n".to_owned(),
        "-MOVED 3999 127.0.0.1:6381\r\n".to_owned(),
        "-ASK 3999 127.0.0.1:6381\r\n".to_owned(),
        "-err in small letters\r\n".to_owned(),
    ];
    let answers = errors.clone();
    let fake = FakeServer::answering(move |request| {
        let place: usize = String::from_utf8_lossy(&request[1]).parse().unwrap();
        Some(answers[place].clone().into_bytes())
    });
    let proxy = Proxy::coremux(&[Pool::new("alpha").server(fake.address())]);
    let mut client = proxy.client("alpha");
    for (place, error) in errors.iter().enumerate() {
        let reply = client.call(["GET", &place.to_string()]);
        assert_eq!(format!("-{}\r\n", reply.error()), *error);
    }
}
