//! A program that runs while the test does.

use std::fs;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;

use super::eventually;

/// A started program: killed and reaped when dropped, its output in a file.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its output going to the file `log`, after what is there already.
    pub fn start(command: &mut Command, log: &Path) -> Process {
        let out = File::options().create(true).append(true).open(log).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out);
        let child = eventually("the program can be started", || match command.spawn() {
            // A program that was just written: another test's fork has the file open until its own exec.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => None,
            started => Some(started),
        });
        let child = child.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Process {
            child,
            log: log.to_owned(),
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All it has printed.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }

    /// The same, once these words are in it: what has happened is written soon, and not at once.
    pub fn logs(&self, words: &str) -> String {
        eventually(&format!("{words:?} in the log"), || {
            Some(self.log()).filter(|log| log.contains(words))
        })
    }

    /// A line of the log that has all of `words`, once there is one.
    pub fn line_with(&self, words: &[&str]) -> String {
        eventually(&format!("the log says {words:?}"), || {
            let log = self.log();
            let mut lines = log.lines();
            let line = lines.find(|line| words.iter().all(|word| line.contains(word)));
            line.map(str::to_owned)
        })
    }

    /// Sends a signal by its name: "TERM", "HUP", "STOP", "CONT".
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success(), "kill -{name} {}", self.id());
        if name == "STOP" {
            eventually("it stands still", || self.stands_still().then_some(()));
        }
    }

    /// Whether all of its threads are stopped: they are one after the other.
    fn stands_still(&self) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.id())).unwrap();
        threads.flatten().all(|thread| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            // `7919 (memcached) T …`; a name may have parentheses.
            stat.rsplit(')')
                .next()
                .is_some_and(|rest| rest.trim_start().starts_with('T'))
        })
    }

    /// Kills it at once (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) {
        // Both fail only where it is gone already, which is what they are for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let id = self.id();
        eventually(&format!("process {id} ends"), || self.ended())
    }

    /// Whether this very process, and no namesake, listens on a TCP port.
    pub fn listens_on(&self, port: u16) -> bool {
        let Ok(files) = fs::read_dir(format!("/proc/{}/fd", self.id())) else {
            return false;
        };
        let own: Vec<PathBuf> = files
            .filter_map(|file| fs::read_link(file.ok()?.path()).ok())
            .collect();
        // Fields: number, local address, remote address, state (0A listens), …, inode at the tenth.
        let sockets = fs::read_to_string("/proc/net/tcp").unwrap()
            + &fs::read_to_string("/proc/net/tcp6").unwrap_or_default();
        sockets.lines().any(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields.len() > 9
                && fields[1].ends_with(&format!(":{port:04X}"))
                && fields[3] == "0A"
                && own.contains(&PathBuf::from(format!("socket:[{}]", fields[9])))
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
