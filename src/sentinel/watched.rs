//! One server of the pool, as its watcher knows it.
//!
//! Owns: all that is known of the server's master and replicas, in one place for each server. Never: whom
//! to believe; `decision` does.

use crate::base::Time;
use crate::config::HostPort;
use crate::sentinel::master::Master;
use crate::sentinel::output::Output;
use crate::sentinel::output::ProbeId;
use crate::sentinel::replicas::Replicas;
use crate::sentinel::replication_group::ReplicationGroup;
use crate::sentinel::write_hold::WriteHold;

/// A server whose master is followed.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) master: Master,
    pub(super) replication_group: ReplicationGroup,
    /// `None` where replicas are not read.
    pub(super) replicas: Option<Replicas>,
    pub(super) write_hold: WriteHold,
    /// A Sentinel says that its master is down.
    pub(super) is_down: bool,
    /// It was told that no Sentinel knows the server.
    pub(super) unknown_told: bool,
    /// It was told that another server has its address.
    pub(super) taken_told: bool,
}

impl Watched {
    pub(super) fn new(replicas: Option<Replicas>) -> Watched {
        Watched {
            master: Master::new(),
            replication_group: ReplicationGroup::default(),
            replicas,
            write_hold: WriteHold::default(),
            is_down: false,
            unknown_told: false,
            taken_told: false,
        }
    }

    /// When something is to be asked or ended next.
    pub(super) fn due(&self, now: Time) -> Option<Time> {
        let is_followed = self.master.in_use.is_some();
        let group = is_followed.then(|| self.replication_group.due());
        let replicas = self.replicas.as_ref().and_then(Replicas::due);
        [
            self.master.due(now),
            replicas,
            group.flatten(),
            self.write_hold.due(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What is to be asked of the server's instances now; `number` gives each question its own.
    pub(super) fn questions(
        &mut self,
        mut number: impl FnMut() -> ProbeId,
        now: Time,
    ) -> Vec<Output> {
        let mut outputs = Vec::new();
        let measure = |(probe, address)| Output::Measure { probe, address };
        if let Some(in_use) = &self.master.in_use {
            let of_group = self
                .replication_group
                .question(&in_use.address, &mut number, now);
            outputs.extend(of_group.map(measure));
            if let Some(replicas) = &mut self.replicas {
                let master = HostPort::Ip(in_use.at);
                let of_replicas = replicas.questions(&master, &mut number, now);
                outputs.extend(of_replicas.into_iter().map(measure));
            }
        }
        let of_master = self.master.questions(number, now).into_iter();
        outputs.extend(of_master.map(|question| Output::Probe {
            probe: question.probe,
            address: question.address,
        }));
        outputs
    }
}
