//! A proxy that is upgraded, and clients that look at each reply meanwhile.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::JoinHandle;

use tempfile::TempDir;

use crate::support::Admin;
use crate::support::Client;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Reply;
use crate::support::eventually;

/// A proxy and those that take over from it, the last of which nobody else ends.
pub(crate) struct Line {
    pub(crate) admin: Admin,
    pub(crate) proxy: Proxy,
    directory: TempDir,
}

impl Line {
    pub(crate) fn start(arguments: &[&str], pools: &[Pool]) -> Line {
        let directory = TempDir::new().unwrap();
        let pid_file = directory.path().join("pid");
        let mut all = vec!["-p", pid_file.to_str().unwrap()];
        all.extend(arguments);
        let (admin, proxy) = Admin::start(&all, pools);
        Line {
            admin,
            proxy,
            directory,
        }
    }

    pub(crate) fn pid_file(&self) -> PathBuf {
        self.directory.path().join("pid")
    }

    pub(crate) fn pid(&self) -> u32 {
        fs::read_to_string(self.pid_file())
            .unwrap()
            .parse()
            .unwrap()
    }

    pub(crate) fn upgrade(&self) {
        let old = self.pid();
        let (code, text) = self.admin.ctl("upgrade");
        assert_eq!(code, 0, "{text}");
        eventually("the new process has its pid file", || {
            (self.pid() != old).then_some(())
        });
        eventually("the old process is gone", || (!is_alive(old)).then_some(()));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // The first process is the proxy's own.
        end_of_line(&self.pid_file(), self.admin.socket_path().to_str().unwrap());
    }
}

/// Kills the process of a pid file, if its command line shows that it is ours.
pub(crate) fn end_of_line(pid_file: &Path, mark: &str) {
    let Ok(pid) = fs::read_to_string(pid_file) else {
        return;
    };
    let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    if command.contains(mark) {
        let _ = Command::new("kill").args(["-KILL", &pid]).status();
    }
}

/// Whether a process is there, and no zombie that its parent has yet to look at.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

/// Clients that count, each for itself and several at a time, and look at each reply.
pub(crate) struct Counting {
    threads: Vec<JoinHandle<i64>>,
    answered: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

pub(crate) const AT_ONCE: usize = 8;

impl Counting {
    pub(crate) fn start(clients: Vec<Client>) -> Counting {
        let answered = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let threads = clients.into_iter().enumerate().map(|(nth, mut client)| {
            let (answered, stop) = (Arc::clone(&answered), Arc::clone(&stop));
            thread::spawn(move || {
                let (counter, value) = (format!("counter{nth}"), format!("value{nth}"));
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    let unique = format!("{nth}-{count}");
                    let mut commands = vec![vec!["SET", value.as_str(), &unique]];
                    commands.extend(vec![vec!["INCR", counter.as_str()]; AT_ONCE]);
                    commands.push(vec!["GET", &value]);
                    let replies = client.pipeline(&commands);
                    assert_eq!(replies[0], Reply::ok());
                    for reply in &replies[1..=AT_ONCE] {
                        count += 1;
                        assert_eq!(*reply, Reply::Integer(count), "{counter}");
                    }
                    assert_eq!(replies[AT_ONCE + 1], Reply::bulk(&unique));
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                count
            })
        });
        Counting {
            threads: threads.collect(),
            answered,
            stop,
        }
    }

    pub(crate) fn go_on(&self) {
        let target = self.answered.load(Ordering::Relaxed) + 2 * self.threads.len() as u64;
        eventually("all count on", || {
            let failed = self.threads.iter().any(JoinHandle::is_finished);
            assert!(!failed, "a client has failed");
            (self.answered.load(Ordering::Relaxed) > target).then_some(())
        });
    }

    /// How far each has counted.
    pub(crate) fn end(self) -> Vec<i64> {
        self.stop.store(true, Ordering::Relaxed);
        let threads = self.threads.into_iter();
        threads.map(|thread| thread.join().unwrap()).collect()
    }
}
