//! RESP2 and RESP3, cut strictly: what is not canonical is an error, never passed on.
//!
//! Owns: where a frame ends and where its arguments lie. Never: what a command means.
//!
//! Each direction is cut in two ways that give the same result (a property test holds them
//! together): a frame that lies whole in the receive buffer is cut in one pass over it; one that
//! arrives in pieces is assembled, each byte looked at once whatever the pieces.

mod batch;
mod error;
mod foreign;
mod greeting;
mod header;
mod inline;
mod join;
mod leading;
mod listen;
mod part;
mod reply;
mod reply_assembly;
mod request;
mod request_assembly;
mod values;
mod write;
mod writer;

pub use batch::batch_part;
pub use batch::begin_batch;
pub use batch::discarded_for;
pub use batch::end_batch;
pub use batch::is_discarded;
pub use batch::write_discarded;
pub use error::classify;
pub use error::error_text;
pub use error::write_error;
pub use error::write_error_line;
pub use foreign::Foreign;
pub use greeting::all_well;
pub use greeting::greeting;
pub use greeting::told;
pub use join::Join;
pub use leading::leading_args;
pub use listen::heard;
pub use listen::retell;
pub use listen::write_confirmation;
pub use listen::write_listen;
pub use listen::write_ping;
pub use part::begin_part;
pub use part::write_last_page;
pub use part::write_page;
pub use part::write_part;
pub use reply::ReplyError;
pub use reply::cut;
pub use reply::cut_reply;
pub use reply_assembly::ReplyAssembly;
pub use request::ProtocolError;
pub use request::cut_request;
pub use request_assembly::RequestAssembly;
pub use write::write_request;
pub use write::write_words;
pub use writer::Resp;
pub use writer::Writer;

/// 512 MiB, Redis's own proto-max-bulk-len: more would only be refused a hop later.
pub const BULK_BYTES_MAX: u64 = 512 << 20;

/// 2^20, what Redis's own clients keep to (redis: src/networking.c up to 6.2); with more arguments
/// a request's bookkeeping would outgrow the request.
pub const ARGS_MAX: u64 = 1 << 20;

/// 1 GiB, Redis's client-query-buffer-limit: the most that one request may be in all.
pub const REQUEST_BYTES_MAX: usize = 1 << 30;

/// 64 KiB, Redis's PROTO_INLINE_MAX_SIZE.
pub const INLINE_BYTES_MAX: usize = 64 << 10;

/// 512 MiB, as a bulk string: a script may make a status or an error as long, and a connection that
/// others use must not break by it.
pub const LINE_BYTES_MAX: usize = 512 << 20;
