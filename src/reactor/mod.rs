//! reactor.

pub mod listener;
mod mailbox;
mod message;
mod probe;

pub use mailbox::Receiver;
pub use mailbox::Sender;
pub use mailbox::mailbox;
pub use message::Farewell;
pub use message::FromWorker;
pub use message::ToWorker;
pub use probe::RingError;
pub use probe::probe;
