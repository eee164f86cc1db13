//! Coremux: a thread-per-core proxy for Redis and Memcached on `io_uring`, the drop-in successor
//! of twemproxy.
//!
//! The floors, top down; a name is used only from above (`tests/tidy.rs` holds this):
//!
//! ```text
//! F5  process   command line, daemon, signals, log file
//! F4  control   glommio: statistics port, admin side  |  reactor   io_uring: ring, buffers, worker loop
//! --  below: no socket, no clock, no thread, no unsafe
//! F3  proxy     one worker's data plane  |  sentinel  what the Sentinels say -> where masters are
//! F3  ejection  what workers' failures mean for a server
//! F2  protocol  bytes <-> messages, command table  |  route  key -> server  |  config  file -> pools  |  stats
//! F2  messages  what the two planes tell each other  |  telemetry  what is recorded of requests
//! F1  base      ids and slabs, byte queues, time, seeded random numbers
//! ```

pub mod base;
pub mod config;
pub mod control;
pub mod ejection;
pub mod messages;
pub mod process;
pub mod protocol;
pub mod proxy;
pub mod reactor;
pub mod route;
pub mod sentinel;
pub mod stats;
pub mod telemetry;
