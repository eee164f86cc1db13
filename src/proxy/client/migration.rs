//! Gives clients to another process, and takes them from one, without their noticing.
//!
//! Owns: who is to go, and the moment at which a client can: between two requests, when all that it
//! asked is answered and the answers are sent. From the moment on that it is to go nothing more of
//! it is read as requests; what comes all the same, and the part of a request that had come before,
//! travels with it. So each request is acted upon by one process alone, and the replies of one
//! have left before the other sends any. Never: moves a socket.

use std::net::SocketAddr;

use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::Time;
use crate::proxy::Proxy;
use crate::proxy::client::Client;
use crate::proxy::client::Session;
use crate::proxy::client::multi;
use crate::proxy::client::pause::PauseReason;
use crate::proxy::client::state::Carried;
use crate::proxy::client::state::ClientState;
use crate::proxy::effects::ConnId;
use crate::proxy::effects::Output;

impl Proxy {
    /// Gets the clients of some pools ready to go, also those that are yet to come: `pools` says
    /// which, as `PoolIdx` counts them. Each is named by [`Output::HandOver`] when it can go.
    pub fn hand_over(&mut self, pools: Vec<bool>, now: Time) {
        self.clients.migrating_pools = pools;
        let keys: Vec<Key> = self.clients.slab.keys().collect();
        for key in keys {
            self.get_ready_to_migrate(key, now);
        }
    }

    /// Those who have not gone stay, and are read again.
    pub fn keep_clients(&mut self) {
        self.clients.migrating_pools = Vec::new();
        let keys: Vec<Key> = self.clients.slab.keys().collect();
        for key in keys {
            let pauses = &mut self.clients.slab[key].pauses;
            if pauses.has(PauseReason::Migrating) {
                pauses.remove(PauseReason::Migrating);
                self.clients.update_pause(key, &mut self.wire);
            }
        }
    }

    /// How many clients are to go and have not gone.
    #[must_use]
    pub fn migrating_count(&self) -> usize {
        let clients = self.clients.slab.keys().map(|key| &self.clients.slab[key]);
        clients.filter(|client| client.is_migrating()).count()
    }

    pub(in crate::proxy) fn get_ready_to_migrate(&mut self, key: Key, now: Time) {
        let (clients, pools) = (&mut self.clients.slab, &self.clients.migrating_pools);
        let client = &mut clients[key];
        let goes = pools.get(client.pool.index()).copied();
        if !client.life.is_open() || !goes.unwrap_or(false) || client.is_migrating() {
            return;
        }
        client.pauses.add(PauseReason::Migrating);
        self.leave_exclusive(key, now);
        self.clients.update_pause(key, &mut self.wire);
        self.migrate_if_settled(key);
    }

    /// To be called whenever less is due to a client.
    #[inline]
    pub(in crate::proxy) fn migrate_if_settled(&mut self, key: Key) {
        let Some(client) = self.clients.slab.find(key) else {
            return;
        };
        if client.can_migrate() {
            self.wire.put(Output::HandOver(client.conn()));
        }
    }

    /// Takes a client away that was named by [`Output::HandOver`] and from whose socket nothing is
    /// being received any more; then `closed` is to be called. `None` if it can no longer go.
    pub fn take_client(&mut self, conn: ConnId, now: Time) -> Option<(PoolIdx, ClientState)> {
        let ConnId::Client(key) = conn else {
            return None;
        };
        let client = self.clients.slab.find_mut(key)?;
        if !client.can_migrate() {
            return None;
        }
        let input = client.input.take_all();
        let mut state = client.session.state(input, now);
        let transaction = client.transaction.take();
        state.transaction = transaction.map_or(Carried::Nothing, |begun| begun.carried());
        // Without a password it has given none, and may have to yet.
        state.authenticated &= self.pools[client.pool.index()].needs_password();
        if let Some(subscriptions) = client.subscriptions.as_deref() {
            state.subscriptions = subscriptions.topics().iter().cloned().collect();
        }
        client.close();
        let pool = client.pool;
        self.end_subscriptions(key);
        Some((pool, state))
    }

    /// A client that another process has served so far is ours. Its input is to be given to
    /// `received` afterwards, before anything that comes from its socket.
    pub fn client_adopted(
        &mut self,
        pool: PoolIdx,
        peer: Option<SocketAddr>,
        state: &ClientState,
        now: Time,
    ) -> ConnId {
        let mut session = Session::adopted(state, self.pools[pool.index()].protocol, peer, now);
        let needs_password = self.pools[pool.index()].needs_password();
        session.set_authenticated(state.authenticated || !needs_password);
        let mut client = Client::new(pool, session, now);
        let draw = self.random.next_u32();
        client.transaction = multi::adopted(&state.transaction, &self.pools[pool.index()], draw);
        let key = self.insert_client(client);
        self.greet_client(key, now);
        self.pause_newcomer(key);
        self.listen_on(key, &state.subscriptions, now);
        self.get_ready_to_migrate(key, now);
        ConnId::Client(key)
    }

    /// New clients have ids from there on: lower ones are those of adopted clients.
    pub fn number_clients_from(&mut self, first: u64) {
        self.clients.ids.begin_at(first);
    }

    /// The id of the next client.
    #[must_use]
    pub fn next_client_id(&self) -> u64 {
        self.clients.ids.next()
    }
}
