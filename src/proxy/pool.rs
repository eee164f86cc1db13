//! A pool as one worker sees it: its rules, its router, its servers and their connections.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use crate::base::Key;
use crate::base::ServerIdx;
use crate::config::HostPort;
use crate::config::PoolConfig;
use crate::config::ServerAddress;
use crate::proxy::client::ClientLimits;
use crate::proxy::output::SocketAddress;
use crate::route::Router;
use crate::route::RouterServer;
use crate::route::RouterSpec;

/// One server of a pool.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) name: Arc<str>,
    weight: NonZeroU32,
    /// By `server_connections`; `Key::NONE` where there is no connection.
    pub(super) conns: Vec<Key>,
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

/// One pool.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) config: PoolConfig,
    pub(super) router: Router,
    pub(super) servers: Vec<Server>,
    pub(super) limits: ClientLimits,
    /// Sent first on every server connection, and how many replies that brings.
    pub(super) greeting: Vec<u8>,
    pub(super) greeting_replies: u8,
    /// Writes are to be refused.
    pub(super) fenced: bool,
}

impl Pool {
    pub(super) fn new(config: PoolConfig) -> Pool {
        let servers: Vec<Server> = config
            .servers
            .iter()
            .map(|server| Server {
                name: Arc::clone(&server.name),
                weight: server.weight,
                conns: vec![Key::NONE; config.server_connections.get() as usize],
                addresses: known_addresses(&server.address),
                has_name: matches!(server.address, ServerAddress::Tcp(HostPort::Name { .. })),
                moved: false,
                ejected: false,
                suspect: false,
            })
            .collect();
        let (greeting, greeting_replies) = greeting(&config);
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
            greeting_replies,
            fenced: false,
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
fn greeting(config: &PoolConfig) -> (Vec<u8>, u8) {
    let (mut bytes, mut replies) = (Vec::new(), 0);
    if let Some(password) = &config.redis_auth {
        let password = password.expose();
        bytes.extend_from_slice(format!("*2\r\n$4\r\nAUTH\r\n${}\r\n", password.len()).as_bytes());
        bytes.extend_from_slice(password);
        bytes.extend_from_slice(b"\r\n");
        replies += 1;
    }
    if config.redis_db != 0 {
        let database = config.redis_db.to_string();
        let select = format!(
            "*2\r\n$6\r\nSELECT\r\n${}\r\n{database}\r\n",
            database.len()
        );
        bytes.extend_from_slice(select.as_bytes());
        replies += 1;
    }
    (bytes, replies)
}
