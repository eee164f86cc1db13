//! Accepts whoever connects to a listening socket that another process may have, too.
//!
//! The kernel wakes one of those who wait in an accept. If that one is just being taken back, or its
//! process ends, nobody accepts the connection until the next one comes. So nobody waits in one:
//! a thread polls, which wakes all, and says that somebody is there. It sleeps while nobody comes, and
//! until those who are there were let in: no more are accepted than somebody has a place for.

use std::cell::Cell;
use std::io;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_lite::AsyncReadExt;
use futures_lite::AsyncWriteExt;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::poll;
use rustix::io::Errno;
use rustix::net::SocketFlags;
use rustix::net::accept_with;

use super::adopt;

/// Accepting rests so long after it failed, mostly for want of a descriptor.
const REST: Duration = Duration::from_millis(100);

/// Accepts until it is dropped; then nobody is taken from the queue any more.
#[derive(Debug)]
pub(super) struct Accepting {
    // Shutting it is what the thread hears, and then those who wait for the thread.
    to_thread: UnixStream,
    stopped: Rc<Cell<bool>>,
    thread: Option<JoinHandle<()>>,
}

/// Those who have come.
pub(super) struct Accepted {
    listener: OwnedFd,
    // A byte says that somebody may be there, and its answer that all were let in.
    thread: Thread,
    stopped: Rc<Cell<bool>>,
    ready: bool,
    rests: bool,
}

// The executor's socket can only be made where the executor runs.
enum Thread {
    New(UnixStream),
    Heard(glommio::net::UnixStream),
    Gone,
}

/// Accepts at `listener` from now on.
///
/// # Errors
///
/// When there is no descriptor or no thread for it.
pub(super) fn accept(listener: OwnedFd) -> io::Result<(Accepting, Accepted)> {
    // Whoever was there may have been taken by another process in the meantime.
    rustix::io::ioctl_fionbio(&listener, true)?;
    let (to_thread, at_thread) = UnixStream::pair()?;
    let polled = listener.try_clone()?;
    let heard = to_thread.try_clone()?;
    let stopped = Rc::new(Cell::new(false));
    let named = thread::Builder::new().name("accept".to_owned());
    let thread = named.spawn(move || {
        // It ends when it is told to, and nothing else can fail.
        let _ = watch(&polled, at_thread);
    })?;
    let accepting = Accepting {
        to_thread,
        stopped: Rc::clone(&stopped),
        thread: Some(thread),
    };
    let accepted = Accepted {
        listener,
        thread: Thread::New(heard),
        stopped,
        ready: false,
        rests: false,
    };
    Ok((accepting, accepted))
}

// Says a byte whenever somebody is there, and waits for the answer.
fn watch(listener: &OwnedFd, mut executor: UnixStream) -> io::Result<()> {
    loop {
        let mut both = [
            PollFd::new(&executor, PollFlags::IN),
            PollFd::new(listener, PollFlags::IN),
        ];
        // An interrupted wait is only a shorter one.
        let _ = poll(&mut both, None);
        if !both[0].revents().is_empty() {
            // Nothing was asked: it is the end.
            return Ok(());
        }
        if !both[1].revents().is_empty() {
            executor.write_all(&[1])?;
            executor.read_exact(&mut [0])?;
        }
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.stopped.set(true);
        // It fails only where the thread has gone.
        let _ = self.to_thread.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            // It fails only when it has panicked, and then it polls no more either.
            let _ = thread.join();
        }
    }
}

impl Accepted {
    /// The next one; none once accepting has stopped.
    pub(super) async fn next(&mut self) -> Option<io::Result<OwnedFd>> {
        loop {
            if std::mem::take(&mut self.rests) {
                glommio::timer::sleep(REST).await;
            }
            if self.stopped.get() {
                return None;
            }
            if !self.ready {
                self.wait().await?;
                continue;
            }
            match accept_with(&self.listener, SocketFlags::CLOEXEC) {
                Ok(socket) => {
                    // However many come, each of them waits for the thread, and so for all else that
                    // the executor has to do.
                    self.ready = false;
                    return Some(Ok(socket));
                }
                Err(Errno::CONNABORTED | Errno::INTR) => {}
                Err(Errno::AGAIN) => self.ready = false,
                Err(errno) => {
                    self.rests = true;
                    return Some(Err(errno.into()));
                }
            }
        }
    }

    // Until somebody is there, or accepting has stopped.
    async fn wait(&mut self) -> Option<()> {
        let mut thread = match std::mem::replace(&mut self.thread, Thread::Gone) {
            Thread::New(socket) => adopt::stream(socket),
            Thread::Heard(mut thread) => {
                thread.write_all(&[1]).await.ok()?;
                thread
            }
            Thread::Gone => return None,
        };
        let Ok(1..) = thread.read(&mut [0; 16]).await else {
            return None;
        };
        self.thread = Thread::Heard(thread);
        self.ready = true;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::net::TcpStream;

    use glommio::LocalExecutor;

    use super::*;

    #[test]
    fn who_comes_is_accepted_until_it_is_dropped_and_the_next_one_finds_who_came_after() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let again = listener.try_clone().unwrap();
        LocalExecutor::default().run(async move {
            let (first, mut accepted) = accept(listener.into()).unwrap();
            let early = TcpStream::connect(address).unwrap();
            let came = TcpStream::from(accepted.next().await.unwrap().unwrap());
            assert_eq!(came.peer_addr().unwrap(), early.local_addr().unwrap());
            drop(first);
            assert!(accepted.next().await.is_none());
            let late = TcpStream::connect(address).unwrap();
            let (_second, mut accepted) = accept(again.into()).unwrap();
            let came = TcpStream::from(accepted.next().await.unwrap().unwrap());
            assert_eq!(came.peer_addr().unwrap(), late.local_addr().unwrap());
        });
    }
}
