//! Requests that concern the keys of all servers: each of them is asked, at once or one by one.
//!
//! Owns: what each server is sent. Never: how replies become one, which is the protocol's.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::base::ByteQueue;
use crate::base::Key;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::protocol::Join;
use crate::protocol::Page;
use crate::protocol::Request;
use crate::protocol::command::Gather;
use crate::proxy::Proxy;
use crate::proxy::failure::RequestError;
use crate::proxy::plan::Ask;

/// A server that has not answered a request for so long is not asked what nobody needs.
const LAGS: Duration = Duration::from_secs(1);

/// A request that is sent several times is copied from its frame.
const NOWHERE: Option<(&Bytes, usize)> = None;

impl Proxy {
    /// Sends every server that has keys all of a request.
    pub(in crate::proxy) fn forward_to_all(
        &mut self,
        client: Key,
        how: Gather,
        ask: Ask,
        request: &Request<'_>,
        now: Time,
    ) -> Result<(), RequestError> {
        let pool = &self.pools[self.clients.slab[client].pool.index()];
        let (protocol, servers) = (pool.protocol, pool.live_servers());
        if servers.is_empty() {
            return Err(RequestError::NoServer);
        }
        let mut shares = std::mem::take(&mut self.scratch.shares);
        let opened = self.open_shares(client, &servers, ask, &mut shares, now);
        if opened.is_ok() {
            for share in &shares {
                let queue = self.servers[share.conn].requests.writer();
                request.write_to(queue, NOWHERE, &mut self.wire.spare);
            }
            let mut order: Vec<u16> = (0u16..).zip(&shares).map(|(nth, _)| nth).collect();
            if how == Gather::Any {
                // Not always the same one first.
                let first = self.random.next_u32() as usize % order.len();
                order.rotate_left(first);
            }
            let of_pool = &self.pools[self.clients.slab[client].pool.index()].servers;
            let names = servers
                .iter()
                .map(|idx| Arc::clone(&of_pool[idx.index()].name));
            let join = match ask.terms.expect().is_unheard() {
                true => Join::Nothing,
                false => protocol.join_all(how, order, names.collect()),
            };
            self.queue_shares(client, join, ask, &shares, now);
        }
        self.scratch.shares = shares;
        opened
    }

    /// Asks every server that does not fail now, and joins what they say; also if that is nobody.
    pub(in crate::proxy) fn forward_to_able(
        &mut self,
        client: Key,
        join: Join,
        request: &Request<'_>,
        now: Time,
    ) {
        let pool = &self.pools[self.clients.slab[client].pool.index()];
        let mut servers = pool.live_servers();
        let lags = |conn: Key| {
            let oldest = self.servers[conn].requests.oldest_since();
            oldest.is_some_and(|since| since + LAGS <= now)
        };
        servers.retain(|server| {
            let server = &pool.servers[server.index()];
            !server.suspect && !server.conns.open().any(|(_, conn)| lags(conn))
        });
        let ask = Ask::of_question();
        let mut shares = std::mem::take(&mut self.scratch.shares);
        let opened = self.open_shares(client, &servers, ask, &mut shares, now);
        if opened.is_err() || shares.is_empty() {
            let mut reply = ByteQueue::default();
            join.finish(&mut reply, &mut self.wire.spare);
            self.reply(client, &reply.to_vec());
        } else {
            for share in &shares {
                let queue = self.servers[share.conn].requests.writer();
                request.write_to(queue, NOWHERE, &mut self.wire.spare);
            }
            self.queue_shares(client, join, ask, &shares, now);
        }
        self.scratch.shares = shares;
    }

    /// Asks one server for its next page of all keys.
    pub(in crate::proxy) fn forward_page(
        &mut self,
        client: Key,
        (server, page): (ServerIdx, Page),
        ask: Ask,
        request: &Request<'_>,
        now: Time,
    ) -> Result<(), RequestError> {
        let protocol = self.pools[self.clients.slab[client].pool.index()].protocol;
        let mut shares = std::mem::take(&mut self.scratch.shares);
        let opened = self.open_shares(client, &[server], ask, &mut shares, now);
        if opened.is_ok() {
            for share in &shares {
                let queue = self.servers[share.conn].requests.writer();
                protocol.write_page(request, page, queue, &mut self.wire.spare);
            }
            self.queue_shares(client, protocol.join_page(page), ask, &shares, now);
        }
        self.scratch.shares = shares;
        opened
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::base::Key;
    use crate::base::PoolIdx;
    use crate::base::WorkerIdx;
    use crate::config::Config;
    use crate::protocol::Expect;
    use crate::protocol::Protocol;
    use crate::protocol::command::ErrorsBy;
    use crate::proxy::ConnId;
    use crate::proxy::Output;
    use crate::proxy::ProxySetup;
    use crate::proxy::plan::Plan;
    use crate::proxy::pool::walk::Step;
    use crate::proxy::server_conn::queue::Retry;
    use crate::proxy::server_conn::queue::Terms;
    use crate::stats::PoolShape;
    use crate::stats::Shape;
    use crate::stats::WorkerStats;

    const NOW: Time = Time::ZERO;
    const READ: Ask = Ask {
        terms: Terms::new(Retry::Once, ErrorsBy::Server, Expect::ONE),
        replica: false,
        while_busy: false,
    };

    /// A proxy before three servers, with one client.
    fn proxy() -> (Proxy, Key) {
        let text = "alpha:\n  listen: 127.0.0.1:1\n  redis: true\n  servers:\n    - 10.0.0.1:1:1 a\n    \
                    - 10.0.0.2:1:1 b\n    - 10.0.0.3:1:1 c\n";
        let config = Config::parse(text, "a.yml").unwrap();
        let shape = Shape {
            pools: vec![PoolShape {
                name: "alpha".into(),
                servers: ["a", "b", "c"].map(Into::into).to_vec(),
            }],
        };
        let mut proxy = Proxy::new(ProxySetup {
            config: Arc::new(config),
            stats: Arc::new(WorkerStats::new(&shape)),
            worker: WorkerIdx(0),
            workers: 1,
            seed: 1,
            epoch: Duration::ZERO,
            process: 1,
        });
        let ConnId::Client(client) = proxy.client_accepted(PoolIdx(0), None, true, NOW) else {
            panic!("a client");
        };
        (proxy, client)
    }

    fn ask_all(proxy: &mut Proxy, client: Key, join: Gather, ask: Ask) {
        let frame = b"*1\r\n$6\r\nDBSIZE\r\n";
        let mut args = Vec::new();
        Protocol::Resp.cut_request(frame, &mut args).unwrap();
        let request = Request::whole(frame, &args);
        proxy.carry_out(
            client,
            Ok(Plan::All(join, ask)),
            (&request, Expect::ONE),
            NOW,
        );
    }

    fn connect_all(proxy: &mut Proxy) {
        while let Some(output) = proxy.poll_output(NOW) {
            if let Output::Connect { conn, .. } = output {
                proxy.connected(conn, NOW);
            }
        }
    }

    /// What is sent, by connection; it has arrived.
    fn sent(proxy: &mut Proxy) -> Vec<(ConnId, Vec<u8>)> {
        let mut all = Vec::new();
        while let Some((conn, batch)) = proxy.poll_transmit(NOW) {
            all.push((conn, batch.slices().flatten().copied().collect()));
            proxy.sent(conn, batch, NOW);
        }
        all.sort();
        all
    }

    #[test]
    fn every_server_is_asked_and_the_client_gets_one_reply_that_joins_theirs() {
        for (join, replies, joined) in [
            (Gather::Sum, [":1\r\n", ":2\r\n", ":39\r\n"], ":42\r\n"),
            (Gather::AllOk, ["+OK\r\n", "+OK\r\n", "+OK\r\n"], "+OK\r\n"),
            (
                Gather::AllOk,
                ["+OK\r\n", "-OOM no\r\n", "+OK\r\n"],
                "-OOM no\r\n",
            ),
        ] {
            let (mut proxy, client) = proxy();
            ask_all(&mut proxy, client, join, READ);
            connect_all(&mut proxy);
            let asked = sent(&mut proxy);
            assert_eq!(asked.len(), 3);
            for ((conn, request), reply) in asked.iter().zip(replies) {
                assert_eq!(request, b"*1\r\n$6\r\nDBSIZE\r\n");
                assert!(sent(&mut proxy).is_empty(), "not before the last");
                proxy.received(*conn, &Bytes::from_static(reply.as_bytes()), NOW);
            }
            let given = sent(&mut proxy);
            let expected = (ConnId::Client(client), joined.as_bytes().to_vec());
            assert_eq!(given, [expected]);
        }
    }

    #[test]
    fn a_page_is_asked_of_one_server_with_its_own_cursor_and_comes_with_the_pools() {
        let (mut proxy, client) = proxy();
        let step = proxy.pools[0].walk.step(0, |_| true);
        let Step::Page(server, page) = step else {
            panic!("{step:?}");
        };
        for (cursor, reply, expected) in [
            (0, "448", page.turned(448)),
            (448, "0", page.turned(0)),
            (7, "2199023255552", None),
        ] {
            let frame = b"*4\r\n$4\r\nscan\r\n$1\r\n0\r\n$5\r\ncount\r\n$1\r\n9\r\n";
            let mut args = Vec::new();
            Protocol::Resp.cut_request(frame, &mut args).unwrap();
            let asked = Page {
                of_server: cursor,
                ..page
            };
            let planned = Ok(Plan::Page(server, asked, READ));
            let request = Request::whole(frame, &args);
            proxy.carry_out(client, planned, (&request, Expect::ONE), NOW);
            connect_all(&mut proxy);
            let asked = sent(&mut proxy);
            let cursor = cursor.to_string();
            let frame = format!(
                "*4\r\n$4\r\nscan\r\n${}\r\n{cursor}\r\n$5\r\ncount\r\n$1\r\n9\r\n",
                cursor.len()
            );
            assert_eq!(asked.len(), 1);
            assert_eq!(asked[0].1, frame.as_bytes());
            let keys = "*2\r\n$1\r\na\r\n$1\r\nb\r\n";
            let reply = format!("*2\r\n${}\r\n{reply}\r\n{keys}", reply.len());
            proxy.received(asked[0].0, &Bytes::from(reply.into_bytes()), NOW);
            let given = sent(&mut proxy).remove(0).1;
            let Some(expected) = expected else {
                assert!(given.starts_with(b"-ERR"), "{}", given.escape_ascii());
                continue;
            };
            let expected = expected.to_string();
            let expected = format!("*2\r\n${}\r\n{expected}\r\n{keys}", expected.len());
            assert_eq!(given, expected.as_bytes());
        }
    }

    #[test]
    fn a_server_that_is_ejected_is_not_asked_and_without_any_that_is_an_error() {
        let (mut proxy, client) = proxy();
        proxy.pools[0].set_ejected(ServerIdx(1), true);
        ask_all(&mut proxy, client, Gather::Sum, READ);
        connect_all(&mut proxy);
        assert_eq!(sent(&mut proxy).len(), 2);
        let (mut proxy, client) = self::proxy();
        for server in 0..3 {
            proxy.pools[0].set_ejected(ServerIdx(server), true);
        }
        ask_all(&mut proxy, client, Gather::Sum, READ);
        let told = b"-ERR Connection refused\r\n".to_vec();
        assert_eq!(sent(&mut proxy), [(ConnId::Client(client), told)]);
    }

    #[test]
    fn a_write_to_all_is_refused_behind_a_fence_before_any_server_gets_it() {
        let (mut proxy, client) = proxy();
        proxy.pools[0].fenced = true;
        let write = Ask {
            terms: READ.terms.with_retry(Retry::Never),
            ..READ
        };
        ask_all(&mut proxy, client, Gather::AllOk, write);
        assert!(
            proxy.poll_output(NOW).is_none(),
            "no server is connected to"
        );
        let told = sent(&mut proxy);
        assert!(told.len() == 1 && told[0].1.starts_with(b"-ERR Writes are refused"));
        ask_all(&mut proxy, client, Gather::Sum, READ);
        connect_all(&mut proxy);
        assert_eq!(sent(&mut proxy).len(), 3);
    }
}
