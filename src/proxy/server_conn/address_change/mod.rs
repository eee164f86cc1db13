//! A server has another address than the connections to it.
//!
//! Owns: how they are left, and what becomes of their requests: none is lost, and none overtakes
//! another. Never: decides where a server is.

mod moved;
mod replacement;
mod stale;
