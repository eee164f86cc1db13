//! Sockets and time: `io_uring`, one ring and one thread for each worker.
//!
//! Owns: descriptors, buffers, the clock, the pass of the loop; all of the program's `unsafe`.
//! Never: knows a protocol. It hands bytes up to a `Proxy`, and does what that asks.

mod admission;
mod block;
mod clock;
pub mod listener;
mod mailbox;
mod message;
mod probe;
mod ring;
mod socket;
mod token;
mod wait;
mod worker;

pub use admission::Admission;
pub use admission::Entry;
pub use clock::Clock;
pub use mailbox::Receiver;
pub use mailbox::Sender;
pub use mailbox::mailbox;
pub use message::Farewell;
pub use message::FromWorker;
pub use message::ToWorker;
pub use probe::RingError;
pub use probe::probe;
pub use worker::WorkerSetup;
pub use worker::spawn;
