//! A ring as a worker of Coremux has it: the same flags, sizes, receives and sends.
//!
//! Owns: the ring and its receive buffers. Never: knows whose the bytes are.
#![expect(unsafe_code, reason = "hands addresses to the kernel")]

use std::alloc::Layout;
use std::alloc::alloc_zeroed;
use std::alloc::dealloc;
use std::io;
use std::net::TcpStream;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering;
use std::time::Duration;

use io_uring::EnterFlags;
use io_uring::IoUring;
use io_uring::cqueue;
use io_uring::opcode;
use io_uring::squeue;
use io_uring::types;

const SUBMISSIONS: u32 = 1024;
const COMPLETIONS: u32 = 8192;
const BUFFERS: u16 = 256;
const BUFFER_BYTES: u32 = 64 << 10;
const BUFFER_GROUP: u16 = 0;

const TABLE: Layout = page_aligned(BUFFERS as usize * size_of::<types::BufRingEntry>());
const MEMORY: Layout = page_aligned(BUFFERS as usize * BUFFER_BYTES as usize);

const fn page_aligned(bytes: usize) -> Layout {
    match Layout::from_size_align(bytes, 4096) {
        Ok(layout) => layout,
        Err(_) => panic!("a size that no memory has"),
    }
}

/// One completion.
#[derive(Debug)]
pub(crate) struct Completion {
    /// What the operation was submitted with.
    pub token: u64,
    /// What the system call would have returned.
    pub result: i32,
    /// Whether the same operation will complete again.
    pub more: bool,
    /// What was received.
    pub filled: Option<Filled>,
}

/// A buffer with received bytes, which the kernel has no more until [`Ring::recycle`].
#[derive(Debug)]
pub(crate) struct Filled {
    buffer: u16,
    len: usize,
}

/// A ring and its buffers.
pub(crate) struct Ring {
    // Dropped first: then the kernel writes into no buffer any more.
    uring: IoUring,
    buffers: Buffers,
    // Sends since the last wait: they complete while they are submitted.
    at_once: usize,
}

impl Ring {
    /// For the calling thread alone.
    pub(crate) fn new() -> io::Result<Ring> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        let buffers = Buffers::new();
        // SAFETY: the table lives as long as the ring, see the order of `Ring`'s fields.
        unsafe {
            let table = buffers.table as u64;
            let submitter = uring.submitter();
            submitter.register_buf_ring_with_flags(table, BUFFERS, BUFFER_GROUP, 0)?;
        }
        Ok(Ring {
            uring,
            buffers,
            at_once: 0,
        })
    }

    /// Submits, and waits for `wanted` completions besides those of the sends.
    pub(crate) fn submit_and_wait(
        &mut self,
        wanted: usize,
        at_most: Option<Duration>,
    ) -> io::Result<()> {
        let wanted = wanted + std::mem::take(&mut self.at_once);
        calmly(match at_most {
            None => self.uring.submit_and_wait(wanted),
            Some(at_most) => {
                let timespec = types::Timespec::from(at_most);
                let args = types::SubmitArgs::new().timespec(&timespec);
                self.uring.submitter().submit_with_args(wanted, &args)
            }
        })
    }

    /// Submits, and has the kernel complete what it can by now.
    pub(crate) fn submit_and_look(&mut self) -> io::Result<()> {
        self.at_once = 0;
        let count = u32::try_from(self.uring.submission().len()).unwrap_or(SUBMISSIONS);
        let flags = EnterFlags::GETEVENTS.bits();
        // SAFETY: no argument is passed; the entries' promises are those of their callers.
        calmly(unsafe {
            let submitter = self.uring.submitter();
            submitter.enter::<libc::sigset_t>(count, 0, flags, None)
        })
    }

    /// Moves every completion that is there to `into`.
    pub(crate) fn reap(&mut self, into: &mut Vec<Completion>) {
        into.extend(self.uring.completion().map(|entry| Completion {
            token: entry.user_data(),
            result: entry.result(),
            more: cqueue::more(entry.flags()),
            filled: cqueue::buffer_select(entry.flags()).map(|buffer| Filled {
                buffer,
                len: usize::try_from(entry.result()).unwrap_or(0),
            }),
        }));
    }

    /// What was received.
    pub(crate) fn bytes(&self, filled: &Filled) -> &[u8] {
        let start = self.buffers.address(filled.buffer);
        // SAFETY: the kernel has written so many bytes there, and has the buffer no more: only
        // `reap` makes a `Filled`, and `recycle`, which gives the buffer back, takes it away.
        unsafe { std::slice::from_raw_parts(start, filled.len) }
    }

    /// Lets the kernel fill the buffer again.
    pub(crate) fn recycle(&mut self, filled: Filled) {
        self.buffers.put(filled.buffer);
    }

    pub(crate) fn accept(&mut self, listener: RawFd, token: u64) {
        let entry = opcode::AcceptMulti::new(types::Fd(listener));
        self.push(entry.flags(libc::SOCK_CLOEXEC).build(), token);
    }

    pub(crate) fn receive(&mut self, socket: RawFd, token: u64) {
        let entry = opcode::RecvMulti::new(types::Fd(socket), BUFFER_GROUP);
        self.push(entry.build(), token);
    }

    /// Sends `bytes`: as many as the socket takes at once, or, with patience, all of them.
    ///
    /// # Safety
    /// `bytes` stay in place until the completion has come.
    pub(crate) unsafe fn send(
        &mut self,
        socket: RawFd,
        bytes: &[u8],
        is_patient: bool,
        token: u64,
    ) {
        let len = u32::try_from(bytes.len()).unwrap_or(1 << 30);
        let wait = match is_patient {
            true => libc::MSG_WAITALL,
            false => libc::MSG_DONTWAIT,
        };
        self.at_once += usize::from(!is_patient);
        let entry = opcode::Send::new(types::Fd(socket), bytes.as_ptr(), len);
        self.push(entry.flags(libc::MSG_NOSIGNAL | wait).build(), token);
    }

    fn push(&mut self, entry: squeue::Entry, token: u64) {
        let entry = entry.user_data(token);
        // SAFETY: `send` has its caller promise that the bytes stay; nothing else has an address.
        while unsafe { self.uring.submission().push(&entry) }.is_err() {
            // The queue is full. A failure here is met again by the next wait.
            let _ = self.uring.submit();
        }
    }
}

/// The connection that an accept has brought.
pub(crate) fn accepted(result: i32) -> Option<TcpStream> {
    // SAFETY: a multishot accept completes with a new descriptor, which nobody else has.
    let socket = (result >= 0).then(|| unsafe { OwnedFd::from_raw_fd(result) });
    socket.map(TcpStream::from)
}

/// Time that is up and a full queue are no errors.
fn calmly(waited: io::Result<usize>) -> io::Result<()> {
    match waited {
        Ok(_) => Ok(()),
        Err(error) => match error.raw_os_error() {
            Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
            _ => Err(error),
        },
    }
}

/// The memory that is received into, and the table that the kernel takes it from.
struct Buffers {
    table: *mut types::BufRingEntry,
    memory: *mut u8,
    tail: u16,
}

impl Buffers {
    fn new() -> Buffers {
        // SAFETY: neither layout is of size zero.
        let (table, memory) = unsafe { (alloc_zeroed(TABLE), alloc_zeroed(MEMORY)) };
        assert!(!table.is_null() && !memory.is_null(), "out of memory");
        let mut buffers = Buffers {
            table: table.cast(),
            memory,
            tail: 0,
        };
        (0..BUFFERS).for_each(|buffer| buffers.put(buffer));
        buffers
    }

    fn address(&self, buffer: u16) -> *mut u8 {
        let offset = usize::from(buffer) * BUFFER_BYTES as usize;
        // SAFETY: `buffer` is below BUFFERS, so this lies inside of the memory.
        unsafe { self.memory.add(offset) }
    }

    fn put(&mut self, buffer: u16) {
        let place = usize::from(self.tail % BUFFERS);
        let address = self.address(buffer) as u64;
        // SAFETY: `place` is inside of the table; the kernel reads entries only up to the tail,
        // which is published below. The tail lies where no setter writes.
        unsafe {
            let entry = &mut *self.table.add(place);
            entry.set_addr(address);
            entry.set_len(BUFFER_BYTES);
            entry.set_bid(buffer);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: `tail` gives the address of the aligned u16 that the kernel reads.
        let tail = unsafe { AtomicU16::from_ptr(types::BufRingEntry::tail(self.table).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with these layouts; the ring that used them is gone.
        unsafe {
            dealloc(self.table.cast(), TABLE);
            dealloc(self.memory, MEMORY);
        }
    }
}
