//! reactor.

pub mod listener;
mod mailbox;
mod message;

pub use mailbox::Receiver;
pub use mailbox::Sender;
pub use mailbox::mailbox;
pub use message::FromWorker;
pub use message::ToWorker;
