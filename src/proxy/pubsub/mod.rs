//! Clients that listen to channels, and the server connections on which messages come.
//!
//! ```text
//!   client ── SUBSCRIBE ──► the channel's server ── message ──► who listens there
//!                │ exclusive: on a connection of the client's own (`exclusive/stock`)
//!                └ shared:    on one that all of this worker who listen share
//! ```
//!
//! | file | owns |
//! |---|---|
//! | `subscriptions` | what one client listens to, and what it has asked for that is not confirmed |
//! | `feed` | what one server connection listens to, for whom, and what its server has yet to confirm |
//! | `ask` | the requests that begin and end it |
//! | `heard` | what servers say: to whom it is given, and who is too slow for it |
//! | `life` | the connections: ready, lost, silent, closed |
//! | `homes` | channels whose server has changed; clients that go to another process |
//!
//! On such a connection nothing but listening is ever asked, and none is used for anything else
//! afterwards: no message comes where somebody awaits a reply. A message goes to who has asked for its
//! topic on the very connection it comes on, and to nobody else. A client has one such request under way
//! at a time, begun when all it has asked before is answered, and what it asks behind it waits: so
//! confirmations, messages and replies keep their order.
//!
//! Owns: listening. Never: publishes, which is a request like any other.

mod ask;
pub(in crate::proxy) mod feed;
mod heard;
mod homes;
mod life;
pub(in crate::proxy) mod subscriptions;
