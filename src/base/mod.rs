//! What every floor above needs and none of them should write twice: ids, slabs, time, byte queues,
//! seeded random numbers.
//!
//! Owns: types that are right whatever they are used for. An id is a type of its own, so that a pool's is
//! not taken for a server's; a slab's key names one entry and never the next one in its place; bytes are
//! shared where copying them would cost more. Never: a protocol, a socket, a clock. Time is a number that
//! somebody passes in, and a random number follows from a seed, so that a run can be repeated.

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
