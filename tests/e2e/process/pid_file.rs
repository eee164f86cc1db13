//! A pid file outlives its process, and its number is given to others: nobody is signalled by a number alone.
#![allow(
    clippy::disallowed_methods,
    reason = "the time of a file is the real clock's"
)]

use std::fs;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::time::SystemTime;

use crate::support::Pool;
use crate::support::Port;
use crate::support::Process;
use crate::support::Proxy;
use crate::support::eventually;
use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;
use tempfile::TempDir;

/// `coremux --upgrade -p FILE`: its exit code, and what it says.
fn upgrade(pid_file: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_coremux"))
        .args(["--upgrade", "-p"])
        .arg(pid_file)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said)
}

fn write(directory: &TempDir, pid: u32) -> PathBuf {
    let path = directory.path().join("pid");
    fs::write(&path, pid.to_string()).unwrap();
    path
}

/// As if it had been written `ago`, by the clock of today.
fn written(pid_file: &Path, ago: Duration) {
    let file = File::options().write(true).open(pid_file).unwrap();
    file.set_modified(SystemTime::now() - ago).unwrap();
}

#[test]
fn a_stale_pid_file_is_refused_and_a_stranger_lives_on() {
    let directory = TempDir::new().unwrap();
    // Its name begins as ours does: a name that only looks alike is another's.
    let named = directory.path().join("core");
    fs::copy("/bin/sleep", &named).unwrap();
    for program in [Path::new("sleep"), &named] {
        let log = directory.path().join("log");
        let mut stranger = Process::start(Command::new(program).arg("600"), &log);
        let pid_file = write(&directory, stranger.id());
        let (code, said) = upgrade(&pid_file);
        let name = program.file_name().unwrap().to_str().unwrap();
        assert_eq!(code, Some(2), "{said}");
        for words in ["stale", name, &stranger.id().to_string()] {
            assert!(said.contains(words), "{words} in {said}");
        }
        assert_eq!(stranger.ended(), None);
    }
}

#[test]
fn a_number_that_nobody_has_or_that_is_none_is_said() {
    let directory = TempDir::new().unwrap();
    // Above the kernel's limit.
    let pid_file = write(&directory, 4_194_305);
    let (code, said) = upgrade(&pid_file);
    assert_eq!(code, Some(2));
    assert!(said.contains("stale") && said.contains("4194305"), "{said}");
    for text in ["", "-1", "0", "1 2", "none"] {
        fs::write(&pid_file, text).unwrap();
        let (code, said) = upgrade(&pid_file);
        assert_eq!(code, Some(2));
        assert!(said.contains("no number"), "{text}: {said}");
    }
}

#[test]
fn another_proxy_that_came_by_the_number_later_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let mut proxy = Proxy::coremux(&[Pool::new("alpha").server("127.0.0.1:1")]);
    let pid_file = write(&directory, proxy.process().id());
    written(&pid_file, Duration::from_secs(3600));
    let (code, said) = upgrade(&pid_file);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("stale"), "{said}");
    assert_eq!(proxy.process().ended(), None);
    let log = proxy.process().log();
    assert!(!log.contains("upgrade"), "{log}");
}

#[test]
fn a_clock_that_was_set_forward_makes_no_pid_file_stale() {
    let directory = TempDir::new().unwrap();
    let pid_file = directory.path().join("pid");
    let arguments = ["--cores", "1", "-p", pid_file.to_str().unwrap()];
    let mut proxy = Proxy::coremux_with(&arguments, &[Pool::new("alpha").server("127.0.0.1:1")]);
    let old = proxy.process().id();
    written(&pid_file, Duration::from_secs(3600));
    let (code, said) = upgrade(&pid_file);
    assert_eq!(code, Some(0), "{said}\n{}", proxy.process().log());
    assert_eq!(proxy.process().wait().code(), Some(0));
    let new: u32 = fs::read_to_string(&pid_file).unwrap().parse().unwrap();
    assert_ne!(new, old);
    let end = Command::new("kill").arg(new.to_string()).status();
    assert!(end.unwrap().success());
    eventually("it is gone", || (!pid_file.exists()).then_some(()));
}

#[test]
fn whoever_reads_the_number_may_signal_at_once() {
    let directory = TempDir::new().unwrap();
    let (pid_file, file) = (directory.path().join("pid"), directory.path().join("a.yml"));
    let (port, stats) = (Port::reserve(), Port::reserve());
    let yml = format!(
        "alpha:\n  listen: {}\n  redis: true\n  servers:\n  - 127.0.0.1:1:1 one\n",
        port.address()
    );
    fs::write(&file, yml).unwrap();
    for _ in 0..10 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coremux"));
        command.arg("-c").arg(&file).arg("-p").arg(&pid_file);
        command.args(["--cores", "1", "-a", "127.0.0.1", "-s"]);
        command.arg(stats.number().to_string());
        let mut process = Process::start(&mut command, &directory.path().join("log"));
        // By the system call: a program that is started first would give it time.
        let pid = loop {
            let number = fs::read_to_string(&pid_file).ok();
            if let Some(pid) = number.and_then(|number| number.parse().ok()) {
                break Pid::from_raw(pid).unwrap();
            }
            assert_eq!(process.ended(), None, "{}", process.log());
        };
        kill_process(pid, Signal::USR1).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        assert_eq!(process.wait().code(), Some(0), "{}", process.log());
        assert!(!pid_file.exists());
    }
}
