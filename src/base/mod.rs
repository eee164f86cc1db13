//! The ground floor: ids, slabs, time, byte queues, seeded random numbers.
//!
//! Never: a protocol, a socket, a clock.

mod byte_queue;
mod id;
mod random;
mod slab;
mod time;

pub use byte_queue::Batch;
pub use byte_queue::ByteQueue;
pub use byte_queue::Chunk;
pub use byte_queue::Cursor;
pub use byte_queue::SHARE_BYTES_MIN;
pub use byte_queue::Segment;
pub use byte_queue::Spare;
pub use id::PoolIdx;
pub use id::ServerIdx;
pub use id::WorkerIdx;
pub use random::Random;
pub use slab::Key;
pub use slab::Slab;
pub use time::Time;
