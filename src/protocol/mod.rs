//! Bytes ⇄ messages, and the table of commands.
//!
//! Owns: frames of RESP, the command table, the texts of error replies.
//! Never: a socket, a clock, where a key lives.

pub mod command;
pub mod resp;
