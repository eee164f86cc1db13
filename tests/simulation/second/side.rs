//! A process: its proxy, and who holds its sockets.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use coremux::base::Batch;
use coremux::base::Time;
use coremux::config::Config;
use coremux::messages::SocketAddress;
use coremux::proxy::ConnId;
use coremux::proxy::Output;
use coremux::proxy::Proxy;
use coremux::stats::WorkerStats;

use super::Client;
use super::Link;
use crate::data_plane;

pub struct Side {
    pub proxy: Proxy,
    pub stats: Arc<WorkerStats>,
    pub clients: BTreeMap<ConnId, usize>,
    pub links: BTreeMap<ConnId, Link>,
    /// Those that the proxy has closed: what was sent on them arrives all the same.
    pub left: Vec<Link>,
    pub connecting: Vec<(ConnId, usize)>,
    pub sending: Vec<(ConnId, Batch)>,
    pub going: Vec<ConnId>,
    paused: Vec<ConnId>,
}

impl Side {
    pub fn new(config: &Arc<Config>, seed: u64, first_id: u64) -> Side {
        let (mut proxy, stats) = data_plane::single(config, seed);
        proxy.number_clients_from(first_id);
        Side {
            proxy,
            stats,
            clients: BTreeMap::new(),
            links: BTreeMap::new(),
            left: Vec::new(),
            connecting: Vec::new(),
            sending: Vec::new(),
            going: Vec::new(),
            paused: Vec::new(),
        }
    }

    /// Does what the proxy asks for.
    pub fn pass<C: Client>(&mut self, clients: &mut [C], now: Time) {
        while let Some(output) = self.proxy.poll_output(now) {
            match output {
                Output::Connect { conn, address, .. } => {
                    let SocketAddress::Tcp(address) = address else {
                        panic!("{address:?}");
                    };
                    let server = match address.ip() {
                        std::net::IpAddr::V4(ip) => usize::from(ip.octets()[3]) - 1,
                        ip => panic!("{ip}"),
                    };
                    self.connecting.push((conn, server));
                }
                Output::Close(conn) | Output::Abort(conn) => {
                    assert!(!self.clients.contains_key(&conn), "no client is closed");
                    self.left.extend(self.links.remove(&conn));
                    self.connecting.retain(|(other, _)| *other != conn);
                    self.return_batches(conn, now);
                    self.proxy.closed(conn);
                }
                Output::Pause(conn) => self.paused.push(conn),
                Output::Resume(conn) => self.paused.retain(|other| *other != conn),
                Output::HandOver(conn) => self.going.push(conn),
                Output::Report(_)
                | Output::Resolve { .. }
                | Output::Answer(_)
                | Output::Script(_) => {}
                Output::Ask(inquiry) => panic!("{inquiry:?}"),
                Output::ShutdownWrite(conn) => panic!("{conn:?}"),
            }
        }
        while let Some((conn, batch)) = self.proxy.poll_transmit(now) {
            let to = match (self.clients.get(&conn), self.links.get_mut(&conn)) {
                (Some(nth), _) => Some(&mut clients[*nth].pipe().got),
                (None, link) => link.map(|link| &mut link.asked),
            };
            if let Some(to) = to {
                batch.slices().for_each(|slice| to.extend_from_slice(slice));
            }
            self.sending.push((conn, batch));
        }
    }

    /// What was being sent on a connection is sent, or lost with it.
    pub fn return_batches(&mut self, conn: ConnId, now: Time) {
        while let Some(at) = self.sending.iter().position(|(other, _)| *other == conn) {
            let (conn, batch) = self.sending.remove(at);
            self.proxy.sent(conn, batch, now);
        }
    }

    /// Gives the proxy some of what a client has sent.
    pub fn receive_requests<C: Client>(
        &mut self,
        clients: &mut [C],
        pick: usize,
        most: usize,
        now: Time,
    ) {
        let nth = pick % self.clients.len().max(1);
        let Some((conn, nth)) = self.clients.iter().nth(nth) else {
            return;
        };
        if !self.paused.contains(conn) {
            let wire = &mut clients[*nth].pipe().wire;
            let chunk: Vec<u8> = wire.drain(..most.min(wire.len())).collect();
            self.receive(*conn, chunk, now);
        }
    }

    /// Gives it some of what a server has sent.
    pub fn receive_replies(&mut self, pick: usize, most: usize, now: Time) {
        let nth = pick % self.links.len().max(1);
        let Some((conn, link)) = self.links.iter_mut().nth(nth) else {
            return;
        };
        let most = most.min(link.replies.len());
        let (conn, chunk) = (*conn, link.replies.drain(..most).collect());
        self.receive(conn, chunk, now);
    }

    fn receive(&mut self, conn: ConnId, chunk: Vec<u8>, now: Time) {
        if !chunk.is_empty() {
            self.proxy.received(conn, &Bytes::from(chunk), now);
        }
    }
}
