//! What the Redis Sentinels say, made into facts: where each server's master is.
//!
//! Owns: for one pool, the conversation with its Sentinels and the decision which of them to trust.
//! Never: a socket, a clock, a thread, a random source; it does not know `proxy`. Lives in the
//! control plane, one [`Watcher`] for each pool that has Sentinels.
//!
//! ```text
//!   received, closed ──► query, subscription ──► agreement ──► master ──► Fact::Master
//!   (two connections     (answers, events) │   (the newest  (confirmed
//!    to each Sentinel)                     │    claim)       by ROLE)
//!                                        roster
//!                                       (who has a vote)
//! ```
//!
//! Events (`+switch-master` …) are never trusted: they make the watcher send a query, whose answer is
//! an address together with its configuration's epoch. The exception is a replica that a Sentinel is
//! about to promote (`+selected-slave`): the watcher polls its `ROLE`, and uses it as soon as it
//! reports that it is a master. The Sentinels report it a second later, because their leader learns
//! of it from a message that replicas send once a second. From the leader's election to that answer
//! writes are held, on that Sentinel's word alone (`write_hold`).

mod address;
mod agreement;
mod candidate;
mod connection;
mod decision;
mod event;
mod failover_time;
mod instance;
mod majority;
mod master;
mod membership;
mod memory;
mod other_sentinels;
mod output;
mod query;
mod replicas;
mod replication;
mod replication_group;
mod reply;
mod role;
mod roster;
mod rounds;
mod subscription;
mod view;
mod watched;
mod watcher;
mod write_hold;

pub use memory::Memory;
pub use output::Fact;
pub use output::LinkId;
pub use output::Measured;
pub use output::Output;
pub use output::ProbeId;
pub use output::Probed;
pub use output::Source;
pub use output::Unfit;
pub use replication::Replication;
pub use replication::ReplicationQuestion;
pub use role::RoleAnswer;
pub use role::RoleQuestion;
pub use view::MasterView;
pub use view::ReplicaView;
pub use view::SentinelView;
pub use view::ServerView;
pub use view::View;
pub use watcher::Watcher;
pub use write_hold::HoldEnd;
