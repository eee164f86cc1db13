//! Divides the keys of one request among the servers where they live.
//!
//! Owns: nothing between two requests but scratch space. Linear in the keys: each is routed once.

use crate::base::ServerIdx;
use crate::protocol::command::Args;
use crate::protocol::command::KeyIndexes;
use crate::proxy::pool::Pool;

/// Which servers get a part of a request, and which part each key is in.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Parts {
    servers: Vec<ServerIdx>,
    // How many keys each part has.
    keys: Vec<usize>,
    // By server: which part is its, or `NONE`.
    of_server: Vec<u16>,
    // By key: which part it is in.
    order: Vec<u16>,
}

const NONE: u16 = u16::MAX;

impl Parts {
    /// Divides these keys. A part for each server, in the order in which their first keys come; none
    /// if no server is live.
    pub(super) fn divide<A: Args + ?Sized>(
        &mut self,
        request: &A,
        keys: KeyIndexes,
        pool: &Pool,
        random: u32,
    ) {
        self.servers.clear();
        self.keys.clear();
        self.order.clear();
        self.of_server.clear();
        self.of_server.resize(pool.servers.len(), NONE);
        for index in keys.iter() {
            if let Some(server) = pool.server_of(request.arg(index), random) {
                self.add_key(server);
            }
        }
    }

    #[inline]
    fn add_key(&mut self, server: ServerIdx) {
        let mut part = self.of_server[server.index()];
        if part == NONE {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "no more parts than servers"
            )]
            let next = self.servers.len() as u16;
            part = next;
            self.of_server[server.index()] = part;
            self.servers.push(server);
            self.keys.push(0);
        }
        self.keys[usize::from(part)] += 1;
        self.order.push(part);
    }

    /// Whose each part is.
    pub(in crate::proxy) fn servers(&self) -> &[ServerIdx] {
        &self.servers
    }

    /// How many keys each part has.
    pub(in crate::proxy) fn keys(&self) -> &[usize] {
        &self.keys
    }

    /// Which part each key is in, in the order of the keys.
    pub(in crate::proxy) fn order(&self) -> &[u16] {
        &self.order
    }
}
