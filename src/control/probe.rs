//! Asks a server that has failed whether it serves again, on a connection of its own.
//!
//! Owns: the question and what counts as an answer. Never: decides what follows (`Fates`), touches
//! a worker's connections.

use std::io;
use std::time::Duration;

use futures_lite::AsyncRead;
use futures_lite::AsyncReadExt;
use futures_lite::AsyncWrite;
use futures_lite::AsyncWriteExt;
use glommio::GlommioError;
use glommio::net::TcpStream;
use glommio::net::UnixStream;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::config::Config;
use crate::config::HostPort;
use crate::config::PoolConfig;
use crate::config::ServerAddress;
use crate::protocol::resp::write_request;
use crate::proxy::SocketAddress;

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
    servers: Vec<Vec<SocketAddress>>,
}

#[derive(Clone, Debug)]
struct Question {
    bytes: Vec<u8>,
    // How many lines answer it.
    lines: usize,
}

impl Probes {
    /// For the servers of `config`.
    #[must_use]
    pub fn new(config: &Config) -> Probes {
        let pools = config.pools.iter().map(|pool| PoolProbes {
            question: question(pool),
            within: pool.connect_timeout,
            servers: pool.servers.iter().map(|s| known(&s.address)).collect(),
        });
        Probes {
            pools: pools.collect(),
        }
    }

    /// A server is elsewhere from now on.
    pub(super) fn moved(&mut self, pool: PoolIdx, server: ServerIdx, to: &[SocketAddress]) {
        self.pools[pool.index()].servers[server.index()] = to.to_vec();
    }

    /// Where a server is; nothing while its name says so.
    pub(super) fn known(&self, pool: PoolIdx, server: ServerIdx) -> &[SocketAddress] {
        &self.pools[pool.index()].servers[server.index()]
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
        let known = &pool.servers[server.index()];
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

fn known(address: &ServerAddress) -> Vec<SocketAddress> {
    match address {
        ServerAddress::Tcp(HostPort::Ip(address)) => vec![SocketAddress::Tcp(*address)],
        ServerAddress::Tcp(HostPort::Name { .. }) => Vec::new(),
        ServerAddress::Unix(path) => vec![SocketAddress::Unix(path.as_path().into())],
    }
}

fn question(pool: &PoolConfig) -> Question {
    let mut bytes = Vec::new();
    let mut lines = 1;
    if let Some(password) = &pool.redis_auth {
        write_request(&mut bytes, &[b"AUTH", password.expose()]);
        lines += 1;
    }
    write_request(&mut bytes, &[b"PING"]);
    Question { bytes, lines }
}

async fn ask(address: &SocketAddress, question: &Question) -> io::Result<bool> {
    match address {
        SocketAddress::Tcp(address) => {
            let stream = TcpStream::connect(address).await.map_err(io_error)?;
            converse(stream, question).await
        }
        SocketAddress::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(io_error)?;
            converse(stream, question).await
        }
    }
}

fn io_error(error: GlommioError<()>) -> io::Error {
    error.into()
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    question: &Question,
) -> io::Result<bool> {
    stream.write_all(&question.bytes).await?;
    let mut answer = Vec::new();
    let mut buffer = [0; 512];
    while answer.len() < ANSWER_BYTES_MAX {
        let lines = answer.split_inclusive(|byte| *byte == b'\n');
        let whole = lines.filter(|line| line.ends_with(b"\r\n"));
        let (good, all) = whole.fold((0, 0), |(good, all), line| {
            (good + usize::from(line.starts_with(b"+")), all + 1)
        });
        if all >= question.lines || good < all {
            return Ok(good == question.lines);
        }
        match stream.read(&mut buffer).await? {
            0 => return Ok(false),
            count => answer.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(false)
}
