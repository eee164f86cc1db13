//! One thread of a running program, stopped: what a worker that is stuck looks like from outside.
//!
//! Stopped as a debugger does it (ptrace(2)), so that the program under test needs nothing for it.
//! All of it happens on one thread of the test, as ptrace wants it.
#![allow(unsafe_code, reason = "ptrace has no safe form")]

use std::fs;
use std::io;
use std::ptr;

/// A thread that stands still until this is dropped.
#[derive(Debug)]
pub struct StoppedThread {
    tid: libc::pid_t,
}

/// The thread of `process` that is called `name`, as in `worker-0`.
pub fn thread_of(process: u32, name: &str) -> libc::pid_t {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let mut ids = threads.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let named = |id: &String| {
        let comm = fs::read_to_string(format!("/proc/{process}/task/{id}/comm"));
        comm.is_ok_and(|comm| comm.trim_end() == name)
    };
    let id = ids.find(named);
    id.unwrap_or_else(|| panic!("process {process} has no thread {name}"))
        .parse()
        .unwrap()
}

impl StoppedThread {
    /// Stops a thread of a process that this test has started.
    pub fn stop(tid: libc::pid_t) -> StoppedThread {
        trace(libc::PTRACE_SEIZE, tid);
        let stopped = StoppedThread { tid };
        trace(libc::PTRACE_INTERRUPT, tid);
        let mut status = 0;
        // SAFETY: `status` is a place to write to while this waits.
        let waited = unsafe { libc::waitpid(tid, &raw mut status, libc::__WALL) };
        assert_eq!(waited, tid, "{}", io::Error::last_os_error());
        assert!(libc::WIFSTOPPED(status), "{status:#x}");
        stopped
    }
}

impl Drop for StoppedThread {
    fn drop(&mut self) {
        // SAFETY: no memory is named. It fails if the process has been killed meanwhile.
        let _ = unsafe { libc::ptrace(libc::PTRACE_DETACH, self.tid, nothing(), nothing()) };
    }
}

fn trace(request: libc::c_uint, tid: libc::pid_t) {
    // SAFETY: no memory is named.
    let done = unsafe { libc::ptrace(request, tid, nothing(), nothing()) };
    assert_eq!(
        done,
        0,
        "ptrace({request:#x}): {}",
        io::Error::last_os_error()
    );
}

fn nothing() -> *mut libc::c_void {
    ptr::null_mut()
}
