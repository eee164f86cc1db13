//! A pool as one worker sees it: its rules, its router, its servers and their connections.

mod connection_limit;
pub(in crate::proxy) mod conns;
pub(in crate::proxy) mod greetings;
pub(in crate::proxy) mod knowledge;
pub(in crate::proxy) mod replica;
pub(in crate::proxy) mod replicas;
mod server_health;
mod spoken;
pub(in crate::proxy) mod walk;
pub(in crate::proxy) mod write_hold;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::base::ServerIdx;
use crate::base::Time;
use crate::config::HostPort;
use crate::config::PoolConfig;
use crate::config::ServerAddress;
use crate::config::ServerConfig;
use crate::messages::SocketAddress;
use crate::protocol::Greeting;
use crate::protocol::Protocol;
use crate::protocol::Release;
use crate::protocol::Version;
use crate::proxy::client::Client;
use crate::proxy::client::ClientLimits;
use crate::proxy::pool::conns::ConnKind;
use crate::proxy::pool::conns::ConnTable;
use crate::proxy::pool::greetings::Greeted;
use crate::proxy::pool::greetings::Greetings;
use crate::proxy::pool::greetings::greeting;
use crate::proxy::pool::knowledge::Knowledge;
use crate::proxy::pool::knowledge::WITHOUT_RESP3;
use crate::proxy::pool::replica::Replica;
use crate::proxy::pool::replica::Target;
use crate::proxy::pool::walk::Walk;
use crate::route::Router;
use crate::route::RouterServer;
use crate::route::RouterSpec;
use crate::telemetry::slow::SlowLog;

pub use spoken::spoken;

/// How many connections of each kind clients share, to each server.
pub(in crate::proxy) fn shared_lanes(config: &PoolConfig) -> usize {
    config.connections.per_server.get() as usize
}

/// The kind of connection of a client that has asked for no other.
fn base_kind(config: &PoolConfig) -> ConnKind {
    ConnKind {
        version: Version::default(),
        database: config.greeting.redis_db,
    }
}

/// No connections yet to a server of this pool, or to a replica.
pub(in crate::proxy) fn conn_table(config: &PoolConfig) -> ConnTable {
    ConnTable::new(base_kind(config), shared_lanes(config))
}

/// One server of a pool.
#[derive(Debug)]
pub(in crate::proxy) struct Server {
    pub(in crate::proxy) name: Arc<str>,
    pub(in crate::proxy) conns: ConnTable,
    /// Those that may be read.
    pub(in crate::proxy) replicas: Vec<Replica>,
    /// Best first; empty while its name is not known.
    pub(in crate::proxy) addresses: Vec<SocketAddress>,
    /// Whether its addresses come from a name, which may change its meaning.
    pub(in crate::proxy) has_name: bool,
    /// Its address has been told by its Sentinels; that of the file counts no longer.
    pub(in crate::proxy) moved: bool,
    pub(in crate::proxy) ejected: bool,
    /// It has no room for more connections, and is asked again then.
    pub(in crate::proxy) room_again: Option<Time>,
    /// What it has said of itself.
    pub(in crate::proxy) knowledge: Knowledge,
    /// It has failed somewhere since its last good reply.
    pub(in crate::proxy) suspect: bool,
    /// It is served no longer: no key lives there.
    pub(in crate::proxy) removed: bool,
}

impl Server {
    /// Whether keys live there now.
    pub(in crate::proxy) fn has_keys(&self) -> bool {
        !self.ejected && !self.removed
    }

    /// The connections to the server itself, or to one of its replicas.
    #[inline]
    pub(in crate::proxy) fn conns_to(&self, target: Target) -> &ConnTable {
        match target {
            Target::Master => &self.conns,
            Target::Replica(nth) => &self.replicas[nth].conns,
        }
    }

    /// The same of the connections to who has this address, or to the server itself.
    pub(in crate::proxy) fn conns_of_peer(
        &mut self,
        replica: Option<SocketAddr>,
    ) -> Option<&mut ConnTable> {
        let Some(at) = replica else {
            return Some(&mut self.conns);
        };
        let mut replicas = self.replicas.iter_mut();
        let found = replicas.find(|replica| replica.at == at);
        found.map(|replica| &mut replica.conns)
    }
}

/// One pool.
#[derive(Debug)]
pub(in crate::proxy) struct Pool {
    pub(in crate::proxy) config: PoolConfig,
    pub(in crate::proxy) protocol: Protocol,
    router: Router,
    pub(in crate::proxy) base_kind: ConnKind,
    // Which server the router means, if that is not what it says.
    places: Option<Box<[ServerIdx]>>,
    /// In which order all keys are gone through.
    pub(in crate::proxy) walk: Walk,
    /// Another number whenever keys may live elsewhere.
    pub(in crate::proxy) routes: u64,
    pub(in crate::proxy) servers: Vec<Server>,
    pub(in crate::proxy) limits: ClientLimits,
    /// A request that took so many microseconds is in the slow log.
    pub(in crate::proxy) slow_micros: u64,
    /// A reply of so many bytes is looked at, while somebody wants to see large ones.
    pub(in crate::proxy) looked_at_bytes: usize,
    /// The latest of them, for clients who ask.
    pub(in crate::proxy) slow_log: SlowLog,
    /// The longest a request is held for a server that fails, where requests are held.
    pub(in crate::proxy) hold_time: Duration,
    /// The same as the pool's Sentinels say, if they have.
    hold_needed: Option<Duration>,
    /// Writes are to be refused.
    pub(in crate::proxy) fenced: bool,
    /// It is served no longer.
    pub(in crate::proxy) retired: bool,
    /// Its servers are masters that Sentinels name: each says so itself on each connection.
    pub(in crate::proxy) follows_sentinels: bool,
    greetings: Greetings,
}

impl Pool {
    pub(in crate::proxy) fn new(config: PoolConfig) -> Pool {
        let servers = config.servers.iter();
        let servers: Vec<Server> = servers
            .map(|server| Server::new(server, conn_table(&config)))
            .collect();
        let base_kind = base_kind(&config);
        let live: Vec<bool> = vec![true; servers.len()];
        Pool {
            protocol: spoken(&config),
            router: router(&config, &live),
            base_kind,
            greetings: Greetings::new(&config, base_kind),
            follows_sentinels: !config.sentinels.addresses.is_empty(),
            limits: limits(&config),
            slow_micros: slow_micros(&config),
            looked_at_bytes: usize::MAX,
            slow_log: SlowLog::default(),
            hold_time: config.failure.hold_time.with(None),
            hold_needed: None,
            walk: walk(&config, (0..).map(ServerIdx)),
            config,
            servers,
            places: None,
            routes: 0,
            fenced: false,
            retired: false,
        }
    }

    /// Whether its clients have to give a password.
    pub(in crate::proxy) fn needs_password(&self) -> bool {
        self.config.greeting.redis_auth.is_some()
    }

    /// The kind of connection that a client uses.
    #[inline]
    pub(in crate::proxy) fn kind_of(&self, client: &Client) -> ConnKind {
        let chosen = client.session.database();
        ConnKind {
            version: client.session.version(),
            database: chosen.unwrap_or(self.base_kind.database),
        }
    }

    /// Whether a connection is of a kind that clients have to ask for.
    #[inline]
    pub(in crate::proxy) fn is_extra(&self, kind: ConnKind) -> bool {
        kind != self.base_kind
    }

    /// Whether clients may be in a database.
    pub(in crate::proxy) fn has_database(&self, database: u32) -> bool {
        let config = &self.config.greeting;
        database < config.databases.get() || database == config.redis_db
    }

    /// What is sent first on a connection of a kind.
    pub(in crate::proxy) fn greeting(&self, kind: ConnKind, to: Greeted) -> Cow<'_, Greeting> {
        match self.is_extra(kind) {
            false => self.greetings.base(to),
            true => Cow::Owned(greeting(&self.config, kind, to)),
        }
    }

    /// Where `key` lives; `None` when no server is live. `random` is the caller's draw.
    #[inline]
    pub(in crate::proxy) fn server_of(&self, key: &[u8], random: u32) -> Option<ServerIdx> {
        let server = self.router.server(key, random)?;
        match &self.places {
            None => Some(server),
            Some(places) => Some(places[server.index()]),
        }
    }

    /// The same where no draw has a say; of others, and where no server is live, it says nothing.
    #[inline]
    pub(in crate::proxy) fn home_of(&self, key: &[u8]) -> Option<ServerIdx> {
        match (self.router.home(key), &self.places) {
            (Some(server), Some(places)) => Some(places[server.index()]),
            (server, _) => server,
        }
    }

    /// The servers that have keys.
    pub(in crate::proxy) fn live_servers(&self) -> Vec<ServerIdx> {
        let servers = (0..).map(ServerIdx).zip(&self.servers);
        let live = servers.filter(|(_, server)| server.has_keys());
        live.map(|(idx, _)| idx).collect()
    }

    /// Whether a server is away whose keys come back with it.
    pub(in crate::proxy) fn has_ejected(&self) -> bool {
        let mut servers = self.servers.iter();
        servers.any(|server| server.ejected && !server.removed)
    }

    /// Takes a server out of the key space, or back in; whether that changed anything.
    pub(in crate::proxy) fn set_ejected(&mut self, server: ServerIdx, ejected: bool) -> bool {
        let server = &mut self.servers[server.index()];
        let changed = server.ejected != ejected;
        server.ejected = ejected;
        if changed {
            self.build_router();
        }
        changed
    }

    fn build_router(&mut self) {
        self.routes += 1;
        let live: Vec<bool> = match &self.places {
            None => self.servers.iter().map(|server| !server.ejected).collect(),
            Some(places) => {
                let live = |place: &ServerIdx| !self.servers[place.index()].ejected;
                places.iter().map(live).collect()
            }
        };
        self.router = router(&self.config, &live);
    }

    /// Takes the rules of another configuration, in which its servers have these places; `remaps` says
    /// whether keys live elsewhere by it.
    pub(in crate::proxy) fn set_rules(
        &mut self,
        config: PoolConfig,
        places: &[ServerIdx],
        remaps: bool,
    ) {
        let mut in_order = places.iter().enumerate();
        let identity = in_order.all(|(at, place)| place.index() == at);
        let identity = identity && places.len() == self.servers.len();
        self.places = (!identity).then(|| Box::from(places));
        self.follows_sentinels = !config.sentinels.addresses.is_empty();
        self.limits = limits(&config);
        self.slow_micros = slow_micros(&config);
        self.hold_needed = self.hold_needed.filter(|_| self.follows_sentinels);
        self.hold_time = config.failure.hold_time.with(self.hold_needed);
        self.base_kind = base_kind(&config);
        self.greetings = Greetings::new(&config, self.base_kind);
        for server in &mut self.servers {
            server.conns.set_base(self.base_kind);
            for replica in &mut server.replicas {
                replica.conns.set_base(self.base_kind);
            }
        }
        self.walk = walk(&config, places.iter().copied());
        self.config = config;
        // A ring of many servers takes a millisecond, in which no client is served.
        if remaps {
            self.build_router();
        }
    }

    /// Takes its Sentinels' word for how long a request is to be held.
    pub(in crate::proxy) fn set_hold_needed(&mut self, needed: Duration) {
        self.hold_needed = Some(needed);
        self.hold_time = self.config.failure.hold_time.with(self.hold_needed);
    }
}

impl Pool {
    pub(in crate::proxy) fn knowledge(&self) -> impl Iterator<Item = Knowledge> {
        let servers = self.servers.iter();
        let live = servers.filter(|server| !server.ejected && !server.removed);
        live.map(|server| server.knowledge)
    }

    /// Whether every server speaks RESP3, as far as is known.
    pub(in crate::proxy) fn speaks_resp3(&self) -> bool {
        !self.knowledge().any(|known| known == Knowledge::SpeaksNot)
    }

    /// The lowest of the servers' releases, if any is known.
    pub(in crate::proxy) fn release(&self) -> Option<Release> {
        let known = self.knowledge().filter_map(|known| match known {
            Knowledge::Speaks(release) => release,
            Knowledge::SpeaksNot => Some(WITHOUT_RESP3),
            Knowledge::Unknown | Knowledge::Asked(_) | Knowledge::Silent(_) => None,
        });
        known.min()
    }
}

fn slow_micros(config: &PoolConfig) -> u64 {
    let micros = config.slow_log.threshold.map(|least| least.as_micros());
    micros.map_or(u64::MAX, |micros| micros.try_into().unwrap_or(u64::MAX))
}

fn limits(config: &PoolConfig) -> ClientLimits {
    ClientLimits {
        bytes: config.limits.client_output_bytes,
        requests: config.limits.client_requests_in_flight.get() as usize,
    }
}

impl Server {
    /// A server without a connection.
    pub(in crate::proxy) fn new(config: &ServerConfig, conns: ConnTable) -> Server {
        let mut server = Server {
            name: Arc::clone(&config.name),
            conns,
            replicas: Vec::new(),
            addresses: Vec::new(),
            has_name: false,
            moved: false,
            ejected: false,
            room_again: None,
            knowledge: Knowledge::Unknown,
            suspect: false,
            removed: false,
        };
        server.set_address(&config.address);
        server
    }

    /// It is where the file says.
    pub(in crate::proxy) fn set_address(&mut self, address: &ServerAddress) {
        self.addresses = known_addresses(address);
        self.has_name = matches!(address, ServerAddress::Tcp(HostPort::Name { .. }));
        self.moved = false;
    }
}

fn known_addresses(address: &ServerAddress) -> Vec<SocketAddress> {
    match address {
        ServerAddress::Tcp(HostPort::Ip(address)) => vec![SocketAddress::Tcp(*address)],
        ServerAddress::Tcp(HostPort::Name { .. }) => Vec::new(),
        ServerAddress::Unix(path) => vec![SocketAddress::Unix(Arc::<Path>::from(path.as_path()))],
    }
}

fn walk(config: &PoolConfig, places: impl Iterator<Item = ServerIdx>) -> Walk {
    let names = config.servers.iter().map(|server| &*server.name);
    Walk::over(names.zip(places))
}

fn router(config: &PoolConfig, live: &[bool]) -> Router {
    let servers = config.servers.iter().zip(live);
    let servers: Vec<RouterServer<'_>> = servers
        .map(|(server, &live)| RouterServer {
            name: &server.name,
            weight: server.weight,
            live,
        })
        .collect();
    Router::new(&RouterSpec {
        hash: config.mapping.hash,
        tag: config.mapping.hash_tag,
        distribution: config.mapping.distribution,
        servers: &servers,
    })
}
