//! The health file: keepalived's `track_file`, `0` while all is well and `1` otherwise.
//!
//! keepalived looks when a file was written and closed (inotify), so each change opens, writes and
//! closes. It is written in place, one line over the other of the same length: a reader finds the
//! old number or the new one, and never nothing.

use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::OFlags;
use tracing::error;

/// A file that says how the process is; `1` when this is dropped.
#[derive(Debug)]
pub struct HealthFile {
    path: PathBuf,
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
        match write(&self.path, healthy) {
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
}
