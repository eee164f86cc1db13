//! Key → server, bit for bit as twemproxy maps on x86-64: a key that is looked for elsewhere after a
//! migration from twemproxy would be lost.
//!
//! Owns: the hash functions, hash tags, the distributions (a ring of points, a table, a draw) and
//! twemproxy's order of servers. Never: a socket, a protocol, a clock, a random number of its own,
//! an opinion on which servers are live.
//!
//! ```text
//! key ─► HashTag: which part ─► Hash: u32 ─► Distribution over the live servers ─► ServerIdx
//! ```
//!
//! A [`Router`] is that line for one pool, built again whenever a server is ejected or readmitted.
//! The judge of every result is the `nutcracker` 0.5.0 program; `tests/parity/` asks it.

mod continuum;
mod distribution;
mod hash;
mod hash_tag;
mod modula;
mod order;
mod router;

pub use continuum::Continuum;
pub use continuum::Point;
pub use distribution::Distribution;
pub use hash::Hash;
pub use hash_tag::HashTag;
pub use order::order;
pub use router::Router;
pub use router::RouterServer;
pub use router::RouterSpec;
