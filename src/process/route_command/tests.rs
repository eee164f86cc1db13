use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::Config;
use super::ring;
use super::route;

const YML: &str = "\
alpha:
  listen: 127.0.0.1:22121
  hash: fnv1a_64
  hash_tag: '{}'
  servers:
    - 10.0.0.1:6379:1 server1
    - 10.0.0.2:6379:1 server2
    - 10.0.0.3:6379:1 server3
    - 10.0.0.4:6379:1 server4
beta:
  listen: 127.0.0.1:22122
  distribution: modula
  servers:
    - /run/redis.sock:2
    - cache.example:6379:1 one
gamma:
  listen: 127.0.0.1:22123
  servers:
    - 10.0.0.9:11211:1
theta:
  listen: 127.0.0.1:22124
  distribution: random
  servers:
    - 10.0.0.1:6379:1
    - 10.0.0.2:6379:1
";

fn config() -> Config {
    Config::parse(YML, "test.yml").unwrap()
}

/// The lines, split as `awk` splits them.
fn lines(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    text.lines()
        .map(|line| line.split_whitespace().map(str::to_owned).collect())
        .collect()
}

#[test]
fn a_key_s_home_in_every_pool_is_said_with_its_hash() {
    let keys = ["apple", "{apple}:1", ""].map(OsString::from);
    let lines = lines(|out| route(&config(), &keys, out));
    let expected = [
        "# pool key hash server address",
        "beta apple 1488911807 /run/redis.sock: /run/redis.sock",
        "beta {apple}:1 3252905832 one cache.example:6379",
        "beta \"\" 0 one cache.example:6379",
        "alpha apple 1488911807 server1 10.0.0.1:6379",
        "alpha {apple}:1 1488911807 server1 10.0.0.1:6379",
        "alpha \"\" 0 server3 10.0.0.3:6379",
        "gamma apple - 10.0.0.9 10.0.0.9:11211",
        "gamma {apple}:1 - 10.0.0.9 10.0.0.9:11211",
        "gamma \"\" - 10.0.0.9 10.0.0.9:11211",
        "theta apple - - -",
        "theta {apple}:1 - - -",
        "theta \"\" - - -",
    ];
    let lines: Vec<String> = lines.iter().map(|fields| fields.join(" ")).collect();
    assert_eq!(lines, expected);
}

#[test]
fn a_key_of_any_bytes_stays_one_field() {
    let key = OsString::from_vec(b"a \xff\n".to_vec());
    for fields in &lines(|out| route(&config(), &[key], out))[1..] {
        assert_eq!(fields.len(), 5, "{fields:?}");
        assert_eq!(fields[1], "a\\x20\\xff\\x0a");
    }
}

#[test]
fn the_ring_lists_every_point_in_order_and_the_shares_are_all_of_it() {
    let lines = lines(|out| ring(&config(), out));
    let of = |kind: &str, pool: &str| -> Vec<&Vec<String>> {
        let matches = |fields: &&Vec<String>| fields.len() > 1 && fields[..2] == [kind, pool];
        lines.iter().filter(matches).collect()
    };
    let points = of("point", "alpha");
    assert_eq!(points.len(), 640);
    assert_eq!(points[0][2..], ["9796559", "server3"]);
    assert!(points.is_sorted_by_key(|fields| fields[2].parse::<u32>().unwrap()));
    for pool in ["alpha", "beta", "gamma", "theta"] {
        let shares = of("share", pool);
        let sum: f64 = shares
            .iter()
            .map(|fields| fields[3].parse::<f64>().unwrap())
            .sum();
        assert!((sum - 100.0).abs() < 0.001, "{pool}: {sum}");
    }
    assert_eq!(of("share", "alpha")[3][4..], ["160", "1", "10.0.0.4:6379"]);
    assert_eq!(
        of("share", "beta")[0][2..],
        ["one", "33.3333", "0", "1", "cache.example:6379"]
    );
    assert_eq!(of("share", "theta")[1][3], "50.0000");
    assert!(of("point", "beta").is_empty());
}

#[test]
fn lines_that_are_no_rows_begin_with_a_hash_sign() {
    for fields in lines(|out| ring(&config(), out)) {
        let first = fields.first().map(String::as_str);
        assert!(
            matches!(first, None | Some("#" | "share" | "point")),
            "{fields:?}"
        );
    }
}
