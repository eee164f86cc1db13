//! Connections that one client has for itself, for as long as it needs one: their server waits there,
//! or remembers something of the client.
//!
//! | file | owns |
//! |---|---|
//! | `lease` | what a client has of one, and what it has asked there |
//! | `stock` | which there are of each server, which are free, who waits for one |
//! | `conn` | their life: opened, held, free for a while, closed |
//! | `watch` | transactions that depend on keys (`WATCH`) |
//! | `blocking` | requests that wait on their server (`BLPOP`) |
//!
//! A client changes between these connections and those that it shares only when nothing of its own is
//! under way: so its requests are done in their order. It holds one at a time, and each has at most one
//! owner; one that becomes free owes no reply, so that nobody gets what another client has asked.
//!
//! Owns: the lane beside the shared connections. Never: touches a shared connection.

pub(in crate::proxy) mod blocking;
pub(in crate::proxy) mod conn;
pub(in crate::proxy) mod lease;
pub(in crate::proxy) mod stock;
pub(in crate::proxy) mod watch;
