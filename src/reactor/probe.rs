//! Whether this kernel, here and now, gives us the ring that workers need; if not, why not.
//!
//! Owns: the list of what a worker needs and the causes of a refusal. Never: keeps a ring. Lives
//! at the start: a process that cannot work says so before it listens.

use std::fs;
use std::io;

use io_uring::IoUring;
use io_uring::Probe;
use io_uring::opcode;
use thiserror::Error;

/// Why there is no ring; each text says what to change.
#[derive(Debug, Error)]
pub enum RingError {
    /// The sysctl forbids it.
    #[error(
        "io_uring is forbidden here: kernel.io_uring_disabled is {level}; set it to 0 \
         (`sysctl -w kernel.io_uring_disabled=0`){}",
        if *.level == 1 { ", or run in the group of kernel.io_uring_group" } else { "" }
    )]
    Disabled {
        /// 1: only for the privileged; 2: for nobody.
        level: u8,
    },
    /// A system call filter forbids it, as container runtimes do by default.
    #[error(
        "io_uring is forbidden here by a seccomp filter: allow io_uring_setup, io_uring_enter and \
         io_uring_register in the profile (docker: `--security-opt seccomp=<profile>`; systemd: \
         `SystemCallFilter=@aio`)"
    )]
    Filtered,
    /// A security module, or something else without a name.
    #[error(
        "io_uring is forbidden here, neither by kernel.io_uring_disabled nor by seccomp; look for \
         a denial of a security module (SELinux, AppArmor) in the audit log"
    )]
    Forbidden,
    /// No io_uring at all.
    #[error("this kernel ({release}) has no io_uring; 6.1 or newer is needed, built with it")]
    Missing {
        /// As in `uname -r`.
        release: String,
    },
    /// An io_uring without what the workers use.
    #[error("the io_uring of this kernel ({release}) lacks {what}; 6.1 or newer is needed")]
    TooOld {
        /// As in `uname -r`.
        release: String,
        /// The first thing that is missing.
        what: &'static str,
    },
    /// The kernel has no memory for it, or may not lock it.
    #[error(
        "no memory for an io_uring: raise the memory limit of the control group, or the locked \
         memory (`ulimit -l`, systemd: `LimitMEMLOCK=`)"
    )]
    Memory,
    /// No descriptor for it.
    #[error("no file descriptor for an io_uring; raise the limit of open files (`ulimit -n`)")]
    Descriptors,
    /// The rest.
    #[error("io_uring does not work here: {0}")]
    Os(io::Error),
}

/// Makes a ring as a worker does, sends one empty operation through it, and lets it go.
///
/// # Errors
///
/// The cause, and what to change.
pub fn probe() -> Result<(), RingError> {
    let explain = |e| explain(e, &Surroundings::read());
    let mut ring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_submit_all()
        .setup_cqsize(64)
        .build(8)
        .map_err(explain)?;
    let mut known = Probe::new();
    ring.submitter()
        .register_probe(&mut known)
        .map_err(explain)?;
    if let Some(&(_, what)) = NEEDED.iter().find(|(code, _)| !known.is_supported(*code)) {
        let release = Surroundings::read().release;
        return Err(RingError::TooOld { release, what });
    }
    pass_one(&mut ring).map_err(explain)
}

// Multishot receive (6.0), multishot accept and buffer rings (5.19) have no operation of their
// own to ask for: DEFER_TASKRUN (6.1), without which no ring was made, came after them.
const NEEDED: [(u8, &str); 8] = [
    (opcode::AcceptMulti::CODE, "accept"),
    (opcode::RecvMulti::CODE, "receive"),
    (opcode::Send::CODE, "send"),
    (opcode::SendMsg::CODE, "send of several buffers"),
    (opcode::Connect::CODE, "connect"),
    (opcode::AsyncCancel::CODE, "cancel"),
    (opcode::Timeout::CODE, "timeout"),
    (opcode::Close::CODE, "close"),
];

// A filter may allow the set-up and forbid the rest: only a completion proves that it works.
fn pass_one(ring: &mut IoUring) -> io::Result<()> {
    let nop = opcode::Nop::new().build();
    // SAFETY: the operation refers to no memory.
    #[allow(unsafe_code, reason = "the ring takes operations only so")]
    let pushed = unsafe { ring.submission().push(&nop) };
    pushed.map_err(|_| io::Error::from(io::ErrorKind::StorageFull))?;
    ring.submit_and_wait(1).map(drop)
}

/// What the causes are told apart by.
struct Surroundings {
    release: String,
    /// `kernel.io_uring_disabled` (6.6); 0 where it does not exist.
    disabled: u8,
    /// Whether a seccomp filter is on this process.
    filtered: bool,
}

impl Surroundings {
    fn read() -> Surroundings {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Surroundings {
            release: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            disabled: read("/proc/sys/kernel/io_uring_disabled")
                .trim()
                .parse()
                .unwrap_or(0),
            // 2 is SECCOMP_MODE_FILTER (proc_pid_status(5)).
            filtered: read("/proc/self/status")
                .lines()
                .any(|line| line.strip_prefix("Seccomp:").map(str::trim) == Some("2")),
        }
    }
}

fn explain(error: io::Error, here: &Surroundings) -> RingError {
    let release = here.release.clone();
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => match here {
            Surroundings {
                disabled: level @ 1..,
                ..
            } => RingError::Disabled { level: *level },
            Surroundings { filtered: true, .. } => RingError::Filtered,
            _ => RingError::Forbidden,
        },
        // Some runtimes' filters answer as if the kernel did not know the call.
        Some(libc::ENOSYS) if here.filtered => RingError::Filtered,
        Some(libc::ENOSYS) => RingError::Missing { release },
        Some(libc::EINVAL) => RingError::TooOld {
            release,
            what: "SINGLE_ISSUER or DEFER_TASKRUN",
        },
        Some(libc::ENOMEM) => RingError::Memory,
        Some(libc::EMFILE | libc::ENFILE) => RingError::Descriptors,
        _ => RingError::Os(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(errno: i32, disabled: u8, filtered: bool) -> String {
        let here = Surroundings {
            release: "5.15.0-91-generic".to_owned(),
            disabled,
            filtered,
        };
        explain(io::Error::from_raw_os_error(errno), &here).to_string()
    }

    #[test]
    fn the_ring_of_the_machine_under_test_works() {
        probe().expect("a kernel of 6.1 or newer with io_uring");
    }

    #[test]
    fn a_refusal_names_its_cause_and_what_to_change() {
        for (errno, disabled, filtered, words) in [
            (libc::EPERM, 2, false, "io_uring_disabled is 2; set it to 0"),
            (libc::EPERM, 1, true, "kernel.io_uring_group"),
            (libc::EPERM, 0, true, "seccomp"),
            (libc::ENOSYS, 0, true, "seccomp"),
            (libc::EACCES, 0, false, "SELinux"),
            (libc::ENOSYS, 0, false, "5.15.0-91-generic) has no io_uring"),
            (libc::EINVAL, 0, false, "DEFER_TASKRUN; 6.1 or newer"),
            (libc::ENOMEM, 0, false, "LimitMEMLOCK="),
            (libc::EMFILE, 0, false, "ulimit -n"),
            (libc::EIO, 0, false, "does not work here"),
        ] {
            let text = said(errno, disabled, filtered);
            assert!(text.contains(words), "{errno}: {text}");
        }
        assert!(!said(libc::EPERM, 2, false).contains("group"));
    }
}
