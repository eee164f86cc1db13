//! The server connections on which clients listen: opened, ready, lost, silent, closed.
//!
//! ```text
//!   opened ──► ready: all topics are asked for ──► lost ──► opened again, at once or when it can be
//!                                └── nobody listens any more ──► closed
//! ```
//!
//! Owns: that a client's topics are asked for again wherever their server is, that one which is dead and
//! does not say so is found out, and that none is used for anything else afterwards. Never: tells a client.

use std::time::Duration;

use crate::base::Key;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::config::OnServerFailure;
use crate::proxy::Proxy;
use crate::proxy::effects::ConnId;
use crate::proxy::exclusive::lease::LeaseState;
use crate::proxy::exclusive::stock::Exclusive;
use crate::proxy::failure::Answer;
use crate::proxy::failure::Failure;
use crate::proxy::failure::Outcome;
use crate::proxy::failure::RequestError;
use crate::proxy::pubsub::feed::Feed;
use crate::proxy::pubsub::subscriptions::Subscriptions;
use crate::proxy::server_conn::ServerConn;
use crate::proxy::server_conn::ServerPhase;
use crate::proxy::server_conn::reconnect;

/// A server that has said nothing for so long is asked whether it lives.
const SILENT_FOR: Duration = Duration::from_secs(10);

/// Longer than any command should take that holds up a server; then it is given up.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// One that is shared is kept so long without a listener.
const KEPT_UNUSED: Duration = Duration::from_secs(10);

/// A connection that has held so long was well: the next attempt is made at once.
const HELD_WELL: Duration = Duration::from_secs(1);

impl Proxy {
    /// The connection on which a client listens to a server, if there is one.
    pub(in crate::proxy) fn feed_of(&self, key: Key, server: ServerIdx) -> Option<Key> {
        let client = &self.clients.slab[key];
        let subscriptions = client.subscriptions.as_deref()?;
        match subscriptions.is_shared {
            true => self.stocks.shared_feed((client.pool, server)),
            false => subscriptions.feeds.get(&server).copied(),
        }
    }

    /// All connections on which a client listens, or might.
    pub(in crate::proxy) fn feeds_of(&self, key: Key) -> Vec<Key> {
        let Some(client) = self.clients.slab.find(key) else {
            return Vec::new();
        };
        match client.subscriptions.as_deref() {
            None => Vec::new(),
            Some(it) if it.is_shared => self.stocks.shared_feeds(client.pool),
            Some(it) => it.feeds.values().copied().collect(),
        }
    }

    /// Sees that there is one; `false` if the client has to wait for it.
    pub(in crate::proxy) fn has_feed(
        &mut self,
        key: Key,
        server: ServerIdx,
        now: Time,
    ) -> Result<bool, RequestError> {
        let subscriptions = self.clients.slab[key].subscriptions.as_deref();
        if subscriptions.is_some_and(|it| it.is_shared) {
            let conn = self.shared_feed(key, server, now);
            self.hurry(conn, now);
            return Ok(true);
        }
        if let Some(conn) = self.feed_of(key, server) {
            self.hurry(conn, now);
            return Ok(true);
        }
        if !self.leases_for(key, server, now)? {
            return Ok(false);
        }
        let lease = self.clients.slab[key].lease.take();
        if let Some(LeaseState::Granted(conn)) = lease.map(|lease| lease.state) {
            self.dedicate(key, conn, now);
        }
        Ok(true)
    }

    /// The same at once, or not at all.
    pub(in crate::proxy) fn feed_now(
        &mut self,
        key: Key,
        server: ServerIdx,
        now: Time,
    ) -> Option<Key> {
        let client = &self.clients.slab[key];
        let pool = client.pool;
        if client.subscriptions.as_deref()?.is_shared {
            return Some(self.shared_feed(key, server, now));
        }
        if let Some(conn) = self.feed_of(key, server) {
            return Some(conn);
        }
        if self.pools[pool.index()].config.connections.exclusive == 0 {
            return None;
        }
        let conn = self.allot((pool, server), key, now)?;
        self.publish_stock((pool, server));
        self.dedicate(key, conn, now);
        Some(conn)
    }

    /// A client's own connection is for listening from now on.
    fn dedicate(&mut self, key: Key, conn: Key, now: Time) {
        let of_conn = &mut self.servers[conn];
        let (server, is_ready) = (of_conn.server, of_conn.life.phase() == ServerPhase::Ready);
        if let Some(exclusive) = &mut of_conn.exclusive {
            exclusive.is_marked = true;
            exclusive.feed = Some(Box::default());
        }
        if let Some(subscriptions) = &mut self.clients.slab[key].subscriptions {
            subscriptions.feeds.insert(server, conn);
        }
        if is_ready {
            self.feed_ready(conn, now);
        }
    }

    /// The connection on which all of this worker listen to a server of a client's pool.
    fn shared_feed(&mut self, key: Key, server: ServerIdx, now: Time) -> Key {
        let pool = self.clients.slab[key].pool;
        if let Some(conn) = self.stocks.shared_feed((pool, server)) {
            return conn;
        }
        let kind = self.pools[pool.index()].base_kind;
        let mut conn = ServerConn::new((pool, server), kind, now);
        conn.exclusive = Some(Box::new(Exclusive {
            owner: Key::NONE,
            free_since: now,
            is_marked: true,
            feed: Some(Box::default()),
        }));
        conn.asked = true;
        let conn = self.servers.insert(conn);
        self.servers[conn].key = conn;
        self.stocks.set_shared_feed((pool, server), conn);
        self.attempt(conn, now);
        conn
    }

    /// Somebody asks: a server that could not be reached a while ago is tried now.
    fn hurry(&mut self, conn: Key, now: Time) {
        if let ServerPhase::Down { since, .. } = self.servers[conn].life.phase() {
            if since + reconnect::ASKED <= now {
                self.attempt(conn, now);
            }
        }
    }

    /// A server can be asked.
    pub(in crate::proxy) fn feed_ready(&mut self, key: Key, now: Time) {
        let conn = &mut self.servers[key];
        let (pool, server) = (conn.pool, conn.server);
        let Some(feed) = conn.feed_mut() else {
            return;
        };
        let topics = feed.live();
        let was_lost = std::mem::take(&mut feed.is_lost);
        for topic in &topics {
            self.ask_to_listen(key, true, topic);
        }
        self.look_again(key, now + SILENT_FOR);
        if was_lost {
            self.stats.pools[pool.index()]
                .pubsub
                .resubscribed
                .add(topics.len());
            let of_pool = &self.pools[pool.index()];
            let (pool, server) = (&of_pool.config.name, &of_pool.servers[server.index()].name);
            tracing::info!(%pool, %server, topics = topics.len(), "subscribed again");
        }
    }

    /// The connection has ended on which somebody listens: another takes its place.
    pub(in crate::proxy) fn feed_lost(
        &mut self,
        (ended, mut feed): (Key, Box<Feed>),
        owner: Option<Key>,
        (failure, worked): (&Failure, bool),
        now: Time,
    ) {
        let told = feed.lose();
        let conn = &mut self.servers[ended];
        conn.incoming.forget();
        let at = (conn.pool, conn.server);
        let of_pool = &self.pools[at.0.index()];
        if feed.is_lost && worked {
            let (pool, server) = (&of_pool.config.name, &of_pool.servers[at.1.index()].name);
            tracing::warn!(%pool, %server, %failure, topics = feed.len(), "subscriptions lost");
        }
        let holds = of_pool.config.failure.policy == OnServerFailure::Hold;
        let beginners = match worked || holds {
            true => Default::default(),
            false => feed.beginners(),
        };
        let next = match feed.is_empty() {
            true => None,
            false => Some(self.next_feed(ended, owner, feed, (failure, worked), now)),
        };
        match (owner, next) {
            (None, None) => {}
            (None, Some(next)) => self.stocks.set_shared_feed(at, next),
            (Some(owner), next) => {
                let client = self.clients.slab.find_mut(owner);
                let of_client = client.and_then(|client| client.subscriptions.as_deref_mut());
                if let Some(subscriptions) = of_client {
                    match next {
                        Some(next) => subscriptions.feeds.insert(at.1, next),
                        None => subscriptions.feeds.remove(&at.1),
                    };
                }
            }
        }
        for client in told {
            self.subscription_confirmed(client, now);
        }
        for client in beginners {
            let answer = Answer::Server(failure, Outcome::NotDone);
            self.fail_subscription(client, answer, now);
        }
    }

    fn next_feed(
        &mut self,
        ended: Key,
        owner: Option<Key>,
        feed: Box<Feed>,
        (failure, worked): (&Failure, bool),
        now: Time,
    ) -> Key {
        let conn = &mut self.servers[ended];
        let is_elsewhere = *failure == Failure::Moved;
        let at_once = worked && (is_elsewhere || conn.life.opened() + HELD_WELL <= now);
        conn.attempts.failed(failure);
        let attempts = conn.attempts.count();
        let delay = match at_once {
            true => Duration::ZERO,
            false => reconnect::delay(attempts, &mut self.random),
        };
        let next = self.replace(ended, owner.unwrap_or(Key::NONE), delay, now);
        if let Some(exclusive) = &mut self.servers[next].exclusive {
            exclusive.is_marked = true;
            exclusive.feed = Some(feed);
        }
        next
    }

    /// Looks at the deadlines of a connection on which somebody listens.
    pub(in crate::proxy) fn feed_due(&mut self, key: Key, now: Time) {
        let conn = &self.servers[key];
        match conn.life.phase() {
            ServerPhase::Closed => {}
            ServerPhase::Down { retry_at, .. } if retry_at <= now => self.attempt(key, now),
            ServerPhase::Down { retry_at, .. } => self.look_again(key, retry_at),
            ServerPhase::Ready => {
                if !self.close_if_unused_feed(key, now) {
                    self.look_whether_it_lives(key, now);
                }
            }
            _ => {
                let due = conn.incoming.last_heard() + self.connect_within(key);
                match due <= now {
                    true => self.fail_exclusive(key, &Failure::TimedOut, now),
                    false => self.look_again(key, due),
                }
            }
        }
    }

    fn look_whether_it_lives(&mut self, key: Key, now: Time) {
        let conn = &mut self.servers[key];
        let heard = conn.incoming.last_heard();
        let protocol = self.pools[conn.pool.index()].protocol;
        let Some(feed) = conn.feed_mut() else {
            return;
        };
        let due = match feed.pinged {
            None if heard + SILENT_FOR > now => heard + SILENT_FOR,
            None => {
                feed.pinged = Some(now);
                protocol.write_ping(&mut conn.greeting, &mut self.wire.spare);
                conn.sending.list(ConnId::Server(key), &mut self.wire);
                now + ANSWERS_WITHIN
            }
            Some(since) if since + ANSWERS_WITHIN <= now => {
                return self.fail_exclusive(key, &Failure::TimedOut, now);
            }
            Some(since) => since + ANSWERS_WITHIN,
        };
        self.look_again(key, due);
    }

    /// Closes a connection on which nobody has listened for a while, if it is one that is shared: whether
    /// it does.
    pub(in crate::proxy) fn close_if_unused_feed(&mut self, key: Key, now: Time) -> bool {
        let conn = &mut self.servers[key];
        if conn.owner().is_some() {
            return false;
        }
        let Some(feed) = conn.feed_mut() else {
            return false;
        };
        if !feed.is_empty() {
            feed.idle_since = None;
            return false;
        }
        let until = *feed.idle_since.get_or_insert(now) + KEPT_UNUSED;
        if until > now {
            self.look_again(key, until);
            return false;
        }
        self.close_feed(key);
        true
    }

    /// Closes those of a client's own connections on which it listens to nothing.
    pub(in crate::proxy) fn close_empty_feeds(&mut self, key: Key) {
        let Some(subscriptions) = self.clients.slab[key].subscriptions.as_deref() else {
            return;
        };
        let feeds: Vec<(ServerIdx, Key)> = subscriptions
            .feeds
            .iter()
            .map(|(server, conn)| (*server, *conn))
            .collect();
        for (server, conn) in feeds {
            let feed = self.servers[conn].feed_mut();
            if feed.is_none_or(|feed| feed.is_empty()) {
                self.close_feed(conn);
                let client = &mut self.clients.slab[key];
                if let Some(subscriptions) = &mut client.subscriptions {
                    subscriptions.feeds.remove(&server);
                }
            }
        }
    }

    /// Closes a connection, with all that its server might yet say.
    pub(in crate::proxy) fn close_feed(&mut self, key: Key) {
        if self.close(key).is_none() {
            return;
        }
        let conn = &mut self.servers[key];
        conn.incoming.forget();
        if let Some(exclusive) = &mut conn.exclusive {
            exclusive.owner = Key::NONE;
            exclusive.feed = None;
        }
        let at = (conn.pool, conn.server);
        self.stocks.closed(at, key);
        self.publish_stock(at);
    }

    /// Whether a client waits for what servers have to confirm.
    pub(in crate::proxy) fn awaits_confirmation(&self, key: Key) -> bool {
        let client = self.clients.slab.find(key);
        let subscriptions = client.and_then(|client| client.subscriptions.as_deref());
        subscriptions
            .and_then(Subscriptions::pending_since)
            .is_some()
    }
}
