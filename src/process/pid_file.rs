//! The pid file: the process's number without a newline, as twemproxy writes it.

use std::fs;
use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::OFlags;
use thiserror::Error;

/// A FIFO in its place, which nobody reads or writes, must keep no process from its start or its end.
const DOES_NOT_WAIT: i32 = OFlags::NONBLOCK.bits().cast_signed();

/// Why there is no pid file.
#[derive(Debug, Error)]
#[error("cannot write the pid file {}: {source}", .path.display())]
pub(super) struct PidFileError {
    /// As on the command line.
    pub(super) path: PathBuf,
    /// The cause.
    #[source]
    pub(super) source: io::Error,
}

/// The file while the process runs; removed when this is dropped.
#[derive(Debug)]
pub(super) struct PidFile {
    path: PathBuf,
    pid: String,
}

impl PidFile {
    /// Writes this process's number to `path`, over whatever is there.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub(super) fn create(path: &Path) -> Result<PidFile, PidFileError> {
        let pid = std::process::id().to_string();
        write(path, &pid).map_err(|source| PidFileError {
            path: path.to_owned(),
            source,
        })?;
        Ok(PidFile {
            path: path.to_owned(),
            pid,
        })
    }

    /// The same, over the number of a process that is replaced: whoever reads finds one or the
    /// other, and never an empty file.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub(super) fn replace(path: &Path) -> Result<PidFile, PidFileError> {
        let pid = std::process::id().to_string();
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let renamed = write(Path::new(&new), &pid).and_then(|()| fs::rename(&new, path));
        match renamed {
            Ok(()) => Ok(PidFile {
                path: path.to_owned(),
                pid,
            }),
            // The directory is not for us, the file is.
            Err(_) => PidFile::create(path),
        }
    }
}

fn write(path: &Path, pid: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .custom_flags(DOES_NOT_WAIT)
        .open(path)?;
    file.write_all(pid.as_bytes())
}

fn read(path: &Path) -> io::Result<String> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(DOES_NOT_WAIT)
        .open(path)?;
    io::read_to_string(file)
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // A successor may have written its own number meanwhile.
        if read(&self.path).is_ok_and(|now| now == self.pid) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_holds_the_pid_alone_and_goes_with_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("coremux.pid");
        fs::write(&path, "a longer text of a process that was killed").unwrap();
        fs::remove_file(&path).unwrap();
        let file = PidFile::create(&path).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            std::process::id().to_string()
        );
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777 & !0o644, 0, "{mode:o}");
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_file_is_overwritten_and_a_successors_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("coremux.pid");
        fs::write(&path, "99999999 and more").unwrap();
        let file = PidFile::create(&path).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            std::process::id().to_string()
        );
        fs::write(&path, "1").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1");
    }

    #[test]
    fn a_number_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("coremux.pid");
        fs::write(&path, "99999999").unwrap();
        let held = fs::File::open(&path).unwrap();
        let file = PidFile::replace(&path).unwrap();
        let pid = std::process::id().to_string();
        assert_eq!(fs::read_to_string(&path).unwrap(), pid);
        assert_eq!(io::read_to_string(held).unwrap(), "99999999");
        drop(file);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_path_that_cannot_be_written_is_named() {
        let error = PidFile::create(Path::new("/proc/no/such.pid")).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot write the pid file /proc/no/such.pid: ")
        );
    }
}
