//! The servers, and the failovers that the Sentinels make among them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use coremux::base::Random;
use coremux::config::HostPort;

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
    pub data: Data,
}

/// What a server has: so much of that history.
#[derive(Clone, Copy, Debug, Default)]
pub struct Data {
    pub history: u64,
    pub offset: u64,
    /// Of a replica: whether it hears its master.
    pub link_is_up: bool,
    /// It does not take what its master sends.
    pub stuck: bool,
}

/// A failover under way.
#[derive(Clone, Debug)]
pub struct Failover {
    pub leader: usize,
    pub to: usize,
    pub epoch: u64,
    /// The replica is chosen.
    pub selected: bool,
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
    /// By history: when it was how long.
    written: BTreeMap<u64, Vec<(u64, u64)>>,
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
            data: Data {
                history: place as u64,
                ..Data::default()
            },
        };
        Shared {
            name: format!("m{}", place + 1),
            instances: (0..INSTANCES).map(instance).collect(),
            failover: None,
            last_epoch: 0,
            missed_since: None,
            written: BTreeMap::new(),
        }
    }

    /// Masters write and replicas follow the one at `master`, ten times a second.
    pub fn replicate(&mut self, master: usize, random: &mut Random, now: u64) {
        for instance in self.instances.iter_mut().filter(|i| i.up && i.is_master) {
            instance.data.offset += random.below(3) * random.below(100);
            let length = (now, instance.data.offset);
            let written = self.written.entry(instance.data.history);
            written.or_default().push(length);
        }
        let source = self.instances[master].clone();
        let is_there = source.up && source.is_master;
        for instance in self.instances.iter_mut().filter(|i| i.up && !i.is_master) {
            let data = &mut instance.data;
            data.link_is_up = is_there;
            data.stuck = match random.below(100) {
                0 => true,
                1..10 => false,
                _ => data.stuck,
            };
            if is_there && !data.stuck {
                (data.history, data.offset) = (source.data.history, source.data.offset);
            }
        }
    }

    /// For how long a server has lacked something of its own history.
    pub fn staleness(&self, data: Data, now: u64) -> u64 {
        let written = self.written.get(&data.history);
        let mut more = written.into_iter().flatten();
        let missed = more.find(|(_, offset)| *offset > data.offset);
        missed.map_or(0, |(at, _)| now - at)
    }

    /// Those that replicate the one at `address` by its own word, if it is a master.
    pub fn replicas(&self, address: SocketAddr) -> Vec<HostPort> {
        let is_there = |i: &&Instance| i.up && !i.is_master && i.data.link_is_up && i.at != address;
        let all = self.instances.iter().filter(is_there);
        all.map(|i| HostPort::Ip(i.at)).collect()
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
            if is_master {
                // No two masters ever begin the same one.
                instance.data.history += (now + 1) * 100;
            }
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
