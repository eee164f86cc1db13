//! Accepts whoever connects to a listening socket that another process may have, too.
//!
//! The kernel wakes one of those who wait in an accept. If that one is just being taken back, or its
//! process ends, nobody accepts the connection until the next one comes. So nobody waits in one:
//! a thread polls, which wakes all, and accepts what is there. It sleeps while nobody comes.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_lite::AsyncReadExt;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::event::poll;
use rustix::io::Errno;
use rustix::net::SocketFlags;
use rustix::net::accept_with;

use super::adopt;
use crate::reactor::Receiver;
use crate::reactor::Sender;
use crate::reactor::mailbox;

/// Accepting rests so long after it failed, mostly for want of a descriptor.
const REST: Duration = Duration::from_millis(100);

enum Message {
    Came(OwnedFd),
    Failed(Errno),
    Stopped,
}

/// Accepts until it is dropped; then nobody is taken from the queue any more.
#[derive(Debug)]
pub(super) struct Accepting {
    // Closing it is what the thread hears.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

/// Those who have come.
pub(super) struct Accepted {
    inbox: Receiver<Message>,
    wake: Option<UnixStream>,
    woken: Option<glommio::net::UnixStream>,
    waiting: VecDeque<Message>,
}

/// Accepts at `listener` from now on.
///
/// # Errors
///
/// When there is no descriptor or no thread for it.
pub(super) fn accept(listener: OwnedFd) -> io::Result<(Accepting, Accepted)> {
    // Whoever was there may have been taken by another process in the meantime.
    rustix::io::ioctl_fionbio(&listener, true)?;
    let (stop, stopped) = UnixStream::pair()?;
    let (tell, inbox) = mailbox()?;
    let accepted = Accepted {
        wake: Some(inbox.wake_socket()?),
        inbox,
        woken: None,
        waiting: VecDeque::new(),
    };
    let named = thread::Builder::new().name("accept".to_owned());
    let thread = named.spawn(move || {
        wait(&listener, &stopped, &tell);
        drop(listener);
        tell.send(Message::Stopped);
    })?;
    let accepting = Accepting {
        stop: Some(stop),
        thread: Some(thread),
    };
    Ok((accepting, accepted))
}

fn wait(listener: &OwnedFd, stopped: &UnixStream, tell: &Sender<Message>) {
    let rest = Timespec::try_from(REST).ok();
    let mut rests = false;
    loop {
        let mut both = [
            PollFd::new(stopped, PollFlags::IN),
            PollFd::new(listener, PollFlags::IN),
        ];
        let (which, until) = match rests {
            true => (&mut both[..1], rest.as_ref()),
            false => (&mut both[..], None),
        };
        // An interrupted wait is only a shorter one.
        let _ = poll(which, until);
        if !both[0].revents().is_empty() {
            return;
        }
        rests = false;
        match accept_with(listener, SocketFlags::CLOEXEC) {
            Ok(socket) => tell.send(Message::Came(socket)),
            Err(Errno::AGAIN | Errno::CONNABORTED | Errno::INTR) => {}
            Err(errno) => {
                tell.send(Message::Failed(errno));
                rests = true;
            }
        }
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It fails only when it has panicked, and then it accepts no more either.
            let _ = thread.join();
        }
    }
}

impl Accepted {
    /// The next one; none once accepting has stopped and all who had come are taken.
    pub(super) async fn next(&mut self) -> Option<io::Result<OwnedFd>> {
        loop {
            match self.waiting.pop_front() {
                Some(Message::Came(socket)) => return Some(Ok(socket)),
                Some(Message::Failed(errno)) => return Some(Err(errno.into())),
                Some(Message::Stopped) => return None,
                None => {}
            }
            let wake = self.wake.take().map(adopt::stream);
            let woken = match wake {
                Some(wake) => self.woken.insert(wake),
                None => self.woken.as_mut()?,
            };
            // The other end is ours: it does not close.
            let Ok(1..) = woken.read(&mut [0; 16]).await else {
                return None;
            };
            let mut came = Vec::new();
            self.inbox.take(&mut came);
            self.waiting.extend(came);
        }
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
