//! Splits a request with keys on several servers into one fragment for each.
//!
//! Owns: nothing between two requests but scratch space. Linear in the keys: each is routed once
//! and copied once.

use crate::base::Chunk;
use crate::base::Key;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::protocol::Request;
use crate::protocol::command::Args;
use crate::protocol::command::Command;
use crate::protocol::command::Gather;
use crate::protocol::command::KeyIndexes;
use crate::proxy::Proxy;
use crate::proxy::client::Due;
use crate::proxy::client::requests::Incoming;
use crate::proxy::failure::RequestError;
use crate::proxy::plan::gather::Gathering;
use crate::proxy::pool::replicas::Target;
use crate::proxy::server_conn::queue::Retry;
use crate::proxy::server_conn::queue::Terms;

/// One server's part of a request.
#[derive(Clone, Copy, Debug)]
struct Fragment {
    server: ServerIdx,
    target: Target,
    keys: usize,
    conn: Key,
}

/// Scratch space.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Split {
    fragments: Vec<Fragment>,
    // By server: which fragment is its, or `NONE`.
    of_server: Vec<u16>,
    // By key: which fragment it is in.
    order: Vec<u16>,
}

const NONE: u16 = u16::MAX;

impl Split {
    fn clear(&mut self, servers: usize) {
        self.fragments.clear();
        self.order.clear();
        self.of_server.clear();
        self.of_server.resize(servers, NONE);
    }

    #[inline]
    fn add_key(&mut self, server: ServerIdx) {
        let mut fragment = self.of_server[server.index()];
        if fragment == NONE {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "no more fragments than servers"
            )]
            let next = self.fragments.len() as u16;
            fragment = next;
            self.of_server[server.index()] = fragment;
            self.fragments.push(Fragment {
                server,
                target: Target::Master,
                keys: 0,
                conn: Key::NONE,
            });
        }
        self.fragments[usize::from(fragment)].keys += 1;
        self.order.push(fragment);
    }
}

impl Proxy {
    /// Sends each server its part of a request with several keys.
    pub(in crate::proxy) fn split<C: Chunk>(
        &mut self,
        key: Key,
        (command, gather): (&'static Command, Gather),
        keys: KeyIndexes,
        incoming: Incoming<'_, C>,
        now: Time,
    ) {
        let request = incoming.request;
        let pool = self.clients.slab[key].pool;
        let random = self.random.next_u32();
        let mut split = std::mem::take(&mut self.split);
        let pool_of_client = &self.pools[pool.index()];
        split.clear(pool_of_client.servers.len());
        for index in keys.iter() {
            if let Some(server) = pool_of_client.server_of(request.arg(index), random) {
                split.add_key(server);
            }
        }
        match split.fragments.as_slice() {
            [] => {
                self.stats.pools[pool.index()].counters.forward_error.add(1);
                self.reply_error(key, RequestError::NoServer);
            }
            _ if incoming.retry == Retry::Never && pool_of_client.fenced => {
                self.reply_error(key, RequestError::Fenced);
            }
            [only] => self.forward(key, pool, Some(only.server), incoming, now),
            _ => self.send_fragments(key, command, gather, keys, request, &mut split, now),
        }
        self.split = split;
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one request, taken apart above"
    )]
    fn send_fragments(
        &mut self,
        key: Key,
        command: &Command,
        gather: Gather,
        keys: KeyIndexes,
        request: &Request<'_>,
        split: &mut Split,
        now: Time,
    ) {
        let pool = self.clients.slab[key].pool;
        let protocol = self.pools[pool.index()].protocol;
        let retry = Retry::of(command.safe_to_retry());
        let terms = Terms::new(retry, command.errors, protocol.expect(command, request));
        for fragment in &mut split.fragments {
            let replica = command.may_ask_replica();
            let Some(target) = self.choose_target(key, pool, fragment.server, replica, now) else {
                self.stats.pools[pool.index()].counters.forward_error.add(1);
                self.reply_error(key, RequestError::NoReplica);
                return;
            };
            fragment.target = target;
        }
        let spare = &mut Default::default();
        std::mem::swap(spare, &mut self.wire.spare);
        self.choose_way(
            key,
            pool,
            split.fragments.iter().map(|f| (f.server, f.target)),
            now,
        );
        for fragment in &mut split.fragments {
            fragment.conn = self.server_conn(pool, (fragment.server, fragment.target), key, now);
            let queue = self.servers[fragment.conn].requests.writer();
            protocol.begin_part(command, request, fragment.keys, keys.step(), queue, spare);
        }
        for (index, fragment) in keys.iter().zip(&split.order) {
            let conn = split.fragments[usize::from(*fragment)].conn;
            let queue = self.servers[conn].requests.writer();
            protocol.write_part(request, index, keys.step(), queue, spare);
        }
        for fragment in &split.fragments {
            let queue = self.servers[fragment.conn].requests.writer();
            protocol.end_part(queue, spare);
        }
        std::mem::swap(spare, &mut self.wire.spare);
        self.enqueue_fragments(key, (gather, terms), split, now);
    }

    fn enqueue_fragments(
        &mut self,
        key: Key,
        (gather, terms): (Gather, Terms),
        split: &Split,
        now: Time,
    ) {
        let count = split.fragments.len();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "no more fragments than servers"
        )]
        let fragments = count as u32;
        let order = if gather == Gather::Concat {
            split.order.clone()
        } else {
            Vec::new()
        };
        let client = &mut self.clients.slab[key];
        let pool = client.pool;
        let join = self.pools[pool.index()].protocol.join(gather, order);
        let mut awaiter = client.expect(Due::Gathered(Gathering::new(join, fragments)));
        for (number, fragment) in (0u32..).zip(&split.fragments) {
            awaiter.fragment = number;
            let conn = &mut self.servers[fragment.conn];
            let gauges = conn.counters(&self.stats);
            let bytes = conn.requests.push(awaiter, terms, now, gauges);
            self.clients.slab[key].replies.request_sent(bytes);
            self.request_queued(fragment.conn, key, bytes, now);
        }
        self.stats.pools[pool.index()].counters.fragments.add(count);
    }
}
