//! Bytes ⇄ messages, and the table of commands.
//!
//! Owns: frames, the command table, the texts of error replies, what a server says of itself.
//! Never: a socket, a clock, where a key lives.
//!
//! The data plane names [`Protocol`] and what stands beside it here; the folders below are one
//! protocol each.

pub mod command;
mod error_class;
mod greeting;
mod join;
pub mod resp;
mod spoken;

pub use error_class::ErrorClass;
pub use greeting::Greeting;
pub use greeting::Login;
pub use greeting::Question;
pub use greeting::Role;
pub use greeting::Told;
pub use join::Join;
pub use spoken::Protocol;
