//! Hands listening sockets and clients over to another process of this program.
//!
//! ```text
//!   old process                                 new process
//!   workers ──► OldSide (a thread) ══ socket ══► NewSide (a thread) ──► workers
//!
//!   Hello, Socket…, Begin   ──►   binds the rest, starts its workers, learns its masters
//!                           ◄──   Ready, or Refused and why
//!   accepts no more, Commit ──►
//!                           ◄──   Serving; accepts, shows its health, takes the pid file
//!   Client, as each is between two requests ──►
//!                           ◄──   Taken; serves it
//!   End                     ──►
//!                           ◄──   Thanks
//! ```
//!
//! At each moment one process accepts at the most, whoever stops, goes on too late or dies: also
//! because the kernel wakes one waiter for each connection, and if that one is just being taken back,
//! the connection would be left in the queue until the next one comes.
//!
//! - **`Serving` decides.** Before the new process has said it, it must not serve, and ends when the
//!   channel is closed; unless the old process is dead, then it serves alone. After it the old one
//!   must not serve, unless the new process is dead.
//! - **Every step has a bound**, and who gives up sees to the other: the old process closes the channel,
//!   kills the new one and waits for its death before it accepts again. The new one closes the channel;
//!   if the old one goes on later it finds that, and a living process that serves, and drains.
//! - **A client is the new process's when `Taken` is on its way.** Until then the old one keeps its
//!   socket, too, and has it again when the new process is lost.
//!
//! Owns: both ends of that talk. Never: decides when; the control plane does.

mod new_side;
mod old_side;
mod step;
mod successor;
mod wire;

use std::os::fd::OwnedFd;

use serde_json::Value;

use crate::base::PoolIdx;
use crate::proxy::ClientState;

pub use new_side::FromNewSide;
pub use new_side::NewSide;
pub use new_side::NewSideSetup;
pub use new_side::Predecessor;
pub use new_side::PredecessorError;
pub use old_side::FromOldSide;
pub use old_side::OldSide;
pub use old_side::OldSideSetup;
pub use successor::NewProcess;

/// What the old process was told and has learnt, in sections with names: JSON of which this floor
/// knows nothing, see `control::main_loop::bequest`.
pub type Sections = serde_json::Map<String, Value>;

/// A client on its way from one worker to another.
#[derive(Debug)]
pub struct Parcel {
    /// Whose client it is, as this process counts pools.
    pub pool: PoolIdx,
    /// Its socket.
    pub socket: OwnedFd,
    /// All that is known of it.
    pub state: ClientState,
}

/// What a worker shows of itself before a hand-over.
#[derive(Debug)]
pub struct Shown {
    /// Its listening sockets, each once more.
    pub listeners: Vec<OwnedFd>,
    /// The id of its next client.
    pub next_client_id: u64,
}
