//! What a pool's Sentinels say, in the words of the JSON bodies.
//!
//! Owns: the shapes. Never: a judgement; a master that is not found yet makes no pool unready, its
//! server's failures do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::base::Time;
use crate::control::clock::Micros;
use crate::control::clock::rfc3339;
use crate::sentinel::View;

/// A pool's Sentinels, and what they say.
#[derive(Clone, Debug)]
pub(in crate::control) struct SentinelState {
    pub(in crate::control) sentinels: SentinelsReport,
    /// By the server's name.
    pub(in crate::control) servers: BTreeMap<Arc<str>, FollowedServer>,
}

/// One server.
#[derive(Clone, Debug)]
pub(in crate::control) struct FollowedServer {
    pub(in crate::control) master: Option<MasterReport>,
    pub(in crate::control) replicas: Vec<ReplicaReport>,
    pub(in crate::control) since: Micros,
    pub(in crate::control) epoch: u64,
}

/// `sentinels` of a pool.
#[derive(Clone, Debug, Serialize)]
pub(in crate::control) struct SentinelsReport {
    pub(in crate::control) known: usize,
    /// How many of them answer.
    pub(in crate::control) connected: usize,
    /// Whether a majority is heard.
    pub(in crate::control) majority: bool,
    /// Whether writes are refused for want of one.
    pub(in crate::control) writes_refused: bool,
    pub(in crate::control) all: Vec<SentinelReport>,
}

#[derive(Clone, Debug, Serialize)]
pub(in crate::control) struct SentinelReport {
    pub(in crate::control) address: String,
    /// `answers`, `silent`, `refuses`.
    pub(in crate::control) state: &'static str,
}

/// `master` of a server.
#[derive(Clone, Debug, Serialize)]
pub(in crate::control) struct MasterReport {
    /// Where its connections go.
    pub(in crate::control) address: String,
    /// Of the configuration that says so.
    pub(in crate::control) epoch: u64,
    pub(in crate::control) since: String,
    /// When it last said of itself that it is a master.
    pub(in crate::control) role_confirmed: String,
}

/// One of `replicas` of a server.
#[derive(Clone, Debug, Serialize)]
pub(in crate::control) struct ReplicaReport {
    pub(in crate::control) address: String,
    /// Whether it may be read.
    pub(in crate::control) read: bool,
    /// How far behind its master it was; nothing if it is not known to be fit.
    pub(in crate::control) lag_ms: Option<u64>,
}

impl SentinelState {
    /// What `view` shows, as it was at `then` by the watcher's clock, which is `now` by ours.
    pub(in crate::control) fn new(view: &View, then: Time, now: Micros) -> SentinelState {
        let at = |time: Time| now.saturating_sub(micros(then.since(time)));
        let sentinels = view.sentinels.iter();
        let connected = sentinels
            .clone()
            .filter(|sentinel| sentinel.answers)
            .count();
        let servers = view.servers.iter().map(|server| {
            let master = server.master.as_ref();
            let followed = FollowedServer {
                since: master.map_or(0, |master| at(master.since)),
                epoch: master.map_or(0, |master| master.epoch),
                master: master.map(|master| MasterReport {
                    address: master.at.to_string(),
                    epoch: master.epoch,
                    since: rfc3339(at(master.since)),
                    role_confirmed: rfc3339(at(master.role_confirmed)),
                }),
                replicas: server
                    .replicas
                    .iter()
                    .map(|replica| ReplicaReport {
                        address: replica.address.to_string(),
                        read: replica.is_read,
                        lag_ms: replica.lag.map(|lag| micros(lag) / 1000),
                    })
                    .collect(),
            };
            (Arc::clone(&server.name), followed)
        });
        SentinelState {
            servers: servers.collect(),
            sentinels: SentinelsReport {
                known: view.sentinels.len(),
                connected,
                majority: view.majority,
                writes_refused: view.fenced,
                all: sentinels
                    .map(|sentinel| SentinelReport {
                        address: sentinel.address.to_string(),
                        state: match (sentinel.answers, sentinel.refuses) {
                            (true, _) => "answers",
                            (false, true) => "refuses",
                            (false, false) => "silent",
                        },
                    })
                    .collect(),
            },
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
