//! What the Redis Sentinels say, made into facts: where each server's master is.
//!
//! Owns: for one pool, the conversation with its Sentinels and the decision whom to believe. Never:
//! a socket, a clock, a thread, a random source; it does not know `proxy`. Lives in the control
//! plane, one [`Watcher`] for each pool that has Sentinels.
//!
//! ```text
//!   received, closed ──► query, subscription ──► agreement ──► master ──► Fact::Master
//!   (two connections     (what a Sentinel  │   (whose word   (ROLE says
//!    to each Sentinel)    answers, tells)  │    is newest)    so, too)
//!                                        roster
//!                                       (who has a vote)
//! ```
//!
//! Events (`+switch-master` …) are never believed: they make the watcher ask, and asked Sentinels
//! give an address together with its configuration's epoch. The exception is a replica that a
//! Sentinel is about to promote (`+selected-slave`): it is asked for its `ROLE` again and again, and
//! is used as soon as it says that it is a master. The Sentinels tell a second later, because their
//! leader learns of it from a report that replicas send once a second. And for the moment from the
//! leader's election to that answer writes wait, on that Sentinel's word alone (`write_hold`).

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
mod subscription;
mod view;
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
