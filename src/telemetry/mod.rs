//! What is recorded of requests, for people: how long they took, which command, what became of them.
//!
//! A worker's `Proxy` writes into its own [`Records`]; the control plane takes them from it once a
//! second, by giving others in return, so that nobody waits for anybody and nothing is locked.
//!
//! Owns: what is recorded and how it adds up. Never: a clock, a lock, a frame of a protocol, a value.

mod distribution;
mod family;
mod latencies;
pub mod observed;
mod records;
pub mod slow;
mod spread;
mod tally;

pub use distribution::Distribution;
pub use family::Family;
pub use latencies::Latencies;
pub use latencies::Times;
pub use records::OfPool;
pub use records::Records;
pub use spread::BOUNDS;
pub use spread::Spread;
pub use spread::Totals;
pub use tally::Tally;
