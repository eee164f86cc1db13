//! The workers: how they are started, and what the control plane keeps of them.

use std::num::TryFromIntError;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use core_affinity::CoreId;
use rustix::rand::GetRandomFlags;
use rustix::rand::getrandom;

use super::error::StartError;
use super::error::system;
use crate::base::PoolIdx;
use crate::base::WorkerIdx;
use crate::config::Config;
use crate::messages::Change;
use crate::reactor;
use crate::reactor::Admission;
use crate::reactor::Clock;
use crate::reactor::FromWorker;
use crate::reactor::Memory;
use crate::reactor::Receiver;
use crate::reactor::Sender;
use crate::reactor::ToWorker;
use crate::reactor::WorkerSetup;
use crate::reactor::mailbox;
use crate::stats::Shape;
use crate::stats::WorkerStats;

/// The workers, as the control plane speaks to them.
pub(super) struct Crew {
    pub(super) workers: Vec<Sender<ToWorker>>,
    pub(super) stats: Vec<Arc<WorkerStats>>,
}

impl Crew {
    pub(super) fn start(
        config: &Arc<Config>,
        cores: &[Option<CoreId>],
        shape: &Shape,
        sockets: Vec<Vec<(PoolIdx, OwnedFd)>>,
        known: &[Change],
        (admission, memory): (Arc<Admission>, Memory),
        stands_by: Option<u64>,
    ) -> Result<(Crew, Receiver<FromWorker>), StartError> {
        let clock = Clock::start();
        let count = u16::try_from(cores.len())
            .map_err(|_: TryFromIntError| StartError::Workers(cores.len()))?;
        let memory = Arc::new(memory);
        let (outbox, inbox) = mailbox().map_err(system("socket pair"))?;
        let known: Vec<_> = known.iter().cloned().map(Arc::new).collect();
        let mut crew = Crew {
            workers: Vec::new(),
            stats: Vec::new(),
        };
        for (idx, (core, listeners)) in (0..).zip(cores.iter().zip(sockets)) {
            let stats = Arc::new(WorkerStats::new(shape));
            let (sender, receiver) = mailbox().map_err(system("socket pair"))?;
            for change in &known {
                sender.send(ToWorker::Change(Arc::clone(change)));
            }
            let spawned = reactor::spawn(WorkerSetup {
                idx: WorkerIdx(idx),
                workers: count,
                core: *core,
                listeners,
                config: Arc::clone(config),
                stats: Arc::clone(&stats),
                admission: Arc::clone(&admission),
                memory: Arc::clone(&memory),
                inbox: receiver,
                outbox: outbox.clone(),
                stands_by,
                seed: seed()?,
                clock,
            });
            if let Err(error) = spawned {
                crew.stop();
                return Err(system("thread")(error));
            }
            crew.workers.push(sender);
            crew.stats.push(stats);
        }
        Ok((crew, inbox))
    }

    pub(super) fn stop(&self) {
        for worker in &self.workers {
            worker.send(ToWorker::Stop);
        }
    }
}

/// Where a sequence of random numbers begins.
pub(super) fn seed() -> Result<u64, StartError> {
    let mut bytes = [0; 8];
    // 8 bytes come whole (getrandom(2)).
    getrandom(&mut bytes, GetRandomFlags::empty())
        .map_err(|errno| system("random numbers")(errno.into()))?;
    Ok(u64::from_ne_bytes(bytes))
}
