//! The ground floor: ids, time, byte queues, slabs, seeded random numbers.
//!
//! Never: a protocol, a socket, a clock.

mod id;
mod time;

pub use id::PoolIdx;
pub use id::ServerIdx;
pub use id::WorkerIdx;
pub use time::Time;
