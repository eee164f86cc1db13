//! protocol.

pub mod command;
