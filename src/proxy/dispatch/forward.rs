//! From a plan to the queues of server connections.
//!
//! Owns: the checks before a server is asked (writes are refused, no replica can be read), once for
//! every kind of plan; which connections carry the request, and that its client gets its place for the
//! reply. Never: decides what a request asks; pairs a reply.

use crate::base::ByteQueue;
use crate::base::Chunk;
use crate::base::Key;
use crate::base::ServerIdx;
use crate::base::Spare;
use crate::base::Time;
use crate::protocol::Join;
use crate::protocol::Request;
use crate::protocol::command::Gather;
use crate::proxy::Proxy;
use crate::proxy::client::Awaiter;
use crate::proxy::client::Due;
use crate::proxy::dispatch::desk::Desk;
use crate::proxy::effects::ConnId;
use crate::proxy::failure::RequestError;
use crate::proxy::plan::Ask;
use crate::proxy::plan::Fan;
use crate::proxy::plan::gather::Gathering;
use crate::proxy::pool::conns::Place;
use crate::proxy::pool::replica::Target;

/// What has become of a request for one server.
pub(in crate::proxy) enum Forwarded {
    /// It leaves as soon as the connection can send.
    Sent,
    /// It is in this connection's queue, and that is not open: it may not wait there.
    Waits(Key),
    /// There is no connection in this place yet.
    Unconnected(Target, Place),
}

/// One server's share of a request.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) struct Share {
    server: ServerIdx,
    target: Target,
    pub(super) conn: Key,
}

impl Desk<'_> {
    /// Who is asked: the server, or one of its replicas.
    #[inline]
    fn admit(&self, server: ServerIdx, ask: Ask, now: Time) -> Result<Target, RequestError> {
        if ask.writes() && self.pool.fenced {
            return Err(RequestError::Fenced);
        }
        let client = self.client.session.id();
        let target = self.pool.choose_target(client, server, ask.replica, now);
        target.ok_or(RequestError::NoReplica)
    }

    /// The client's own connection to a server where it watches keys.
    #[inline]
    fn watching(&self, server: ServerIdx) -> Option<Key> {
        let conn = self.client.lease.as_ref()?.watches(server)?;
        (self.servers[conn].kind == self.pool.kind_of(self.client)).then_some(conn)
    }

    /// Puts a request for one server into the queue of the client's connection to it.
    #[inline]
    pub(in crate::proxy) fn forward<C: Chunk>(
        &mut self,
        (server, ask): (ServerIdx, Ask),
        request: &Request<'_>,
        chunk: Option<(&C, usize)>,
        now: Time,
    ) -> Result<Forwarded, RequestError> {
        let target = self.admit(server, ask, now)?;
        let watched = self.watching(server);
        if let Some(conn) = watched {
            return Ok(self.queue_whole(conn, request, chunk, ask, now));
        }
        self.choose_way([(server, target)], ask.while_busy, now);
        let conns = self.pool.servers[server.index()].conns_to(target);
        let (kind, way) = (self.pool.kind_of(self.client), self.client.way);
        let (place, conn) = conns.of_client(kind, self.client.key(), way);
        if conn == Key::NONE {
            return Ok(Forwarded::Unconnected(target, place));
        }
        Ok(self.queue_whole(conn, request, chunk, ask, now))
    }

    #[inline]
    fn queue_whole<C: Chunk>(
        &mut self,
        key: Key,
        request: &Request<'_>,
        chunk: Option<(&C, usize)>,
        ask: Ask,
        now: Time,
    ) -> Forwarded {
        let awaiter = self.client.expect(Due::One);
        let write = |queue: &mut ByteQueue, spare: &mut Spare| {
            request.write_to(queue, chunk, spare);
        };
        match self.queue_with(key, write, (awaiter, ask), now) {
            true => Forwarded::Sent,
            false => Forwarded::Waits(key),
        }
    }

    /// Puts what was written to a connection into its FIFO, and sees that it is sent and timed: whether
    /// the connection is open to it. If not, `request_passed_on` is to be called.
    pub(in crate::proxy) fn queue(
        &mut self,
        key: Key,
        awaiter: Awaiter,
        ask: Ask,
        now: Time,
    ) -> bool {
        self.queue_with(key, |_, _| {}, (awaiter, ask), now)
    }

    /// The same of what is written only now.
    #[inline(always)]
    fn queue_with(
        &mut self,
        key: Key,
        write: impl FnOnce(&mut ByteQueue, &mut Spare),
        (awaiter, ask): (Awaiter, Ask),
        now: Time,
    ) -> bool {
        let conn = &mut self.servers[key];
        write(conn.requests.writer(), &mut self.wire.spare);
        let stats = conn.counters(self.stats);
        let bytes = conn.requests.push(awaiter, ask.terms, now, stats);
        self.client.replies.request_sent(bytes);
        stats.requests.add(1);
        stats.request_bytes.add(bytes);
        conn.asked = true;
        if !conn.is_open() || conn.older && self.pool.protocol.is_newer(ask.terms.expect()) {
            return false;
        }
        conn.sending.list(ConnId::Server(key), self.wire);
        let config = &self.pool.config;
        if let Some(timeout) = config.timeouts.request {
            conn.look_again(now + timeout, self.timers);
        }
        let limit = config.limits.server_queue_bytes;
        self.full_queues
            .stop_if_full((key, conn), self.client, limit);
        true
    }
}

impl Proxy {
    /// Forwards a request on a connection that has to be opened first.
    #[cold]
    pub(in crate::proxy) fn forward_on_new<C: Chunk>(
        &mut self,
        client: Key,
        (server, ask): (ServerIdx, Ask),
        (target, place): (Target, Place),
        (request, chunk): (&Request<'_>, Option<(&C, usize)>),
        now: Time,
    ) -> Result<(), RequestError> {
        let pool = self.clients.slab[client].pool;
        self.open(pool, (server, target), place, now);
        let Some(mut desk) = self.desk(client) else {
            return Ok(());
        };
        match desk.forward((server, ask), request, chunk, now)? {
            Forwarded::Sent => {}
            Forwarded::Waits(conn) => self.request_passed_on(conn, client, now),
            Forwarded::Unconnected(..) => debug_assert!(false, "a connection was put there"),
        }
        Ok(())
    }

    /// Sends each server its part of a request with several keys.
    pub(in crate::proxy) fn forward_parts(
        &mut self,
        client: Key,
        fan: &Fan,
        ask: Ask,
        request: &Request<'_>,
        now: Time,
    ) -> Result<(), RequestError> {
        let parts = std::mem::take(&mut self.scratch.parts);
        let mut shares = std::mem::take(&mut self.scratch.shares);
        let opened = self.open_shares(client, parts.servers(), ask, &mut shares, now);
        if opened.is_ok() {
            let protocol = self.pools[self.clients.slab[client].pool.index()].protocol;
            let (servers, spare) = (&mut self.servers, &mut self.wire.spare);
            let step = fan.keys.step();
            for (share, keys) in shares.iter().zip(parts.keys()) {
                let queue = servers[share.conn].requests.writer();
                protocol.begin_part(fan.command, request, *keys, step, queue, spare);
            }
            for (index, part) in fan.keys.iter().zip(parts.order()) {
                let conn = shares[usize::from(*part)].conn;
                let queue = servers[conn].requests.writer();
                protocol.write_part(request, index, step, queue, spare);
            }
            for share in &shares {
                protocol.end_part(servers[share.conn].requests.writer(), spare);
            }
            let order = match fan.join {
                Gather::Concat => parts.order().to_vec(),
                _ => Vec::new(),
            };
            let partial = self.pools[self.clients.slab[client].pool.index()]
                .config
                .partial_get;
            let join = protocol.join_split(fan.join, (request, fan.keys), order, partial);
            self.queue_shares(client, join, ask, &shares, now);
        }
        (self.scratch.parts, self.scratch.shares) = (parts, shares);
        opened
    }

    /// Finds the client's connection to this server, opened if need be.
    pub(in crate::proxy) fn open_one(
        &mut self,
        client: Key,
        server: ServerIdx,
        ask: Ask,
        now: Time,
    ) -> Result<Key, RequestError> {
        let mut desk = self.desk(client).ok_or(RequestError::NoServer)?;
        let target = desk.admit(server, ask, now)?;
        if let Some(conn) = desk.watching(server) {
            return Ok(conn);
        }
        desk.choose_way([(server, target)], ask.while_busy, now);
        let (pool, kind) = (desk.client.pool, desk.pool.kind_of(desk.client));
        Ok(self.server_conn(pool, (server, target), (client, kind), now))
    }

    /// Finds the client's connections to these servers, opened if need be: none before all of them can
    /// be asked.
    pub(super) fn open_shares(
        &mut self,
        client: Key,
        servers: &[ServerIdx],
        ask: Ask,
        shares: &mut Vec<Share>,
        now: Time,
    ) -> Result<(), RequestError> {
        shares.clear();
        let Some(mut desk) = self.desk(client) else {
            return Ok(());
        };
        for server in servers.iter().copied() {
            shares.push(Share {
                server,
                target: desk.admit(server, ask, now)?,
                conn: Key::NONE,
            });
        }
        let targets = shares.iter().map(|share| (share.server, share.target));
        desk.choose_way(targets, ask.while_busy, now);
        let (pool, kind) = (desk.client.pool, desk.pool.kind_of(desk.client));
        for share in shares.iter_mut() {
            share.conn = desk.watching(share.server).unwrap_or(Key::NONE);
        }
        for share in shares.iter_mut().filter(|share| share.conn == Key::NONE) {
            let (at, of) = ((share.server, share.target), (client, kind));
            share.conn = self.server_conn(pool, at, of, now);
        }
        Ok(())
    }

    /// Puts into the FIFOs what was written to these connections, and joins the replies.
    pub(super) fn queue_shares(
        &mut self,
        client: Key,
        join: Join,
        ask: Ask,
        shares: &[Share],
        now: Time,
    ) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "no more shares than servers"
        )]
        let count = shares.len() as u32;
        let of_client = &mut self.clients.slab[client];
        let pool = of_client.pool;
        let gathering = Gathering::new(join, count);
        let awaiter = of_client.expect(Due::Gathered(Box::new(gathering)));
        for (number, share) in (0u32..).zip(shares) {
            let part = awaiter.part(number);
            let desk = self.desk(client);
            let is_open = desk.is_none_or(|mut desk| desk.queue(share.conn, part, ask, now));
            if !is_open {
                self.request_passed_on(share.conn, client, now);
            }
        }
        let counters = &self.stats.pools[pool.index()].counters;
        counters.fragments.add(shares.len());
    }
}
