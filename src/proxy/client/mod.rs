//! A client's side: its requests in order, and the replies that are due to it.
//!
//! ```text
//!            next reply to send                      newest request
//!                  ▼                                       ▼
//!   out ◄── │ waiting │ ready │ gathering │ … │ waiting │
//!            first                              first + pending.len() - 1
//! ```
//!
//! Owns: the order of replies. A reply that is due goes straight into `out`; one that comes too
//! early waits in its slot. Never: knows servers.

mod awaiter;
pub(in crate::proxy) mod backpressure;
pub(in crate::proxy) mod ending;
pub(in crate::proxy) mod info;
#[cfg(debug_assertions)]
mod invariants;
mod local;
mod migration;
pub(in crate::proxy) mod pause;
mod phase;
mod reply_size;
pub(in crate::proxy) mod requests;
pub(in crate::proxy) mod state;
pub(in crate::proxy) mod unmet;

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use crate::base::Batch;
use crate::base::ByteQueue;
use crate::base::Chunk;
use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::Slab;
use crate::base::Spare;
use crate::base::Time;
use crate::protocol::resp::RequestAssembly;
use crate::proxy::client::info::ClientInfo;
use crate::proxy::client::pause::PauseReason;
use crate::proxy::client::pause::PauseReasons;
use crate::proxy::client::pause::Reading;
use crate::proxy::client::reply_size::ReplySize;
use crate::proxy::client::unmet::Unmet;
use crate::proxy::dispatch::quarantine::Breaks;
use crate::proxy::effects::ConnId;
use crate::proxy::effects::Output;
use crate::proxy::effects::Sending;
use crate::proxy::effects::Wire;
use crate::proxy::plan::gather::Gathering;

pub(in crate::proxy) use awaiter::Awaiter;
pub(in crate::proxy) use phase::Phase;

/// Where one request's reply stands.
#[derive(Debug)]
enum Slot {
    /// No reply yet.
    Waiting,
    /// The reply is due and large, and so many bytes of it are in `out`, or were.
    Streaming(usize),
    /// The reply is here, and others are due before it.
    Ready(Vec<u8>),
    /// The same, too large to be copied.
    ReadyLarge(Box<ByteQueue>),
    /// Some fragments' replies are here.
    Gathering(Box<Gathering>),
}

/// A reply on its way to a client.
pub(in crate::proxy) enum Reply<'a, C: Chunk> {
    /// It lies whole in a receive buffer.
    InChunk(&'a C, Range<usize>),
    /// It was assembled.
    Assembled(ByteQueue),
    /// It is our own.
    Own(&'a [u8]),
}

impl<C: Chunk> Reply<'_, C> {
    fn write_to(self, out: &mut ByteQueue, spare: &mut Spare) {
        match self {
            Reply::InChunk(chunk, range) => out.push_from(chunk, range, spare),
            Reply::Assembled(bytes) => out.append(bytes, spare),
            Reply::Own(bytes) => out.push_copy(bytes, spare),
        }
    }

    /// A copy of its first bytes, at most `count`.
    pub(in crate::proxy) fn head(&self, count: usize) -> Vec<u8> {
        match self {
            Reply::InChunk(chunk, range) => chunk.bytes()[range.clone()]
                .iter()
                .take(count)
                .copied()
                .collect(),
            Reply::Assembled(bytes) => bytes.slices().flatten().take(count).copied().collect(),
            Reply::Own(bytes) => bytes.iter().take(count).copied().collect(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Reply::InChunk(_, range) => range.len(),
            Reply::Assembled(bytes) => bytes.len(),
            Reply::Own(bytes) => bytes.len(),
        }
    }

    fn into_slot(self, spare: &mut Spare) -> Slot {
        const COPIED_BYTES_MAX: usize = crate::base::SHARE_BYTES_MIN;
        match self {
            Reply::InChunk(chunk, range) if range.len() < COPIED_BYTES_MAX => {
                Slot::Ready(chunk.bytes()[range].to_vec())
            }
            Reply::Own(bytes) => Slot::Ready(bytes.to_vec()),
            reply => {
                let mut bytes = ByteQueue::default();
                reply.write_to(&mut bytes, spare);
                Slot::ReadyLarge(Box::new(bytes))
            }
        }
    }
}

/// One client's connection.
#[derive(Debug)]
pub(in crate::proxy) struct Client {
    pub(in crate::proxy) key: Key,
    pub(in crate::proxy) pool: PoolIdx,
    pub(in crate::proxy) phase: Phase,
    pub(in crate::proxy) authenticated: bool,
    /// What it was refused and relies on.
    pub(in crate::proxy) unmet: Unmet,
    /// The client has closed its sending half.
    pub(in crate::proxy) half_closed: bool,
    /// When.
    pub(in crate::proxy) ended: Time,
    pub(in crate::proxy) sending: Sending,
    pub(in crate::proxy) out: ByteQueue,
    pub(in crate::proxy) assembly: Option<Box<RequestAssembly>>,
    /// What was received and is not looked at before replies have gone out.
    pub(in crate::proxy) unparsed: VecDeque<Bytes>,
    pub(in crate::proxy) pauses: PauseReasons,
    /// Its requests go the way around its own connections.
    pub(in crate::proxy) detour: bool,
    /// They go on connections of those who break them.
    pub(in crate::proxy) apart: bool,
    pub(in crate::proxy) breaks: Breaks,
    /// When the timer is to look at it; what it has for other times is out of date.
    pub(in crate::proxy) due: Option<Time>,
    pub(in crate::proxy) identity: Box<ClientInfo>,
    pub(in crate::proxy) last_heard: Time,
    /// When it took all that was being sent.
    pub(in crate::proxy) last_taken: Time,
    // The rest of a reply that it has begun to get will not come: it gets no other.
    cut_off: bool,
    pending: VecDeque<Slot>,
    first: u32,
    // Bytes of replies that wait in slots.
    ready_bytes: usize,
    // Bytes of requests that are on their way.
    request_bytes: usize,
    reply_size: ReplySize,
}

/// Each client's share of memory, by which it is stopped and not closed.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) struct ClientLimits {
    /// Bytes of replies, and bytes of requests on their way.
    pub(in crate::proxy) bytes: usize,
    /// Requests on their way.
    pub(in crate::proxy) requests: usize,
}

/// What one client costs in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLoad {
    /// Bytes of replies that it has not taken yet.
    pub owed_bytes: usize,
    /// Bytes that were received from it and are no whole request yet, or one that must wait.
    pub unread_bytes: usize,
    /// Requests that await their replies.
    pub requests_in_flight: usize,
}

/// A longer batch would be given back only when all of it has been taken; and what is being sent
/// cannot be taken back.
const BATCH_BYTES_MAX: usize = 4 << 20;

impl Client {
    pub(in crate::proxy) fn new(pool: PoolIdx, identity: Box<ClientInfo>, now: Time) -> Client {
        Client {
            key: Key::NONE,
            pool,
            phase: Phase::Open,
            authenticated: false,
            unmet: Unmet::default(),
            half_closed: false,
            ended: Time::ZERO,
            sending: Sending::default(),
            out: ByteQueue::default(),
            assembly: None,
            unparsed: VecDeque::new(),
            pauses: PauseReasons::default(),
            detour: false,
            apart: false,
            breaks: Breaks::default(),
            due: None,
            identity,
            last_heard: now,
            last_taken: now,
            cut_off: false,
            pending: VecDeque::new(),
            first: 0,
            ready_bytes: 0,
            request_bytes: 0,
            reply_size: ReplySize::default(),
        }
    }

    pub(in crate::proxy) fn conn(&self) -> ConnId {
        ConnId::Client(self.key)
    }

    /// Whether one more request may be read.
    #[inline]
    pub(in crate::proxy) fn may_read(&mut self, limits: ClientLimits) -> bool {
        if !self.pauses.is_empty() {
            return false;
        }
        let has_room = self.has_room(limits);
        if !has_room {
            self.pauses.add(PauseReason::OverLimits);
        }
        has_room
    }

    /// Whether it is to go to another process.
    pub(in crate::proxy) fn is_migrating(&self) -> bool {
        self.pauses.has(PauseReason::Migrating)
    }

    /// Its requests may live elsewhere from now on: the next one is read when those on their way
    /// are answered.
    pub(in crate::proxy) fn raise_order_barrier(&mut self) {
        if self.requests_in_flight() > 0 {
            self.pauses.add(PauseReason::OrderBarrier);
        }
    }

    /// Keeps what was received of a client that is read no further, from `at` on.
    pub(in crate::proxy) fn put_back<C: Chunk>(&mut self, chunk: &C, at: usize) {
        if at < chunk.bytes().len() {
            self.unparsed.push_front(chunk.keep_from(at));
        }
    }

    /// Whether one more request is within its limits.
    #[inline]
    fn has_room(&self, limits: ClientLimits) -> bool {
        let in_flight = self.pending.len();
        if in_flight == 0 {
            return self.owed_bytes() < limits.bytes;
        }
        in_flight < limits.requests
            && in_flight.saturating_mul(self.reply_size.expected()) < limits.bytes
            && self.owed_bytes() < limits.bytes
            && self.request_bytes < limits.bytes
    }

    /// Whether so much has gone out that a stopped client is worth going on with.
    pub(in crate::proxy) fn has_much_room(&self, limits: ClientLimits) -> bool {
        let half = ClientLimits {
            // Half of the smallest limit must not be none: nothing would ever go on.
            bytes: limits.bytes.div_ceil(2),
            requests: limits.requests / 2 + 1,
        };
        self.has_room(half)
    }

    /// Whether so much is under way that it must not be read any further.
    pub(in crate::proxy) fn is_beyond(&self, limits: ClientLimits) -> bool {
        self.owed_bytes() > limits.bytes || self.request_bytes > limits.bytes
    }

    /// Drops the replies that wait for their turn: nobody will read them.
    pub(in crate::proxy) fn give_up_replies(&mut self) {
        self.pending = VecDeque::new();
        self.ready_bytes = 0;
    }

    /// Bytes of replies that it has not taken yet.
    pub(in crate::proxy) fn owed_bytes(&self) -> usize {
        self.out.len() + self.sending.bytes + self.ready_bytes
    }

    /// What it costs in memory.
    pub(in crate::proxy) fn load(&self) -> ClientLoad {
        let assembly = self.assembly.as_ref().map_or(0, |a| a.held_bytes());
        let unparsed: usize = self.unparsed.iter().map(Bytes::len).sum();
        ClientLoad {
            owed_bytes: self.owed_bytes(),
            unread_bytes: assembly + unparsed,
            requests_in_flight: self.requests_in_flight(),
        }
    }

    /// Nothing is due to it any more.
    pub(in crate::proxy) fn is_settled(&self) -> bool {
        self.pending.is_empty() && self.out.is_empty() && self.sending.is_idle()
    }

    /// How many requests await a reply.
    pub(in crate::proxy) fn requests_in_flight(&self) -> usize {
        self.pending.len()
    }

    /// Takes the place for the next reply, which a server will give.
    #[inline]
    pub(in crate::proxy) fn expect_reply(&mut self) -> Awaiter {
        self.await_slot(Slot::Waiting)
    }

    /// Takes the place for the next reply, which several servers will give together; each
    /// fragment's awaiter is the one returned with the fragment's number in it.
    pub(in crate::proxy) fn expect_gathered(&mut self, gathering: Gathering) -> Awaiter {
        self.await_slot(Slot::Gathering(Box::new(gathering)))
    }

    /// Counts a request's bytes until its reply is delivered.
    #[inline]
    pub(in crate::proxy) fn request_sent(&mut self, bytes: usize) {
        self.request_bytes += bytes;
    }

    /// Answers the next request at once.
    pub(in crate::proxy) fn reply_in_place(&mut self, reply: &[u8], wire: &mut Wire) {
        if self.pending.is_empty() {
            self.out.push_copy(reply, &mut wire.spare);
            self.sending.list(ConnId::Client(self.key), wire);
        } else {
            self.ready_bytes += reply.len();
            self.pending.push_back(Slot::Ready(reply.to_vec()));
        }
    }

    /// Takes all that is to be sent, unless a batch is being sent.
    pub(in crate::proxy) fn take_batch(&mut self) -> Option<Batch> {
        self.sending.unlist();
        if self.phase == Phase::Closed || self.out.is_empty() || !self.sending.is_idle() {
            return None;
        }
        let batch = match self.out.len() {
            0..=BATCH_BYTES_MAX => self.out.take(),
            _ => self.out.take_front(BATCH_BYTES_MAX),
        };
        self.sending.begin(&batch);
        Some(batch)
    }

    /// Reads no more requests; closes when everything due is delivered.
    pub(in crate::proxy) fn end(&mut self, linger: bool) {
        if self.phase == Phase::Open {
            self.phase = Phase::Ending { linger };
            self.assembly = None;
            self.unparsed = VecDeque::new();
        }
    }

    /// Whether it takes any more replies.
    #[inline]
    fn listens(&self) -> bool {
        self.phase != Phase::Closed && !self.cut_off
    }

    /// Gives it no more replies, and closes when it has those that are whole.
    pub(in crate::proxy) fn cut_off(&mut self) {
        self.end(true);
        self.give_up_replies();
        self.cut_off = true;
    }

    /// Whether the reply to `to` is what it is to get next, from one server.
    #[inline]
    fn is_due(&self, to: Awaiter) -> bool {
        let next = self.pending.front();
        let whole = matches!(next, Some(Slot::Waiting | Slot::Streaming(_)));
        whole && to.sequence == self.first && self.listens()
    }

    /// Takes a part of the reply that is due.
    fn deliver_part(&mut self, part: ByteQueue, wire: &mut Wire) {
        let Some(slot) = self.pending.front_mut() else {
            return;
        };
        let before = match slot {
            Slot::Streaming(given) => *given,
            _ => 0,
        };
        *slot = Slot::Streaming(before + part.len());
        self.reply_size.learn_part(before + part.len());
        self.out.append(part, &mut wire.spare);
        self.sending.list(ConnId::Client(self.key), wire);
    }

    /// Takes back what was given of the reply that is due, as far as it is not on its way: whether
    /// that is all.
    fn take_back(&mut self) -> bool {
        let Some(Slot::Streaming(given)) = self.pending.front() else {
            return true;
        };
        // What came before it leaves before it, and nothing comes behind it.
        let (given, left) = (*given, self.out.len());
        self.out.drop_back(given.min(left));
        self.pending[0] = Slot::Waiting;
        given <= left
    }

    fn await_slot(&mut self, slot: Slot) -> Awaiter {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "bounded by ClientLimits::requests"
        )]
        let sequence = self.first.wrapping_add(self.pending.len() as u32);
        self.pending.push_back(slot);
        Awaiter {
            client: self.key,
            sequence,
            fragment: 0,
        }
    }

    #[inline]
    fn deliver<C: Chunk>(
        &mut self,
        to: Awaiter,
        reply: Reply<'_, C>,
        bytes: usize,
        wire: &mut Wire,
    ) {
        let place = to.sequence.wrapping_sub(self.first) as usize;
        self.request_bytes = self.request_bytes.saturating_sub(bytes);
        let reply_bytes = reply.len();
        match self.pending.get_mut(place) {
            Some(slot @ (Slot::Waiting | Slot::Streaming(_))) if place == 0 => {
                let given = match slot {
                    Slot::Streaming(given) => *given,
                    _ => 0,
                };
                debug_assert!(
                    given == 0 || !matches!(reply, Reply::Own(_)),
                    "an error within a reply"
                );
                self.reply_size.learn(given + reply_bytes);
                reply.write_to(&mut self.out, &mut wire.spare);
                self.advance();
            }
            Some(slot @ Slot::Waiting) => {
                self.reply_size.learn(reply_bytes);
                *slot = reply.into_slot(&mut wire.spare);
                self.ready_bytes += reply_bytes;
                return;
            }
            Some(slot @ Slot::Gathering(_)) => {
                self.ready_bytes += reply_bytes;
                let mut bytes = ByteQueue::default();
                reply.write_to(&mut bytes, &mut wire.spare);
                let Slot::Gathering(gathering) = slot else {
                    return;
                };
                if !gathering.add(to.fragment, bytes) {
                    self.reply_size.learn_part(gathering.held_bytes());
                    return;
                }
                let Slot::Gathering(gathering) = std::mem::replace(slot, Slot::Waiting) else {
                    return;
                };
                self.gathered(place, *gathering, wire);
            }
            _ => {
                debug_assert!(false, "a reply for a request that has its reply");
                return;
            }
        }
        if self
            .pending
            .front()
            .is_some_and(|slot| matches!(slot, Slot::Ready(_) | Slot::ReadyLarge(_)))
        {
            self.flush_ready(wire);
        }
        self.sending.list(ConnId::Client(self.key), wire);
    }

    fn gathered(&mut self, place: usize, gathering: Gathering, wire: &mut Wire) {
        self.ready_bytes = self.ready_bytes.saturating_sub(gathering.held_bytes());
        self.reply_size.learn(gathering.held_bytes());
        if place == 0 {
            gathering.finish(&mut self.out, &mut wire.spare);
            self.advance();
        } else {
            let mut joined = ByteQueue::default();
            gathering.finish(&mut joined, &mut wire.spare);
            self.ready_bytes += joined.len();
            self.pending[place] = Slot::ReadyLarge(Box::new(joined));
        }
    }

    #[inline]
    fn advance(&mut self) {
        self.pending.pop_front();
        self.first = self.first.wrapping_add(1);
        if self.pending.is_empty() {
            self.pauses.remove(PauseReason::OrderBarrier);
            if self.pending.capacity() > KEPT_SLOTS {
                self.pending = VecDeque::new();
            }
        }
    }

    fn flush_ready(&mut self, wire: &mut Wire) {
        loop {
            match self.pending.front_mut() {
                Some(Slot::Ready(bytes)) => {
                    self.ready_bytes -= bytes.len();
                    self.out.push_copy(bytes, &mut wire.spare);
                }
                Some(Slot::ReadyLarge(bytes)) => {
                    self.ready_bytes -= bytes.len();
                    self.out.append(std::mem::take(bytes), &mut wire.spare);
                }
                _ => return,
            }
            self.advance();
        }
    }
}

/// Behind the end of a client, its writes may wait so long for a server. Longer than connecting takes,
/// so that a shell's pipe is served; shorter than what makes clients give up and ask again.
const ENDED_WAITS: Duration = Duration::from_millis(100);

/// An idle client keeps no more slots than this: 4 of 24 bytes.
const KEPT_SLOTS: usize = 4;

/// Every client of one worker.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Clients {
    pub(in crate::proxy) slab: Slab<Client>,
    /// Those that were stopped and may go on.
    pub(in crate::proxy) resumable: Vec<Key>,
}

impl Clients {
    /// Whether anybody would read a reply to this request: its client is there and is not closed.
    #[inline]
    pub(in crate::proxy) fn awaits(&self, to: Awaiter) -> bool {
        !to.is_buried() && self.slab.find(to.client).is_some_and(Client::listens)
    }

    /// Whether a write that has waited may still be sent. Who has closed its sending half may wait for
    /// its reply, or have given up and asked again on another connection: nobody can tell.
    pub(in crate::proxy) fn may_still_write(&self, to: Awaiter, now: Time) -> bool {
        let client = self.slab.find(to.client);
        client.is_none_or(|client| !client.half_closed || now < client.ended + ENDED_WAITS)
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
            client.deliver_part(part, wire);
        }
    }

    /// Takes back the parts of a reply that has been given in parts, as far as they are not on
    /// their way: whether that is all of them.
    pub(in crate::proxy) fn take_back(&mut self, to: Awaiter) -> bool {
        let client = self.slab.find_mut(to.client);
        client.is_none_or(|client| !client.is_due(to) || client.take_back())
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
        if client.pauses.is_stopped() {
            self.update_pause(to.client, wire);
        }
    }

    /// Stops a client's socket, or lists the client to be read again, as its reasons say: the one
    /// place that does.
    pub(in crate::proxy) fn update_pause(&mut self, key: Key, wire: &mut Wire) {
        let Some(client) = self.slab.find_mut(key) else {
            return;
        };
        match client.pauses.update(!client.unparsed.is_empty()) {
            Some(Reading::Stops) => wire.put(Output::Pause(ConnId::Client(key))),
            Some(Reading::MayGoOn) => self.resumable.push(key),
            None => {}
        }
    }
}
