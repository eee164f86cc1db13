//! The requests by which clients begin and end to listen, and what they are told.
//!
//! Owns: that a request is confirmed when every server that it concerns has confirmed it, in one piece
//! and in its place, or not at all: of one that fails nothing is left. Never: reads a server's words.

use bytes::Bytes;

use crate::base::Key;
use crate::base::Time;
use crate::config::OnServerFailure;
use crate::config::PubsubMode;
use crate::protocol::Request;
use crate::protocol::TopicKind;
use crate::protocol::command::Args;
use crate::proxy::Proxy;
use crate::proxy::client::pause::PauseReason;
use crate::proxy::effects::ConnId;
use crate::proxy::failure::Answer;
use crate::proxy::failure::RequestError;
use crate::proxy::pubsub::subscriptions::Subscriptions;
use crate::proxy::pubsub::subscriptions::Topic;

impl Proxy {
    /// Begins to listen: whether that is under way. If not, the request is to be put back.
    pub(in crate::proxy) fn subscribe(
        &mut self,
        key: Key,
        kind: TopicKind,
        request: &Request<'_>,
        now: Time,
    ) -> Result<bool, RequestError> {
        if self.waits_for_replies(key) {
            return Ok(false);
        }
        let names = names(request);
        let ready = self.feeds_for(key, kind, &names, now);
        if !matches!(ready, Ok(true)) {
            if ready.is_err() {
                self.close_empty_feeds(key);
                self.subscriptions_changed(key);
            }
            return ready;
        }
        let subscriptions = self.subscriptions(key);
        let changes = subscriptions.begin((kind, true), names, now);
        for name in changes {
            let topic = (kind, name);
            for server in self.homes_of(key, &topic) {
                if let Some(conn) = self.feed_of(key, server) {
                    self.join(key, conn, &topic, true);
                }
            }
        }
        self.await_confirmations(key, now);
        Ok(true)
    }

    /// Ends to listen to some topics of a kind, or to all: whether that is under way. If not, the request
    /// is to be put back.
    pub(in crate::proxy) fn unsubscribe(
        &mut self,
        key: Key,
        kind: TopicKind,
        request: &Request<'_>,
        now: Time,
    ) -> bool {
        if self.waits_for_replies(key) {
            return false;
        }
        let mut names = names(request);
        let subscriptions = self.subscriptions(key);
        if names.is_empty() {
            names = subscriptions.names(kind);
        }
        let changes = subscriptions.begin((kind, false), names, now);
        let feeds = self.feeds_of(key);
        for name in changes {
            let topic = (kind, name);
            for conn in &feeds {
                self.leave(key, *conn, &topic, true);
            }
        }
        self.await_confirmations(key, now);
        true
    }

    /// Whether something is due to a client, behind which a confirmation has to stand.
    fn waits_for_replies(&mut self, key: Key) -> bool {
        let client = &mut self.clients.slab[key];
        client.raise_order_barrier();
        client.replies.in_flight() > 0
    }

    fn subscriptions(&mut self, key: Key) -> &mut Subscriptions {
        let client = &mut self.clients.slab[key];
        let mode = self.pools[client.pool.index()].config.pubsub.mode;
        client
            .subscriptions
            .get_or_insert_with(|| Box::new(Subscriptions::new(mode == PubsubMode::Shared)))
    }

    /// Sees that there is a connection to each server on which a client is to listen; `false` if it has
    /// to wait for one.
    fn feeds_for(
        &mut self,
        key: Key,
        kind: TopicKind,
        names: &[Bytes],
        now: Time,
    ) -> Result<bool, RequestError> {
        let subscriptions = self.subscriptions(key);
        let bytes = subscriptions.bytes() + subscriptions.cost_of(kind, names);
        let new = names.iter().map(|name| (kind, name.clone()));
        let new: Vec<Topic> = new
            .filter(|topic| !subscriptions.topics().contains(topic))
            .collect();
        let pool = &self.pools[self.clients.slab[key].pool.index()];
        if bytes > pool.limits.bytes {
            return Err(RequestError::TooManySubscriptions);
        }
        let mut servers = Vec::new();
        for topic in &new {
            let homes = self.homes_of(key, topic);
            if homes.is_empty() {
                return Err(RequestError::NoServer);
            }
            servers.extend(homes);
        }
        // Always in the same order: of two clients that want the same two, one gets both.
        servers.sort_unstable();
        servers.dedup();
        for server in servers {
            if !self.has_feed(key, server, now)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A client listens to a topic on a connection; whether it has to be told when that is so.
    pub(in crate::proxy) fn join(&mut self, key: Key, conn: Key, topic: &Topic, tells: bool) {
        let Some(feed) = self.servers[conn].feed_mut() else {
            return;
        };
        let change = feed.join(topic, key, tells);
        if change.asks {
            self.ask_to_listen(conn, true, topic);
        }
        if change.waits {
            self.await_one(key);
        }
    }

    /// It listens to it there no longer.
    pub(in crate::proxy) fn leave(&mut self, key: Key, conn: Key, topic: &Topic, tells: bool) {
        let Some(feed) = self.servers[conn].feed_mut() else {
            return;
        };
        let change = feed.leave(topic, key, tells);
        if change.asks {
            self.ask_to_listen(conn, false, topic);
        }
        if change.waits {
            self.await_one(key);
        }
    }

    fn await_one(&mut self, key: Key) {
        if let Some(subscriptions) = &mut self.clients.slab[key].subscriptions {
            subscriptions.await_one();
        }
    }

    pub(in crate::proxy) fn ask_to_listen(&mut self, conn: Key, begins: bool, topic: &Topic) {
        let conn_of = &mut self.servers[conn];
        let protocol = self.pools[conn_of.pool.index()].protocol;
        let (kind, name) = topic;
        protocol.write_listen(
            (*kind, begins, name),
            &mut conn_of.greeting,
            &mut self.wire.spare,
        );
        conn_of.sending.list(ConnId::Server(conn), &mut self.wire);
    }

    /// A request has been made of all servers that it concerns: its client waits for them, if there are
    /// any.
    fn await_confirmations(&mut self, key: Key, now: Time) {
        let client = &mut self.clients.slab[key];
        let subscriptions = client.subscriptions.as_deref();
        if subscriptions.is_some_and(Subscriptions::is_confirmed) {
            return self.settle_subscription(key, now);
        }
        client.pauses.add(PauseReason::Exclusive);
        if let Some(due) = self.subscription_deadline(key) {
            self.time_client(key, due);
        }
    }

    /// When a client gets an error in place of what servers have not confirmed.
    fn subscription_deadline(&self, key: Key) -> Option<Time> {
        let client = &self.clients.slab[key];
        let pool = &self.pools[client.pool.index()];
        let since = client.subscriptions.as_deref()?.pending_since()?;
        let timeout = pool.config.timeouts.request;
        let is_away = |conn: &Key| !self.servers[*conn].is_open();
        let held = pool.config.failure.policy == OnServerFailure::Hold
            && self.feeds_of(key).iter().any(is_away);
        let patience = match held {
            true => Some(pool.hold_time.max(timeout.unwrap_or_default())),
            false => timeout,
        };
        patience.map(|patience| since + patience)
    }

    /// Looks whether a client has waited too long; whether it waits on.
    pub(in crate::proxy) fn subscription_due(&mut self, key: Key, now: Time) -> bool {
        match self.subscription_deadline(key) {
            None => false,
            Some(due) if due > now => {
                self.time_client(key, due);
                true
            }
            Some(_) => {
                self.fail_subscription(key, Answer::Request(RequestError::TimedOut), now);
                false
            }
        }
    }

    /// A server has confirmed what a client has asked for, or need not any more.
    pub(in crate::proxy) fn subscription_confirmed(&mut self, key: Key, now: Time) {
        let client = self.clients.slab.find_mut(key);
        let subscriptions = client.and_then(|client| client.subscriptions.as_deref_mut());
        if subscriptions.is_some_and(Subscriptions::confirmed_one) {
            self.settle_subscription(key, now);
        }
    }

    /// All is confirmed: the client is told, and reads on.
    pub(in crate::proxy) fn settle_subscription(&mut self, key: Key, now: Time) {
        let client = &mut self.clients.slab[key];
        let Some(subscriptions) = client.subscriptions.as_deref_mut() else {
            return;
        };
        let settled = subscriptions.settle();
        let (version, protocol) = (
            client.session.version(),
            self.pools[client.pool.index()].protocol,
        );
        let mut told = Vec::new();
        for it in &settled.confirmations {
            let what = (it.kind, it.begins, it.topic.as_deref());
            protocol.write_confirmation(version, what, it.count, &mut told);
        }
        // As Redis tells it also to who wants to hear no reply: it is none.
        client.session.mutes_next();
        let conn = client.conn();
        client.replies.put(&told, conn, &mut self.wire);
        for message in &settled.early {
            let message = protocol.retell(version, message);
            client.replies.push(&message, conn, &mut self.wire);
        }
        self.stats.pools[client.pool.index()]
            .pubsub
            .messages
            .add(settled.early.len());
        self.end_subscription_request(key, now);
    }

    /// What a client has asked for cannot be done: it is told why, and listens to what it did before. What
    /// was to end has ended, for it gets no more of it, whatever its server says and when.
    pub(in crate::proxy) fn fail_subscription(&mut self, key: Key, answer: Answer<'_>, now: Time) {
        let Some(client) = self.clients.slab.find_mut(key) else {
            return;
        };
        let Some(subscriptions) = client.subscriptions.as_deref_mut() else {
            return;
        };
        if subscriptions.pending_since().is_none() {
            return;
        }
        if subscriptions.is_ending() {
            for conn in self.feeds_of(key) {
                if let Some(feed) = self.servers[conn].feed_mut() {
                    feed.forget(key);
                }
            }
            return self.settle_subscription(key, now);
        }
        let topics = subscriptions.give_up();
        let pool = client.pool;
        let feeds = self.feeds_of(key);
        for topic in &topics {
            for conn in &feeds {
                self.leave(key, *conn, topic, false);
            }
        }
        self.record_failure(pool, answer);
        let answer = answer.encode(self.pools[pool.index()].protocol);
        self.reply(key, &answer);
        self.end_subscription_request(key, now);
    }

    fn end_subscription_request(&mut self, key: Key, now: Time) {
        self.close_empty_feeds(key);
        self.subscriptions_changed(key);
        self.let_go_on(key, now);
        self.migrate_if_settled(key);
    }

    /// A client listens to more or fewer topics than before: what is known of that elsewhere follows.
    pub(in crate::proxy) fn subscriptions_changed(&mut self, key: Key) {
        let client = &mut self.clients.slab[key];
        let now = client.subscriptions.as_deref();
        let counts = now.map_or([0; 3], Subscriptions::counts);
        if now.is_some_and(Subscriptions::is_empty) {
            client.subscriptions = None;
        }
        let before = client.session.set_subscribed(counts);
        let gauges = &self.stats.pools[client.pool.index()].pubsub;
        for (gauge, was, is) in [
            (
                &gauges.subscribers,
                usize::from(before != [0; 3]),
                usize::from(counts != [0; 3]),
            ),
            (
                &gauges.subscriptions,
                before.iter().sum(),
                counts.iter().sum(),
            ),
        ] {
            gauge.add(is);
            gauge.sub(was);
        }
    }

    /// A client listens to nothing any more, and is told nothing: it goes, or begins anew.
    pub(in crate::proxy) fn end_subscriptions(&mut self, key: Key) {
        let feeds = self.feeds_of(key);
        let Some(client) = self.clients.slab.find_mut(key) else {
            return;
        };
        let Some(subscriptions) = client.subscriptions.take() else {
            return;
        };
        if subscriptions.is_shared {
            let asked_for = subscriptions.asked_for();
            for topic in subscriptions.topics().iter().chain(&asked_for) {
                for conn in &feeds {
                    self.leave(key, *conn, topic, false);
                }
            }
        } else {
            for conn in feeds {
                self.close_feed(conn);
            }
        }
        self.subscriptions_changed(key);
    }
}

/// The names that a request has behind its first word.
fn names(request: &Request<'_>) -> Vec<Bytes> {
    let args = (1..request.len()).map(|at| request.arg(at));
    args.map(Bytes::copy_from_slice).collect()
}
