//! Takes a server's bytes, cuts them into replies, and gives each to whom it belongs.
//!
//! Owns: the strictness towards servers. Bytes that are no reply end the connection and fail its
//! FIFO; nothing of them is passed on, but for what seemed the beginning of a large reply.

use bytes::Bytes;

use crate::base::ByteQueue;
use crate::base::Chunk;
use crate::base::Key;
use crate::base::Time;
use crate::messages::Report;
use crate::protocol::Cut;
use crate::protocol::ErrorClass;
use crate::protocol::ReplyKind;
use crate::protocol::Role;
use crate::protocol::Told;
use crate::protocol::command::ErrorsBy;
use crate::proxy::Proxy;
use crate::proxy::client::Awaiter;
use crate::proxy::client::Reply;
use crate::proxy::effects::Output;
use crate::proxy::failure::Answer;
use crate::proxy::failure::Failure;
use crate::proxy::failure::Outcome;
use crate::proxy::pool::greetings::Greeted;
use crate::proxy::pool::knowledge::Knowledge;
use crate::proxy::server_conn::ServerPhase;
use crate::proxy::server_conn::queue::Pending;
use crate::proxy::server_conn::queue::Turn;

/// As much of a server's refusal as is told to clients.
const GREETING_BYTES_MAX: usize = 512;

/// As much of an error as is looked at, and logged of a replica that cannot serve.
const ERROR_BYTES_MAX: usize = 80;

impl Proxy {
    pub(in crate::proxy) fn server_received<C: Chunk>(&mut self, key: Key, chunk: &C, now: Time) {
        let Some(conn) = self.servers.find_mut(key) else {
            return;
        };
        conn.incoming.heard(now);
        if conn.is_feed() {
            return self.feed_received(key, chunk, now);
        }
        let mut at = 0;
        loop {
            at = self.take_plain(key, chunk, at, now);
            if at >= chunk.bytes().len() {
                break;
            }
            match self.take_reply(key, chunk, at, now) {
                Ok(used) => at += used,
                Err(failure) => {
                    self.fail_server_conn(key, &failure, now);
                    return;
                }
            }
        }
        self.leave_if_settled(key, now);
    }

    /// Takes the reply at `chunk[at..]`, or the part of it that is there: how many bytes.
    #[inline]
    pub(in crate::proxy) fn take_reply<C: Chunk>(
        &mut self,
        key: Key,
        chunk: &C,
        at: usize,
        now: Time,
    ) -> Result<usize, Failure> {
        let buf = &chunk.bytes()[at..];
        let conn = &mut self.servers[key];
        if conn.life.phase() == ServerPhase::Closed {
            return Ok(buf.len());
        }
        let protocol = self.pools[conn.pool.index()].protocol;
        let mut expect = conn.requests.next_expected();
        if expect.is_none() && !conn.incoming.is_assembling() && !protocol.is_unasked(buf) {
            // What comes is for a later request: this one was sent before.
            self.end_silent(key);
            expect = self.servers[key].requests.next_expected();
        }
        let conn = &mut self.servers[key];
        if !conn.incoming.is_assembling() {
            let cut = protocol.cut_reply(conn.kind.version, expect, buf);
            if let Some(cut) = cut.map_err(Failure::BadReply)? {
                let reply = Reply::InChunk(chunk, at..at + cut.bytes);
                self.deliver(key, reply, cut, now)?;
                return Ok(cut.bytes);
            }
        }
        let mut assembly = conn
            .incoming
            .take_assembly()
            .unwrap_or_else(|| Box::new(protocol.reply_assembly(conn.kind.version, expect)));
        // A large reply to a client that has gone, or that was answered with a time-out, costs
        // nothing. In the greeting and without a request the FIFO says nothing of who awaits it.
        let awaiter = conn
            .next_awaiter()
            .filter(|_| conn.life.phase() == ServerPhase::Ready);
        let is_ours = |awaiter| awaiter == Awaiter::OURS;
        if awaiter.is_some_and(|awaiter| !is_ours(awaiter) && !self.clients.awaits(awaiter)) {
            assembly.forget();
        }
        let fed = assembly
            .feed(chunk, at, &mut self.wire.spare)
            .map_err(Failure::BadReply)?;
        if fed.complete {
            let cut = Cut {
                bytes: assembly.come_bytes(),
                kind: assembly.kind(),
            };
            let reply = assembly.into_bytes();
            self.deliver(key, Reply::<C>::Assembled(reply), cut, now)?;
        } else {
            // However large a message is that nobody has asked for, it costs nothing.
            if assembly.kind() == ReplyKind::Message {
                assembly.forget();
            } else if awaiter.is_none() && conn.life.phase() == ServerPhase::Ready {
                // The rest of it would make it the reply to what is asked next.
                return Err(Failure::Unasked);
            }
            self.pass_on(key, &mut assembly);
            self.servers[key].incoming.set_assembly(assembly);
        }
        Ok(fed.used)
    }

    #[inline]
    fn deliver<C: Chunk>(
        &mut self,
        key: Key,
        reply: Reply<'_, C>,
        cut: Cut,
        now: Time,
    ) -> Result<(), Failure> {
        // Nobody here has asked for any.
        if cut.kind == ReplyKind::Message {
            return Ok(());
        }
        let conn = &mut self.servers[key];
        if let ServerPhase::Greeting { left } = conn.life.phase() {
            return self.greeting_reply(key, left, &reply.head(GREETING_BYTES_MAX), now);
        }
        if conn.doubt.is_due() && conn.next_awaiter() == Some(Awaiter::OURS) {
            return self.server_answered(key, &reply.head(GREETING_BYTES_MAX), now);
        }
        // Who goes on has read on.
        conn.incoming.set_unreadable(None);
        match conn.requests.turn() {
            Turn::Only => {}
            Turn::Part(before) => return self.take_part(key, before, &reply),
            Turn::Last => return self.end_batch(key, reply, cut, now),
        }
        let mut class = ErrorClass::Request;
        // No error is so long that it would be passed on in parts.
        if cut.kind == ReplyKind::Error && !conn.requests.is_streaming() {
            let protocol = self.pools[conn.pool.index()].protocol;
            let error = reply.head(ERROR_BYTES_MAX);
            class = protocol.classify(&error);
            let first = conn.requests.next_sent().copied();
            let is_own = first.is_some_and(|first| first.errors() == ErrorsBy::Server);
            if is_own && conn.replica.is_some() && class.is_unfit() {
                // Whoever awaits it can be answered elsewhere.
                return Err(Failure::Unfit(protocol.error_text(&error)));
            }
            let since = first.map_or(now, |first| first.since());
            if conn.exclusive.is_some() {
                let text = protocol.error_text(&error);
                if let Some(failure) = self.refuses_to_wait(key, class, text) {
                    return Err(failure);
                }
            } else if !is_own && class == ErrorClass::NoScript && self.asks_with_source(key) {
                return Ok(());
            } else if is_own && self.waits_though_refused(key, class, now) {
                self.server_spoke(key, class, since, now);
                return Ok(());
            }
            let is_shared = self.servers[key].exclusive.is_none();
            if is_shared && (!is_own || class.is_demoted()) {
                self.ask_server(key, class, now);
            }
            if is_own && class == ErrorClass::Unreadable {
                let client = first.map(|first| first.awaiter.client);
                self.servers[key].incoming.set_unreadable(client);
            }
            if !is_own {
                class = ErrorClass::Request;
            }
            self.record_error(key);
        }
        self.give_reply(key, reply, cut.bytes, class, now)
    }

    /// Gives a reply, of which so many bytes have come, to the request whose turn it is.
    #[inline]
    pub(in crate::proxy) fn give_reply<C: Chunk>(
        &mut self,
        key: Key,
        reply: Reply<'_, C>,
        bytes: usize,
        class: ErrorClass,
        now: Time,
    ) -> Result<(), Failure> {
        if self.is_looked_at(key, bytes, now) {
            self.look_at_reply(key, bytes, now);
        }
        let conn = &mut self.servers[key];
        let stats = conn.counters(&self.stats);
        let sent_at = conn.requests.next_sent_at();
        let Some(pending) = conn.requests.pair(&mut self.wire.spare, stats) else {
            return Err(Failure::Unasked);
        };
        stats.responses.add(1);
        stats.response_bytes.add(bytes);
        let of = (conn.pool, conn.server);
        self.record_reply(of, &pending, sent_at, now);
        let conn = &self.servers[key];
        let next_is_silent = conn.requests.next_expected().is_none() && conn.sending.is_idle();
        if pending.expect().may_not_pass() {
            self.give_looked_at(key, &pending, reply)?;
        } else {
            self.clients.deliver(
                pending.awaiter,
                reply,
                pending.bytes as usize,
                &mut self.wire,
            );
        }
        self.server_spoke(key, class, pending.since(), now);
        if self.servers[key].exclusive.is_some() {
            self.waited(key, now);
        }
        if next_is_silent {
            self.end_silent(key);
        }
        Ok(())
    }

    /// Gives a reply that has to be looked at before: one that its client has asked not to hear, or
    /// one to a part of a request, whose keys only those know who gather the parts.
    fn give_looked_at<C: Chunk>(
        &mut self,
        key: Key,
        pending: &Pending,
        reply: Reply<'_, C>,
    ) -> Result<(), Failure> {
        let protocol = self.pools[self.servers[key].pool.index()].protocol;
        let (to, bytes) = (pending.awaiter, pending.bytes as usize);
        if !pending.expect().is_of_part() {
            match protocol.passes(pending.expect(), &reply.head(ERROR_BYTES_MAX)) {
                true => self.clients.deliver(to, reply, bytes, &mut self.wire),
                false => self.deliver_nothing(pending),
            }
            return Ok(());
        }
        let mut whole = ByteQueue::default();
        reply.write_to(&mut whole, &mut self.wire.spare);
        if let Err(error) = self.clients.check(to, &whole) {
            let failure = Failure::BadReply(error);
            let outcome = match pending.writes() {
                true => Outcome::Unknown,
                false => Outcome::NotDone,
            };
            self.answer_failed(key, pending, Answer::Server(&failure, outcome));
            return Err(failure);
        }
        let reply = Reply::<C>::Assembled(whole);
        self.clients.deliver(to, reply, bytes, &mut self.wire);
        Ok(())
    }

    /// Ends the requests whose turn it is and for which nothing comes: they are sent.
    pub(in crate::proxy) fn end_silent(&mut self, key: Key) {
        loop {
            let conn = &mut self.servers[key];
            if !conn.requests.next_expected().is_none() {
                return;
            }
            let stats = conn.counters(&self.stats);
            let Some(pending) = conn.requests.pair(&mut self.wire.spare, stats) else {
                return;
            };
            self.deliver_nothing(&pending);
        }
    }

    /// A request is done, and its client hears nothing of it.
    pub(in crate::proxy) fn deliver_nothing(&mut self, pending: &Pending) {
        let (client, bytes) = (pending.awaiter.client, pending.bytes as usize);
        let nothing = Reply::<Bytes>::Own(&[]);
        self.clients
            .deliver(pending.awaiter, nothing, bytes, &mut self.wire);
        self.clients.unheard.push(client);
    }

    /// What a reply to a request of `since`, with an error of this class or none, says of its
    /// server.
    #[inline]
    pub(in crate::proxy) fn server_spoke(
        &mut self,
        key: Key,
        class: ErrorClass,
        since: Time,
        now: Time,
    ) {
        let conn = &self.servers[key];
        let (pool, server) = (conn.pool, conn.server);
        if conn.replica.is_some() {
            self.standing(pool, server).replica_replies.add(1);
            return;
        }
        // What is said where the server was says nothing of where it is.
        if conn.tenure.successor().is_some() {
            return;
        }
        let suspect = &mut self.pools[pool.index()].servers[server.index()].suspect;
        if class.is_transient() {
            *suspect = true;
            self.publish_failure(pool, server, now);
            self.wire.put(Output::Report(Report::ServerFailed {
                pool,
                server,
                since,
                at: now,
                answers: true,
            }));
        } else if std::mem::take(suspect) {
            self.publish_answer(pool, server);
            self.wire
                .put(Output::Report(Report::ServerAnswered { pool, server }));
        }
    }

    /// Whether the reply to a greeting behind which there are `left - 1` is about what clients have
    /// asked for.
    fn is_about_kind(&self, key: Key, left: u8) -> bool {
        let conn = &self.servers[key];
        let pool = &self.pools[conn.pool.index()];
        let greeting = pool.greeting(conn.kind, Greeted::Proving);
        pool.is_extra(conn.kind) && (2..=1 + greeting.by_clients).contains(&left)
    }

    fn greeting_reply(
        &mut self,
        key: Key,
        left: u8,
        reply: &[u8],
        now: Time,
    ) -> Result<(), Failure> {
        let conn = &self.servers[key];
        let pool = &self.pools[conn.pool.index()];
        let is_replica = conn.replica.is_some();
        match pool.protocol.told(reply) {
            Told::Well => {}
            Told::Older => self.servers[key].older = true,
            Told::Version(release) => self.learn_release(key, Knowledge::Speaks(release)),
            Told::Role(role) if left == 1 && is_replica => {
                if role != Role::ReplicaInStep {
                    return Err(Failure::NotInStep);
                }
            }
            Told::Role(role) if left == 1 && pool.follows_sentinels => {
                if role != Role::Master {
                    return Err(Failure::NotMaster);
                }
            }
            Told::NoSuchVersion(text) if self.is_about_kind(key, left) => {
                self.learn_release(key, Knowledge::SpeaksNot);
                return Err(Failure::KindRefused(text));
            }
            Told::Refused(text) if self.is_about_kind(key, left) => {
                return Err(Failure::KindRefused(text));
            }
            Told::Refused(text) | Told::NoSuchVersion(text) => return Err(Failure::Refused(text)),
            Told::Role(_) | Told::Unexpected => return Err(Failure::BadGreeting),
        }
        match left - 1 {
            0 => self.server_ready(key, now),
            left => {
                let life = &mut self.servers[key].life;
                life.set_phase(ServerPhase::Greeting { left });
            }
        }
        Ok(())
    }
}
