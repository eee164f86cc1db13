//! One socket as the worker sees it: which operations are under way on it.
//!
//! Owns: the descriptor, and the bytes that are being sent. It is closed only when no operation
//! is under way any more, so a completion never meets another connection in its place.
#![expect(unsafe_code, reason = "builds the message that the kernel reads")]

use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::time::Duration;

use crate::base::Batch;
use crate::base::PoolIdx;
use crate::proxy::ConnId;

/// A table of stretches longer than this is sent in several goes (Linux: UIO_MAXIOV).
const STRETCHES_MAX: usize = 1024;

/// One socket.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) conn: ConnId,
    pub(super) fd: OwnedFd,
    /// Of clients: whose they are.
    pub(super) pool: Option<PoolIdx>,
    /// A receive is under way.
    pub(super) receiving: bool,
    /// Receives are wanted.
    pub(super) wants_receive: bool,
    /// Its end has been seen: there is nothing more to receive.
    pub(super) ended: bool,
    /// To be given to another process as soon as nothing is under way.
    pub(super) going: bool,
    /// To be closed as soon as nothing is under way.
    pub(super) closing: bool,
    /// Operations whose last completion has not come.
    pub(super) under_way: u8,
    /// In which window it was last active, see `Wait`.
    pub(super) seen: u32,
    /// Of servers: it was sent something and has sent nothing since, see `Wait`.
    pub(super) awaited: bool,
    pub(super) outgoing: Option<Outgoing>,
    /// Where it is being connected to.
    pub(super) address: Option<Box<socket2::SockAddr>>,
}

impl Socket {
    pub(super) fn new(conn: ConnId, fd: OwnedFd, pool: Option<PoolIdx>) -> Socket {
        Socket {
            conn,
            fd,
            pool,
            receiving: false,
            wants_receive: true,
            ended: false,
            going: false,
            closing: false,
            under_way: 0,
            seen: 0,
            awaited: false,
            outgoing: None,
            address: None,
        }
    }

    pub(super) fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Lets its close be a reset, which throws away what the peer has not received.
    ///
    /// After an ordinary close the kernel goes on delivering, for minutes if need be. A write whose
    /// client was told that it failed would then be done after later ones, and undo them.
    pub(super) fn forget_unsent(&self) {
        // Fails for no socket that is open.
        let _ = socket2::SockRef::from(&self.fd).set_linger(Some(Duration::ZERO));
    }
}

/// A batch on its way out.
#[derive(Debug)]
pub(super) struct Outgoing {
    batch: Batch,
    // How much of it the kernel has taken.
    done: usize,
    len: usize,
    // Boxed: the kernel reads it where it is.
    message: Option<Box<Message>>,
}

/// What `sendmsg` reads.
struct Message {
    header: libc::msghdr,
    stretches: Vec<libc::iovec>,
}

// SAFETY: the pointers are into the batch beside it and into `stretches`, which move with it; a
// worker's sockets never leave its thread while an operation is under way.
unsafe impl Send for Message {}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message")
            .field("stretches", &self.stretches.len())
            .finish()
    }
}

/// What is to be given to the kernel next.
pub(super) enum Rest<'a> {
    Bytes(&'a [u8]),
    Message(&'a libc::msghdr),
}

impl Outgoing {
    pub(super) fn new(batch: Batch) -> Outgoing {
        let len = batch.len();
        Outgoing {
            batch,
            done: 0,
            len,
            message: None,
        }
    }

    /// The kernel has taken so many bytes more.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.done += bytes;
        debug_assert!(self.done <= self.len, "more was sent than there was");
    }

    pub(super) fn is_done(&self) -> bool {
        self.done >= self.len
    }

    /// The batch, when nothing of it is under way.
    pub(super) fn into_batch(self) -> Batch {
        self.batch
    }

    /// What is left, as the kernel wants it. It points into `self`, whose heap memory stays in
    /// place.
    pub(super) fn next(&mut self) -> Rest<'_> {
        if self.batch.single().is_some() {
            return Rest::Bytes(self.batch.single().map_or(&[], |bytes| &bytes[self.done..]));
        }
        let mut skip = self.done;
        let mut stretches = Vec::new();
        for slice in self.batch.slices() {
            if skip >= slice.len() {
                skip -= slice.len();
                continue;
            }
            let rest = &slice[skip..];
            skip = 0;
            let base = rest.as_ptr().cast_mut().cast();
            stretches.push(libc::iovec {
                iov_base: base,
                iov_len: rest.len(),
            });
            if stretches.len() == STRETCHES_MAX {
                break;
            }
        }
        // SAFETY: all zeros is a valid header: no name, no stretches, no control data.
        let header: libc::msghdr = unsafe { std::mem::zeroed() };
        let message = self.message.insert(Box::new(Message { header, stretches }));
        message.header.msg_iov = message.stretches.as_mut_ptr();
        message.header.msg_iovlen = message.stretches.len();
        Rest::Message(&message.header)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::base::ByteQueue;
    use crate::base::SHARE_BYTES_MIN;
    use crate::base::Spare;

    #[test]
    fn a_batch_cut_anywhere_goes_on_where_it_was_cut() {
        let (mut queue, mut spare) = (ByteQueue::default(), Spare::default());
        queue.push_copy(b"head", &mut spare);
        queue.push(Bytes::from(vec![b'x'; SHARE_BYTES_MIN]), &mut spare);
        queue.push_copy(b"tail", &mut spare);
        let whole = queue.to_vec();
        for cut in [0, 3, 4, 5, 4 + SHARE_BYTES_MIN, whole.len() - 1] {
            let mut queue = ByteQueue::default();
            queue.push_copy(b"head", &mut spare);
            queue.push(Bytes::from(vec![b'x'; SHARE_BYTES_MIN]), &mut spare);
            queue.push_copy(b"tail", &mut spare);
            let mut outgoing = Outgoing::new(queue.take());
            outgoing.advance(cut);
            let Rest::Message(header) = outgoing.next() else {
                panic!("several stretches")
            };
            // SAFETY: the header was built from live slices just above.
            let rest: Vec<u8> = unsafe {
                std::slice::from_raw_parts(header.msg_iov, header.msg_iovlen)
                    .iter()
                    .flat_map(|s| std::slice::from_raw_parts(s.iov_base.cast::<u8>(), s.iov_len))
                    .copied()
                    .collect()
            };
            assert_eq!(rest, whole[cut..]);
        }
    }
}
