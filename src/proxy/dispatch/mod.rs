//! From a request to the queue of the server connection that carries it.
//!
//! Owns: which connection of a server a client's request uses, and whether it may wait there. Never:
//! knows what a request says; pairs a reply.

pub(in crate::proxy) mod bypass;
pub(in crate::proxy) mod curious;
pub(in crate::proxy) mod desk;
pub(in crate::proxy) mod enqueue;
pub(in crate::proxy) mod forward;
pub(in crate::proxy) mod late_writes;
pub(in crate::proxy) mod quarantine;
mod scripts;
mod transaction;
pub(in crate::proxy) mod whole;
