//! A pool as one worker sees it: its rules, its router, its servers and their connections.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use crate::base::Key;
use crate::base::ServerIdx;
use crate::config::HostPort;
use crate::config::PoolConfig;
use crate::config::ServerAddress;
use crate::protocol::resp::write_request;
use crate::proxy::client::ClientLimits;
use crate::proxy::output::SocketAddress;
use crate::proxy::replicas::End;
use crate::proxy::replicas::Replica;
use crate::route::Router;
use crate::route::RouterServer;
use crate::route::RouterSpec;

/// One server of a pool.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) name: Arc<str>,
    weight: NonZeroU32,
    /// By `server_connections`, and one more that is the way around one of them; `Key::NONE` where
    /// there is no connection.
    pub(super) conns: Vec<Key>,
    /// Those that may be read.
    pub(super) replicas: Vec<Replica>,
    /// Best first; empty while its name is not known.
    pub(super) addresses: Vec<SocketAddress>,
    /// Whether its addresses come from a name, which may change its meaning.
    pub(super) has_name: bool,
    /// Its address has been told by its Sentinels; that of the file counts no longer.
    pub(super) moved: bool,
    pub(super) ejected: bool,
    /// It has failed somewhere since its last good reply.
    pub(super) suspect: bool,
}

impl Server {
    /// The connections to the server itself, or to one of its replicas.
    #[inline]
    pub(super) fn conns_to(&self, end: End) -> &[Key] {
        match end {
            End::Master => &self.conns,
            End::Replica(nth) => &self.replicas[nth].conns,
        }
    }

    /// Which of its connections, or of a replica's, is a client's own.
    #[inline]
    pub(super) fn own_place(&self, client: Key) -> usize {
        match self.way_around() {
            1 => 0,
            several => client.index as usize % several,
        }
    }

    /// The one that nobody owns.
    #[inline]
    pub(super) fn way_around(&self) -> usize {
        self.conns.len() - 1
    }
}

/// One pool.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) config: PoolConfig,
    pub(super) router: Router,
    pub(super) servers: Vec<Server>,
    pub(super) limits: ClientLimits,
    /// Writes are to be refused.
    pub(super) fenced: bool,
    /// Its servers are masters that Sentinels name: each says so itself on each connection.
    pub(super) follows_sentinels: bool,
    greeting: Greeting,
    proving_greeting: Greeting,
    /// What is sent first to a replica.
    pub(super) replica_greeting: Greeting,
}

/// What is sent first on a server connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Greeting {
    pub(super) bytes: Vec<u8>,
    /// How many replies that brings.
    pub(super) replies: u8,
}

impl Greeting {
    fn ask(&mut self, args: &[&[u8]]) {
        write_request(&mut self.bytes, args);
        self.replies += 1;
    }
}

impl Pool {
    pub(super) fn new(config: PoolConfig) -> Pool {
        let servers: Vec<Server> = config
            .servers
            .iter()
            .map(|server| Server {
                name: Arc::clone(&server.name),
                weight: server.weight,
                conns: vec![Key::NONE; config.server_connections.get() as usize + 1],
                replicas: Vec::new(),
                addresses: known_addresses(&server.address),
                has_name: matches!(server.address, ServerAddress::Tcp(HostPort::Name { .. })),
                moved: false,
                ejected: false,
                suspect: false,
            })
            .collect();
        let mut greeting = greeting(&config);
        let mut proving_greeting = greeting.clone();
        let mut replica_greeting = greeting.clone();
        replica_greeting.ask(&[b"ROLE"]);
        let follows_sentinels = !config.sentinels.is_empty();
        if follows_sentinels {
            greeting.ask(&[b"ROLE"]);
            proving_greeting.ask(&[b"ROLE"]);
        } else {
            proving_greeting.ask(&[b"PING"]);
        }
        let limits = ClientLimits {
            bytes: config.client_output_limit,
            requests: config.client_requests_in_flight.get() as usize,
        };
        Pool {
            router: router(&config, &servers),
            config,
            servers,
            limits,
            greeting,
            proving_greeting,
            replica_greeting,
            fenced: false,
            follows_sentinels,
        }
    }

    /// What is sent first on a connection; `proves` makes the server prove that it serves.
    pub(super) fn greeting(&self, proves: bool) -> &Greeting {
        if proves {
            &self.proving_greeting
        } else {
            &self.greeting
        }
    }

    /// Takes a server out of the key space, or back in; whether that changed anything.
    pub(super) fn set_ejected(&mut self, server: ServerIdx, ejected: bool) -> bool {
        let server = &mut self.servers[server.index()];
        let changed = server.ejected != ejected;
        server.ejected = ejected;
        if changed {
            self.router = router(&self.config, &self.servers);
        }
        changed
    }
}

fn known_addresses(address: &ServerAddress) -> Vec<SocketAddress> {
    match address {
        ServerAddress::Tcp(HostPort::Ip(address)) => vec![SocketAddress::Tcp(*address)],
        ServerAddress::Tcp(HostPort::Name { .. }) => Vec::new(),
        ServerAddress::Unix(path) => vec![SocketAddress::Unix(Arc::<Path>::from(path.as_path()))],
    }
}

fn router(config: &PoolConfig, servers: &[Server]) -> Router {
    let servers: Vec<RouterServer<'_>> = servers
        .iter()
        .map(|server| RouterServer {
            name: &server.name,
            weight: server.weight,
            live: !server.ejected,
        })
        .collect();
    Router::new(&RouterSpec {
        hash: config.hash,
        tag: config.hash_tag,
        distribution: config.distribution,
        servers: &servers,
    })
}

/// `AUTH` before `SELECT`: the other way round, which is twemproxy's, the database is refused and
/// all keys go to database 0.
fn greeting(config: &PoolConfig) -> Greeting {
    let mut greeting = Greeting::default();
    if let Some(password) = &config.redis_auth {
        greeting.ask(&[b"AUTH", password.expose()]);
    }
    if config.redis_db != 0 {
        greeting.ask(&[b"SELECT", config.redis_db.to_string().as_bytes()]);
    }
    greeting
}
