//! How the two planes talk: a queue under a lock, and one byte on a socket pair that says "look".
//!
//! Owns: the queue and the socket pair. Never: blocks a sender, allocates on the receiver's idle
//! path, knows what a message means. Lives between the control plane and every worker; nothing
//! that happens per request travels here.
//!
//! The byte is written and read under the queue's lock, so that at most one is ever on its way:
//! the socket cannot fill, and a message is never left behind without a byte that announces it.

use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// Opens a mailbox: any number of senders on any thread, one receiver.
///
/// # Errors
///
/// When the process has no file descriptor left for the socket pair.
pub fn mailbox<T>() -> io::Result<(Sender<T>, Receiver<T>)> {
    let (bell, wake) = UnixStream::pair()?;
    bell.set_nonblocking(true)?;
    wake.set_nonblocking(true)?;
    let shared = Arc::new(Shared {
        queue: Mutex::new(Queue {
            messages: Vec::new(),
            closed: false,
        }),
        bell,
    });
    let receiver = Receiver {
        shared: Arc::clone(&shared),
        wake,
    };
    Ok((Sender { shared }, receiver))
}

struct Shared<T> {
    queue: Mutex<Queue<T>>,
    bell: UnixStream,
}

struct Queue<T> {
    messages: Vec<T>,
    // Without it, messages to a worker that has ended would pile up for ever.
    closed: bool,
}

impl<T> Shared<T> {
    // A sender that panicked did so outside of the few lines under the lock: the queue is whole.
    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts messages in; cheap to clone, on any thread.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Puts `message` behind those already there, and wakes the receiver if there were none.
    ///
    /// A message to a receiver that is gone is dropped: whoever waits for the receiver learns of
    /// its end from its last message, not from here.
    pub fn send(&self, message: T) {
        let mut queue = self.shared.lock();
        if queue.closed {
            return;
        }
        let was_empty = queue.messages.is_empty();
        queue.messages.push(message);
        if was_empty {
            self.ring();
        }
    }

    fn ring(&self) {
        // WouldBlock would mean unread bytes, which wake the receiver as well as this one.
        while let Err(e) = (&self.shared.bell).write(&[1]) {
            if e.kind() != ErrorKind::Interrupted {
                break;
            }
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        Sender {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> std::fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// Takes messages out.
///
/// Wait until [`as_fd`](AsFd::as_fd) is readable (by a poll, or by reading the byte: both work),
/// then [`take`](Receiver::take).
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    wake: UnixStream,
}

impl<T> Receiver<T> {
    /// Moves every waiting message to the end of `into`, in the order they were sent, and clears
    /// the wake.
    ///
    /// The wake may already have been read away by a ring: that is no matter, and a wake that
    /// finds no message neither.
    pub fn take(&mut self, into: &mut Vec<T>) {
        let mut queue = self.shared.lock();
        self.clear_wake();
        into.append(&mut queue.messages);
    }

    /// The wake's end as a socket of its own, for an executor that wants to own what it reads.
    ///
    /// # Errors
    ///
    /// When the process has no file descriptor left.
    pub fn wake_socket(&self) -> io::Result<UnixStream> {
        self.wake.try_clone()
    }

    // Only under the lock, see the module's head.
    fn clear_wake(&self) {
        let mut byte = [0; 8];
        loop {
            match (&self.wake).read(&mut byte) {
                Ok(n) if n == byte.len() => {}
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => return,
            }
        }
    }
}

impl<T> AsFd for Receiver<T> {
    /// Readable while messages wait.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        queue.messages = Vec::new();
    }
}

impl<T> std::fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    // Blocks until the wake is readable, as a ring would; a lost wake ends the test.
    fn wait<T>(receiver: &Receiver<T>) {
        let wake = receiver.wake_socket().unwrap();
        wake.set_nonblocking(false).unwrap();
        wake.set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let read = (&wake).read(&mut [0; 1]);
        wake.set_nonblocking(true).unwrap();
        assert_eq!(read.expect("a wake within 20 s"), 1);
    }

    fn waiting_bytes<T>(receiver: &Receiver<T>) -> usize {
        (&receiver.wake).read(&mut [0; 64]).unwrap_or(0)
    }

    #[test]
    fn messages_of_every_thread_arrive_once_and_in_each_threads_order() {
        const THREADS: usize = 4;
        const EACH: usize = 5_000;
        let (sender, mut receiver) = mailbox::<(usize, usize)>().unwrap();
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let sender = sender.clone();
                std::thread::spawn(move || (0..EACH).for_each(|n| sender.send((thread, n))))
            })
            .collect();
        let mut got = Vec::new();
        while got.len() < THREADS * EACH {
            wait(&receiver);
            receiver.take(&mut got);
        }
        threads.into_iter().for_each(|t| t.join().unwrap());
        for thread in 0..THREADS {
            let of_it: Vec<usize> = got.iter().filter(|m| m.0 == thread).map(|m| m.1).collect();
            assert_eq!(of_it, (0..EACH).collect::<Vec<_>>());
        }
        assert_eq!(waiting_bytes(&receiver), 0);
    }

    #[test]
    fn many_messages_cost_one_byte_and_never_fill_the_socket() {
        let (sender, mut receiver) = mailbox().unwrap();
        (0..1_000_000).for_each(|n| sender.send(n));
        assert_eq!(waiting_bytes(&receiver), 1);
        let mut got = Vec::new();
        receiver.take(&mut got);
        assert_eq!(got.len(), 1_000_000);
    }

    #[test]
    fn after_a_take_the_next_message_wakes_again() {
        let (sender, mut receiver) = mailbox().unwrap();
        let mut got = Vec::new();
        for n in 0..10 {
            sender.send(n);
            wait(&receiver);
            receiver.take(&mut got);
            assert_eq!(waiting_bytes(&receiver), 0, "a wake without a message");
        }
        // Taken before the wake was looked at: the wake goes with the message.
        sender.send(10);
        receiver.take(&mut got);
        assert_eq!(waiting_bytes(&receiver), 0);
        assert_eq!(got, (0..=10).collect::<Vec<_>>());
    }

    #[test]
    fn messages_to_a_receiver_that_is_gone_are_dropped() {
        let (sender, receiver) = mailbox().unwrap();
        let message = Arc::new(());
        sender.send(Arc::clone(&message));
        drop(receiver);
        sender.send(Arc::clone(&message));
        assert_eq!(Arc::strong_count(&message), 1);
    }
}
