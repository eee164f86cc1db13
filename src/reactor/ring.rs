//! The worker's `io_uring`: operations in, completions out, one system call a pass.
//!
//! Owns: the ring, and the ring of buffers that receives choose from. Never: knows what the bytes
//! or the sockets are for. The caller promises that what an operation points to stays in place
//! until its completion has come.
#![expect(unsafe_code, reason = "hands addresses to the kernel")]

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering;
use std::time::Duration;

use io_uring::IoUring;
use io_uring::cqueue;
use io_uring::opcode;
use io_uring::squeue;
use io_uring::types;

use crate::reactor::block::BLOCK_BYTES;
use crate::reactor::block::Block;
use crate::reactor::block::Blocks;

/// Enough for an operation on every connection that was active in a pass; more are submitted early.
const SUBMISSIONS: u32 = 1024;
/// Multishot receives complete without being submitted, so completions outnumber submissions.
const COMPLETIONS: u32 = 8192;
/// How many receives may complete in one pass before the rest have to be armed again. 256 blocks
/// are 1 MiB of touched memory while requests are small.
pub(super) const BUFFERS: u16 = 256;
const BUFFER_GROUP: u16 = 0;

/// One completion.
#[derive(Clone, Copy, Debug)]
pub(super) struct Completion {
    /// What the operation was submitted with.
    pub(super) token: u64,
    /// What the system call would have returned.
    pub(super) result: i32,
    /// Whether the same operation will complete again.
    pub(super) more: bool,
    /// The buffer that was filled.
    pub(super) buffer: Option<u16>,
}

/// Whether a send may take its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// It completes while it is submitted, whatever the socket takes. So the wait that follows
    /// knows which completions it need not wait for, and one system call does for both. Nobody is
    /// woken by it, not even when the socket took less: the caller looks again soon.
    None,
    /// The same, and its completion ends the wait that follows: something is to be done then.
    NoneAndWake,
    /// It completes when all is sent, for a socket that has just taken less than it was given.
    UntilAllIsSent,
}

/// A ring and its buffers.
pub(super) struct Ring {
    // Dropped first: afterwards the kernel writes into no buffer any more.
    uring: IoUring,
    buffers: BufferRing,
    blocks: Arc<Blocks>,
    timeout: types::Timespec,
    // Since the last wait: operations whose completions are there as soon as they are submitted.
    completed_at_once: usize,
}

impl Ring {
    /// Sets up a ring for the calling thread, which is the only one that may use it.
    pub(super) fn new() -> io::Result<Ring> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        let blocks = Arc::new(Blocks::default());
        let buffers = BufferRing::new(&blocks)?;
        // SAFETY: the table lives as long as the ring, see `Ring`'s fields.
        unsafe {
            uring.submitter().register_buf_ring_with_flags(
                buffers.table as u64,
                BUFFERS,
                BUFFER_GROUP,
                0,
            )?;
        }
        Ok(Ring {
            uring,
            buffers,
            blocks,
            timeout: types::Timespec::new(),
            completed_at_once: 0,
        })
    }

    /// Submits all operations and waits for `wanted` completions besides those that the submission
    /// itself brings: for ever, or at most `at_most`.
    pub(super) fn submit_and_wait(
        &mut self,
        wanted: usize,
        at_most: Option<Duration>,
    ) -> io::Result<()> {
        let wanted = wanted + std::mem::take(&mut self.completed_at_once);
        let waited = match at_most {
            None => self.uring.submit_and_wait(wanted),
            Some(at_most) => {
                let timespec = types::Timespec::from(at_most);
                let args = types::SubmitArgs::new().timespec(&timespec);
                self.uring.submitter().submit_with_args(wanted, &args)
            }
        };
        match waited {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // Time is up, a signal came, or completions have to be reaped first.
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// Moves every completion that is there to `into`.
    pub(super) fn reap(&mut self, into: &mut Vec<Completion>) {
        into.extend(self.uring.completion().map(|entry| Completion {
            token: entry.user_data(),
            result: entry.result(),
            more: cqueue::more(entry.flags()),
            buffer: cqueue::buffer_select(entry.flags()),
        }));
    }

    /// Takes the block of a buffer that the kernel has filled.
    pub(super) fn take_buffer(&mut self, buffer: u16) -> Option<Block> {
        self.buffers.blocks[usize::from(buffer)].take()
    }

    /// Lets the kernel fill this buffer again: with the same block, or with a fresh one if that is
    /// away.
    pub(super) fn recycle(&mut self, buffer: u16, block: Option<Block>) -> io::Result<()> {
        let block = match block {
            Some(block) => block,
            None => self.blocks.take()?,
        };
        self.buffers.put(buffer, block);
        Ok(())
    }

    /// The memory that buffers come from.
    pub(super) fn blocks(&self) -> &Arc<Blocks> {
        &self.blocks
    }

    pub(super) fn accept(&mut self, listener: RawFd, token: u64) {
        let entry = opcode::AcceptMulti::new(types::Fd(listener))
            .flags(libc::SOCK_CLOEXEC)
            .build();
        self.push(entry, token);
    }

    pub(super) fn receive(&mut self, socket: RawFd, token: u64) {
        self.push(
            opcode::RecvMulti::new(types::Fd(socket), BUFFER_GROUP).build(),
            token,
        );
    }

    /// Sends `bytes`, or as many as the socket takes; see [`Patience`].
    ///
    /// # Safety
    /// `bytes` stay in place until the completion has come.
    pub(super) unsafe fn send(
        &mut self,
        socket: RawFd,
        bytes: &[u8],
        patience: Patience,
        token: u64,
    ) {
        // Longer ones come back short, and are gone on with.
        let len = u32::try_from(bytes.len()).unwrap_or(1 << 30);
        let entry = opcode::Send::new(types::Fd(socket), bytes.as_ptr(), len)
            .flags(send_flags(patience))
            .build();
        self.push_send(entry, patience, token);
    }

    /// Sends what `message` points to, or as much as the socket takes.
    ///
    /// # Safety
    /// The message, its table and its bytes stay in place until the completion has come.
    pub(super) unsafe fn send_message(
        &mut self,
        socket: RawFd,
        message: &libc::msghdr,
        patience: Patience,
        token: u64,
    ) {
        let entry = opcode::SendMsg::new(types::Fd(socket), message)
            .flags(send_flags(patience).cast_unsigned())
            .build();
        self.push_send(entry, patience, token);
    }

    fn push_send(&mut self, entry: squeue::Entry, patience: Patience, token: u64) {
        if patience == Patience::None {
            self.completed_at_once += 1;
        }
        self.push(entry, token);
    }

    /// Connects a socket.
    ///
    /// # Safety
    /// `address` stays in place until the completion has come.
    pub(super) unsafe fn connect(
        &mut self,
        socket: RawFd,
        address: &socket2::SockAddr,
        token: u64,
    ) {
        let entry =
            opcode::Connect::new(types::Fd(socket), address.as_ptr().cast(), address.len()).build();
        self.push(entry, token);
    }

    /// Ends the operation that was submitted with `target`.
    pub(super) fn cancel(&mut self, target: u64, token: u64) {
        self.push(opcode::AsyncCancel::new(target).build(), token);
    }

    /// Ends every operation on a socket.
    pub(super) fn cancel_all(&mut self, socket: RawFd, token: u64) {
        let all = types::CancelBuilder::fd(types::Fd(socket)).all();
        self.push(opcode::AsyncCancel2::new(all).build(), token);
    }

    /// Completes whenever `fd` becomes readable.
    pub(super) fn poll(&mut self, fd: RawFd, token: u64) {
        let readable = libc::POLLIN.cast_unsigned().into();
        self.push(
            opcode::PollAdd::new(types::Fd(fd), readable)
                .multi(true)
                .build(),
            token,
        );
    }

    /// Completes after `delay`. At most one of these between two submissions.
    pub(super) fn timeout(&mut self, delay: Duration, token: u64) {
        self.timeout = types::Timespec::from(delay);
        let entry = opcode::Timeout::new(&raw const self.timeout).build();
        self.push(entry, token);
    }

    fn push(&mut self, entry: squeue::Entry, token: u64) {
        let entry = entry.user_data(token);
        loop {
            // SAFETY: each public function above has its caller promise, or sees to it itself,
            // that what the entry points to stays in place: `timeout` is read at submission.
            if unsafe { self.uring.submission().push(&entry) }.is_ok() {
                return;
            }
            // The queue is full: hand it to the kernel. A failure here is met again by the next
            // wait, which reports it.
            if self.uring.submit().is_err() {
                std::thread::yield_now();
            }
        }
    }
}

fn send_flags(patience: Patience) -> i32 {
    let wait = match patience {
        Patience::None | Patience::NoneAndWake => libc::MSG_DONTWAIT,
        Patience::UntilAllIsSent => libc::MSG_WAITALL,
    };
    libc::MSG_NOSIGNAL | wait
}

/// The table that the kernel takes receive buffers from, and the blocks in it.
struct BufferRing {
    table: *mut types::BufRingEntry,
    blocks: Vec<Option<Block>>,
    tail: u16,
}

const TABLE_BYTES: usize = BUFFERS as usize * size_of::<types::BufRingEntry>();

impl BufferRing {
    fn new(blocks: &Blocks) -> io::Result<BufferRing> {
        // SAFETY: a fresh private anonymous mapping, page-aligned as the kernel wants it.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                TABLE_BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE,
                -1,
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let empty = (0..BUFFERS).map(|_| None).collect();
        let mut ring = BufferRing {
            table: address.cast(),
            blocks: empty,
            tail: 0,
        };
        for buffer in 0..BUFFERS {
            ring.put(buffer, blocks.take()?);
        }
        Ok(ring)
    }

    fn put(&mut self, buffer: u16, block: Block) {
        let place = usize::from(self.tail % BUFFERS);
        // SAFETY: `place` is inside the table; the kernel reads entries only up to the tail, which
        // is published below, after the entry is written. The tail lies in the first entry's
        // reserved field, which the setters do not touch.
        unsafe {
            let entry = &mut *self.table.add(place);
            entry.set_addr(block.address() as u64);
            #[expect(clippy::cast_possible_truncation, reason = "64 KiB")]
            entry.set_len(BLOCK_BYTES as u32);
            entry.set_bid(buffer);
        }
        self.blocks[usize::from(buffer)] = Some(block);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: `tail` gives the address of the aligned u16 that the kernel reads.
        let tail = unsafe { AtomicU16::from_ptr(types::BufRingEntry::tail(self.table).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for BufferRing {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this size; the ring that used it is gone, see `Ring`.
        unsafe { libc::munmap(self.table.cast(), TABLE_BYTES) };
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::Completion;
    use super::Patience;
    use super::Ring;

    const TOKEN: u64 = 77;
    const SHORT: Duration = Duration::from_millis(20);

    /// Sends `bytes` without anybody reading them, and waits for one completion besides.
    fn wait_behind_send(bytes: &[u8], patience: Patience) -> (Vec<Completion>, Duration) {
        let (near, _far) = UnixStream::pair().expect("two sockets");
        let mut ring = Ring::new().expect("a ring");
        #[allow(clippy::disallowed_methods, reason = "what is measured is real time")]
        let began = std::time::Instant::now();
        // SAFETY: the bytes outlive the ring.
        unsafe { ring.send(near.as_raw_fd(), bytes, patience, TOKEN) };
        ring.submit_and_wait(1, Some(SHORT)).expect("a wait");
        let mut completions = Vec::new();
        ring.reap(&mut completions);
        completions.retain(|completion| completion.token == TOKEN);
        (completions, began.elapsed())
    }

    #[test]
    fn a_send_without_patience_completes_at_once_and_does_not_end_the_wait() {
        let (whole, waited) = wait_behind_send(b"few", Patience::None);
        assert_eq!((whole.len(), whole[0].result), (1, 3));
        assert!(waited >= SHORT, "{waited:?}");
    }

    #[test]
    fn a_send_that_is_to_wake_ends_the_wait() {
        let tries: Vec<_> = (0..5)
            .map(|_| wait_behind_send(b"few", Patience::NoneAndWake))
            .collect();
        assert!(tries.iter().all(|(sent, _)| sent.len() == 1));
        assert!(tries.iter().any(|(_, waited)| *waited < SHORT), "{tries:?}");
    }
}
