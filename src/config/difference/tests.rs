use std::sync::Arc;

use super::*;
use crate::config::file::Config;

fn config(text: &str) -> Config {
    Config::parse(text, "test.yml").expect("a good configuration")
}

fn pool(name: &str, port: u16, keys: &str, servers: &[&str]) -> String {
    let servers: String = servers.iter().map(|s| format!("  - {s}\n")).collect();
    format!("{name}:\n  listen: 127.0.0.1:{port}\n  redis: true\n{keys}  servers:\n{servers}")
}

fn lines(old: &str, new: &str) -> Vec<String> {
    let was = Table::new(Arc::new(config(old)));
    let next = was.next(Arc::new(config(new))).expect("places are left");
    let difference = Difference::between(&was, &next);
    let lines = difference.lines(&was, &next);
    assert_eq!(difference.is_empty(), lines.is_empty());
    lines
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
    assert_eq!(lines(&old, &old), Vec::<String>::new());
    let mut lines = lines(&old, &new);
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

#[test]
fn what_has_consequences_says_so_and_what_has_none_does_not() {
    let base = || pool("a", 1, "", &["h:1:1 one", "h:2:1 two"]);
    let changes = |new: &str| {
        let was = Table::new(Arc::new(config(&base())));
        let next = was.next(Arc::new(config(new))).expect("places are left");
        let mut difference = Difference::between(&was, &next);
        match difference.pools.remove(&PoolIdx(0)) {
            Some(PoolDifference::Changed(changes)) => changes,
            other => panic!("{other:?}"),
        }
    };
    let with = |keys: &str| changes(&pool("a", 1, keys, &["h:1:1 one", "h:2:1 two"]));
    let limit = with("  client_output_limit: 1\n");
    assert!(!limit.remaps() && !limit.regreets() && limit.has(Effect::AtOnce));
    assert!(with("  hash: md5\n").remaps());
    assert!(with("  redis_db: 1\n").regreets());
    assert!(with("  server_connections: 2\n").has(Effect::Connections));
    let followed = with("  sentinels: [h:9]\n");
    assert!(followed.regreets() && !followed.remaps());
    let heavier = changes(&pool("a", 1, "", &["h:1:2 one", "h:2:1 two"]));
    assert!(heavier.remaps() && !heavier.regreets());
    let moved = changes(&pool("a", 1, "", &["h:3:1 one", "h:2:1 two"]));
    assert!(!moved.remaps());
    let one = ServerDifference::Changed {
        moved: true,
        reweighted: false,
    };
    assert_eq!(moved.server(ServerIdx(0)), Some(one));
    assert_eq!(moved.server(ServerIdx(1)), None);
}
