//! `scripts/client-reconfig.sh`: a failover changes the address of the servers that were meant,
//! and nothing else of the file; and everybody is told what has come of it.

#![allow(clippy::disallowed_methods, reason = "a test waits by a real clock")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/client-reconfig.sh");
const COREMUX: &str = env!("CARGO_BIN_EXE_coremux");

/// Changes the file and finds no proxy to tell: Sentinel is to try again.
const NOBODY_TO_TELL: i32 = 1;

/// A folder with a configuration file, and the script's settings for it.
struct Site {
    folder: TempDir,
}

impl Site {
    fn new(conf: &str) -> Site {
        let site = Site {
            folder: tempfile::tempdir().expect("a folder"),
        };
        fs::write(site.conf(), conf).expect("a file");
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn conf(&self) -> PathBuf {
        self.path("coremux.yml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.conf()).expect("the file is there")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(SCRIPT);
        command
            .args(words)
            .env("COREMUX_USE", self.path("settings"))
            .env("COREMUX_CONF", self.conf())
            .env("COREMUX_BIN", COREMUX)
            .env("COREMUX_CTL", self.path("ctl.sock"))
            .env("COREMUX_PID", self.path("pid"))
            .stdin(Stdio::null());
        command
    }

    /// What Sentinel calls after the usual failover: m1 from 10.0.0.1:6379 to 10.0.0.9:6380.
    fn failover(&self) -> Output {
        self.command(&words("10.0.0.1 6379 10.0.0.9 6380"))
            .output()
            .expect("the script runs")
    }

    /// Everything in the folder but the lock, by name.
    fn files(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.folder.path())
            .expect("a folder")
            .map(|entry| {
                entry
                    .expect("a file")
                    .file_name()
                    .into_string()
                    .expect("a name")
            })
            .filter(|name| !name.ends_with(".lock"))
            .collect();
        names.sort();
        names
    }
}

/// Sentinel's seven arguments.
fn words(addresses: &str) -> Vec<&str> {
    ["m1", "leader", "start"]
        .into_iter()
        .chain(addresses.split(' '))
        .collect()
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it ended by itself")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A pool with these servers; each line as it stands in the file.
fn pool(servers: &str) -> String {
    format!("alpha:\n  listen: 127.0.0.1:22121\n  redis: true\n  servers:\n{servers}")
}

/// A program in place of Coremux: takes every file, and `ctl` ends with this exit code.
fn stand_in(site: &Site, ctl_code: i32) -> PathBuf {
    let path = site.path("coremux");
    let text = format!(
        "#!/bin/sh\ncase $1 in\nctl) echo \"$*\" >'{0}/asked'; echo 'no such server'; exit {ctl_code} ;;\n\
         serve) trap 'echo HUP >\"{0}/hup\"; exit 0' HUP; : >'{0}/ready'; while :; do sleep 0.02; done ;;\n\
         esac\n",
        site.folder.path().display()
    );
    fs::write(&path, text).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
    path
}

/// The program in place of Coremux as it serves. A shell cannot trap what it was started with ignored, as
/// everything is under nohup.
fn serving(binary: &Path) -> Command {
    let mut command = Command::new("env");
    command.arg("--default-signal=HUP").arg(binary).arg("serve");
    command
}

/// Ends the process that it holds when the test does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_servers_that_were_meant_change_and_not_a_byte_beside_them() {
    // What it is about, the servers before, the servers after.
    let cases = [
        (
            "a named server",
            "   - 10.0.0.1:6379:1 m1\n",
            "   - 10.0.0.9:6380:1 m1\n",
        ),
        (
            "an unnamed server keeps its text as its name",
            "   - 10.0.0.1:6379:7\n",
            "   - 10.0.0.9:6380:7 10.0.0.1:6379\n",
        ),
        (
            "addresses that have it as a part",
            "   - 10.0.0.10:6379:1\n   - 110.0.0.1:6379:1\n   - 10.0.0.1:63790:1\n   - 10.0.0.1:637:1\n   \
                - 10a0b0c1:6379:1\n   - 10.0.0.1:16379:1\n   - 10.0.0.1:6379:1 m1\n",
            "   - 10.0.0.10:6379:1\n   - 110.0.0.1:6379:1\n   - 10.0.0.1:63790:1\n   - 10.0.0.1:637:1\n   \
                - 10a0b0c1:6379:1\n   - 10.0.0.1:16379:1\n   - 10.0.0.9:6380:1 m1\n",
        ),
        (
            "a server that has the address as its name",
            "   - 10.0.0.2:6379:1 10.0.0.1:6379\n   - 10.0.0.1:6379:1 m1\n",
            "   - 10.0.0.2:6379:1 10.0.0.1:6379\n   - 10.0.0.9:6380:1 m1\n",
        ),
        (
            "comments",
            "   # - 10.0.0.1:6379:1 m1\n   - 10.0.0.1:6379:1 m1  # was 10.0.0.1:6379:1\n#10.0.0.1:6379:1\n",
            "   # - 10.0.0.1:6379:1 m1\n   - 10.0.0.9:6380:1 m1  # was 10.0.0.1:6379:1\n#10.0.0.1:6379:1\n",
        ),
        (
            "an unnamed server with a comment",
            "   - 10.0.0.1:6379:1 # the first\n",
            "   - 10.0.0.9:6380:1 10.0.0.1:6379 # the first\n",
        ),
        (
            "quotes",
            "   - \"10.0.0.1:6379:1 m1\"\n   - '10.0.0.1:6379:1 n1' # x\n",
            "   - \"10.0.0.9:6380:1 m1\"\n   - '10.0.0.9:6380:1 n1' # x\n",
        ),
        (
            "an unnamed server in quotes",
            "   - \"10.0.0.1:6379:1\"\n",
            "   - \"10.0.0.9:6380:1 10.0.0.1:6379\"\n",
        ),
        (
            "a list as deep as its key, a key after it",
            "  - 10.0.0.1:6379:1 m1\n  - 10.0.0.2:6379:1 m2\n  timeout: 400\n",
            "  - 10.0.0.9:6380:1 m1\n  - 10.0.0.2:6379:1 m2\n  timeout: 400\n",
        ),
        (
            "blank lines and blanks at the end of lines",
            "\n   -   10.0.0.1:6379:1 m1  \n\n   - 10.0.0.2:6379:1 m2\n\n\n",
            "\n   -   10.0.0.9:6380:1 m1  \n\n   - 10.0.0.2:6379:1 m2\n\n\n",
        ),
        (
            "Windows' line ends",
            "   - 10.0.0.1:6379:1 m1\r\n   - 10.0.0.1:6379:1\r\n",
            "   - 10.0.0.9:6380:1 m1\r\n   - 10.0.0.9:6380:1 10.0.0.1:6379\r\n",
        ),
        (
            "no line end at the end",
            "   - 10.0.0.2:6379:1 m2\n   - 10.0.0.1:6379:1 m1",
            "   - 10.0.0.2:6379:1 m2\n   - 10.0.0.9:6380:1 m1",
        ),
        (
            "a dash on a line of its own",
            "   -\n     10.0.0.1:6379:1 m1\n   - # next\n     10.0.0.2:6379:1 m2\n",
            "   -\n     10.0.0.9:6380:1 m1\n   - # next\n     10.0.0.2:6379:1 m2\n",
        ),
        (
            "a unix socket and a host name",
            "   - /run/10.0.0.1:6379:1 s\n   - redis-1:6379:1 r\n   - 10.0.0.1:6379:1 m1\n",
            "   - /run/10.0.0.1:6379:1 s\n   - redis-1:6379:1 r\n   - 10.0.0.9:6380:1 m1\n",
        ),
        (
            "several pools, of which two have the master, and a listening address like it",
            "   - 10.0.0.1:6379:1 m1\nbeta:\n  listen: 10.0.0.1:6379\n  redis: true\n  servers:\n   \
                - 10.0.0.1:6379:2 other\ngamma:\n  redis: true\n  servers:\n   - 10.0.0.3:6379:1\n  listen: 127.0.0.1:1\n",
            "   - 10.0.0.9:6380:1 m1\nbeta:\n  listen: 10.0.0.1:6379\n  redis: true\n  servers:\n   \
                - 10.0.0.9:6380:2 other\ngamma:\n  redis: true\n  servers:\n   - 10.0.0.3:6379:1\n  listen: 127.0.0.1:1\n",
        ),
        (
            "a list of another key that has the same item",
            "   - 10.0.0.1:6379:1 m1\n  sentinels:\n   - 10.0.0.1:6379:1\n",
            "   - 10.0.0.9:6380:1 m1\n  sentinels:\n   - 10.0.0.1:6379:1\n",
        ),
        (
            "a sharp in a name, which begins no comment",
            "   - 10.0.0.1:6379:1 m#1 #2\n",
            "   - 10.0.0.9:6380:1 m#1 #2\n",
        ),
        (
            "items of a list that ended with a key that is less deep",
            "     - 10.0.0.1:6379:1 m1\n  sentinels:\n     - 10.0.0.1:6379:1\n",
            "     - 10.0.0.9:6380:1 m1\n  sentinels:\n     - 10.0.0.1:6379:1\n",
        ),
        (
            "letters of the world",
            "   # größte Mühe, 最初\n   - 10.0.0.1:6379:1 größe\n",
            "   # größte Mühe, 最初\n   - 10.0.0.9:6380:1 größe\n",
        ),
    ];
    for (what, before, after) in cases {
        let site = Site::new(&pool(before));
        let output = site.failover();
        assert_eq!(code(&output), NOBODY_TO_TELL, "{what}: {}", said(&output));
        assert_eq!(site.text(), pool(after), "{what}");
        let backup =
            fs::read_to_string(site.path("coremux.yml.bak")).expect("the old file is kept");
        assert_eq!(backup, pool(before), "{what}");
        assert_eq!(site.files(), ["coremux.yml", "coremux.yml.bak"], "{what}");
    }
}

#[test]
fn addresses_of_all_kinds_are_found() {
    let cases = [
        (
            "fe80::1 6379 fe80::2 6379",
            "- fe80::1:6379:1\n",
            "- fe80::2:6379:1 fe80::1:6379\n",
        ),
        (
            "fe80::1 6379 10.0.0.9 6379",
            "- \"[fe80::1]:6379:1\"\n",
            "- \"10.0.0.9:6379:1 [fe80::1]:6379\"\n",
        ),
        (
            "::1 6379 ::2 7000",
            "- fe80::1:6379:1 a\n   - ::1:6379:1 b\n",
            "- fe80::1:6379:1 a\n   - ::2:7000:1 b\n",
        ),
        // libmemcached's habit: on its port a server is its host.
        (
            "cache-1 11211 cache-2 11211",
            "- cache-1:11211:1\n",
            "- cache-2:11211:1 cache-1\n",
        ),
        (
            "10.0.0.1 6379 10.0.0.9 11211",
            "- 10.0.0.1:6379:1\n",
            "- 10.0.0.9:11211:1 10.0.0.1:6379\n",
        ),
        (
            "redis-a.example 6379 redis-b.example 6379",
            "- redis-a.example:6379:1 m1\n",
            "- redis-b.example:6379:1 m1\n",
        ),
    ];
    for (addresses, before, after) in cases {
        let site = Site::new(&pool(&format!("   {before}")));
        let output = site
            .command(&words(addresses))
            .output()
            .expect("the script runs");
        assert_eq!(
            code(&output),
            NOBODY_TO_TELL,
            "{addresses}: {}",
            said(&output)
        );
        assert_eq!(site.text(), pool(&format!("   {after}")), "{addresses}");
    }
}

/// The points of every pool's continuum, with the servers' names.
fn ring(conf: &Path) -> Vec<String> {
    let output = Command::new(COREMUX)
        .arg("ring")
        .arg("-c")
        .arg(conf)
        .output()
        .expect("coremux runs");
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).expect("text");
    let points: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("point"))
        .map(String::from)
        .collect();
    assert!(!points.is_empty());
    points
}

#[test]
fn no_key_moves_when_an_unnamed_servers_address_changes() {
    let servers = "   - 10.0.0.1:6379:1\n   - 10.0.0.2:6379:2\n   - 10.0.0.3:6379:1 third\n";
    let memcached = "beta:\n  listen: 127.0.0.1:22122\n  servers:\n   - 10.0.0.1:11211:1\n   - 10.0.0.2:11211:1\n";
    let site = Site::new(&(pool(servers) + memcached));
    let before = ring(&site.conf());
    site.failover();
    let memcached_moved = site
        .command(&words("10.0.0.1 11211 10.0.0.9 11212"))
        .output()
        .expect("the script runs");
    assert_eq!(
        code(&memcached_moved),
        NOBODY_TO_TELL,
        "{}",
        said(&memcached_moved)
    );
    assert!(!site.text().contains(" - 10.0.0.1:"), "{}", site.text());
    assert_eq!(ring(&site.conf()), before);
    // And when the old one takes over again, by the name that its first address had been.
    let back = site
        .command(&words("10.0.0.9 6380 10.0.0.1 6379"))
        .output()
        .expect("the script runs");
    assert_eq!(code(&back), NOBODY_TO_TELL, "{}", said(&back));
    assert!(
        site.text().contains(" - 10.0.0.1:6379:1 10.0.0.1:6379\n"),
        "{}",
        site.text()
    );
    assert_eq!(ring(&site.conf()), before);
}

#[test]
fn a_second_call_changes_nothing_more() {
    let site = Site::new(&pool("   - 10.0.0.1:6379:1\n"));
    site.failover();
    let once = site.text();
    let output = site.failover();
    assert_eq!(code(&output), NOBODY_TO_TELL);
    assert!(
        said(&output).contains("has 10.0.0.9:6380 already"),
        "{}",
        said(&output)
    );
    assert_eq!(site.text(), once);
    let backup = fs::read_to_string(site.path("coremux.yml.bak")).expect("the old file is kept");
    assert_eq!(backup, pool("   - 10.0.0.1:6379:1\n"));
}

#[test]
fn calls_at_once_come_one_after_the_other() {
    let site = Site::new(&pool("   - 10.0.0.1:6379:1\n   - 10.0.0.2:6379:1\n"));
    let mut second = words("10.0.0.2 6379 10.0.0.8 6379");
    second[0] = "m2";
    let calls: Vec<_> = (0..12)
        .map(|number| {
            let words = if number % 2 == 0 {
                words("10.0.0.1 6379 10.0.0.9 6380")
            } else {
                second.clone()
            };
            site.command(&words)
                .stderr(Stdio::piped())
                .spawn()
                .expect("the script runs")
        })
        .collect();
    for call in calls {
        let output = call.wait_with_output().expect("it ends");
        assert_eq!(code(&output), NOBODY_TO_TELL, "{}", said(&output));
    }
    let expected = "   - 10.0.0.9:6380:1 10.0.0.1:6379\n   - 10.0.0.8:6379:1 10.0.0.2:6379\n";
    assert_eq!(site.text(), pool(expected));
    assert_eq!(site.files(), ["coremux.yml", "coremux.yml.bak"]);
}

#[test]
fn a_call_that_was_missed_is_made_up_for_by_the_name() {
    let site = Site::new(&pool("   - 10.0.0.7:6379:1 m1\n   - 10.0.0.2:6379:1 m2\n"));
    let output = site.failover();
    assert!(
        said(&output).contains("went by the name m1"),
        "{}",
        said(&output)
    );
    assert_eq!(
        site.text(),
        pool("   - 10.0.0.9:6380:1 m1\n   - 10.0.0.2:6379:1 m2\n")
    );
}

#[test]
fn a_link_stays_a_link_and_a_mode_stays_a_mode() {
    let site = Site::new(&pool("   - 10.0.0.1:6379:1 m1\n"));
    let real = site.path("real.yml");
    fs::rename(site.conf(), &real).expect("renamed");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).expect("a mode");
    std::os::unix::fs::symlink("real.yml", site.conf()).expect("a link");
    site.failover();
    assert!(
        fs::symlink_metadata(site.conf())
            .expect("it is there")
            .is_symlink()
    );
    assert_eq!(
        fs::metadata(&real)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777,
        0o640
    );
    assert_eq!(site.text(), pool("   - 10.0.0.9:6380:1 m1\n"));
}

#[test]
fn what_sentinel_says_besides_a_failover_is_ignored() {
    for (role, state) in [
        ("leader", "end"),
        ("leader", "abort"),
        ("slave", "start"),
        ("", ""),
    ] {
        let site = Site::new(&pool("   - 10.0.0.1:6379:1 m1\n"));
        let mut words = words("10.0.0.1 6379 10.0.0.9 6380");
        (words[1], words[2]) = (role, state);
        let output = site.command(&words).output().expect("the script runs");
        assert_eq!(code(&output), 0, "{}", said(&output));
        assert!(said(&output).contains("nothing to do"), "{}", said(&output));
        assert_eq!(site.text(), pool("   - 10.0.0.1:6379:1 m1\n"));
    }
}

#[test]
fn what_cannot_work_is_refused_for_good_and_changes_nothing() {
    let good = pool("   - 10.0.0.1:6379:1 m1\n");
    let unknown = pool("   - 10.0.0.5:6379:1 m5\n");
    let invalid = pool("   - 10.0.0.1:6379:1 m1\n  hash: nonsense\n");
    let named_twice = pool("   - 10.0.0.1:6379:1\n   - 10.0.0.2:6379:1 10.0.0.1:6379\n");
    // The file, the addresses, the exit code, a word of why.
    let cases = [
        (&good, "10.0.0.1 6379 10.0.0.9", 2, "Usage"),
        (&good, "10.0.0.1 6379 10.0.0.9 6380 more", 2, "Usage"),
        (&good, "10.0.0.1 0 10.0.0.9 6380", 2, "not a port: 0"),
        (&good, "10.0.0.1 6379 10.0.0.9 65536", 2, "not a port"),
        (
            &good,
            "10.0.0.1 6379 10.0.0.9 99999999999999999999",
            2,
            "not a port",
        ),
        (&good, "10.0.0.1 6379 10.0.0.9 -1", 2, "not a port"),
        (&good, "10.0.0.1 6379 10.0.0.9;id 6380", 2, "not an address"),
        (&good, "10.0.0.1 6379 $(id) 6380", 2, "not an address"),
        (&good, "10.0.0.1 6379 a\"b 6380", 2, "not an address"),
        (&good, "10.0.0.1 6379  6380", 2, "not an address"),
        (&unknown, "10.0.0.1 6379 10.0.0.9 6380", 4, "no server of"),
        (&invalid, "10.0.0.1 6379 10.0.0.9 6380", 5, "hash"),
        (&named_twice, "10.0.0.1 6379 10.0.0.9 6380", 5, "not valid"),
    ];
    for (conf, addresses, expected, why) in cases {
        let site = Site::new(conf);
        let output = site
            .command(&words(addresses))
            .output()
            .expect("the script runs");
        assert_eq!(code(&output), expected, "{addresses}: {}", said(&output));
        assert!(
            said(&output).contains(why),
            "{addresses}: {}",
            said(&output)
        );
        assert_eq!(&site.text(), conf, "{addresses}");
        assert_eq!(site.files(), ["coremux.yml"], "{addresses}");
    }
    let site = Site::new(&good);
    fs::remove_file(site.conf()).expect("removed");
    assert_eq!(code(&site.failover()), 3);
}

#[test]
fn another_call_that_does_not_end_is_waited_for_and_then_sentinel_is_to_try_again() {
    let site = Site::new(&pool("   - 10.0.0.1:6379:1 m1\n"));
    let lock = site.path("coremux.yml.lock");
    let ready = site.path("ready");
    let holder = Command::new("flock")
        .arg(&lock)
        .args(["-c", &format!("touch {}; exec sleep 60", ready.display())])
        .spawn()
        .expect("flock runs");
    let _holder = Running(holder);
    wait_for("the lock is held", || ready.exists());
    let output = site
        .command(&words("10.0.0.1 6379 10.0.0.9 6380"))
        .env("COREMUX_WAIT", "0.2")
        .output()
        .expect("the script runs");
    assert_eq!(code(&output), 1);
    assert!(said(&output).contains("another call"), "{}", said(&output));
    assert_eq!(site.text(), pool("   - 10.0.0.1:6379:1 m1\n"));
}

#[test]
fn the_proxy_is_told_by_its_control_socket_and_its_refusal_is_passed_on() {
    for (ctl_code, expected, word) in [
        (0, 0, "reloaded"),
        (1, 6, "no such server"),
        (2, 1, "no answer"),
        // Another process takes over, for longer than the script may wait.
        (3, 1, "trying again"),
    ] {
        let site = Site::new(&pool("   - 10.0.0.1:6379:1 m1\n"));
        let _socket =
            std::os::unix::net::UnixListener::bind(site.path("ctl.sock")).expect("a socket");
        let output = site
            .command(&words("10.0.0.1 6379 10.0.0.9 6380"))
            .env("COREMUX_BIN", stand_in(&site, ctl_code))
            .output()
            .expect("the script runs");
        assert_eq!(code(&output), expected, "{}", said(&output));
        assert!(said(&output).contains(word), "{}", said(&output));
        let asked = fs::read_to_string(site.path("asked")).expect("it was asked");
        assert_eq!(
            asked,
            format!("ctl --socket {} reload\n", site.path("ctl.sock").display())
        );
        assert_eq!(
            site.text(),
            pool("   - 10.0.0.9:6380:1 m1\n"),
            "the file is right already"
        );
    }
}

#[test]
fn a_proxy_that_is_being_upgraded_is_told_when_it_can_be() {
    let site = Site::new(&pool("   - 10.0.0.1:6379:1 m1\n"));
    let _socket = std::os::unix::net::UnixListener::bind(site.path("ctl.sock")).expect("a socket");
    let path = site.path("coremux");
    let text = format!(
        "#!/bin/sh\n[ \"$1\" = ctl ] || exit 0\n[ -e '{0}/asked' ] && exit 0\n: >'{0}/asked'\nexit 3\n",
        site.folder.path().display()
    );
    fs::write(&path, text).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
    let output = site
        .command(&words("10.0.0.1 6379 10.0.0.9 6380"))
        .env("COREMUX_BIN", &path)
        .output()
        .expect("the script runs");
    assert_eq!(code(&output), 0, "{}", said(&output));
    let told = said(&output);
    assert!(
        told.contains("trying again") && told.contains("reloaded"),
        "{told}"
    );
}

#[test]
fn without_a_control_socket_the_process_of_the_pid_file_gets_sighup() {
    let site = Site::new(&pool("   - 10.0.0.1:6379:1 m1\n"));
    let binary = stand_in(&site, 0);
    let proxy = Running(serving(&binary).spawn().expect("it runs"));
    wait_for("it listens for signals", || site.path("ready").exists());
    // twemproxy's pid file has no line end.
    fs::write(site.path("pid"), proxy.0.id().to_string()).expect("a file");
    let output = site
        .command(&words("10.0.0.1 6379 10.0.0.9 6380"))
        .env("COREMUX_BIN", &binary)
        .output()
        .expect("the script runs");
    assert_eq!(code(&output), 0, "{}", said(&output));
    wait_for("the signal has come", || site.path("hup").exists());
}

#[test]
fn a_pid_file_that_names_another_process_is_not_believed() {
    let site = Site::new(&pool("   - 10.0.0.1:6379:1 m1\n"));
    let other = Running(Command::new("sleep").arg("60").spawn().expect("sleep runs"));
    for pid in [
        other.0.id().to_string(),
        "4194304".to_owned(),
        "1; id".to_owned(),
        String::new(),
    ] {
        fs::write(site.path("pid"), &pid).expect("a file");
        let output = site.failover();
        assert_eq!(code(&output), NOBODY_TO_TELL, "{pid}: {}", said(&output));
        assert!(
            said(&output).contains("nobody to tell"),
            "{pid}: {}",
            said(&output)
        );
    }
}

#[test]
fn a_process_that_began_after_its_pid_file_was_written_is_another() {
    let site = Site::new(&pool("   - 10.0.0.1:6379:1 m1\n"));
    let binary = stand_in(&site, 0);
    let pid_file = site.path("pid");
    let told = |started_with: &[&str]| {
        let _ = fs::remove_file(site.path("ready"));
        let mut command = serving(&binary);
        let proxy = Running(command.args(started_with).spawn().unwrap());
        wait_for("it listens for signals", || site.path("ready").exists());
        fs::write(&pid_file, proxy.0.id().to_string()).expect("a file");
        let file = fs::File::options().write(true).open(&pid_file).unwrap();
        let hour = Duration::from_secs(3600);
        file.set_modified(std::time::SystemTime::now() - hour)
            .unwrap();
        let mut call = site.command(&words("10.0.0.1 6379 10.0.0.9 6380"));
        let output = call.env("COREMUX_BIN", &binary).output().unwrap();
        // It lives until it has heard.
        (code(&output), said(&output), proxy)
    };
    let (code, said, _proxy) = told(&[]);
    assert_eq!(code, NOBODY_TO_TELL, "{said}");
    assert!(said.contains("began after"), "{said}");
    assert!(!site.path("hup").exists());
    // The clock was set forward: its own command line names the file.
    let (code, said, _proxy) = told(&["-p", pid_file.to_str().unwrap()]);
    assert_eq!(code, 0, "{said}");
    wait_for("the signal has come", || site.path("hup").exists());
}

#[test]
fn settings_come_from_the_environment_then_from_a_file() {
    let site = Site::new(&pool("   - 10.0.0.1:6379:1 m1\n"));
    let other = site.path("other.yml");
    fs::write(&other, pool("   - 10.0.0.1:6379:1 m1\n")).expect("a file");
    let settings = format!(
        "COREMUX_CONF={}\nCOREMUX_PID=/nonexistent\n",
        other.display()
    );
    fs::write(site.path("settings"), settings).expect("a file");
    let mut by_file = site.command(&words("10.0.0.1 6379 10.0.0.9 6380"));
    assert_eq!(
        code(
            &by_file
                .env_remove("COREMUX_CONF")
                .output()
                .expect("it runs")
        ),
        NOBODY_TO_TELL
    );
    assert_eq!(
        fs::read_to_string(&other).expect("a file"),
        pool("   - 10.0.0.9:6380:1 m1\n")
    );
    assert_eq!(site.text(), pool("   - 10.0.0.1:6379:1 m1\n"));
    site.failover();
    assert_eq!(site.text(), pool("   - 10.0.0.9:6380:1 m1\n"));
}

#[test]
fn help_says_what_the_exit_codes_mean() {
    let output = Command::new(SCRIPT)
        .arg("-h")
        .output()
        .expect("the script runs");
    assert_eq!(code(&output), 0);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("Exit codes:") && text.contains("COREMUX_CONF"),
        "{text}"
    );
}
