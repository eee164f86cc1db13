//! How much memory the process may have.
//!
//! Owns: the text of `--memory-limit`, its resolution against the machine and its control group.
//! Never: keeps to it; the workers do.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::str::FromStr;

use rustix::system::sysinfo;
use thiserror::Error;

use crate::reactor;

/// What `--memory-limit` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemoryLimit {
    /// Three quarters of what the machine, or the control group, has. Beyond that the system would
    /// soon end the process, and all of its clients with it; so a few of them are closed instead.
    #[default]
    Auto,
    /// Whatever is asked of it.
    None,
    /// So many bytes.
    Bytes(NonZeroUsize),
}

/// Why the limit cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MemoryLimitError {
    /// The workers' own buffers would take most of it.
    #[error(
        "{} is too little for {workers} workers: say {} or more, or fewer --cores",
        show(*.limit),
        show(*.least)
    )]
    TooSmall {
        /// What `--memory-limit` says, in bytes.
        limit: usize,
        /// How many workers there are.
        workers: usize,
        /// What they need, in bytes.
        least: usize,
    },
}

/// Why a text is no limit.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not a limit of memory; right are 536870912, 512MiB, 2GiB, auto or none")]
pub struct NotALimit(String);

/// The largest first, so that what is shown is short.
const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];

impl FromStr for MemoryLimit {
    type Err = NotALimit;

    fn from_str(text: &str) -> Result<MemoryLimit, NotALimit> {
        match text {
            "auto" => return Ok(MemoryLimit::Auto),
            "none" => return Ok(MemoryLimit::None),
            _ => {}
        }
        let refused = || NotALimit(text.to_owned());
        let unit = UNITS
            .iter()
            .find_map(|(unit, bits)| Some((text.strip_suffix(unit)?, *bits)));
        let (number, bits) = unit.unwrap_or((text, 0));
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let number: usize = match is_number {
            true => number.parse().map_err(|_| refused())?,
            false => return Err(refused()),
        };
        let bytes = number.checked_mul(1 << bits).and_then(NonZeroUsize::new);
        bytes.map(MemoryLimit::Bytes).ok_or_else(refused)
    }
}

/// The limit in bytes, for so many workers; `None` is without one.
///
/// A share of the machine that is too small for that many workers is no limit: nobody has asked
/// for it.
///
/// # Errors
///
/// When what was asked for is too small.
pub fn resolve(
    limit: MemoryLimit,
    workers: usize,
) -> Result<Option<NonZeroUsize>, MemoryLimitError> {
    let least = reactor::limit_min(workers);
    match limit {
        MemoryLimit::None => Ok(None),
        MemoryLimit::Auto => Ok(share_of_machine().filter(|share| share.get() >= least)),
        MemoryLimit::Bytes(limit) if limit.get() >= least => Ok(Some(limit)),
        MemoryLimit::Bytes(limit) => Err(MemoryLimitError::TooSmall {
            limit: limit.get(),
            workers,
            least,
        }),
    }
}

fn share_of_machine() -> Option<NonZeroUsize> {
    let machine = sysinfo();
    let unit = u64::from(machine.mem_unit.max(1));
    // As wide as the platform's `unsigned long`.
    let total = (machine.totalram as u64).saturating_mul(unit);
    let own_group = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = group_limit(Path::new("/sys/fs/cgroup"), &own_group);
    let bytes = group.map_or(total, |group| group.min(total)) / 4 * 3;
    NonZeroUsize::new(usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// The least `memory.max` of the control group and those it lies in (cgroups(7), version 2).
/// `own_group` is `0::/system.slice/coremux.service`.
fn group_limit(root: &Path, own_group: &str) -> Option<u64> {
    let path = own_group
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))?;
    let own = root.join(path);
    let groups = own.ancestors().take_while(|group| group.starts_with(root));
    groups
        .filter_map(|group| fs::read_to_string(group.join("memory.max")).ok())
        .filter_map(|limit| limit.trim().parse().ok())
        .min()
}

/// In the largest unit that makes a whole number.
fn show(bytes: usize) -> String {
    let whole = |(_, bits): &&(&str, u32)| bytes > 0 && bytes.is_multiple_of(1 << bits);
    match UNITS.iter().find(whole) {
        Some((unit, bits)) => format!("{}{unit}", bytes >> bits),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Result<usize, String> {
        match text.parse() {
            Ok(MemoryLimit::Bytes(bytes)) => Ok(bytes.get()),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(NotALimit::to_string(&error)),
        }
    }

    #[test]
    fn a_limit_is_bytes_or_has_a_unit() {
        assert_eq!(bytes("1073741824"), Ok(1 << 30));
        assert_eq!(bytes("256MiB"), Ok(256 << 20));
        assert_eq!(bytes("1GiB"), Ok(1 << 30));
        assert_eq!("auto".parse(), Ok(MemoryLimit::Auto));
        assert_eq!("none".parse(), Ok(MemoryLimit::None));
        for wrong in [
            "",
            "0",
            "0MiB",
            "MiB",
            "-1",
            "+1",
            "1.5GiB",
            "1 GiB",
            "1GB",
            "1g",
            "20000000TiB",
            "99999999999999999999",
        ] {
            let error = bytes(wrong).expect_err(wrong);
            assert!(error.contains(&format!("`{wrong}`")), "{error}");
        }
    }

    #[test]
    fn a_limit_below_what_the_workers_need_says_the_least() {
        let least = reactor::limit_min(4);
        let asked = |bytes| MemoryLimit::Bytes(NonZeroUsize::new(bytes).unwrap());
        assert_eq!(resolve(asked(least), 4), Ok(NonZeroUsize::new(least)));
        let error = resolve(asked(64 << 20), 4).expect_err("too small");
        let words = format!(
            "64MiB is too little for 4 workers: say {}MiB or more, or fewer --cores",
            least >> 20
        );
        assert_eq!(error.to_string(), words);
        assert_eq!(resolve(MemoryLimit::None, 4), Ok(None));
    }

    #[test]
    fn the_default_is_a_share_of_the_machine_and_none_where_that_is_too_small() {
        let share = resolve(MemoryLimit::Auto, 1).expect("no error");
        assert!(share.is_some_and(|share| share.get() >= reactor::limit_min(1)));
        assert_eq!(resolve(MemoryLimit::Auto, 10_000_000), Ok(None));
    }

    #[test]
    fn the_narrowest_control_group_counts() {
        let root = tempfile::tempdir().unwrap();
        let own = root.path().join("a.slice/b.service");
        fs::create_dir_all(&own).unwrap();
        let group = "1:name=systemd:/old\n0::/a.slice/b.service\n";
        assert_eq!(group_limit(root.path(), group), None);
        fs::write(own.join("memory.max"), "max\n").unwrap();
        fs::write(root.path().join("a.slice/memory.max"), "1000000\n").unwrap();
        assert_eq!(group_limit(root.path(), group), Some(1_000_000));
        fs::write(own.join("memory.max"), "900000\n").unwrap();
        assert_eq!(group_limit(root.path(), group), Some(900_000));
    }
}
