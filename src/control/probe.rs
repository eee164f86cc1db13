//! Asks a server that has failed whether it serves again, on a connection of its own.
//!
//! Owns: the question and what counts as an answer. Never: decides what follows (`Ejector`), touches
//! a worker's connections.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::config::Config;
use crate::config::HostPort;
use crate::config::PoolConfig;
use crate::config::Secret;
use crate::config::ServerAddress;
use crate::config::Table;
use crate::control::exchange;
use crate::messages::SocketAddress;
use crate::protocol;
use crate::protocol::Greeting;
use crate::protocol::Login;
use crate::protocol::Protocol;
use crate::proxy::spoken;

/// More than `+PONG` and any error that a server gives instead.
const ANSWER_BYTES_MAX: usize = 4096;

/// What every server is asked, and where it is if its address needs no lookup.
#[derive(Debug)]
pub struct Probes {
    pools: Vec<PoolProbes>,
}

#[derive(Debug)]
struct PoolProbes {
    question: Question,
    within: Duration,
    // As `ServerIdx` counts them.
    servers: Vec<Whereabouts>,
}

#[derive(Debug, Default)]
struct Whereabouts {
    // None while its name says where it is.
    addresses: Vec<SocketAddress>,
    // By Sentinels, or by somebody at `ctl`: what the file says counts no longer.
    told: bool,
}

impl Whereabouts {
    fn of(address: &ServerAddress) -> Whereabouts {
        Whereabouts {
            addresses: known(address),
            told: false,
        }
    }
}

impl PoolProbes {
    fn new(pool: &PoolConfig) -> PoolProbes {
        PoolProbes {
            question: question(pool),
            within: pool.timeouts.connect,
            servers: Vec::new(),
        }
    }
}

#[derive(Clone, Debug)]
struct Question {
    protocol: Protocol,
    asked: Greeting,
}

impl Probes {
    /// For the servers of `config`.
    #[must_use]
    pub fn new(config: &Config) -> Probes {
        let pools = config.pools.iter().map(|pool| PoolProbes {
            servers: pool
                .servers
                .iter()
                .map(|s| Whereabouts::of(&s.address))
                .collect(),
            ..PoolProbes::new(pool)
        });
        Probes {
            pools: pools.collect(),
        }
    }

    /// A server is elsewhere from now on.
    pub(super) fn moved(&mut self, pool: PoolIdx, server: ServerIdx, to: &[SocketAddress]) {
        self.pools[pool.index()].servers[server.index()] = Whereabouts {
            addresses: to.to_vec(),
            told: true,
        };
    }

    /// Other pools and servers are served; those that have `moved` are where the table says.
    pub(super) fn reload(&mut self, table: &Table, moved: &BTreeSet<(PoolIdx, ServerIdx)>) {
        for (pool, config) in table.pools() {
            let servers = match self.pools.get_mut(pool.index()) {
                Some(known) => std::mem::take(&mut known.servers),
                None => Vec::new(),
            };
            let mut probes = PoolProbes {
                servers,
                ..PoolProbes::new(config)
            };
            for (server, config) in table.servers(pool) {
                let is_new = server.index() >= probes.servers.len();
                if is_new || moved.contains(&(pool, server)) {
                    let places = probes.servers.len().max(server.index() + 1);
                    probes.servers.resize_with(places, Whereabouts::default);
                    probes.servers[server.index()] = Whereabouts::of(&config.address);
                }
            }
            match self.pools.get_mut(pool.index()) {
                Some(known) => *known = probes,
                None => self.pools.push(probes),
            }
        }
    }

    /// Whether a server is where Sentinels, or somebody at `ctl`, have said.
    pub(super) fn is_told(&self, pool: PoolIdx, server: ServerIdx) -> bool {
        self.pools[pool.index()].servers[server.index()].told
    }

    /// Where a server is; nothing while its name says so.
    pub(super) fn known(&self, pool: PoolIdx, server: ServerIdx) -> &[SocketAddress] {
        &self.pools[pool.index()].servers[server.index()].addresses
    }

    /// Asks one server once, at the first of the addresses that are known or that its name has
    /// `looked_up`; whether it can serve. The answer takes `connect_timeout` at most.
    pub(super) fn ask(
        &self,
        pool: PoolIdx,
        server: ServerIdx,
        looked_up: &[SocketAddress],
    ) -> impl Future<Output = bool> + use<> {
        let pool = &self.pools[pool.index()];
        let known = &pool.servers[server.index()].addresses;
        let address = known.first().or(looked_up.first()).cloned();
        let (question, within) = (pool.question.clone(), pool.within);
        async move {
            let Some(address) = address else { return false };
            let asking = async { Ok(ask(&address, &question).await.unwrap_or(false)) };
            glommio::timer::timeout(within, asking)
                .await
                .unwrap_or(false)
        }
    }
}

/// Where a server is if its address needs no lookup.
pub(super) fn known(address: &ServerAddress) -> Vec<SocketAddress> {
    match address {
        ServerAddress::Tcp(HostPort::Ip(address)) => vec![SocketAddress::Tcp(*address)],
        ServerAddress::Tcp(HostPort::Name { .. }) => Vec::new(),
        ServerAddress::Unix(path) => vec![SocketAddress::Unix(path.as_path().into())],
    }
}

fn question(pool: &PoolConfig) -> Question {
    let protocol = spoken(pool);
    let password = pool.greeting.redis_auth.as_ref();
    let login = Login {
        password: password.map(Secret::expose),
        // Whether it serves is the same in all databases and versions.
        ..Login::default()
    };
    let asked = protocol.greeting(&login, Some(protocol::Question::Serves));
    Question { protocol, asked }
}

async fn ask(address: &SocketAddress, question: &Question) -> io::Result<bool> {
    let Question { protocol, asked } = question;
    let mut answer = Vec::new();
    exchange::ask(address, &asked.bytes, |piece| {
        answer.extend_from_slice(piece);
        let well = protocol.all_well(&answer, asked.replies);
        well.or((answer.len() >= ANSWER_BYTES_MAX).then_some(false))
    })
    .await
}
