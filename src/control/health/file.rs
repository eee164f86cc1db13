//! The health file: keepalived's `track_file`, `0` while all is well and `1` otherwise.
//!
//! keepalived looks when a file was written and closed (inotify), so each change opens, writes and
//! closes. It is written in place, one line over the other of the same length: a reader finds the
//! old number or the new one, and never nothing.
//!
//! A thread writes: a disk that hangs hangs nobody else.

use std::fs::OpenOptions;
use std::io;
use std::io::ErrorKind;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use rustix::fs::OFlags;
use tracing::error;

/// How long a write is waited for. It takes microseconds; whoever waits has other things to do.
const WITHIN: Duration = Duration::from_millis(100);

type Write = fn(&Path, bool) -> io::Result<()>;

/// A file that says how the process is; `1` when this is dropped.
#[derive(Debug)]
pub struct HealthFile {
    path: PathBuf,
    write: Write,
    // None until it says something: before, the process may have to fork.
    writer: Option<Writer>,
    // It could not be written the last time, and that was said.
    failed: bool,
    // Another process writes it.
    left: bool,
}

impl HealthFile {
    /// Writes `1`, which is the truth until the process serves.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn create(path: &Path) -> io::Result<HealthFile> {
        write(path, false)?;
        let mut file = HealthFile::of_another(path);
        file.left = false;
        Ok(file)
    }

    /// The file of a process that writes it until this one does.
    #[must_use]
    pub fn of_another(path: &Path) -> HealthFile {
        HealthFile {
            path: path.to_owned(),
            write,
            writer: None,
            failed: false,
            left: true,
        }
    }

    /// Leaves it as it is to another process.
    pub(in crate::control) fn leave(&mut self) {
        self.left = true;
    }

    /// Says how it is; `true` once that is written. Worth a try again if not.
    pub(in crate::control) fn say(&mut self, healthy: bool) -> bool {
        self.left = false;
        let written = match &mut self.writer {
            Some(writer) => writer.write(healthy),
            None => Writer::start(&self.path, self.write)
                .and_then(|writer| self.writer.insert(writer).write(healthy)),
        };
        match written {
            Ok(()) => self.failed = false,
            Err(error) => {
                if !self.failed {
                    error!(path = %self.path.display(), %error, "health file not written");
                }
                self.failed = true;
            }
        }
        !self.failed
    }
}

impl Drop for HealthFile {
    fn drop(&mut self) {
        if !self.left {
            self.say(false);
        }
    }
}

/// The thread that writes, and the one write that may be under way.
#[derive(Debug)]
struct Writer {
    orders: SyncSender<bool>,
    done: Receiver<io::Result<()>>,
    busy: bool,
}

impl Writer {
    fn start(path: &Path, write: Write) -> io::Result<Writer> {
        let (orders, inbox) = sync_channel(1);
        let (tell, done) = sync_channel(1);
        let path = path.to_owned();
        let named = thread::Builder::new().name("health-file".to_owned());
        named.spawn(move || {
            // Until there is nobody who says or hears anything.
            for healthy in inbox {
                if tell.send(write(&path, healthy)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Writer {
            orders,
            done,
            busy: false,
        })
    }

    fn write(&mut self, healthy: bool) -> io::Result<()> {
        let late = |_| io::Error::from(ErrorKind::TimedOut);
        if self.busy {
            // What came of the write before counts for nothing any more.
            let _ = self
                .done
                .try_recv()
                .map_err(|_| late(RecvTimeoutError::Timeout))?;
            self.busy = false;
        }
        let gone = |_| io::Error::from(ErrorKind::BrokenPipe);
        self.orders.try_send(healthy).map_err(gone)?;
        self.busy = true;
        let written = self.done.recv_timeout(WITHIN).map_err(late)?;
        self.busy = false;
        written
    }
}

fn write(path: &Path, healthy: bool) -> io::Result<()> {
    let text: &[u8] = if healthy { b"0\n" } else { b"1\n" };
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        // A FIFO that nobody reads is an error, and nothing to wait for.
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    file.write_all(text)?;
    // What stood there before may have been longer; a device has no length.
    match file.metadata()?.is_file() {
        true => file.set_len(text.len() as u64),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    #[test]
    fn it_says_1_until_told_and_1_again_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("health");
        fs::write(&path, "0 or so, of a process that was killed\n").unwrap();
        let read = || fs::read_to_string(&path).unwrap();
        let mut file = HealthFile::create(&path).unwrap();
        assert_eq!(read(), "1\n");
        assert!(file.say(true));
        assert_eq!(read(), "0\n");
        drop(file);
        assert_eq!(read(), "1\n");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_found_at_the_start_and_later_tried_again() {
        HealthFile::create(Path::new("/proc/no/such")).unwrap_err();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub").join("health");
        fs::create_dir(dir.path().join("sub")).unwrap();
        let mut file = HealthFile::create(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::remove_dir(dir.path().join("sub")).unwrap();
        assert!(!file.say(true));
        fs::create_dir(dir.path().join("sub")).unwrap();
        assert!(file.say(true));
        assert_eq!(fs::read_to_string(&path).unwrap(), "0\n");
    }

    #[test]
    fn a_disk_that_hangs_hangs_nobody_and_is_written_when_it_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("health");
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let mut file = HealthFile::of_another(&path);
        // Hangs as long as nobody reads the FIFO.
        file.write = |path, _| match path.exists() {
            true => fs::write(path, "x"),
            false => Ok(()),
        };
        for _ in 0..100 {
            assert!(!file.say(true), "only the first is waited for");
        }
        let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
        let reader = OpenOptions::new()
            .read(true)
            .custom_flags(nonblocking)
            .open(&path);
        fs::remove_file(&path).unwrap();
        assert!((0..200).any(|_| {
            thread::sleep(Duration::from_millis(50));
            file.say(false)
        }));
        drop(reader);
    }
}
