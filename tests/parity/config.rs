//! What nutcracker accepts, Coremux accepts, and what it refuses, Coremux refuses, except for the
//! differences listed here, each with its reason. The judge is `nutcracker -t` itself.

use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use coremux::config::Config;

/// Who accepts a file.
#[derive(Clone, Copy, Debug)]
enum AcceptedBy {
    Both,
    Neither,
    /// And why we do.
    UsOnly(&'static str),
    /// And why we do not.
    NutcrackerOnly(&'static str),
}

use AcceptedBy::Both;
use AcceptedBy::Neither;
use AcceptedBy::NutcrackerOnly;
use AcceptedBy::UsOnly;

const FLOW: &str = "flow style is YAML like any other";
const ANCHORS: &str = "anchors and tags of YAML itself are harmless";
const MARKERS: &str = "a document marker is harmless around a single document";
const OURS: &str = "a key of ours";
const WRAPS: &str = "nutcracker wraps the number around 32 bits without a word";
const RESOLVED_LATER: &str = "a name is resolved when the listener is opened";
const BRACKETS: &str = "brackets around IPv6 are what everyone else writes";
const COLON: &str = "the last colon is the one before the weight, whatever the path has";
const ONE_SERVER: &str = "one server needs no list";

/// Values of `listen:`.
const LISTENS: &[(&str, AcceptedBy)] = &[
    ("127.0.0.1:22121", Both),
    ("127.0.0.1:65535", Both),
    ("127.0.0.1:022121", Both),
    ("0.0.0.0:1", Both),
    ("localhost:22121", Both),
    ("::1:22121", Both),
    (":::22121", Both),
    ("fe80::1%lo:1", Both),
    ("127.1:22121", Both),
    ("1:22121", Both),
    ("0:22121", Both),
    ("22121", Neither),
    (":22121", Neither),
    ("127.0.0.1", Neither),
    ("127.0.0.1:", Neither),
    ("127.0.0.1:0", Neither),
    ("127.0.0.1:65536", Neither),
    ("127.0.0.1:-1", Neither),
    ("127.0.0.1:22121:22122", Neither),
    ("\"127.0.0.1:22121 0777\"", Neither),
    ("\"127.0.0.1 :22121\"", Neither),
    ("*:22121", Neither),
    ("\"*:22121\"", Both),
    ("~", Neither),
    ("", Neither),
    ("\"[::1]:22121\"", UsOnly(BRACKETS)),
    (
        // A label of more than 63 letters: known to fail without asking a name server.
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:22121",
        UsOnly(RESOLVED_LATER),
    ),
    ("/tmp/x.sock", Both),
    ("/", Both),
    ("/tmp/x:80", Both),
    ("/tmp/x.sock 0644", Both),
    ("/tmp/x.sock 644", Both),
    ("/tmp/x.sock 0777", Both),
    ("/tmp/my dir/x.sock 0644", Both),
    ("\"/tmp/x.sock \"", Both),
    ("\"/tmp/x.sock  0644\"", Both),
    ("\"/tmp/x.sock +777\"", Both),
    ("/tmp/x.sock 0888", Both),
    ("/tmp/x.sock rw", Both),
    ("/tmp/x.sock 07x", Both),
    ("/tmp/x.sock 0x1ff", Both),
    ("/tmp/x.sock 0o777", Both),
    ("/tmp/x.sock 1000", Neither),
    ("/tmp/x.sock 1777", Neither),
    ("/tmp/x.sock -1", Neither),
    ("/tmp/x.sock 37777777777777777777777777", Neither),
];

/// Items of `servers:`.
const SERVERS: &[(&str, AcceptedBy)] = &[
    ("127.0.0.1:6379:1", Both),
    ("127.0.0.1:06379:01", Both),
    ("127.0.0.1:6379:2147483647", Both),
    ("127.0.0.1:6379:1 name", Both),
    ("127.0.0.1:6379:1 a:b:c", Both),
    ("127.0.0.1:6379:1 ~", Both),
    ("127.0.0.1:6379:1 0123", Both),
    ("127.0.0.1:6379:1 \"x\"", Both),
    ("127.0.0.1:6379:1 é", Both),
    ("127.0.0.1:6379:1 # c", Both),
    ("\"127.0.0.1:6379:1 \"", Both),
    ("nosuch.invalid:6379:1", Both),
    ("::1:6379:1", Both),
    ("\":6379:1\"", Both),
    ("host name:6379:1 n", Both),
    ("a:6379:1\n     name", Both),
    ("|-\n     127.0.0.1:6379:1", Both),
    ("'127.0.0.1:6379:1'", Both),
    ("/tmp/r.sock:1", Both),
    ("/tmp/r.sock:1 name", Both),
    ("/tmp/my dir/r.sock:1 n", Both),
    ("/tmp/a:b.sock:1 n", UsOnly(COLON)),
    ("\"/:1\"", Both),
    ("\"[::1]:6379:1\"", Both),
    ("127.0.0.1", Neither),
    ("127.0.0.1:6379", Neither),
    ("127.0.0.1:6379:", Neither),
    ("127.0.0.1:6379:0", Neither),
    ("127.0.0.1:6379:00", Neither),
    ("127.0.0.1:6379:x", Neither),
    ("127.0.0.1:6379:-1", Neither),
    ("127.0.0.1:6379:2147483648", Neither),
    ("127.0.0.1:x:1", Neither),
    ("127.0.0.1:0:1", Neither),
    ("127.0.0.1:65536:1", Neither),
    ("127.0.0.1::1", Neither),
    ("\"127.0.0.1:6379:1  name\"", Neither),
    ("127.0.0.1:6379:1 two names", Neither),
    ("\"127.0.0.1:6379:1\\tname\"", Neither),
    ("\"127.0.0.1:6379 :1\"", Neither),
    ("\" 127.0.0.1:6379:1\"", Neither),
    ("host name:6379:1", Neither),
    ("/tmp/r.sock", Neither),
    ("/tmp/r.sock:0", Neither),
    ("/tmp/r.sock:x", Neither),
    ("/tmp/my dir/r.sock:1", Neither),
    ("\"\"", Neither),
    ("\" \"", Neither),
    ("\"/\"", Neither),
    ("\"::1\"", Neither),
    ("~", Neither),
    ("1", Neither),
    ("", Neither),
    ("a: 1", Neither),
    ("127.0.0.1:6379: 1", Neither),
    ("- a:1:1", Neither),
    ("[]", Neither),
    ("{}", Neither),
    ("127.0.0.1:6379:4294967297", NutcrackerOnly(WRAPS)),
    ("127.0.0.1:6379:99999999999", NutcrackerOnly(WRAPS)),
];

/// Lines of a pool that has `listen:` and `servers:`.
const LINES: &[(&str, AcceptedBy)] = &[
    ("client_connections: 100", Both),
    ("client_connections: x", Neither),
    ("hash: one_at_a_time", Both),
    ("hash: md5", Both),
    ("hash: crc16", Both),
    ("hash: crc32", Both),
    ("hash: crc32a", Both),
    ("hash: fnv1_64", Both),
    ("hash: fnv1a_64", Both),
    ("hash: fnv1_32", Both),
    ("hash: fnv1a_32", Both),
    ("hash: hsieh", Both),
    ("hash: murmur", Both),
    ("hash: jenkins", Both),
    ("hash: \"md5\"", Both),
    ("hash: |-\n    md5", Both),
    ("hash: >-\n    md5", Both),
    ("hash:\n    md5", Both),
    ("? hash\n  : md5", Both),
    ("\"hash\": md5", Both),
    ("hash: FNV1_64", Neither),
    ("hash: fnv2", Neither),
    ("hash: |\n    md5", Neither),
    ("hash: md5\n  hash: md5", Neither),
    ("hash: &a md5", UsOnly(ANCHORS)),
    ("hash: !!str md5", UsOnly(ANCHORS)),
    ("hash: !mine md5", Neither),
    ("hash_tag: \"{}\"", Both),
    ("hash_tag: '$$'", Both),
    ("hash_tag: é", Both),
    ("hash_tag: 01", Both),
    ("hash_tag: {}", Neither),
    ("hash_tag: abc", Neither),
    ("hash_tag: a", Neither),
    ("hash_tag: \"\"", Neither),
    ("distribution: ketama", Both),
    ("distribution: modula", Both),
    ("distribution: random", Both),
    ("distribution: rand", Neither),
    ("timeout: 400", Both),
    ("timeout: 0", Both),
    ("timeout: 010", Both),
    ("timeout: '400'", Both),
    ("timeout: 400 # comment", Both),
    ("timeout: 2147483647", Both),
    ("timeout: 2147483648", Neither),
    ("timeout: -1", Neither),
    ("timeout: +1", Neither),
    ("timeout: 0x10", Neither),
    ("timeout: 1_000", Neither),
    ("timeout: 1e3", Neither),
    ("timeout: 1.5", Neither),
    ("timeout: ' 400'", Neither),
    ("timeout:", Neither),
    ("timeout: ~", Neither),
    ("? timeout", Neither),
    ("timeout: 1\n  timeout: 2", Neither),
    ("timeout:\n    a: 1", Neither),
    ("timeout:\n   - 1\n   - 2", Neither),
    ("timeout: 4294967296", NutcrackerOnly(WRAPS)),
    ("timeout: [400]", UsOnly(FLOW)),
    (
        "timeout:\n   - 400",
        UsOnly("nutcracker takes a list of one, too, in a pool whose `servers:` is no list"),
    ),
    ("backlog: 0", Both),
    ("backlog: 1024", Both),
    ("tcpkeepalive: true", Both),
    ("redis: true", Both),
    ("redis: false", Both),
    ("redis: 'true'", Both),
    ("redis: yes", Neither),
    ("redis: on", Neither),
    ("redis: True", Neither),
    ("redis: 1", Neither),
    ("redis: true\n  redis_auth: secret", Both),
    ("redis_auth: secret\n  redis: true", Both),
    ("redis: true\n  redis_auth: 0123", Both),
    ("redis: true\n  redis_auth: ~", Both),
    ("redis: true\n  redis_auth: \"a\\0b\"", Both),
    ("redis: true\n  redis_auth: é", Both),
    ("redis: true\n  redis_auth: ''", Neither),
    ("redis: true\n  redis_auth:", Neither),
    ("redis_auth: secret", Neither),
    ("redis: false\n  redis_auth: secret", Neither),
    ("redis_db: 99", Both),
    ("preconnect: true", Both),
    ("auto_eject_hosts: true", Both),
    ("server_connections: 1", Both),
    ("server_connections: 0", Neither),
    ("server_connections: 00", Neither),
    ("server_retry_timeout: 0", Both),
    ("server_failure_limit: 0", Both),
    ("bogus: 1", Neither),
    ("Hash: md5", Neither),
    ("\"\": 1", Neither),
    ("~: 1", Neither),
    ("? [a]\n  : x", Neither),
    ("timeout: &t 400\n  backlog: *t", UsOnly(ANCHORS)),
    ("reuseport: true", UsOnly("twemproxy has it after 0.5.0")),
    ("freebind: true", UsOnly(OURS)),
    ("unknown_commands: forward", UsOnly(OURS)),
    ("allow: [keys]", UsOnly(OURS)),
    ("deny: [get]", UsOnly(OURS)),
    (
        "on_server_failure: hold\n  hold_ms: 500\n  hold_bytes: 1000",
        UsOnly(OURS),
    ),
    ("client_output_limit: 1000000", UsOnly(OURS)),
    ("client_requests_in_flight: 64", UsOnly(OURS)),
    ("server_queue_bytes: 1000000", UsOnly(OURS)),
    ("client_idle_timeout: 60000", UsOnly(OURS)),
    ("connect_timeout: 250", UsOnly(OURS)),
    ("resolve_interval: 0", UsOnly(OURS)),
    ("read_from: master", UsOnly(OURS)),
    ("replica_lag_ms: 100", UsOnly(OURS)),
    ("ready_servers: all", UsOnly(OURS)),
    ("ready_servers: 2", UsOnly(OURS)),
];

const ALPHA: &str = "alpha:\n  listen: 127.0.0.1:22121\n  servers:\n   - 127.0.0.1:6379:1\n";

/// Whole files; `ALPHA`, `LISTEN` and `SERVERS` stand for that pool and its parts.
const FILES: &[(&str, AcceptedBy)] = &[
    ("ALPHA", Both),
    ("", Neither),
    ("# nothing\n", Neither),
    ("just text\n", Neither),
    ("- a\n- b\n", Neither),
    ("{}\n", Neither),
    ("alpha:\n", Neither),
    ("alpha: text\n", Neither),
    ("alpha:\n  - a\n", Neither),
    ("ALPHAbeta:\n", Neither),
    ("alpha:\nLISTEN", Neither),
    ("alpha:\nSERVERS", Neither),
    ("alpha:\nSERVERSLISTEN", Both),
    ("alpha:\nLISTEN  servers:\n", Neither),
    ("alpha:\nLISTEN  servers: []\n", Neither),
    ("alpha:\nLISTEN  servers: {}\n", Neither),
    ("alpha:\nLISTEN  servers:\n   -\n   - a:1:1\n", Neither),
    ("alpha:\nLISTEN  servers:\n  - a:1:1\n", Both),
    ("alpha:\nLISTEN  servers: a:1:1\n", UsOnly(ONE_SERVER)),
    (
        "alpha:\n  listen:\n   - 127.0.0.1:22121\n  servers: a:1:1\n",
        Both,
    ),
    (
        "alpha:\nLISTEN  timeout:\n   - 400\n  servers: a:1:1\n",
        Both,
    ),
    (
        "alpha:\nLISTEN  timeout:\n   - 1\n   - 2\n  servers: a:1:1\n",
        Neither,
    ),
    ("alpha:\nLISTENSERVERSSERVERS", Neither),
    (
        "alpha:\nLISTEN  servers: b:1:1\nSERVERS",
        NutcrackerOnly("a key given twice is a mistake, also this one"),
    ),
    ("alpha:\nLISTENLISTENSERVERS", Neither),
    (
        "alpha:\nLISTEN  servers:\n   - a:1:1\n   - a:1:2\n",
        Neither,
    ),
    (
        "alpha:\nLISTEN  servers:\n   - a:1:1 x\n   - b:1:1 x\n",
        Neither,
    ),
    (
        "alpha:\nLISTEN  servers:\n   - a:1:1 x\n   - a:1:1 y\n",
        Both,
    ),
    (
        "alpha:\nLISTEN  servers:\n   - a:11211:1\n   - b:1:1 a\n",
        Neither,
    ),
    (
        "alpha:\nLISTEN  servers:\n   - a:11211:1\n   - a:011211:1\n",
        Neither,
    ),
    (
        "alpha:\nLISTEN  servers:\n   - \"a:1:1 \"\n   - \"b:1:1 \"\n",
        Neither,
    ),
    ("ALPHAbeta:\n  listen: 127.0.0.1:22122\nSERVERS", Both),
    ("ALPHAbeta:\n  listen: 0.0.0.0:22121\nSERVERS", Both),
    ("ALPHAbeta:\nLISTENSERVERS", Neither),
    ("ALPHAalpha:\n  listen: 127.0.0.1:22122\nSERVERS", Neither),
    (
        "ALPHAbeta:\n  listen: 127.0.0.1:022121\nSERVERS",
        NutcrackerOnly("the same address in other words; nutcracker fails when it binds it"),
    ),
    (
        "a:\n  listen: /tmp/x 0644\nSERVERSb:\n  listen: /tmp/x\nSERVERS",
        NutcrackerOnly("the same socket; nutcracker's second pool takes it from the first"),
    ),
    ("123:\nLISTENSERVERS", Both),
    ("true:\nLISTENSERVERS", Both),
    ("~:\nLISTENSERVERS", Both),
    ("'a b':\nLISTENSERVERS", Both),
    ("\"a:b\":\nLISTENSERVERS", Both),
    ("alphé:\nLISTENSERVERS", Both),
    ("? alpha\n:\nLISTENSERVERS", Both),
    ("\"\":\nLISTENSERVERS", Neither),
    ("? [alpha]\n:\nLISTENSERVERS", Neither),
    (
        "pools:\n  alpha:\n    listen: 127.0.0.1:22121\n    servers:\n      - a:1:1\n",
        Neither,
    ),
    ("global:\n  worker_processes: 1\nALPHA", Neither),
    ("ALPHA\n\n   \n", Both),
    ("ALPHA# end", Both),
    ("\u{feff}ALPHA", Both),
    ("ALPHA\t# a tab before a comment\n", Neither),
    ("alpha:\n\tlisten: 127.0.0.1:22121\n", Neither),
    ("alpha:\nLISTEN   servers:\n    - a:1:1\n", Neither),
    (
        "alpha:\n listen: 127.0.0.1:22121\n servers:\n     - a:1:1\n",
        Both,
    ),
    ("ALPHA\u{0}", Neither),
    ("al\u{1}pha:\nLISTENSERVERS", Neither),
    ("---\nALPHA", UsOnly(MARKERS)),
    ("ALPHA...\n", UsOnly(MARKERS)),
    ("%YAML 1.1\n---\nALPHA", UsOnly(MARKERS)),
    ("---\nALPHA---\nALPHA", Neither),
    ("ALPHA---\n", Neither),
    (
        "alpha: {listen: \"127.0.0.1:22121\", servers: [\"a:1:1\"]}\n",
        UsOnly(FLOW),
    ),
    ("alpha:\nLISTEN  servers: [a:1:1, b:1:1]\n", UsOnly(FLOW)),
    ("alpha: &a\nLISTENSERVERSbeta: *a\n", Neither),
];

fn nutcracker_accepts(path: &Path) -> bool {
    let status = Command::new("nutcracker")
        .arg("-t")
        .arg("-c")
        .arg(path)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("Debian's package nutcracker is needed");
    match status.code() {
        Some(0) => true,
        Some(1) => false,
        _ => panic!("nutcracker -t ended with {status} on {}", path.display()),
    }
}

/// Says what is not as the table has it.
fn judge(bytes: &[u8], expected: AcceptedBy, wrong: &mut Vec<String>) {
    let dir = tempfile::tempdir().expect("a directory for the file");
    let path = dir.path().join("nutcracker.yml");
    std::fs::write(&path, bytes).expect("the file is written");
    let theirs = nutcracker_accepts(&path);
    let ours = Config::read(&path);
    let (we, they) = match expected {
        Both => (true, true),
        Neither => (false, false),
        UsOnly(reason) => (true, reason.is_empty()),
        NutcrackerOnly(reason) => (reason.is_empty(), true),
    };
    if (ours.is_ok(), theirs) != (we, they) {
        let text = String::from_utf8_lossy(bytes);
        wrong.push(format!(
            "expected {expected:?}; nutcracker accepts: {theirs}; we: {:?}\n{text}",
            ours.map(|_| "accept").map_err(|errors| errors.to_string())
        ));
    }
}

fn judge_all<'a>(files: impl Iterator<Item = (String, &'a AcceptedBy)>) {
    let mut wrong = Vec::new();
    for (file, expected) in files {
        judge(file.as_bytes(), *expected, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n----\n"));
}

#[test]
fn every_address_that_nutcracker_listens_on_is_read() {
    judge_all(LISTENS.iter().map(|(listen, expected)| {
        let file = format!("alpha:\n  listen: {listen}\n  servers:\n   - 127.0.0.1:6379:1\n");
        (file, expected)
    }));
}

#[test]
fn the_longest_path_that_nutcracker_listens_on_is_the_longest_here() {
    let mut wrong = Vec::new();
    for (bytes, expected) in [(107, Both), (108, Neither)] {
        let path = format!("/{}", "a".repeat(bytes - 1));
        let file = format!("alpha:\n  listen: {path}\n  servers:\n   - 127.0.0.1:6379:1\n");
        judge(file.as_bytes(), expected, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n----\n"));
}

#[test]
fn every_server_that_nutcracker_takes_is_taken() {
    judge_all(SERVERS.iter().map(|(server, expected)| {
        let file = format!("alpha:\n  listen: 127.0.0.1:22121\n  servers:\n   - {server}\n");
        (file, expected)
    }));
}

#[test]
fn every_key_that_nutcracker_takes_is_taken() {
    judge_all(LINES.iter().map(|(lines, expected)| {
        let servers = "  servers:\n   - 127.0.0.1:6379:1\n";
        let file = format!("alpha:\n  listen: 127.0.0.1:22121\n  {lines}\n{servers}");
        (file, expected)
    }));
}

#[test]
fn every_file_that_nutcracker_takes_is_taken() {
    judge_all(FILES.iter().map(|(file, expected)| {
        let file = file
            .replace("ALPHA", ALPHA)
            .replace("LISTEN", "  listen: 127.0.0.1:22121\n")
            .replace("SERVERS", "  servers:\n   - 127.0.0.1:6379:1\n");
        (file, expected)
    }));
}

#[test]
fn line_ends_and_encodings_are_read_as_nutcracker_reads_them() {
    let utf16: Vec<u8> = std::iter::once(0xfeff)
        .chain(ALPHA.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let files: [(Vec<u8>, AcceptedBy); 5] = [
        (ALPHA.replace('\n', "\r\n").into_bytes(), Both),
        (ALPHA.replace('\n', "\r").into_bytes(), Both),
        (ALPHA.trim_end().as_bytes().to_vec(), Both),
        (b"alph\xe9:\n".to_vec(), Neither),
        (
            utf16,
            NutcrackerOnly("nobody keeps configuration in UTF-16; it is refused with its reason"),
        ),
    ];
    let mut wrong = Vec::new();
    for (bytes, expected) in files {
        judge(&bytes, expected, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n----\n"));
}

#[test]
fn a_missing_file_is_refused_by_both() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("nowhere.yml");
    assert!(!nutcracker_accepts(&path));
    let errors = Config::read(&path).expect_err("there is no file");
    assert_eq!(
        errors.to_string(),
        format!(
            "{}: cannot be read: No such file or directory (os error 2)",
            path.display()
        )
    );
}

#[test]
fn the_files_of_nutcrackers_own_package_are_read() {
    let path = Path::new("/usr/share/doc/nutcracker/examples/nutcracker.yml");
    assert!(nutcracker_accepts(path));
    let config = Config::read(path).expect("the example is valid");
    let names: Vec<&str> = config.pools.iter().map(|pool| &*pool.name).collect();
    assert_eq!(names, ["beta", "alpha", "delta", "gamma", "omega"]);
}
