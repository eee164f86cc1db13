//! Nobody but the Sentinels of the file, and those that most of them name, is believed or given a
//! password; and who belongs to them is followed wherever it is.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use crate::support::Client;
use crate::support::FakeServer;
use crate::support::Group;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::Sentinel;
use crate::support::eventually;
use crate::support::now;

/// A pool over a group's first master.
fn pool(group: &Group, sentinels: &[String]) -> Pool {
    Pool::new("alpha")
        .with("sentinels", format!("[{}]", sentinels.join(", ")))
        .with("timeout", 1000)
        .server(group.servers[0][0].address())
}

fn addresses(sentinels: &[Sentinel]) -> Vec<String> {
    sentinels.iter().map(|s| s.address().to_string()).collect()
}

/// Another installation, which calls its master by the same name.
fn other_installation(count: usize) -> (Redis, Vec<Sentinel>) {
    let master = Redis::start_with(&[]);
    let watched = [("s1", master.address())];
    let sentinels: Vec<Sentinel> = (0..count).map(|_| Sentinel::start(&watched, "")).collect();
    let others = u64::try_from(count - 1).unwrap();
    for sentinel in &sentinels {
        eventually("they know each other", || {
            (sentinel.number("s1", "num-other-sentinels") == Some(others)).then_some(())
        });
    }
    (master, sentinels)
}

/// Writes for so long; every write must be good.
fn write_on(client: &mut Client, until: Instant) {
    while now() < until {
        assert_eq!(client.call(["SET", "key", "value"]), Reply::ok());
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_sentinel_of_another_installation_in_the_file_moves_no_master() {
    let group = Group::start(1, 1, "");
    let (foreign, strangers) = other_installation(4);
    let mut listed = addresses(&group.sentinels[..2]);
    listed.push(strangers[0].address().to_string());
    let mut proxy = Proxy::coremux(&[pool(&group, &listed)]);
    proxy.process().line_with(&["master found", "server=s1"]);
    let mut client = proxy.client("alpha");
    let stranger = strangers[0].address().to_string();
    // Once it is known for what it is, and not before either.
    eventually("it is found out", || {
        assert_eq!(client.call(["SET", "key", "value"]), Reply::ok());
        let size = foreign.client().call(["DBSIZE"]);
        assert_eq!(size, Reply::Integer(0), "{}", proxy.process().log());
        let log = proxy.process().log();
        let mut lines = log
            .lines()
            .filter(|line| line.contains("another installation"));
        lines.find(|line| line.contains(&stranger)).map(|_| ())
    });
    let log = proxy.process().log();
    assert!(!log.contains("master moved"), "{log}");
    // The third of the group, which only the others name, has its vote.
    proxy.process().line_with(&[
        "sentinel answers",
        &group.sentinels[2].address().to_string(),
    ]);
}

#[test]
fn a_forged_hello_gets_nobody_the_password() {
    let lines = "requirepass right\nsentinel sentinel-pass right\n\
                 user proxy on >for-the-sentinels-alone ~* &* +@all";
    let group = Group::start(1, 1, lines);
    let pool = pool(&group, &addresses(&group.sentinels))
        .with("sentinel_user", "proxy")
        .with("sentinel_password", "for-the-sentinels-alone");
    let mut proxy = Proxy::coremux(&[pool]);
    proxy
        .process()
        .line_with(&["majority of the sentinels heard"]);
    let taken = Arc::new(Mutex::new(Vec::new()));
    let stranger = FakeServer::start({
        let taken = Arc::clone(&taken);
        move |mut conn| {
            while let Some(request) = conn.request() {
                let word = request[0].to_ascii_uppercase();
                taken.lock().unwrap().extend(request);
                match &word[..] {
                    b"PING" => conn.send(b"+PONG\r\n"),
                    _ => conn.send(b"+OK\r\n"),
                }
            }
        }
    });
    let master = group.servers[0][0].address();
    let hello = format!(
        "127.0.0.1,{},{},0,s1,127.0.0.1,{},0",
        stranger.address().port(),
        "f".repeat(40),
        master.port()
    );
    let mut client = group.servers[0][0].client();
    client.call(["PUBLISH", "__sentinel__:hello", &hello]);
    for sentinel in &group.sentinels {
        eventually("the sentinels believe it", || {
            (sentinel.number("s1", "num-other-sentinels") == Some(3)).then_some(())
        });
    }
    // It is asked who it is: a question, and no password.
    eventually("the proxy has heard of it", || {
        client.call(["PUBLISH", "__sentinel__:hello", &hello]);
        let taken = taken.lock().unwrap();
        let has = |word: &[u8]| taken.iter().any(|taken| taken == word);
        assert!(!has(b"for-the-sentinels-alone"), "it has the password");
        has(b"MYID").then_some(())
    });
    let end = now() + Duration::from_secs(3);
    eventually("it asks again and again", || {
        let taken = taken.lock().unwrap();
        let has = |word: &[u8]| taken.iter().any(|taken| taken == word);
        assert!(!has(b"for-the-sentinels-alone"), "it has the password");
        (now() > end).then_some(())
    });
    assert!(!proxy.process().log().contains("no majority"));
}

#[test]
fn a_dead_sentinel_is_replaced_without_a_write_refused() {
    let mut group = Group::start(1, 1, "");
    let pool = pool(&group, &addresses(&group.sentinels)).with("require_sentinel_quorum", true);
    let mut proxy = Proxy::coremux(&[pool]);
    proxy.process().line_with(&["writes allowed"]);
    let mut client = proxy.client("alpha");
    write_on(&mut client, now() + Duration::from_millis(100));
    let gone = group.sentinels[2].address().to_string();
    group.sentinels[2].kill();
    proxy.process().line_with(&["sentinel lost", &gone]);
    let next = Sentinel::start(&[("s1", group.servers[0][0].address())], "");
    let next_address = next.address().to_string();
    eventually("the next one is heard", || {
        write_on(&mut client, now() + Duration::from_millis(20));
        let log = proxy.process().log();
        let mut lines = log.lines().filter(|line| line.contains("sentinel answers"));
        lines.any(|line| line.contains(&next_address)).then_some(())
    });
    // It has a vote: without another of the first three there are two of four, and with it three.
    write_on(&mut client, now() + Duration::from_secs(2));
    assert!(!proxy.process().log().contains("writes refused"));
}

#[test]
fn a_sentinel_that_returns_at_another_address_is_followed_there() {
    let mut group = Group::start(1, 1, "");
    let pool = pool(&group, &addresses(&group.sentinels)).with("require_sentinel_quorum", true);
    let mut proxy = Proxy::coremux(&[pool]);
    proxy.process().line_with(&["writes allowed"]);
    let mut client = proxy.client("alpha");
    let before = group.sentinels[2].address().to_string();
    group.sentinels[2].kill();
    proxy.process().line_with(&["sentinel lost", &before]);
    group.sentinels[2].restart_elsewhere();
    let there = group.sentinels[2].address().to_string();
    assert_ne!(before, there);
    proxy.process().line_with(&["sentinel answers", &there]);
    // It is one vote, and it is enough beside one of the others.
    let gone = group.sentinels[1].address().to_string();
    group.sentinels[1].kill();
    proxy.process().line_with(&["sentinel lost", &gone]);
    write_on(&mut client, now() + Duration::from_secs(2));
    let log = proxy.process().log();
    assert!(!log.contains("writes refused"), "{log}");
    assert!(
        !log.contains("heard=3 of=4") && !log.contains("no majority"),
        "{log}"
    );
}

/// Something that a Sentinel would not say, another for each connection.
fn nonsense(number: usize) -> Vec<u8> {
    let fields = |epoch: &str| {
        format!(
            "*4\r\n$12\r\nconfig-epoch\r\n${}\r\n{epoch}\r\n$1\r\na\r\n$1\r\nb\r\n",
            epoch.len()
        )
    };
    let said: [Vec<u8>; 9] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        b"*1000000000\r\n$3\r\nabc\r\n".to_vec(),
        b"$-5\r\n".to_vec(),
        b"*-7\r\n".to_vec(),
        b"$512\r\nhalf".to_vec(),
        [b"$400000000\r\n".to_vec(), vec![b'x'; 700_000]].concat(),
        b"*1\r\n".repeat(100_000),
        fields(&u64::MAX.to_string()).into_bytes(),
        b"-ERR \x1b[2J\x07 whatever you say\r\n".to_vec(),
    ];
    said[number % said.len()].clone()
}

#[test]
fn a_sentinel_that_talks_nonsense_costs_nothing() {
    let group = Group::start(1, 1, "");
    let mad = FakeServer::start(|mut conn| {
        let said = nonsense(conn.number);
        while conn.request().is_some() {
            conn.send(&said);
        }
    });
    let mut listed = addresses(&group.sentinels[..2]);
    listed.insert(0, mad.address().to_string());
    let pool = pool(&group, &listed).with("require_sentinel_quorum", true);
    let mut proxy = Proxy::coremux(&[pool]);
    proxy.process().line_with(&["writes allowed"]);
    let mut client = proxy.client("alpha");
    let begun = now();
    eventually("it has said all of it", || {
        write_on(&mut client, now() + Duration::from_millis(50));
        (mad.connections() >= 12).then_some(())
    });
    let log = proxy.process().log();
    assert!(
        !log.contains("writes refused") && !log.contains("master moved"),
        "{log}"
    );
    let seconds = usize::try_from((now() - begun).as_secs()).unwrap() + 1;
    assert!(log.lines().count() < 30 + 4 * seconds, "{log}");
}

#[test]
fn one_sentinel_alone_leads_to_a_replica_and_to_no_server_with_other_data() {
    let group = Group::start(1, 1, "");
    let stranger = Redis::start_with(&[]);
    let master = group.servers[0][0].address();
    let alone = Sentinel::start(&[("s1", master)], "");
    // It hears nothing of the others, which are stopped, and soon has forgotten them.
    for sentinel in &group.sentinels {
        sentinel.process().signal("STOP");
    }
    let pool = pool(&group, &[alone.address().to_string()]);
    alone.client().call(["SENTINEL", "RESET", "s1"]);
    let mut proxy = Proxy::coremux(&[pool]);
    proxy.process().line_with(&["master found", "server=s1"]);
    let mut client = proxy.client("alpha");
    assert_eq!(client.call(["SET", "key", "value"]), Reply::ok());
    eventually("it fails over", || {
        let asked = alone.client().call(["SENTINEL", "FAILOVER", "s1"]);
        (asked == Reply::ok()).then_some(())
    });
    let next = group.servers[0][1].address().to_string();
    proxy
        .process()
        .line_with(&["master moved", &format!("to={next}")]);
    let mut asked = alone.client();
    let port = stranger.address().port().to_string();
    assert_eq!(asked.call(["SENTINEL", "REMOVE", "s1"]), Reply::ok());
    let monitor = ["SENTINEL", "MONITOR", "s1", "127.0.0.1", &port, "1"];
    assert_eq!(asked.call(monitor), Reply::ok());
    // Until that is a newer configuration than the last.
    eventually("it is not followed", || {
        assert_eq!(asked.call(["SENTINEL", "FLUSHCONFIG"]), Reply::ok());
        let log = proxy.process().log();
        assert!(!log.contains(&format!("to=127.0.0.1:{port}")), "{log}");
        let told = log.contains("one sentinel alone names a server with other data");
        told.then_some(())
    });
    assert_eq!(stranger.client().call(["DBSIZE"]), Reply::Integer(0));
}
