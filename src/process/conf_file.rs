//! Reads the configuration file, without waiting for ever for what is none.
//!
//! A FIFO that nobody writes, or a device that never ends, in the place of a file must not keep a
//! reload, and all that come after it, from ever being done. What a shell puts there (`-c <(…)`) is read.

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::event::poll;
use rustix::fs::OFlags;

use crate::config::Config;
use crate::config::ConfigErrors;

/// Far longer than whatever writes a configuration takes.
const WITHIN: Duration = Duration::from_secs(5);

/// A hundred times what a thousand pools need.
const BYTES_MAX: u64 = 64 << 20;

/// Reads and validates the configuration file at `path`.
///
/// # Errors
///
/// Every problem of the file, or why it cannot be read.
pub(super) fn read(path: &Path) -> Result<Config, ConfigErrors> {
    Config::of_file(path, bytes(path))
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    let mut bytes = Vec::new();
    if file.metadata()?.is_file() {
        file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    } else {
        read_what_comes(&file, &mut bytes)?;
    }
    match bytes.len() as u64 > BYTES_MAX {
        true => Err(ErrorKind::FileTooLarge.into()),
        false => Ok(bytes),
    }
}

// Until its other end is closed, or the time is over.
fn read_what_comes(mut file: &File, bytes: &mut Vec<u8>) -> io::Result<()> {
    #[allow(clippy::disallowed_methods, reason = "the top floor has a clock")]
    let began = Instant::now();
    let mut piece = [0; 4096];
    while bytes.len() as u64 <= BYTES_MAX {
        let left = WITHIN.saturating_sub(began.elapsed());
        let left = Timespec::try_from(left).unwrap_or_default();
        match poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&left)) {
            Ok(0) => {
                let text = format!("it is no file, and does not end within {WITHIN:?}");
                return Err(io::Error::new(ErrorKind::TimedOut, text));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
