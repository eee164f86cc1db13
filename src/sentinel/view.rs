//! How things stand, for people and for the health port.

use std::net::SocketAddr;

use crate::base::Time;
use crate::config::HostPort;
use crate::sentinel::peer::Standing;
use crate::sentinel::watcher::Watcher;

/// How things stand in one pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Those of the file, and those that they have named.
    pub sentinels: Vec<SentinelView>,
    /// Whether a majority of the Sentinels is heard.
    pub majority: bool,
    /// Whether writes are to be refused.
    pub fenced: bool,
    /// By server; `None` while no master is known.
    pub masters: Vec<Option<MasterView>>,
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

/// One server's master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterView {
    /// As the Sentinels write it.
    pub address: HostPort,
    /// The address that has answered.
    pub at: SocketAddr,
    /// The epoch of the configuration that says so.
    pub epoch: u64,
}

impl Watcher {
    /// How things stand.
    #[must_use]
    pub fn view(&self, now: Time) -> View {
        let within = self.heard_within();
        let sentinels = self.peers.iter().map(|peer| SentinelView {
            address: peer.address.clone(),
            answers: peer.is_heard(within, now),
            refuses: peer.standing == Standing::Refuses,
        });
        let masters = self.masters.iter().map(|master| {
            master.in_use.as_ref().map(|in_use| MasterView {
                address: in_use.address.clone(),
                at: in_use.at,
                epoch: in_use.rank.epoch,
            })
        });
        View {
            sentinels: sentinels.collect(),
            majority: self.majority.since().is_some(),
            fenced: self.majority.fenced,
            masters: masters.collect(),
        }
    }
}
