//! memcached's text protocol, with the meta commands.
//!
//! Owns: what a client's line and data block ask, as one canonical command that no server can read
//! otherwise; what a server's reply to it must look like. Never: any state between two commands.
//!
//! ```text
//!   line ─► words ─► row ─► checked ─► "set k 0 0 5⏎" ─► server
//!             │                          without `noreply` and `q`
//!             └─► a fault: the client is told in its place, its data block is passed over
//! ```
//!
//! A server that does not understand a line takes the data block behind it for commands. So nothing
//! is sent that the strictest of them would not understand: numbers are numbers of the right size,
//! keys have no blank and no control byte, flags are those of the protocol.
//!
//! `noreply` and the quiet mode of the meta commands are between the client and the proxy: every
//! server is asked for a reply, and the client hears nothing of it. A server sends errors in spite
//! of `noreply` when it likes (memcached: doc/protocol.txt), which would shift all replies behind.

mod base64;
mod fault;
mod frame;
mod join;
mod line;
mod meta;
mod reply;
mod reply_assembly;
mod request_assembly;
mod table;
mod words;

pub use fault::Fault;
pub use fault::ProtocolError;
pub use frame::cut_request;
pub use join::Join;
pub use join::begin_part;
pub use join::end_part;
pub use join::write_part;
pub use reply::ReplyError;
pub use reply::cut_reply;
pub use reply_assembly::ReplyAssembly;
pub use request_assembly::RequestAssembly;
pub use table::Row;
pub use table::expect;
pub use table::is_newer;
pub use table::leading_args;
pub use table::lookup;
pub use table::passes;
pub use table::resolve;
pub use table::rows;
pub use words::DETAILS;
pub use words::all_well;
pub use words::classify;
pub use words::detail;
pub use words::error_text;
pub use words::greeting;
pub use words::local_reply;
pub use words::told;
pub use words::write_denial;
pub use words::write_error;
pub use words::write_refusal;

/// memcached's own limit of a key (memcached: `KEY_MAX_LENGTH`).
const KEY_BYTES_MAX: usize = 250;

/// The largest item that a server can be told to take, `-I 1g`.
const DATA_BYTES_MAX: usize = 1 << 30;

/// A line is no longer, unless it has many keys (memcached: `try_read_command_ascii`).
const LINE_BYTES_MAX: usize = 2048;

/// A line of many keys: 4,000 of the longest.
const KEYS_BYTES_MAX: usize = 1 << 20;
