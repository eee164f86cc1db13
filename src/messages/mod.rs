//! What the two planes tell each other: reports go up, changes come down.
//!
//! Owns: the words, as plain data. Never: a mailbox, which is `reactor`'s; what follows from a
//! message, which is its reader's. The simulator carries the same messages.

mod address;
mod change;
mod inquiry;
mod report;
mod script;

pub use address::SocketAddress;
pub use change::Change;
pub use inquiry::ClientKind;
pub use inquiry::ClientsRequest;
pub use inquiry::Finding;
pub use inquiry::Inquiry;
pub use inquiry::Which;
pub use report::Report;
pub use script::ScriptFact;
pub use script::ScriptNews;
