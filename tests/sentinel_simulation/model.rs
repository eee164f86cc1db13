//! The servers, and the failovers that the Sentinels make among them.

use std::net::SocketAddr;

use coremux::base::Random;

/// How many servers each master has, itself included.
pub const INSTANCES: usize = 3;

/// One redis-server.
#[derive(Clone, Debug)]
pub struct Instance {
    pub at: SocketAddr,
    pub up: bool,
    /// Whether the proxy can reach it.
    pub reachable: bool,
    pub is_master: bool,
    /// When it was last started or told to be something else, in microseconds.
    pub since: u64,
}

/// A failover under way.
#[derive(Clone, Debug)]
pub struct Failover {
    pub leader: usize,
    pub to: usize,
    pub epoch: u64,
    /// The leader knows that it has worked.
    pub promoted: bool,
}

/// One server of the pool: a master and its replicas.
#[derive(Clone, Debug)]
pub struct Shared {
    pub name: String,
    pub instances: Vec<Instance>,
    pub failover: Option<Failover>,
    pub last_epoch: u64,
    /// Since when the Sentinels have missed their master.
    pub missed_since: Option<u64>,
}

impl Shared {
    pub fn new(place: usize) -> Shared {
        let instance = |number: usize| Instance {
            at: (
                [
                    10,
                    0,
                    u8::try_from(place).unwrap(),
                    u8::try_from(number).unwrap(),
                ],
                6379,
            )
                .into(),
            up: true,
            reachable: true,
            is_master: number == 0,
            since: 0,
        };
        Shared {
            name: format!("m{}", place + 1),
            instances: (0..INSTANCES).map(instance).collect(),
            failover: None,
            last_epoch: 0,
            missed_since: None,
        }
    }

    /// The instance at `address`.
    pub fn at(&self, address: SocketAddr) -> Option<usize> {
        self.instances.iter().position(|i| i.at == address)
    }

    /// Makes an instance something.
    pub fn become_master(&mut self, place: usize, is_master: bool, now: u64) {
        let instance = &mut self.instances[place];
        if instance.is_master != is_master {
            (instance.is_master, instance.since) = (is_master, now);
        }
    }

    /// A replica that could be promoted.
    pub fn pick_replica(&self, except: usize, random: &mut Random) -> Option<usize> {
        let good: Vec<usize> = (0..INSTANCES)
            .filter(|place| *place != except && self.instances[*place].up)
            .collect();
        (!good.is_empty()).then(|| good[usize::try_from(random.below(good.len() as u64)).unwrap()])
    }
}
