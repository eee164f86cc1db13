//! Sockets and time: `io_uring`, one ring and one thread for each worker.
//!
//! Owns: descriptors, buffers, the clock, the pass of the loop, and with them nearly all of the program's
//! `unsafe`: the kernel writes into memory that a safe type could not lend it. Never: knows a protocol.
//! It hands bytes up to a `Proxy`, and does what that asks: so everything above can be tested without a
//! kernel.

mod admission;
mod allocator;
mod block;
mod clock;
pub mod hand_over;
pub mod listener;
mod mailbox;
mod memory;
mod message;
mod probe;
mod ring;
mod socket;
mod token;
mod wait;
mod worker;

pub use admission::Admission;
pub use admission::Entry;
pub use allocator::Counting;
pub use clock::Clock;
pub use mailbox::Receiver;
pub use mailbox::Sender;
pub use mailbox::mailbox;
pub use memory::Memory;
pub use memory::limit_min;
pub use message::Farewell;
pub use message::FromWorker;
pub use message::Kept;
pub use message::Renewal;
pub use message::ToWorker;
pub use probe::RingError;
pub use probe::probe;
pub use worker::WorkerSetup;
pub use worker::spawn;
