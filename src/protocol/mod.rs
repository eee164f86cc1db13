//! Bytes ⇄ messages, and the table of commands.
//!
//! Owns: frames, the command table, the texts of error replies, what a server says of itself.
//! Never: a socket, a clock, where a key lives.
//!
//! The data plane names [`Protocol`] and what stands beside it here; the folders below are one
//! protocol each.

mod assembly;
mod batch;
mod broken;
pub mod command;
mod error_class;
mod expect;
mod greeting;
mod join;
pub mod memcached;
mod names;
#[cfg(any(test, debug_assertions))]
pub mod numbered;
mod page;
mod release;
mod reply;
mod request;
pub mod resp;
mod spoken;
mod subscription;

pub use assembly::Assembled;
pub use assembly::ReplyAssembly;
pub use assembly::RequestAssembly;
pub use batch::BatchPart;
pub use broken::ProtocolError;
pub use broken::ReplyError;
pub use error_class::ErrorClass;
pub use expect::Expect;
pub use greeting::Greeting;
pub use greeting::Login;
pub use greeting::Question;
pub use greeting::Role;
pub use greeting::Told;
pub use join::Join;
pub use names::command_name;
pub use names::commands_on_leave;
pub use page::MARK_MAX;
pub use page::Page;
pub use page::take_apart;
pub use release::Release;
pub use reply::Cut;
pub use reply::ReplyKind;
pub use request::Arg;
pub use request::Body;
pub use request::Request;
pub use resp::Resp as Version;
pub use spoken::Protocol;
pub use subscription::Heard;
pub use subscription::TopicKind;
pub use subscription::is_everywhere;
