//! What a client asks about the other clients of its pool, done with those of this worker.
//!
//! | request | what is done |
//! |---|---|
//! | `List` | their lines are told |
//! | `Kill` | they are closed at once, as Redis does; who has asked gets its answer before |
//! | `Pause` | they are read no further, or only until they write |
//! | `SlowLog…` | what is kept of their slow requests is told, counted, forgotten |
//! | `Unblock` | what a client waits for ends, and so does the connection on which it waits |
//!
//! Owns: this table. Never: asks other workers.

use std::time::Duration;

use bytes::Bytes;

use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::Time;
use crate::messages::ClientsRequest;
use crate::messages::Inquiry;
use crate::messages::Which;
use crate::proxy::Proxy;
use crate::proxy::client::Reply;
use crate::proxy::client::ending::End;
use crate::proxy::client::local::unblocked;
use crate::proxy::client::pause::PauseReason;
use crate::proxy::exclusive::lease::LeaseState;
use crate::proxy::inquiry::Found;

/// Clients of whole pools that are read no further.
#[derive(Debug, Default)]
pub(in crate::proxy) struct ClientPauses {
    until: Vec<(PoolIdx, Time)>,
}

impl ClientPauses {
    /// When the first of them is over.
    pub(in crate::proxy) fn next(&self) -> Option<Time> {
        self.until.iter().map(|(_, until)| *until).min()
    }

    fn has(&self, pool: PoolIdx) -> bool {
        self.until.iter().any(|(paused, _)| *paused == pool)
    }

    /// Whether the pool was not paused before.
    fn add(&mut self, pool: PoolIdx, until: Time) -> bool {
        match self.until.iter_mut().find(|(paused, _)| *paused == pool) {
            Some((_, before)) => {
                *before = until.max(*before);
                false
            }
            None => {
                self.until.push((pool, until));
                true
            }
        }
    }

    fn end(&mut self, pool: PoolIdx) {
        self.until.retain(|(paused, _)| *paused != pool);
    }
}

impl Proxy {
    /// Does it. `asker` is the client that has asked, if it is one of this worker's.
    pub(in crate::proxy) fn attend_to(
        &mut self,
        inquiry: &Inquiry,
        asker: Option<Key>,
        now: Time,
    ) -> Found {
        let pool = inquiry.pool;
        let mut found = Found::default();
        match &inquiry.request {
            ClientsRequest::List(which) => {
                let most = self.pools[pool.index()].limits.bytes;
                for key in self.clients_meant(pool, which, now) {
                    let client = &self.clients.slab[key];
                    let database = self.pools[pool.index()].kind_of(client).database;
                    found.line(client.session.id(), client.line(database, now), most);
                }
            }
            ClientsRequest::Kill(which) => {
                for key in self.clients_meant(pool, which, now) {
                    found.count += 1;
                    self.count_end(key, End::Err);
                    match asker == Some(key) {
                        true => self.end_client(key, true, now),
                        false => self.close_client(key),
                    }
                }
            }
            ClientsRequest::Pause {
                within,
                only_writes: false,
            } => self.pause_clients(pool, *within, now),
            ClientsRequest::Pause { within, .. } => self.hold_all_writes(pool, now + *within),
            ClientsRequest::Unpause => {
                self.let_all_writes(pool);
                self.end_client_pause(pool);
            }
            ClientsRequest::SlowLog { most } => self.tell_slow_log(pool, *most, &mut found),
            ClientsRequest::SlowLogLen => {
                found.count = self.pools[pool.index()].slow_log.iter().count() as u64;
            }
            ClientsRequest::SlowLogReset => self.pools[pool.index()].slow_log.clear(),
            ClientsRequest::Unblock { id, with_error } => {
                found.count = u64::from(self.unblock(pool, *id, *with_error, now));
            }
        }
        found
    }

    fn clients_meant(&self, pool: PoolIdx, which: &Which, now: Time) -> Vec<Key> {
        let is_meant = |key: &Key| {
            let client = &self.clients.slab[*key];
            client.pool == pool && client.is_meant(which, now)
        };
        self.clients.slab.keys().filter(is_meant).collect()
    }

    /// The clients of a pool, also those that are yet to come, are read no further for so long.
    fn pause_clients(&mut self, pool: PoolIdx, within: Duration, now: Time) {
        if !self.client_pauses.add(pool, now + within) {
            return;
        }
        for key in self.clients_meant(pool, &Which::default(), now) {
            self.pause_newcomer(key);
        }
    }

    /// A client is read no further if its pool's are not.
    pub(in crate::proxy) fn pause_newcomer(&mut self, key: Key) {
        let client = &mut self.clients.slab[key];
        if self.client_pauses.has(client.pool) && client.life.is_open() {
            client.pauses.add(PauseReason::Paused);
            self.clients.update_pause(key, &mut self.wire);
        }
    }

    /// Those are read on whose time is over.
    pub(in crate::proxy) fn end_client_pauses(&mut self, now: Time) {
        let is_over = |(pool, until): &(PoolIdx, Time)| (*until <= now).then_some(*pool);
        while let Some(pool) = self.client_pauses.until.iter().find_map(is_over) {
            self.end_client_pause(pool);
        }
    }

    fn end_client_pause(&mut self, pool: PoolIdx) {
        if !self.client_pauses.has(pool) {
            return;
        }
        self.client_pauses.end(pool);
        let keys = self.clients_of(pool);
        self.clients
            .release(PauseReason::Paused, &keys, &mut self.wire);
    }

    /// A client waits no longer on its server, if it does, and nothing has come for it: whether that is
    /// so.
    fn unblock(&mut self, pool: PoolIdx, id: u64, with_error: bool, now: Time) -> bool {
        let which = Which {
            ids: vec![id],
            ..Which::default()
        };
        let Some(key) = self.clients_meant(pool, &which, now).pop() else {
            return false;
        };
        let client = &self.clients.slab[key];
        let Some(LeaseState::Blocked(conn, _)) = client.lease.as_deref().map(|it| &it.state) else {
            return false;
        };
        let (conn, version) = (*conn, client.session.version());
        if self.servers[conn].incoming.is_assembling() {
            return false;
        }
        let Some((pending, ..)) = self.take_asked(conn) else {
            return false;
        };
        let reply = unblocked(version, with_error);
        self.clients.deliver(
            pending.awaiter,
            Reply::<Bytes>::Own(&reply),
            pending.bytes as usize,
            &mut self.wire,
        );
        self.end_lease(key);
        self.let_go_on(key, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_only_made_longer_until_it_is_ended() {
        let at = Time::from_micros;
        let mut pauses = ClientPauses::default();
        assert!(pauses.add(PoolIdx(0), at(5)) && pauses.add(PoolIdx(1), at(9)));
        assert_eq!(pauses.next(), Some(at(5)));
        assert!(!pauses.add(PoolIdx(0), at(3)));
        assert_eq!(pauses.next(), Some(at(5)));
        assert!(!pauses.add(PoolIdx(0), at(20)));
        assert_eq!(pauses.next(), Some(at(9)));
        pauses.end(PoolIdx(1));
        assert!(pauses.has(PoolIdx(0)) && !pauses.has(PoolIdx(1)));
    }
}
