//! Numbered lines: a protocol that nobody speaks, in builds for tests only. It is here to show that
//! a protocol is this folder and its rows in `spoken`, and has what RESP2 has not: replies whose
//! framing depends on what was asked, none at all, some that are swallowed, messages unasked.
//!
//! | request | reply | |
//! |---|---|---|
//! | `7 echo key` | `7 echo key` | reads |
//! | `7 add key` | `7 count` | writes |
//! | `7 get key key …` | a line `7 key value` for each, and `7 .` | reads; is split |
//! | `7 find key` | `7 value`, or `7 none`, which is not passed on | reads |
//! | `7 put key` | nothing | writes |
//! | `7 batch key` | `7 queued` twice, which are swallowed, and `7 count` | writes |
//!
//! `- text` is an error, `! text` a message that nobody has asked for. A line ends with LF.

mod frame;
mod join;
mod table;
mod words;

pub use frame::Broken;
pub use frame::ReplyAssembly;
pub use frame::RequestAssembly;
pub use frame::cut_reply;
pub use frame::cut_request;
pub use frame::is_unasked;
pub use join::Join;
pub use join::begin_part;
pub use join::end_part;
pub use join::write_part;
pub use table::command_of;
pub use table::expect;
pub use table::leading_args;
pub use table::passes;
pub use table::resolve;
pub use words::all_well;
pub use words::classify;
pub use words::error_text;
pub use words::greeting;
pub use words::told;
pub use words::write_error;
pub use words::write_words;
