//! What the way of one client's requests touches, looked up once.
//!
//! Owns: nothing; it borrows the client, its pool, and all that a request is put into. Whatever needs more
//! (a connection has to be opened, the proxy answers by itself) is the `Proxy`'s.

use crate::base::Key;
use crate::base::Random;
use crate::base::Slab;
use crate::proxy::Proxy;
use crate::proxy::client::Client;
use crate::proxy::client::backpressure::FullQueues;
use crate::proxy::dispatch::curious::Curious;
use crate::proxy::dispatch::late_writes::LateWrites;
use crate::proxy::effects::Wire;
use crate::proxy::plan::Parts;
use crate::proxy::pool::Pool;
use crate::proxy::pool::write_hold::WriteHolds;
use crate::proxy::scripts::Scripts;
use crate::proxy::server_conn::ServerConn;
use crate::proxy::timers::Timers;
use crate::proxy::worker::Worker;
use crate::stats::WorkerStats;
use crate::telemetry::Records;
use crate::telemetry::observed::Observers;

/// One client, its pool, and what its requests are put into.
pub(in crate::proxy) struct Desk<'a> {
    pub(in crate::proxy) client: &'a mut Client,
    pub(in crate::proxy) pool: &'a Pool,
    pub(in crate::proxy) servers: &'a mut Slab<ServerConn>,
    pub(in crate::proxy) full_queues: &'a mut FullQueues,
    pub(in crate::proxy) late_writes: &'a mut LateWrites,
    pub(in crate::proxy) write_holds: &'a mut WriteHolds,
    pub(in crate::proxy) curious: &'a mut Curious,
    pub(in crate::proxy) scripts: &'a mut Scripts,
    pub(in crate::proxy) timers: &'a mut Timers,
    pub(in crate::proxy) wire: &'a mut Wire,
    pub(in crate::proxy) random: &'a mut Random,
    pub(in crate::proxy) parts: &'a mut Parts,
    pub(in crate::proxy) stats: &'a WorkerStats,
    pub(in crate::proxy) records: &'a mut Records,
    pub(in crate::proxy) observers: &'a mut Observers,
    pub(in crate::proxy) worker: &'a Worker,
}

impl Proxy {
    /// The desk of a client; `None` once it has gone.
    #[inline]
    pub(in crate::proxy) fn desk(&mut self, client: Key) -> Option<Desk<'_>> {
        let client = self.clients.slab.find_mut(client)?;
        Some(Desk {
            pool: &self.pools[client.pool.index()],
            client,
            servers: &mut self.servers,
            full_queues: &mut self.full_queues,
            late_writes: &mut self.late_writes,
            write_holds: &mut self.write_holds,
            curious: &mut self.curious,
            scripts: &mut self.scripts,
            timers: &mut self.timers,
            wire: &mut self.wire,
            random: &mut self.random,
            parts: &mut self.scratch.parts,
            stats: &self.stats,
            records: &mut self.records,
            observers: &mut self.observers,
            worker: &self.worker,
        })
    }
}
