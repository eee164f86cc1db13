//! What keepalived and systemd are given by this project is what they take, and the scripts that
//! they call answer in time and in their words.

#![allow(clippy::disallowed_methods, reason = "a test waits by a real clock")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const COREMUX: &str = env!("CARGO_BIN_EXE_coremux");
/// No process has this id: it is above the kernel's limit.
const NO_PID: &str = "4194305";

/// A folder with a program in place of Coremux, which notes its arguments and does as told.
struct Site {
    folder: TempDir,
}

impl Site {
    fn new(does: &str) -> Site {
        let site = Site {
            folder: tempfile::tempdir().expect("a folder"),
        };
        let text = format!(
            "#!/bin/sh\necho \"$*\" >>'{}'\n{does}\n",
            site.path("asked").display()
        );
        fs::write(site.path("coremux"), text).expect("a file");
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(site.path("coremux"), executable).expect("a mode");
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file");
    }

    fn asked(&self) -> String {
        fs::read_to_string(self.path("asked")).unwrap_or_default()
    }

    fn script(&self, name: &str, words: &[&str]) -> Command {
        let mut command = Command::new(format!("{ROOT}/scripts/{name}"));
        command
            .args(words)
            .env("COREMUX_BIN", self.path("coremux"))
            .env("COREMUX_CTL", "/run/ctl.sock")
            .env("COREMUX_HEALTH_FILE", self.path("health"))
            .env("COREMUX_PID", self.path("pid"))
            .stdin(Stdio::null());
        command
    }

    fn code(&self, name: &str, words: &[&str]) -> i32 {
        code(&self.script(name, words).output().expect("the script runs"))
    }

    /// As on a host without the program.
    fn code_without_program(&self, words: &[&str]) -> i32 {
        let mut command = self.script("check-health.sh", words);
        command.env("COREMUX_BIN", self.path("nowhere"));
        code(&command.output().expect("the script runs"))
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it ended by itself")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// Every file of a folder of `conf/`, by name.
fn files_of(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(Path::new(ROOT).join("conf").join(folder))
        .expect("the folder is there")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

#[test]
fn keepalived_takes_every_file() {
    for file in files_of("keepalived") {
        let folder = tempfile::tempdir().expect("a folder");
        let copy = folder.path().join("keepalived.conf");
        let text = fs::read_to_string(&file).expect("a file");
        // keepalived looks whether the scripts are there, and here they are not installed.
        // It takes no blank in a path, and this repository may be in one.
        let scripts = folder.path().join("scripts");
        fs::create_dir(&scripts).expect("a folder");
        for script in files_of("../scripts") {
            fs::copy(&script, scripts.join(script.file_name().unwrap())).expect("a copy");
        }
        let installed = text.replace("/usr/local/lib/coremux", scripts.to_str().unwrap());
        assert!(!text.contains(".sh\"") || installed != text);
        fs::write(&copy, installed).expect("a file");
        assert_silent(&keepalived_test(&copy), &file);
    }
}

#[test]
fn keepalived_would_say_what_is_wrong_with_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keepalived.conf");
    let text = fs::read_to_string(format!("{ROOT}/conf/keepalived/first.conf")).expect("a file");
    fs::write(&file, text + "}\n").expect("a file");
    assert_ne!(code(&keepalived_test(&file)), 0);
}

fn keepalived_test(file: &Path) -> Output {
    Command::new("/usr/sbin/keepalived")
        .args(["--config-test", "--use-file"])
        .arg(file)
        .output()
        .expect("Debian's package keepalived is needed")
}

/// The program was content with `file` and had nothing to say about it.
#[track_caller]
fn assert_silent(output: &Output, file: &Path) {
    let said = said(output);
    assert_eq!((code(output), said.as_str()), (0, ""), "{}", file.display());
}

#[test]
fn the_two_hosts_differ_only_where_they_are_marked() {
    let read = |name: &str| {
        let path = format!("{ROOT}/conf/keepalived/{name}.conf");
        fs::read_to_string(path).expect("a file")
    };
    let (first, second) = (read("first"), read("second"));
    // The three lines at the top name the files.
    let pairs: Vec<_> = first.lines().zip(second.lines()).skip(3).collect();
    assert_eq!(first.lines().count(), second.lines().count());
    let mut marked = 0;
    for (ours, theirs) in pairs {
        if ours.contains("# <-") {
            marked += 1;
            assert_ne!(ours, theirs);
        } else {
            assert_eq!(ours, theirs);
        }
    }
    assert_eq!(marked, 4);
}

#[test]
fn systemd_takes_the_units() {
    let folder = tempfile::tempdir().expect("a folder");
    let copy_of = |file: &Path| folder.path().join(file.file_name().expect("a name"));
    // All of them first: one names another.
    for file in files_of("systemd") {
        let text = fs::read_to_string(&file).expect("a file");
        // It looks whether the program is there, and takes no blank in a path.
        let program = folder.path().join("coremux");
        if !program.exists() {
            std::os::unix::fs::symlink(COREMUX, &program).expect("a link");
        }
        let installed = text.replace("/usr/local/bin/coremux", program.to_str().unwrap());
        fs::write(copy_of(&file), installed).expect("a file");
    }
    for file in files_of("systemd") {
        let output = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(copy_of(&file))
            .output()
            .expect("Debian's package systemd is needed");
        assert_silent(&output, &file);
    }
}

#[test]
fn a_unit_that_cannot_start_takes_its_time_and_one_that_was_killed_does_not() {
    let unit = fs::read_to_string(format!("{ROOT}/conf/systemd/coremux.service")).expect("a file");
    let value = |key: &str| {
        let mut lines = unit.lines();
        let of = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        of.unwrap_or_else(|| panic!("{key}")).to_owned()
    };
    assert_eq!(value("LimitCORE"), "0");
    let (within, starts) = (value("StartLimitIntervalSec"), value("StartLimitBurst"));
    let (within, starts): (u32, u32) = (within.parse().unwrap(), starts.parse().unwrap());
    assert!(within > 0 && starts > 0);
    assert!(starts > within, "once a second never reaches the limit");
    let folder = tempfile::tempdir().expect("a folder");
    let health = folder.path().join("health");
    let line = value("ExecStopPost").replace("$$", "$");
    let line = line.replace("/run/coremux/health", health.to_str().unwrap());
    let script = line.strip_prefix("/bin/sh -c '").unwrap();
    let script = script.strip_suffix('\'').unwrap();
    for (result, code, waits) in [
        ("success", "exited", false),
        ("signal", "killed", false),
        ("core-dump", "dumped", false),
        ("watchdog", "killed", false),
        ("exit-code", "exited", true),
        // ExecStartPre has failed: there was no main process.
        ("exit-code", "", true),
    ] {
        let _ = fs::remove_file(&health);
        let began = Instant::now();
        let mut stopped = Command::new("/bin/sh");
        stopped.args(["-c", script]).env("SERVICE_RESULT", result);
        match code {
            "" => stopped.env_remove("EXIT_CODE"),
            code => stopped.env("EXIT_CODE", code),
        };
        let mut stopped = stopped.spawn().expect("the shell runs");
        assert!(stopped.wait().unwrap().success());
        let waited = began.elapsed() >= Duration::from_secs(1);
        assert_eq!(waited, waits, "{result}/{code}: {:?}", began.elapsed());
        assert_eq!(fs::read_to_string(&health).unwrap(), "1\n");
    }
}

#[test]
fn every_flag_of_the_unit_is_one_that_the_program_has() {
    let unit = fs::read_to_string(format!("{ROOT}/conf/systemd/coremux.service")).expect("a file");
    let help = |args: &[&str]| {
        let output = Command::new(COREMUX).args(args).output();
        said(&output.expect("coremux runs"))
    };
    let help = help(&["-h"]) + &help(&["ctl", "-h"]);
    let flags: Vec<_> = unit
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace)
        .filter(|word| word.starts_with("--"))
        .collect();
    assert!(flags.len() >= 3);
    for flag in flags {
        assert!(help.contains(flag), "{flag}");
    }
}

#[test]
fn a_health_check_is_what_the_program_says() {
    // What it does, the arguments, the exit code, what it was asked.
    let cases: [(&str, &[&str], i32, &str); 7] = [
        ("exit 0", &[], 0, "--check /run/coremux/ctl.sock\n"),
        ("exit 1", &[], 1, "--check /run/coremux/ctl.sock\n"),
        (
            "exit 0",
            &["10.0.0.1:22223/ready"],
            0,
            "--check 10.0.0.1:22223/ready\n",
        ),
        (
            "exit 52",
            &["-d", "10.0.0.1:22223"],
            52,
            "--check 10.0.0.1:22223 --dynamic\n",
        ),
        (
            "exit 102",
            &["-d", "-t", "1"],
            102,
            "--check /run/coremux/ctl.sock --dynamic\n",
        ),
        // Not a weight of its: what timeout(1) and the shell say of a program that failed.
        (
            "exit 126",
            &["-d"],
            1,
            "--check /run/coremux/ctl.sock --dynamic\n",
        ),
        (
            "kill -SEGV $$",
            &["-d"],
            1,
            "--check /run/coremux/ctl.sock --dynamic\n",
        ),
    ];
    for (does, words, expected, asked) in cases {
        let site = Site::new(does);
        assert_eq!(
            site.code("check-health.sh", words),
            expected,
            "{does} {words:?}"
        );
        assert_eq!(site.asked(), asked, "{does} {words:?}");
    }
}

#[test]
fn a_health_check_that_hangs_is_over_in_time_and_bad() {
    for words in [["-t", "0.3", "x"].as_slice(), &["-d", "-t", "0.3", "x"]] {
        let site = Site::new("exec sleep 60");
        let begun = Instant::now();
        assert_eq!(site.code("check-health.sh", words), 1);
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{:?}",
            begun.elapsed()
        );
    }
}

#[test]
fn a_proxy_that_is_not_there_is_not_healthy() {
    let site = Site::new("exit 0");
    let mut command = site.script("check-health.sh", &["/nonexistent/ctl.sock"]);
    let output = command
        .env("COREMUX_BIN", COREMUX)
        .output()
        .expect("the script runs");
    assert_eq!(code(&output), 1, "{}", said(&output));
}

#[test]
fn without_the_program_the_health_file_and_the_pid_file_are_believed() {
    // It has the name that the program would have, and another has not.
    let folder = tempfile::tempdir().expect("a folder");
    let proxy = folder.path().join("nowhere");
    fs::copy("/bin/sleep", &proxy).expect("a program");
    let mut proxy = Command::new(proxy).arg("600").spawn().expect("it runs");
    let own_pid = proxy.id().to_string();
    let stranger = std::process::id().to_string();
    // The health file, the pid file, the exit code.
    let cases = [
        (Some("0\n"), None, 0),
        (Some("0\n"), Some(own_pid.as_str()), 0),
        (Some("0\n"), Some(stranger.as_str()), 1),
        (Some("0\n"), Some(NO_PID), 1),
        (Some("0\n"), Some(""), 1),
        (Some("1\n"), Some(own_pid.as_str()), 1),
        (Some(""), None, 1),
        (None, Some(own_pid.as_str()), 1),
    ];
    for (health, pid, expected) in cases {
        let site = Site::new("exit 1");
        for (name, text) in [("health", health), ("pid", pid)] {
            if let Some(text) = text {
                site.write(name, text);
            }
        }
        assert_eq!(
            site.code_without_program(&[]),
            expected,
            "{health:?} {pid:?}"
        );
        let weight = if expected == 0 { 102 } else { 1 };
        assert_eq!(
            site.code_without_program(&["-d"]),
            weight,
            "{health:?} {pid:?}"
        );
        assert_eq!(site.asked(), "");
    }
    let _ = proxy.kill();
    let _ = proxy.wait();
}

#[test]
fn a_health_check_that_is_called_wrongly_is_bad_and_no_weight() {
    let site = Site::new("exit 0");
    assert_eq!(site.code("check-health.sh", &["a", "b"]), 1);
    assert_eq!(site.code("check-health.sh", &["-x"]), 1);
    assert_eq!(site.asked(), "");
}

#[test]
fn a_change_of_state_is_told_and_drains_only_if_that_is_wanted() {
    // Whether to drain, the state, the exit code, what the proxy was told.
    let cases = [
        (None, "MASTER", ""),
        (None, "FAULT", ""),
        (Some("no"), "BACKUP", ""),
        (Some("yes"), "MASTER", "undrain"),
        (Some("yes"), "BACKUP", "drain"),
        (Some("yes"), "FAULT", "drain"),
        (Some("yes"), "STOP", "drain"),
        (Some("yes"), "MASTER_RX_LOWER_PRI", ""),
    ];
    for (drain, state, command) in cases {
        let site = Site::new("exit 0");
        let mut script = site.script("notify.sh", &["INSTANCE", "redis", state, "100"]);
        if let Some(drain) = drain {
            script.env("COREMUX_NOTIFY_DRAIN", drain);
        }
        // Without a system log it is told here.
        script.env("PATH", "/nonexistent:/usr/bin:/bin");
        assert_eq!(
            code(&script.output().expect("the script runs")),
            0,
            "{state}"
        );
        let told = match command {
            "" => String::new(),
            _ => format!("ctl --socket /run/ctl.sock {command}\n"),
        };
        assert_eq!(site.asked(), told, "{drain:?} {state}");
    }
}

#[test]
fn a_proxy_that_does_not_take_it_is_an_exit_code() {
    let site = Site::new("exit 2");
    let mut script = site.script("notify.sh", &["INSTANCE", "redis", "BACKUP", "100"]);
    script.env("COREMUX_NOTIFY_DRAIN", "yes");
    assert_eq!(code(&script.output().expect("the script runs")), 1);
    assert_eq!(site.code("notify.sh", &["INSTANCE"]), 2);
}

#[test]
fn every_script_says_on_request_what_its_exit_codes_mean() {
    for name in [
        "check-health.sh",
        "notify.sh",
        "vip-setup.sh",
        "client-reconfig.sh",
    ] {
        let mut command = Command::new(format!("{ROOT}/scripts/{name}"));
        let output = command.arg("-h").output().expect("the script runs");
        assert_eq!(code(&output), 0, "{name}");
        assert!(said(&output).contains("Exit codes:"), "{name}");
    }
}
