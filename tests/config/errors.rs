//! Every problem of a file is reported, each on the line it is on, with what would be right.

#![allow(clippy::disallowed_methods, reason = "a test waits by a real clock")]

use std::time::Duration;
use std::time::Instant;

use coremux::config::Config;
use proptest::prelude::ProptestConfig;
use proptest::prelude::any;
use proptest::proptest;

/// What an operator reads about `text`.
fn report(text: &str) -> String {
    match Config::parse(text, "a.yml") {
        Ok(config) => panic!("accepted: {config:?}"),
        Err(errors) => errors.to_string(),
    }
}

/// The warnings about `text`, which is valid.
fn warnings(text: &str) -> String {
    let config = Config::parse(text, "a.yml").unwrap_or_else(|errors| panic!("{errors}"));
    let lines: Vec<_> = config.warnings().iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn a_file_with_many_problems_gets_one_report_of_them_all_in_its_order() {
    let text = "\
alpha:
  listen: 127.0.0.1
  hash: fnv2
  hsah: md5
  timeout: 1s
  timeout: 400
  redis: yes
  servers:
   - 127.0.0.1:6379:0 a
   - 127.0.0.1:6380:1 b
   - 127.0.0.1:6381:1 b
beta:
  listen: 127.0.0.1:22121
  auto_eject_hosts: true
  on_server_failure: hold
  redis_auth: open-sesame
  servers: []
gamma:
  listen: 127.0.0.1:22121
  distribution: [ketama, modula]
  worker_processes: 4
alpha:
  servers:
    - /tmp/redis.sock
";
    let expected = "\
a.yml:2:11: alpha.listen: `127.0.0.1`: no port; right are `ip:port`, `name:port`, `/path`, `/path 0660`
a.yml:3:9: alpha.hash: unknown hash `fnv2`; one of one_at_a_time, md5, crc16, crc32, crc32a, fnv1_64, fnv1a_64, fnv1_32, fnv1a_32, hsieh, murmur, jenkins
a.yml:4:3: alpha.hsah: unknown key; did you mean `hash`?
a.yml:5:12: alpha.timeout: `1s` is not a number from 0 to 2147483647; digits only
a.yml:6:3: alpha.timeout: given twice; the first is on line 5
a.yml:7:10: alpha.redis: unknown value `yes`; one of true, false
a.yml:9:6: alpha.servers[0]: `127.0.0.1:6379:0 a`: the weight is not 1 to 2147483647; right are `host:port:weight [name]`, `/path:weight [name]`
a.yml:11:6: alpha.servers[2]: a second server `b`, the first is on line 10; a name (without one, the address) places a server's keys and must be its own
a.yml:15:3: beta.on_server_failure: contradicts `auto_eject_hosts: true` on line 14; `rehash` goes with true, `fail` and `hold` go with false
a.yml:16:3: beta.redis_auth: only valid for a redis pool; add `redis: true`
a.yml:17:3: beta.servers: no servers; `servers:` and below it, one a line, `- host:port:weight [name]`
a.yml:18:1: gamma: no servers; `servers:` and below it, one a line, `- host:port:weight [name]`
a.yml:19:3: gamma.listen: pool beta on line 13 listens there
a.yml:20:17: gamma.distribution: a list where one value is wanted; a text that begins with { [ or ! needs quotes
a.yml:21:3: gamma.worker_processes: unknown key; one of KEYS
a.yml:22:1: alpha: pool given twice; the first is on line 1
a.yml:22:1: alpha: `listen:` is missing; right are `listen: ip:port`, `listen: /path`
a.yml:24:7: alpha.servers[0]: `/tmp/redis.sock`: no weight; right are `host:port:weight [name]`, `/path:weight [name]`";
    let keys: Vec<_> = coremux::config::KEYS.iter().map(|key| key.name).collect();
    let expected = expected.replace("KEYS", &keys.join(", "));
    assert_eq!(report(text), expected);
}

#[test]
fn a_report_never_repeats_a_password() {
    for text in [
        "a:\n  listen: /a\n  redis_auth: open-sesame\n  servers: b:1:1\n",
        "a:\n  listen: /a\n  redis: true\n  redis_auth: [open-sesame, x]\n  servers: b:1:1\n",
        "a:\n  listen: /a\n  redis: true\n  redis_auth: {open-sesame: x}\n  servers: b:1:1\n",
    ] {
        assert!(!report(text).contains("sesame"), "{text}");
    }
    let text = "a:\n  listen: /a\n  redis: true\n  redis_auth: open-sesame\n  servers: b:1:1\n";
    let config = Config::parse(text, "a.yml").unwrap_or_else(|errors| panic!("{errors}"));
    assert!(!format!("{config:?}").contains("sesame"));
}

/// One problem each.
const REPORTS: &[(&str, &str)] = &[
    (
        "",
        "a.yml:1:1: no pools; a pool is `name:` and below it, indented, `listen:` and `servers:`",
    ),
    (
        "- a\n",
        "a.yml:1:1: a list where pools are wanted; a pool is `name:` and below it, indented, its keys",
    ),
    (
        "alpha: x\n",
        "a.yml:1:1: alpha: a text where a pool's keys are wanted; below the name, indented, `listen:` …",
    ),
    (
        "a:\n  listen: [/a\n",
        "a.yml:3:1: not one YAML document: did not find expected ',' or ']', while parsing a flow sequence at line 2 column 11",
    ),
    (
        "a:\n\tlisten: /a\n",
        "a.yml:2:1: not one YAML document: found character that cannot start any token, while scanning for the next token",
    ),
    (
        "a: {listen: /a, servers: b:1:1}\n---\nb: {}\n",
        "a.yml:1:1: not one YAML document: deserializing from YAML containing more than one document is not supported",
    ),
    (
        "a:\n  listen: /a\n  timeout:\n  servers: b:1:1\n",
        "a.yml:3:10: a.timeout: no value; leave the key out if none is meant",
    ),
    (
        "a:\n  listen: /a\n  server_connections: 0\n  servers: b:1:1\n",
        "a.yml:3:23: a.server_connections: `0` is not a number from 1 to 2147483647; digits only",
    ),
    (
        "a:\n  listen: /a\n  hold_bytes: 1099511627777\n  servers: b:1:1\n",
        "a.yml:3:15: a.hold_bytes: `1099511627777` is not a number from 0 to 1099511627776; digits only",
    ),
    (
        "a:\n  listen: /a\n  on_server_failure: wait\n  servers: b:1:1\n",
        "a.yml:3:22: a.on_server_failure: unknown choice `wait`; one of rehash, fail, hold",
    ),
    (
        "a:\n  listen: /a\n  auto_eject_hosts: false\n  on_server_failure: rehash\n  servers: b:1:1\n",
        "a.yml:4:3: a.on_server_failure: contradicts `auto_eject_hosts: false` on line 3; `rehash` goes with true, `fail` and `hold` go with false",
    ),
    (
        "a:\n  listen: /a 0o1777\n  servers: b:1:x\u{1b}[2J\n",
        "a.yml:3:17: not one YAML document: control characters are not allowed",
    ),
    (
        "a:\n  listen: /a 1777\n  servers: b:1:1\n",
        "a.yml:2:11: a.listen: `1777` are not permissions; octal, at most 0777",
    ),
    (
        "a:\n  listen: /a\n  hash_tag: {}\n  servers: b:1:1\n",
        "a.yml:3:13: a.hash_tag: a mapping where one value is wanted; a text that begins with { [ or ! needs quotes",
    ),
    (
        "a:\n  listen: /a\n  hash_tag: \"{\"\n  servers: b:1:1\n",
        "a.yml:3:13: a.hash_tag: `{` is not two characters, as in \"{}\"",
    ),
    (
        "a:\n  listen: !env HOST\n  servers: b:1:1\n",
        "a.yml:2:11: a.listen: a value with a tag where one value is wanted; a text that begins with { [ or ! needs quotes",
    ),
    (
        "\u{feff}a:\n  listen: /a\r\n  servers:\r\n   - b:1:1\r\n   - \"c:1:1\\x1b[2J\"\r\n",
        "a.yml:5:6: a.servers[1]: `c:1:1\\u{1b}[2J`: the weight is not 1 to 2147483647; right are `host:port:weight [name]`, `/path:weight [name]`",
    ),
];

#[test]
fn a_report_says_where_what_and_what_would_be_right() {
    for (text, expected) in REPORTS {
        assert_eq!(report(text), *expected, "{text}");
    }
}

#[test]
fn a_byte_that_is_not_utf8_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.yml");
    std::fs::write(&path, b"a:\n  # caf\xe9\n").expect("written");
    let errors = Config::read(&path).expect_err("not UTF-8");
    let expected = format!(
        "{}:2:8: this byte is not UTF-8; save the file as UTF-8",
        path.display()
    );
    assert_eq!(errors.to_string(), expected);
}

#[test]
fn what_is_allowed_and_probably_not_meant_is_said() {
    let text = "\
alpha:
  listen: /tmp/a rw
  reuseport: true
  hold_ms: 100
  on_server_failure: rehash
  servers:
   - '10.0.0.1:6379:1 '
   - no such host:6379:1 x
   - cache:11211:2
";
    let expected = "\
a.yml:2:11: alpha.listen: permissions `rw` are not an octal number; left to the umask, as twemproxy does
a.yml:3:14: alpha.reuseport: of no effect: every worker listens with SO_REUSEPORT
a.yml:4:3: alpha.hold_ms: of no effect without `on_server_failure: hold`
a.yml:5:3: alpha.on_server_failure: servers without a name (1 here) are placed by their address, so that their keys move when it changes; give them the names that keep every key in its place, as in `- cache:11211:2 cache`
a.yml:5:3: alpha.on_server_failure: without `timeout:` a server that accepts connections and stays silent is never ejected; set one
a.yml:7:6: alpha.servers[0]: the blank at the end gives this server an empty name, as in twemproxy; its keys move when the blank goes
a.yml:8:6: alpha.servers[1]: no resolver can know the host `no such host`; this server will never be reached";
    assert_eq!(warnings(text), expected);
}

#[test]
fn a_file_of_thousands_of_problems_is_reported_in_no_time() {
    let mut text = "a:\n  listen: /a\n  servers:\n".to_owned();
    for index in 0..5000 {
        text += &format!("   - 10.0.{}.{}\n", index / 250, index % 250);
    }
    let start = Instant::now();
    let report = report(&text);
    assert_eq!(report.lines().count(), 5000);
    assert!(
        report
            .lines()
            .last()
            .is_some_and(|last| last.starts_with("a.yml:5003:6:"))
    );
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn what_is_nested_without_end_is_refused_in_no_time() {
    for (open, found) in [
        ("[", "brackets are nested deeper than 1000"),
        ("{", "brackets are nested deeper than 1000"),
        ("[a,", "brackets are nested deeper than 1000"),
        ("{a: ", "brackets are nested deeper than 1000"),
        ("- ", ""),
        ("? ", ""),
        ("!a ", ""),
        ("&a ", ""),
    ] {
        let start = Instant::now();
        let report = report(&format!("a:\n  {}", open.repeat(200_000)));
        assert!(report.contains(found), "{open}: {report}");
        assert!(report.starts_with("a.yml:"), "{open}: {report}");
        assert!(start.elapsed() < Duration::from_secs(10), "{open}");
    }
}

#[test]
fn brackets_in_comments_and_texts_nest_nothing() {
    let lines = "  # [[[[[{{{{{ ]]\n".repeat(100);
    let text = format!(
        "a:\n  listen: /a\n  redis: true\n{lines}  redis_auth: \"[[[{{\"\n  servers:\n   - /b:1\n"
    );
    assert_eq!(warnings(&text), "");
}

#[test]
fn a_text_without_end_is_refused_before_it_is_looked_at() {
    let text = "a: b\n".repeat(4 << 20);
    let start = Instant::now();
    assert!(report(&text).contains("more than 16 MiB"));
    assert!(start.elapsed() < Duration::from_secs(5));
}

/// A pool with these lines, and servers with and without a name.
fn followed(lines: &str) -> String {
    format!("a:\n  listen: /a\n{lines}  servers:\n   - b:1:1 one\n   - c:1:2\n")
}

#[test]
fn with_sentinels_every_server_has_the_name_of_its_master() {
    let text = followed("  redis: true\n  sentinels: [h:26379, 'h:26379:1 x', i, '::1:26379']\n");
    let expected = "\
a.yml:4:24: a.sentinels[1]: a second Sentinel h:26379, the first is on line 4
a.yml:4:39: a.sentinels[2]: `i`: no port; right are `host:port`, `[ip6]:port`, `host:port:weight [name]`
a.yml:4:42: a.sentinels[3]: `::1:26379`: an IPv6 address needs brackets here; right are `host:port`, `[ip6]:port`, `host:port:weight [name]`
a.yml:7:6: a.servers[1]: no name, and with `sentinels:` a server's name is that of its master at the Sentinels (`sentinel monitor NAME …`); as in `- c:1:2 NAME`";
    assert_eq!(report(&text), expected);
}

#[test]
fn keys_about_sentinels_need_sentinels_and_sentinels_need_redis() {
    let text = followed("  redis: true\n  sentinel_user: u\n  require_sentinel_quorum: true\n");
    let expected = "\
a.yml:4:3: a.sentinel_user: needs `sentinels:`, and this pool has none
a.yml:4:3: a.sentinel_user: needs `sentinel_password:`; a user without a password cannot log in
a.yml:5:3: a.require_sentinel_quorum: needs `sentinels:`, and this pool has none";
    assert_eq!(report(&text), expected);
    let text = followed("  redis: true\n  read_from: replica\n");
    let expected = "a.yml:4:3: a.read_from: needs `sentinels:`, which say what replicas there are; this pool has none";
    assert_eq!(report(&text), expected);
    let text = followed("  redis: true\n  read_from: slave\n");
    let expected =
        "a.yml:4:14: a.read_from: unknown choice `slave`; one of master, prefer-replica, replica";
    assert_eq!(report(&text), expected);
    let text = followed("  redis: true\n  replica_lag_ms: 50\n");
    let expected = "a.yml:4:3: a.replica_lag_ms: of no effect without `read_from: prefer-replica` or `replica`";
    assert_eq!(warnings(&text), expected);
    let text = "a:\n  listen: /a\n  sentinels: []\n  servers: b:1:1 one\n";
    let expected = "\
a.yml:3:3: a.sentinels: no Sentinels; below it, one a line, `- host:port`; leave the key out if none is meant
a.yml:3:3: a.sentinels: only valid for a redis pool; add `redis: true`";
    assert_eq!(report(text), expected);
}

#[test]
fn few_sentinels_and_ejection_beside_sentinels_are_probably_not_meant() {
    let text = "\
a:
  listen: /a
  redis: true
  timeout: 400
  on_server_failure: rehash
  sentinels: [h:26379, i:26379]
  require_sentinel_quorum: true
  servers: b:1:1 one
";
    let expected = "\
a.yml:6:3: a.sentinels: a server that fails is ejected before the Sentinels have replaced it: its keys move away and back, and what was written meanwhile is lost to readers; with `sentinels:` say `on_server_failure: hold` or `fail`
a.yml:7:3: a.require_sentinel_quorum: with 2 in `sentinels:` the loss of one can stop all writes; list three or more, on machines that do not fail together";
    assert_eq!(warnings(text), expected);
}

const VALID: &str = "\
alpha: &alpha
  listen: 127.0.0.1:22121
  hash_tag: \"{}\"
  redis: true
  redis_auth: 'it''s'
  servers: [ 'a:1:1 x', \"b:1:1\" ]
? beta
:
  listen: /tmp/beta 0600
  servers:
  - |-
    c:1:1
";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Cut, overwrite, repeat: whatever becomes of the file, the answer is a configuration with
    /// servers or a report whose places are in the file.
    #[test]
    fn any_text_is_read_or_reported(
        from in any::<proptest::sample::Index>(),
        length in 0..40usize,
        insert in "[ -~\n\t]{0,12}|[\\-:?&*!|>'\"%@`{}\\[\\],#\n ]{0,8}|\\PC{0,4}",
    ) {
        let characters: Vec<char> = VALID.chars().collect();
        let from = from.index(characters.len());
        let to = (from + length).min(characters.len());
        let mut text: String = characters[..from].iter().collect();
        text += &insert;
        text.extend(&characters[to..]);
        match Config::parse(&text, "a.yml") {
            Ok(config) => {
                assert!(!config.pools.is_empty());
                assert!(config.pools.iter().all(|pool| !pool.servers.is_empty()));
            }
            Err(errors) => {
                assert!(!errors.errors.is_empty());
                // A place may be one past the end, where something is missing.
                let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count() + 1;
                for error in &errors.errors {
                    let line = usize::try_from(error.line).expect("a small number");
                    assert!((1..=lines).contains(&line), "{error} in {text:?}");
                    assert!(error.column >= 1, "{error} in {text:?}");
                }
            }
        }
    }
}
