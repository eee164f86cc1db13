//! Each argument does what it does to nutcracker: the same exit code, the same words on the same
//! stream, but for the name; the differences are listed here with their reasons.

use std::path::Path;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

/// How the two compare.
#[derive(Clone, Copy, Debug)]
enum Compare {
    /// Exit code, empty stdout, and the first line of stderr but for the name.
    FirstLine,
    /// And every line of stderr but for the version.
    Everything,
    /// Exit code, empty stdout, and all that nutcracker says is said here, too.
    EveryLine,
    /// Nutcracker does this, we do that, for this reason.
    Different {
        nutcracker: (i32, &'static str),
        coremux: (i32, &'static str),
        reason: &'static str,
    },
}

use Compare::Different;
use Compare::EveryLine;
use Compare::Everything;
use Compare::FirstLine;

const NAMED: &str = "the name of the wrong flag is shown";
const OVERFLOW: &str = "nutcracker wraps the number around 32 bits";

/// Arguments with which neither starts to serve.
const CASES: &[(&str, Compare)] = &[
    ("-V", Everything),
    ("--version", Everything),
    ("-VV", Everything),
    ("-V -t -d", Everything),
    (
        "-V -c /nowhere -o /nowhere/log -p /nowhere/pid -a ::1 -i 1",
        Everything,
    ),
    ("-D", EveryLine),
    ("--describe-stats", EveryLine),
    ("-h", FirstLine),
    ("--help", FirstLine),
    ("-th", FirstLine),
    ("-v 0 -V", Everything),
    ("-v 11 -V", Everything),
    ("-v 12 -V", Everything),
    ("-v3 -V", Everything),
    ("--verbose=3 -V", Everything),
    ("--verb 3 -V", Everything),
    ("--vers", Everything),
    ("-v 1 -v 2 -s 1 -s 2 -V", Everything),
    ("-c -t -V", Everything),
    ("-s 1 -V", Everything),
    ("-s 65535 -V", Everything),
    ("-i 0 -V", Everything),
    ("-m 512 -V", Everything),
    ("-m 16777216 -V", Everything),
    ("-x", FirstLine),
    ("-Vx", FirstLine),
    ("-V -x", FirstLine),
    ("-?", FirstLine),
    ("-v", FirstLine),
    ("--verbose", FirstLine),
    ("-V -v", FirstLine),
    ("-v x", FirstLine),
    ("-v -1", FirstLine),
    ("-v -V", FirstLine),
    ("-v 1x", FirstLine),
    ("-s", FirstLine),
    ("-s x", FirstLine),
    ("-s 0", FirstLine),
    ("-s 65536", FirstLine),
    ("--stats-port=70000", FirstLine),
    ("-i", FirstLine),
    ("-i x", FirstLine),
    ("-i -5", FirstLine),
    ("-a", FirstLine),
    ("-o", FirstLine),
    ("-c", FirstLine),
    ("-p", FirstLine),
    ("-m", FirstLine),
    ("-m x", FirstLine),
    ("-m 0", FirstLine),
    ("-m 511", FirstLine),
    ("-m 16777217", FirstLine),
    (
        "--bogus",
        Different {
            nutcracker: (1, "nutcracker: invalid option -- '\0'"),
            coremux: (1, "coremux: invalid option -- 'bogus'"),
            reason: NAMED,
        },
    ),
    (
        "--ver",
        Different {
            nutcracker: (1, "nutcracker: invalid option -- '\0'"),
            coremux: (
                1,
                "coremux: invalid option -- 'ver'; did you mean --verbose?",
            ),
            reason: NAMED,
        },
    ),
    (
        "--daemonize=yes",
        Different {
            nutcracker: (1, "nutcracker: invalid option -- 'd'"),
            coremux: (
                1,
                "coremux: unexpected value 'yes' for '--daemonize' found; no more were expected",
            ),
            reason: "the flag is right, its value is not",
        },
    ),
    (
        "-s 99999999999",
        Different {
            nutcracker: (
                1,
                "nutcracker: option -s value 1215752191 is not a valid port",
            ),
            coremux: (
                1,
                "coremux: option -s value 99999999999 is not a valid port",
            ),
            reason: OVERFLOW,
        },
    ),
    (
        "-v 2147483648 -V",
        Different {
            nutcracker: (1, "nutcracker: option -v requires a number"),
            coremux: (0, "This is coremux-VERSION"),
            reason: OVERFLOW,
        },
    ),
    (
        "operand -V",
        Different {
            nutcracker: (0, "This is nutcracker-VERSION"),
            coremux: (1, "coremux: unrecognized subcommand 'operand'"),
            reason: "a mistyped sub-command must not start a proxy",
        },
    ),
];

fn run(program: &str, args: &str, dir: &Path) -> Output {
    Command::new(program)
        .args(args.split_whitespace())
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program} is needed: {error}"))
}

fn coremux(args: &str, dir: &Path) -> Output {
    run(env!("CARGO_BIN_EXE_coremux"), args, dir)
}

/// stderr with the versions and event backends made alike.
fn said(output: &Output, version: &str) -> String {
    String::from_utf8_lossy(&output.stderr)
        .replace(version, "VERSION")
        .replace("backend: epoll", "backend: BACKEND")
        .replace("backend: io_uring", "backend: BACKEND")
}

#[test]
fn every_argument_does_what_it_does_to_nutcracker() {
    let dir = tempfile::tempdir().expect("a directory");
    for (args, compare) in CASES {
        let (theirs, ours) = (
            run("nutcracker", args, dir.path()),
            coremux(args, dir.path()),
        );
        let they_said = said(&theirs, "0.5.0");
        let we_said = said(&ours, env!("CARGO_PKG_VERSION"));
        assert!(theirs.stdout.is_empty() && ours.stdout.is_empty(), "{args}");
        let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        let alike = |text: &str| text.replace("nutcracker", "coremux");
        match compare {
            Everything => {
                assert_eq!(ours.status.code(), theirs.status.code(), "{args}");
                assert_eq!(we_said, alike(&they_said), "{args}");
            }
            EveryLine => {
                assert_eq!(ours.status.code(), theirs.status.code(), "{args}");
                for line in alike(&they_said).lines() {
                    let said = we_said.lines().any(|ours| ours == line);
                    assert!(said, "{args}: nutcracker says {line:?}");
                }
            }
            FirstLine => {
                assert_eq!(ours.status.code(), theirs.status.code(), "{args}");
                assert_eq!(first(&we_said), alike(&first(&they_said)), "{args}");
                assert!(we_said.contains("\nUsage: coremux ["), "{args}: {we_said}");
                assert!(
                    they_said.contains("\nUsage: nutcracker ["),
                    "{args}: {they_said}"
                );
            }
            Different {
                nutcracker,
                coremux,
                reason,
            } => {
                let they = (theirs.status.code(), first(&they_said));
                assert_eq!(
                    they,
                    (Some(nutcracker.0), nutcracker.1.to_owned()),
                    "{args}"
                );
                let we = (ours.status.code(), first(&we_said));
                assert_eq!(
                    we,
                    (Some(coremux.0), coremux.1.to_owned()),
                    "{args}: {reason}"
                );
            }
        }
    }
}

const VALID: &str =
    "alpha:\n  listen: 127.0.0.1:22121\n  redis: true\n  servers:\n   - 127.0.0.1:6379:1 a\n";
const INVALID: &str = "alpha:\n  listen: 127.0.0.1:22121\n  hash: fnv2\n  servers:\n   - x\n";

#[test]
fn a_test_of_a_file_ends_as_nutcrackers_with_the_reasons_before_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).expect("written");
    };
    write("good.yml", VALID);
    write("bad.yml", INVALID);
    std::fs::create_dir(dir.path().join("conf")).expect("a directory");
    write("conf/nutcracker.yml", VALID);
    for (args, code) in [
        ("-t -c good.yml", 0),
        ("--test-conf --conf-file=good.yml", 0),
        ("-tdc good.yml", 0),
        ("-t -c bad.yml", 1),
        ("-t -c nowhere.yml", 1),
        ("-t -c conf", 1),
    ] {
        let (theirs, ours) = (
            run("nutcracker", args, dir.path()),
            coremux(args, dir.path()),
        );
        assert_eq!(theirs.status.code(), Some(code), "{args}");
        assert_eq!(ours.status.code(), Some(code), "{args}");
        assert!(ours.stdout.is_empty(), "{args}");
        let last = |output: &Output| {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            text.lines().last().unwrap_or_default().to_owned()
        };
        assert_eq!(
            last(&ours),
            last(&theirs).replace("nutcracker:", "coremux:"),
            "{args}"
        );
    }
    // The default, too, is twemproxy's (Debian builds its package with another).
    let ours = coremux("-t", dir.path());
    assert_eq!(
        String::from_utf8_lossy(&ours.stderr),
        "coremux: configuration file 'conf/nutcracker.yml' syntax is ok\n"
    );
}

#[test]
fn a_bad_file_is_reported_in_full_by_a_test_and_by_a_start() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("bad.yml"), INVALID).expect("written");
    let expected = "\
bad.yml:3:9: alpha.hash: unknown hash `fnv2`; one of one_at_a_time, md5, crc16, crc32, crc32a, fnv1_64, fnv1a_64, fnv1_32, fnv1a_32, hsieh, murmur, jenkins
bad.yml:5:6: alpha.servers[0]: `x`: no weight; right are `host:port:weight [name]`, `/path:weight [name]`
coremux: configuration file 'bad.yml' syntax is invalid
";
    for args in [
        "-t -c bad.yml",
        "-c bad.yml",
        "-d -c bad.yml",
        "route -c bad.yml k",
        "ring -c bad.yml",
    ] {
        let output = coremux(args, dir.path());
        assert_eq!(output.status.code(), Some(1), "{args}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), expected, "{args}");
        assert!(output.stdout.is_empty(), "{args}");
    }
}

#[test]
fn a_test_tells_what_is_odd_about_a_valid_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = format!("{VALID}  reuseport: true\n");
    std::fs::write(dir.path().join("odd.yml"), text).expect("written");
    let output = coremux("-t -c odd.yml", dir.path());
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "warning: odd.yml:6:14: alpha.reuseport: of no effect: every worker listens with SO_REUSEPORT\n\
         coremux: configuration file 'odd.yml' syntax is ok\n"
    );
}

#[test]
fn a_test_tells_which_pools_speak_memcacheds_protocol() {
    let dir = tempfile::tempdir().expect("a directory");
    let pool = |name: &str, port: u16, key: &str| {
        format!("{name}:\n  listen: 127.0.0.1:{port}\n{key}  servers:\n  - 127.0.0.1:3:1 s\n")
    };
    let text = pool("a", 1, "  redis: true\n") + &pool("b", 2, "");
    std::fs::write(dir.path().join("both.yml"), text).expect("written");
    let output = coremux("-t -c both.yml", dir.path());
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "b: speaks memcached's protocol, without `redis: true`\n\
         coremux: configuration file 'both.yml' syntax is ok\n"
    );
}

#[test]
fn a_test_tells_who_says_how_long_requests_are_held() {
    let dir = tempfile::tempdir().expect("a directory");
    let held = |keys: &str| {
        let text = format!(
            "alpha:\n  listen: 127.0.0.1:1\n  redis: true\n{keys}  servers: [127.0.0.1:2:1 m1]\n"
        );
        std::fs::write(dir.path().join("holds.yml"), text).expect("written");
        let output = coremux("-t -c holds.yml", dir.path());
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let mut lines = text.lines().filter(|line| !line.starts_with("warning: "));
        let first = lines.next().unwrap_or_default();
        first
            .strip_prefix("alpha: requests for a failed server are held: ")
            .map(str::to_owned)
    };
    let sentinels = "  sentinels: [127.0.0.1:26379]\n";
    assert_eq!(held(""), None);
    assert_eq!(
        held("  on_server_failure: hold\n").unwrap(),
        "800 ms (`hold_ms`)"
    );
    assert_eq!(
        held(&format!("{sentinels}  hold_ms: 900\n")).unwrap(),
        "900 ms (`hold_ms`)"
    );
    assert_eq!(
        held(sentinels).unwrap(),
        "as long as the Sentinels need, their `down-after-milliseconds` and 2500 ms; until they \
         are heard 5000 ms"
    );
}

#[test]
fn a_wrong_choice_of_cores_is_refused_with_what_would_be_right() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = |args: &str| {
        let output = coremux(args, dir.path());
        let unreachable = args.contains("/no/such.sock");
        let code = if unreachable { 2 } else { 1 };
        assert_eq!(output.status.code(), Some(code), "{args}");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        text.lines().next().unwrap_or_default().to_owned()
    };
    let choices = "right are auto, a count (4) or a list (0-3,6)";
    assert_eq!(
        first("--cores 0"),
        format!("coremux: `0` is not a choice of cores; {choices}; core 0 alone is `0,`")
    );
    assert_eq!(
        first("--cores x"),
        format!("coremux: `x` is not a choice of cores; {choices}")
    );
    assert_eq!(
        first("--cores"),
        "coremux: option --cores requires a count, a list or auto"
    );
    assert_eq!(first("route"), "coremux: <KEY>... missing");
    // One socket, and either name for it on both sides.
    for flag in ["--ctl", "--socket"] {
        let asked = first(&format!("ctl {flag} /no/such.sock status"));
        assert!(asked.contains("/no/such.sock"), "{flag}: {asked}");
        let upgrade = first(&format!("{flag} /no/such.sock --upgrade"));
        assert!(upgrade.contains("/no/such.sock"), "{flag}: {upgrade}");
    }
}

#[test]
fn the_exit_code_is_the_same_when_nobody_reads() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("good.yml"), VALID).expect("written");
    std::fs::write(dir.path().join("bad.yml"), INVALID).expect("written");
    for (args, code) in [
        ("-h", 0),
        ("-x", 1),
        ("-t -c good.yml", 0),
        ("-t -c bad.yml", 1),
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_coremux"))
            .args(args.split_whitespace())
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("coremux starts");
        drop(child.stderr.take());
        let status = child.wait().expect("it ends");
        assert_eq!(status.code(), Some(code), "{args}");
    }
}
