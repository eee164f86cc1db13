//! A client's side: what it has sent, the order of its replies, what it has said of itself.
//!
//! | part | owns |
//! |---|---|
//! | `input` | what it has sent and nobody has acted upon |
//! | `pauses` | why it is not read, and whether it is |
//! | `replies` | the replies that it is to get, in the order of its requests |
//! | `session` | who it is, whether it may ask, what it relies on |
//! | `transaction` | what it has asked for since `MULTI` |
//! | `life` | how far its connection has come, and its deadline |
//!
//! Owns: these, and what follows for one from another. Never: knows servers.

mod arrival;
mod awaiter;
pub(in crate::proxy) mod backpressure;
pub(in crate::proxy) mod ending;
pub(in crate::proxy) mod ids;
mod input;
mod lifecycle;
mod line;
mod local;
mod migration;
mod multi;
pub(in crate::proxy) mod mute;
pub(in crate::proxy) mod others;
pub(in crate::proxy) mod pause;
mod replies;
mod reply_size;
pub(in crate::proxy) mod requests;
mod session;
mod slot;
pub(in crate::proxy) mod state;
pub(in crate::proxy) mod transaction;
pub(in crate::proxy) mod unmet;
pub(in crate::proxy) mod way;

use crate::base::Batch;
use crate::base::ByteQueue;
use crate::base::Chunk;
use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::Slab;
use crate::base::Time;
use crate::protocol::ReplyError;
use crate::proxy::client::ids::ClientIds;
use crate::proxy::client::input::Input;
use crate::proxy::client::lifecycle::Lifecycle;
use crate::proxy::client::pause::PauseReason;
use crate::proxy::client::pause::PauseReasons;
use crate::proxy::client::pause::Reading;
use crate::proxy::client::replies::Replies;
use crate::proxy::client::transaction::Transaction;
use crate::proxy::client::way::Breaks;
use crate::proxy::client::way::Way;
use crate::proxy::effects::ConnId;
use crate::proxy::effects::Output;
use crate::proxy::effects::Wire;
use crate::proxy::exclusive::lease::Lease;
use crate::proxy::pubsub::subscriptions::Subscriptions;

pub(in crate::proxy) use awaiter::Awaiter;
pub(in crate::proxy) use lifecycle::Phase;
pub(in crate::proxy) use replies::ClientLimits;
pub(in crate::proxy) use session::Session;
pub(in crate::proxy) use slot::Due;
pub(in crate::proxy) use slot::Reply;

/// One client's connection.
#[derive(Debug)]
pub(in crate::proxy) struct Client {
    key: Key,
    pub(in crate::proxy) pool: PoolIdx,
    pub(in crate::proxy) input: Input,
    pub(in crate::proxy) pauses: PauseReasons,
    pub(in crate::proxy) replies: Replies,
    pub(in crate::proxy) session: Session,
    /// Since `MULTI`, until `EXEC` or `DISCARD`.
    pub(in crate::proxy) transaction: Option<Box<Transaction>>,
    pub(in crate::proxy) life: Lifecycle,
    /// Which of its servers' connections it uses.
    pub(in crate::proxy) way: Way,
    pub(in crate::proxy) breaks: Breaks,
    /// What it has of a connection of its own.
    pub(in crate::proxy) lease: Option<Box<Lease>>,
    /// What it listens to.
    pub(in crate::proxy) subscriptions: Option<Box<Subscriptions>>,
}

/// Ten thousand idle ones are ordinary: what few of them need is boxed.
const _: () = assert!(size_of::<Client>() <= 336);

/// Of a client that waits so much more is read: it goes on with that afterwards.
const READ_WHILE_WAITING_MAX: usize = 64 << 10;

/// What one client costs in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLoad {
    /// Bytes of replies that it has not taken yet.
    pub owed_bytes: usize,
    /// Bytes that were received from it and are no whole request yet, or one that must wait, or that
    /// waits for its `EXEC`; and what it listens to.
    pub unread_bytes: usize,
    /// Requests that await their replies.
    pub requests_in_flight: usize,
}

impl Client {
    pub(in crate::proxy) fn new(pool: PoolIdx, session: Session, now: Time) -> Client {
        Client {
            key: Key::NONE,
            pool,
            input: Input::new(now),
            pauses: PauseReasons::default(),
            replies: Replies::new(now),
            session,
            transaction: None,
            life: Lifecycle::new(),
            way: Way::default(),
            breaks: Breaks::default(),
            lease: None,
            subscriptions: None,
        }
    }

    pub(in crate::proxy) fn key(&self) -> Key {
        self.key
    }

    pub(in crate::proxy) fn conn(&self) -> ConnId {
        ConnId::Client(self.key)
    }

    /// Whether its next request may be read; one that may not has to be put back.
    #[inline]
    pub(in crate::proxy) fn may_read(&mut self, limits: ClientLimits) -> bool {
        if !self.pauses.is_empty() {
            return false;
        }
        let has_room = self.replies.has_room(limits);
        if !has_room {
            self.pauses.add(PauseReason::OverLimits);
        }
        has_room
    }

    /// Whether it is to go to another process.
    #[inline]
    pub(in crate::proxy) fn is_migrating(&self) -> bool {
        self.pauses.has(PauseReason::Migrating)
    }

    /// Whether it can go to another process now: nothing is due to it.
    #[inline]
    pub(in crate::proxy) fn can_migrate(&self) -> bool {
        self.is_migrating()
            && self.life.is_open()
            && self.replies.is_settled()
            && self.lease.is_none()
            && self
                .subscriptions
                .as_deref()
                .is_none_or(Subscriptions::is_settled)
    }

    /// Its requests may live elsewhere from now on: the next one is read when those on their way
    /// are answered.
    pub(in crate::proxy) fn raise_order_barrier(&mut self) {
        if self.replies.in_flight() > 0 {
            self.pauses.add(PauseReason::OrderBarrier);
        }
    }

    /// What it costs in memory.
    pub(in crate::proxy) fn load(&self) -> ClientLoad {
        let queued = self.transaction.as_ref().map_or(0, |begun| begun.bytes());
        let subscriptions = self.subscriptions.as_ref();
        let listens = subscriptions.map_or(0, |it| it.bytes());
        ClientLoad {
            owed_bytes: self.replies.owed_bytes(),
            unread_bytes: self.input.bytes() + queued + listens,
            requests_in_flight: self.replies.in_flight(),
        }
    }

    /// Takes the place for what the next request gets. Where several servers give it together, each
    /// fragment's awaiter is the one returned with the fragment's number in it.
    #[inline]
    pub(in crate::proxy) fn expect(&mut self, what: Due) -> Awaiter {
        if self.session.mutes_next() {
            return self.expect_unheard(&what);
        }
        let fragment = match what {
            Due::Nothing => Awaiter::SILENT,
            _ => 0,
        };
        Awaiter {
            client: self.key,
            sequence: self.replies.expect(what),
            fragment,
        }
    }

    /// The same for a client that does not want to hear it.
    #[cold]
    fn expect_unheard(&mut self, what: &Due) -> Awaiter {
        for _ in 1..what.parts() {
            self.replies.expect(Due::Nothing);
        }
        Awaiter {
            client: self.key,
            sequence: self.replies.expect(Due::Nothing),
            fragment: Awaiter::SILENT,
        }
    }

    /// Answers the next request at once.
    pub(in crate::proxy) fn reply_in_place(&mut self, reply: &[u8], wire: &mut Wire) {
        if self.session.mutes_next() {
            return;
        }
        self.replies.put(reply, self.conn(), wire);
    }

    /// Takes all that is to be sent, unless a batch is being sent.
    pub(in crate::proxy) fn take_batch(&mut self) -> Option<Batch> {
        let batch = self.replies.take_batch();
        debug_assert!(
            batch.is_none() || !self.life.is_closed(),
            "sent after its end"
        );
        batch
    }

    /// Reads no more requests; closes when everything due is delivered.
    pub(in crate::proxy) fn end(&mut self, linger: bool) {
        if self.life.end(linger) {
            self.input.forget();
            self.transaction = None;
        }
    }

    /// Its socket is closed, and nothing more is sent: whether it was not until now.
    pub(in crate::proxy) fn close(&mut self) -> bool {
        let closes = self.life.close();
        if closes {
            self.replies.forget_output();
            self.input.forget();
            self.transaction = None;
        }
        closes
    }

    /// Whether it takes any more replies.
    #[inline]
    fn listens(&self) -> bool {
        !self.life.is_closed() && self.replies.can_go_on()
    }

    /// Gives it no more replies, and closes when it has those that are whole.
    pub(in crate::proxy) fn cut_off(&mut self) {
        self.end(true);
        self.replies.cut_off();
    }

    /// Whether the reply to `to` is what it is to get next, from one server.
    #[inline]
    fn is_due(&self, to: Awaiter) -> bool {
        self.replies.is_due(to.sequence) && !to.is_silent() && self.listens()
    }

    #[inline]
    fn deliver<C: Chunk>(
        &mut self,
        to: Awaiter,
        reply: Reply<'_, C>,
        bytes: usize,
        wire: &mut Wire,
    ) {
        if to.is_silent() {
            self.replies.end_silent(bytes);
        } else {
            let place = (to.sequence, to.fragment);
            self.replies.deliver(place, reply, bytes, self.conn(), wire);
        }
        if self.replies.in_flight() == 0 {
            self.pauses.remove(PauseReason::OrderBarrier);
        }
    }

    /// So many requests of its own, or parts of them, are under way to servers, of so many bytes.
    #[cfg(debug_assertions)]
    pub(in crate::proxy) fn check_invariants(&self, under_way: (usize, usize)) {
        let counted = self.replies.count_anew();
        if self.listens() {
            assert_eq!(counted, under_way, "requests and bytes of {:?}", self.key);
        }
    }
}

/// Every client of one worker.
#[derive(Debug)]
pub(in crate::proxy) struct Clients {
    pub(in crate::proxy) slab: Slab<Client>,
    pub(in crate::proxy) ids: ClientIds,
    /// Those that were stopped and may go on.
    pub(in crate::proxy) resumable: Vec<Key>,
    /// Those of whose requests one has ended without a reply.
    pub(in crate::proxy) unheard: Vec<Key>,
    /// Which pools' clients are to go to another process.
    pub(in crate::proxy) migrating_pools: Vec<bool>,
}

impl Clients {
    pub(in crate::proxy) fn new(ids: ClientIds) -> Clients {
        Clients {
            slab: Slab::default(),
            ids,
            resumable: Vec::new(),
            unheard: Vec::new(),
            migrating_pools: Vec::new(),
        }
    }

    /// Takes a client in.
    pub(in crate::proxy) fn insert(&mut self, client: Client) -> Key {
        let key = self.slab.insert(client);
        self.slab[key].key = key;
        key
    }

    /// Whether anybody would read a reply to this request: its client is there and is not closed.
    #[inline]
    pub(in crate::proxy) fn awaits(&self, to: Awaiter) -> bool {
        !to.is_buried() && self.slab.find(to.client).is_some_and(Client::listens)
    }

    /// Looks whether a server may say this to the part of a request whose reply it is. For whom
    /// nobody waits any more, anything will do.
    pub(in crate::proxy) fn check(&self, to: Awaiter, reply: &ByteQueue) -> Result<(), ReplyError> {
        let client = self.slab.find(to.client).filter(|_| self.awaits(to));
        let place = (to.sequence, to.fragment);
        client.map_or(Ok(()), |client| client.replies.check(place, reply))
    }

    /// Whether a write that has waited may still be sent.
    pub(in crate::proxy) fn may_still_write(&self, to: Awaiter, now: Time) -> bool {
        let client = self.slab.find(to.client);
        client.is_none_or(|client| client.input.may_still_write(now))
    }

    /// Whether the reply to this request is what its client is to get next, from one server.
    #[inline]
    pub(in crate::proxy) fn is_due(&self, to: Awaiter) -> bool {
        let client = self.slab.find(to.client);
        !to.is_buried() && client.is_some_and(|client| client.is_due(to))
    }

    /// Gives a part of the reply that is due.
    pub(in crate::proxy) fn deliver_part(&mut self, to: Awaiter, part: ByteQueue, wire: &mut Wire) {
        if let Some(client) = self.slab.find_mut(to.client) {
            client.replies.deliver_part(part, client.conn(), wire);
        }
    }

    /// Takes back the parts of a reply that has been given in parts, as far as they are not on
    /// their way: whether that is all of them.
    pub(in crate::proxy) fn take_back(&mut self, to: Awaiter) -> bool {
        let client = self.slab.find_mut(to.client);
        client.is_none_or(|client| !client.is_due(to) || client.replies.take_back())
    }

    /// Gives a reply to the request that awaits it; swallows it if the client has gone. `bytes` are
    /// the request's own.
    #[inline]
    pub(in crate::proxy) fn deliver<C: Chunk>(
        &mut self,
        to: Awaiter,
        reply: Reply<'_, C>,
        bytes: usize,
        wire: &mut Wire,
    ) {
        let Some(client) = self.slab.find_mut(to.client) else {
            return;
        };
        if to.is_buried() || !client.listens() {
            return;
        }
        client.deliver(to, reply, bytes, wire);
        if to.is_silent() {
            self.unheard.push(to.client);
        }
        if client.pauses.is_stopped() {
            self.update_pause(to.client, wire);
        }
    }

    /// Something that stopped these clients has ended.
    pub(in crate::proxy) fn release(
        &mut self,
        reason: PauseReason,
        clients: &[Key],
        wire: &mut Wire,
    ) {
        for key in clients {
            if let Some(client) = self.slab.find_mut(*key) {
                client.pauses.remove(reason);
                self.update_pause(*key, wire);
            }
        }
    }

    /// Stops a client's socket, or lists the client to be read again, as its reasons say: the one
    /// place that does.
    pub(in crate::proxy) fn update_pause(&mut self, key: Key, wire: &mut Wire) {
        let Some(client) = self.slab.find_mut(key) else {
            return;
        };
        let waits = client.pauses.has(PauseReason::Exclusive);
        let unread = match waits {
            true => client.input.bytes() > READ_WHILE_WAITING_MAX,
            false => client.input.has_unparsed(),
        };
        match client.pauses.update(unread) {
            Some(Reading::Stops) => wire.put(Output::Pause(ConnId::Client(key))),
            Some(Reading::MayGoOn) => self.resumable.push(key),
            None => {}
        }
    }
}
