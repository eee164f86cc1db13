//! Where topics live, and what follows when that changes, or when another process takes a client over.
//!
//! | topic | lives |
//! |---|---|
//! | a channel, also of a shard | on the server of its name, as a key of that name would |
//! | a channel on which each server tells of its own keys | on all of them |
//! | a pattern | on all of them: each message is published on one |
//!
//! Owns: that a client listens where its topics live. Where it cannot (no connection is free) it is closed:
//! it would miss what is published without knowing. Never: tells it anything.

use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::config::PubsubMode;
use crate::protocol::TopicKind;
use crate::protocol::is_everywhere;
use crate::proxy::Proxy;
use crate::proxy::client::ending::End;
use crate::proxy::plan::CHANNEL_DRAW;
use crate::proxy::pool::Pool;
use crate::proxy::pubsub::subscriptions::Subscriptions;
use crate::proxy::pubsub::subscriptions::Topic;

/// The servers on which a topic is listened to; none when none is live.
fn homes(pool: &Pool, (kind, name): &Topic) -> Vec<ServerIdx> {
    match kind {
        TopicKind::Pattern => pool.live_servers(),
        TopicKind::Channel if is_everywhere(name) => pool.live_servers(),
        TopicKind::Channel | TopicKind::Shard => {
            let home = pool.server_of(name, CHANNEL_DRAW);
            home.into_iter().collect()
        }
    }
}

impl Proxy {
    /// The servers on which a client listens to a topic.
    pub(in crate::proxy) fn homes_of(&self, client: Key, topic: &Topic) -> Vec<ServerIdx> {
        let pool = self.clients.slab[client].pool;
        homes(&self.pools[pool.index()], topic)
    }

    /// Keys live elsewhere in a pool, and so do channels.
    pub(in crate::proxy) fn rehome(&mut self, pool: PoolIdx, now: Time) {
        for key in self.clients_of(pool) {
            self.rehome_client(key, now);
        }
    }

    fn rehome_client(&mut self, key: Key, now: Time) {
        let client = &self.clients.slab[key];
        let Some(subscriptions) = client.subscriptions.as_deref() else {
            return;
        };
        let wanted = subscriptions.wanted();
        // It listens at the new home before it leaves the old one.
        for (topic, tells) in &wanted {
            for server in self.homes_of(key, topic) {
                let Some(conn) = self.feed_now(key, server, now) else {
                    return self.close_homeless(key, "no connection to another server is free");
                };
                let feed = self.servers[conn].feed_mut();
                if feed.is_some_and(|feed| !feed.has(topic, key)) {
                    self.join(key, conn, topic, *tells);
                }
            }
        }
        for conn in self.feeds_of(key) {
            let server = self.servers[conn].server;
            for (topic, _) in &wanted {
                if self.homes_of(key, topic).contains(&server) {
                    continue;
                }
                let feed = self.servers[conn].feed_mut();
                let was_awaited = feed.is_some_and(|feed| feed.is_awaited(topic, key));
                self.leave(key, conn, topic, false);
                if was_awaited {
                    if let Some(subscriptions) = &mut self.clients.slab[key].subscriptions {
                        subscriptions.confirmed_one();
                    }
                }
            }
        }
        self.close_empty_feeds(key);
        let subscriptions = self.clients.slab[key].subscriptions.as_deref();
        if subscriptions.is_some_and(Subscriptions::is_confirmed) {
            self.settle_subscription(key, now);
        }
    }

    /// Closes a client that cannot listen where its topics live.
    pub(in crate::proxy) fn close_homeless(&mut self, key: Key, why: &str) {
        let Some(client) = self.clients.slab.find(key) else {
            return;
        };
        let (pool, id) = (client.pool, client.session.id());
        let pool_name = &self.pools[pool.index()].config.name;
        tracing::warn!(
            pool = %pool_name,
            client = id,
            reason = why,
            "client closed: it cannot listen to its channels any more"
        );
        self.stats.pools[pool.index()].pubsub.homeless_closed.add(1);
        self.count_end(key, End::Err);
        self.close_client(key);
    }

    /// A client that another process has served listens to these.
    pub(in crate::proxy) fn listen_on(&mut self, key: Key, topics: &[Topic], now: Time) {
        if topics.is_empty() {
            return;
        }
        let client = &mut self.clients.slab[key];
        let mode = self.pools[client.pool.index()].config.pubsub.mode;
        let mut subscriptions = Subscriptions::new(mode == PubsubMode::Shared);
        for topic in topics {
            subscriptions.add(topic.clone());
        }
        client.subscriptions = Some(Box::new(subscriptions));
        self.subscriptions_changed(key);
        self.rehome_client(key, now);
    }
}
