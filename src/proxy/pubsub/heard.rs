//! What servers say on connections on which clients listen.
//!
//! Owns: that a message is given to who has asked for its topic on that connection, and to nobody else;
//! that it is not copied for each of them, but for a small one into its output; and that a client which
//! does not take its messages is closed. Never: asks a server for anything.

use bytes::Bytes;

use crate::base::ByteQueue;
use crate::base::Chunk;
use crate::base::Key;
use crate::base::SHARE_BYTES_MIN;
use crate::base::Time;
use crate::protocol::Expect;
use crate::protocol::Heard;
use crate::protocol::Version;
use crate::proxy::Proxy;
use crate::proxy::client::ending::End;
use crate::proxy::failure::Answer;
use crate::proxy::failure::Failure;
use crate::proxy::failure::Outcome;
use crate::proxy::pubsub::subscriptions::Passage;
use crate::proxy::pubsub::subscriptions::Topic;
use crate::proxy::server_conn::ServerPhase;

/// As much of a server's refusal as is told to clients.
const REFUSAL_BYTES_MAX: usize = 512;

impl Proxy {
    pub(in crate::proxy) fn feed_received<C: Chunk>(&mut self, key: Key, chunk: &C, now: Time) {
        let mut at = 0;
        while at < chunk.bytes().len() {
            let conn = &mut self.servers[key];
            conn.incoming.heard(now);
            let taken = match conn.life.phase() {
                ServerPhase::Ready => self.take_heard(key, chunk, at, now),
                _ => self.take_reply(key, chunk, at, now),
            };
            match taken {
                Ok(used) => at += used,
                Err(failure) => return self.fail_exclusive(key, &failure, now),
            }
        }
    }

    /// Takes what a server says at `chunk[at..]`, or the part of it that is there: how many bytes.
    fn take_heard<C: Chunk>(
        &mut self,
        key: Key,
        chunk: &C,
        at: usize,
        now: Time,
    ) -> Result<usize, Failure> {
        let conn = &mut self.servers[key];
        let (protocol, version) = (self.pools[conn.pool.index()].protocol, conn.kind.version);
        if let Some(feed) = conn.feed_mut() {
            feed.pinged = None;
        }
        let conn = &mut self.servers[key];
        if !conn.incoming.is_assembling() {
            let cut = protocol.cut_reply(version, Expect::ONE, &chunk.bytes()[at..]);
            if let Some(cut) = cut.map_err(Failure::BadReply)? {
                let frame = match cut.bytes < SHARE_BYTES_MIN {
                    true => Bytes::copy_from_slice(&chunk.bytes()[at..at + cut.bytes]),
                    false => chunk.share().slice(at..at + cut.bytes),
                };
                self.heard(key, &frame, now)?;
                return Ok(cut.bytes);
            }
        }
        let mut assembly = conn
            .incoming
            .take_assembly()
            .unwrap_or_else(|| Box::new(protocol.reply_assembly(version, Expect::ONE)));
        let fed = assembly
            .feed(chunk, at, &mut self.wire.spare)
            .map_err(Failure::BadReply)?;
        match fed.complete {
            true => self.heard(key, &whole(assembly.into_bytes()), now)?,
            false => self.servers[key].incoming.set_assembly(assembly),
        }
        Ok(fed.used)
    }

    fn heard(&mut self, key: Key, frame: &Bytes, now: Time) -> Result<(), Failure> {
        let conn = &mut self.servers[key];
        let protocol = self.pools[conn.pool.index()].protocol;
        let Some(feed) = conn.feed_mut() else {
            return Ok(());
        };
        match protocol.heard(frame) {
            Heard::Message(kind, name) => {
                let topic = (kind, frame.slice_ref(name));
                self.pass_message(key, &topic, frame, now);
            }
            Heard::Confirmed(kind, begins, name) => {
                let topic = (kind, frame.slice_ref(name));
                let told = feed.confirmed(begins, &topic).ok_or(Failure::Unasked)?;
                for client in told {
                    self.subscription_confirmed(client, now);
                }
                self.close_if_unused_feed(key, now);
                // Its client has not waited for that.
                let conn = &mut self.servers[key];
                let owner = conn.owner();
                let is_empty = conn.feed_mut().is_some_and(|feed| feed.is_empty());
                if let Some(owner) = owner.filter(|_| is_empty) {
                    self.close_empty_feeds(owner);
                    self.subscriptions_changed(owner);
                }
            }
            Heard::Refused => {
                let refused = feed.refused().ok_or(Failure::Unasked)?;
                let text = protocol.error_text(&frame[..frame.len().min(REFUSAL_BYTES_MAX)]);
                for client in refused.waiting {
                    self.refused_to_listen(client, &refused.topic, &text, now);
                }
                for client in refused.listeners {
                    self.close_homeless(client, &text);
                }
                self.close_if_unused_feed(key, now);
            }
            Heard::Pong => {}
            Heard::Odd => return Err(Failure::Unasked),
        }
        Ok(())
    }

    /// A server does not let a client listen to a topic; or has lost count of who leaves it.
    fn refused_to_listen(&mut self, client: Key, topic: &Topic, text: &str, now: Time) {
        let of_client = self.clients.slab.find(client);
        let subscriptions = of_client.and_then(|client| client.subscriptions.as_deref());
        match subscriptions.is_some_and(|it| it.asked_for().contains(topic)) {
            true => {
                let failure = Failure::Refused(text.to_owned());
                let answer = Answer::Server(&failure, Outcome::NotDone);
                self.fail_subscription(client, answer, now);
            }
            false => self.subscription_confirmed(client, now),
        }
    }

    /// Gives a message to all who listen to its topic on this connection.
    fn pass_message(&mut self, conn: Key, topic: &Topic, frame: &Bytes, now: Time) {
        let mut hearers = std::mem::take(&mut self.scratch.hearers);
        let of_conn = &mut self.servers[conn];
        let pool = of_conn.pool;
        if let Some(feed) = of_conn.feed_mut() {
            feed.hear(topic, &mut hearers);
        }
        let of_pool = &self.pools[pool.index()];
        let (protocol, limits) = (of_pool.protocol, &of_pool.config.pubsub);
        let mut told: [Option<Bytes>; 2] = [None, None];
        let (mut given, mut slow) = (0, Vec::new());
        for key in &hearers {
            let client = self.clients.slab.find_mut(*key);
            let Some(client) = client.filter(|client| client.life.is_open()) else {
                continue;
            };
            let (version, id) = (client.session.version(), client.conn());
            let Some(subscriptions) = client.subscriptions.as_deref_mut() else {
                continue;
            };
            let long = limits.output_bytes_for_long;
            if client.replies.owed_bytes() + subscriptions.early_bytes() <= long {
                subscriptions.behind_since = None;
            }
            match subscriptions.passage(topic) {
                Passage::Now => {
                    let nth = usize::from(version == Version::V3);
                    let message = told[nth].get_or_insert_with(|| protocol.retell(version, frame));
                    client.replies.push(message, id, &mut self.wire);
                    given += 1;
                }
                Passage::Later => subscriptions.keep(frame.clone()),
                Passage::Never => {
                    debug_assert!(false, "{key:?} has not asked for {topic:?}");
                    continue;
                }
            }
            let owed = client.replies.owed_bytes() + subscriptions.early_bytes();
            let since = match owed > long {
                true => *subscriptions.behind_since.get_or_insert(now),
                false => now,
            };
            let for_long = since < now && since + limits.output_long <= now;
            if owed > limits.output_bytes || for_long {
                slow.push((*key, owed));
            }
        }
        hearers.clear();
        self.scratch.hearers = hearers;
        self.stats.pools[pool.index()].pubsub.messages.add(given);
        for (key, owed) in slow {
            self.close_slow(key, owed);
        }
    }

    /// A client does not take its messages.
    fn close_slow(&mut self, key: Key, owed: usize) {
        let client = &self.clients.slab[key];
        let (pool, id) = (client.pool, client.session.id());
        let pool_name = &self.pools[pool.index()].config.name;
        tracing::warn!(
            pool = %pool_name,
            client = id,
            bytes = owed,
            "client closed: too slow for the messages that it listens to"
        );
        self.stats.pools[pool.index()].pubsub.slow_closed.add(1);
        self.count_end(key, End::Err);
        self.abort_client(key);
    }
}

/// One piece of what has come in several.
fn whole(bytes: ByteQueue) -> Bytes {
    let mut pieces = bytes.into_pieces();
    match pieces.len() {
        1 => pieces.remove(0),
        _ => Bytes::from(pieces.concat()),
    }
}
