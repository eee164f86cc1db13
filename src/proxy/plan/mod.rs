//! What a request asks of the servers: its keys' servers, its fragments, and how their replies join.
//!
//! Owns: the split of one request and the join of its replies. Never: sends anything.

pub(in crate::proxy) mod gather;
pub(in crate::proxy) mod split;
