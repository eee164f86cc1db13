//! The state of a watcher, for people and monitors.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::base::Time;
use crate::config::HostPort;
use crate::sentinel::instance::Reachability;
use crate::sentinel::instance::Sentinel;
use crate::sentinel::master::InUse;
use crate::sentinel::replicas::Replica;
use crate::sentinel::watcher::Watcher;

/// How things stand in one pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Those of the file, and those that most of them name; none of another installation.
    pub sentinels: Vec<SentinelView>,
    /// Whether a majority of the Sentinels is heard.
    pub majority: bool,
    /// Whether writes are to be refused.
    pub fenced: bool,
    /// As the pool counts them.
    pub servers: Vec<ServerView>,
}

/// One Sentinel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentinelView {
    /// Where it is.
    pub address: HostPort,
    /// Whether it answers.
    pub answers: bool,
    /// Whether it refuses to, as with a wrong password.
    pub refuses: bool,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerView {
    /// Its name, which is that of its master at the Sentinels.
    pub name: Arc<str>,
    /// `None` while no master is known.
    pub master: Option<MasterView>,
    /// Those that are looked at; none where replicas are not read.
    pub replicas: Vec<ReplicaView>,
}

/// One server's master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterView {
    /// As the Sentinels write it.
    pub address: HostPort,
    /// The address that has answered.
    pub at: SocketAddr,
    /// The epoch of the configuration that says so.
    pub epoch: u64,
    /// Since when it is used.
    pub since: Time,
    /// When it last said that it is a master, asked by the watcher.
    pub role_confirmed: Time,
}

/// One replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaView {
    /// As the Sentinels write it.
    pub address: HostPort,
    /// Whether it may be read.
    pub is_read: bool,
    /// How far it was behind at the last good answer; `None` if the last was not good.
    pub lag: Option<Duration>,
}

impl Watcher {
    /// How things stand.
    #[must_use]
    pub fn view(&self, now: Time) -> View {
        let within = self.heard_within();
        // One that is heard elsewhere than the file says is one.
        let elsewhere = |sentinel: &Sentinel| {
            let is_it =
                |other: &&Sentinel| other.id() == sentinel.id() && other.is_heard(within, now);
            sentinel.id().is_some() && self.sentinels.iter().any(|other| is_it(&other))
        };
        let shown = |sentinel: &&Sentinel| {
            !sentinel.is_foreign() && (sentinel.is_heard(within, now) || !elsewhere(sentinel))
        };
        let sentinels = self
            .sentinels
            .iter()
            .filter(shown)
            .map(|sentinel| SentinelView {
                address: sentinel.address.clone(),
                answers: sentinel.is_heard(within, now),
                refuses: sentinel.reachability == Reachability::Refuses,
            });
        let servers = self.servers.iter().enumerate().map(|(place, watched)| {
            let replicas = watched.replicas.as_ref().map(|replicas| &replicas.all[..]);
            ServerView {
                name: self.name(place),
                master: watched.master.in_use.as_ref().map(of_master),
                replicas: replicas
                    .unwrap_or_default()
                    .iter()
                    .map(of_replica)
                    .collect(),
            }
        });
        View {
            sentinels: sentinels.collect(),
            majority: self.majority.since().is_some(),
            fenced: self.majority.fenced,
            servers: servers.collect(),
        }
    }
}

fn of_master(in_use: &InUse) -> MasterView {
    MasterView {
        address: in_use.address.clone(),
        at: in_use.at,
        epoch: in_use.rank.epoch,
        since: in_use.since,
        role_confirmed: in_use.checked,
    }
}

fn of_replica(replica: &Replica) -> ReplicaView {
    ReplicaView {
        address: replica.address.clone(),
        is_read: replica.read_at.is_some(),
        lag: replica.lag,
    }
}
