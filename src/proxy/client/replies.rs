//! The replies that a client is to get, in the order of its requests.
//!
//! ```text
//!            next reply to send                                newest request
//!                  ▼                                                 ▼
//!   out ◄── │ waiting │ ready │ gathering │ … │ ready │ waiting │ … │ waiting │
//!            first                                     `behind` of them: a number, and no slots
//! ```
//!
//! Owns: the order of replies, what is being sent, and how much of both there is. A reply that is due
//! goes straight into `out`; one that comes too early waits in its slot. What nobody has asked for
//! (a push) stands between two replies, never within one. Never: knows servers.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::base::Batch;
use crate::base::ByteQueue;
use crate::base::Chunk;
use crate::base::SHARE_BYTES_MIN;
use crate::base::Time;
use crate::protocol::ReplyError;
use crate::proxy::client::reply_size::ReplySize;
use crate::proxy::client::slot::Due;
use crate::proxy::client::slot::Reply;
use crate::proxy::client::slot::Slot;
use crate::proxy::effects::ConnId;
use crate::proxy::effects::Sending;
use crate::proxy::effects::Wire;
use crate::proxy::plan::gather::Gathering;

/// Each client's share of memory, by which it is stopped and not closed.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) struct ClientLimits {
    /// Bytes of replies, and bytes of requests on their way.
    pub(in crate::proxy) bytes: usize,
    /// Requests on their way.
    pub(in crate::proxy) requests: usize,
}

/// A longer batch would be given back only when all of it has been taken; and what is being sent
/// cannot be taken back.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// An idle client keeps no more slots than this: 4 of 24 bytes.
const KEPT_SLOTS: usize = 4;

/// The replies that a client is to get.
#[derive(Debug)]
pub(in crate::proxy) struct Replies {
    sending: Sending,
    out: ByteQueue,
    // Up to the last one in which there is something; mostly none.
    slots: VecDeque<Slot>,
    // How many requests behind those await a reply of which nothing is here.
    behind: u32,
    // The number of the request in the first slot.
    first: u32,
    // How many requests are under way that get no reply.
    silent: u32,
    // What nobody has asked for, and came while a reply was given in parts.
    pushes: Option<Box<ByteQueue>>,
    // The rest of a reply that it has begun to get will not come: it gets no other.
    cut_off: bool,
    // Bytes of replies that wait in slots.
    ready_bytes: usize,
    // Bytes of requests that are on their way.
    request_bytes: usize,
    reply_size: ReplySize,
    // When it took all that was being sent.
    last_taken: Time,
}

impl Replies {
    pub(in crate::proxy) fn new(now: Time) -> Replies {
        Replies {
            sending: Sending::default(),
            out: ByteQueue::default(),
            slots: VecDeque::new(),
            behind: 0,
            first: 0,
            silent: 0,
            pushes: None,
            cut_off: false,
            ready_bytes: 0,
            request_bytes: 0,
            reply_size: ReplySize::default(),
            last_taken: now,
        }
    }

    /// Whether one more request is within its limits.
    #[inline]
    pub(in crate::proxy) fn has_room(&self, limits: ClientLimits) -> bool {
        let in_flight = self.in_flight();
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
    pub(in crate::proxy) fn give_up(&mut self) {
        self.slots = VecDeque::new();
        self.behind = 0;
        self.pushes = None;
        self.ready_bytes = 0;
    }

    /// Gives the client no more replies.
    pub(in crate::proxy) fn cut_off(&mut self) {
        self.give_up();
        self.cut_off = true;
    }

    /// Whether the client can be given replies.
    #[inline]
    pub(in crate::proxy) fn can_go_on(&self) -> bool {
        !self.cut_off
    }

    /// Nothing that is not being sent will be sent.
    pub(in crate::proxy) fn forget_output(&mut self) {
        self.out = ByteQueue::default();
    }

    /// Bytes of replies that it has not taken yet.
    pub(in crate::proxy) fn owed_bytes(&self) -> usize {
        self.out.len() + self.sending.bytes + self.ready_bytes
    }

    /// Bytes of these that are being sent.
    pub(in crate::proxy) fn sending_bytes(&self) -> usize {
        self.sending.bytes
    }

    /// When the client took all that was being sent.
    pub(in crate::proxy) fn last_taken(&self) -> Time {
        self.last_taken
    }

    /// Nothing is due to it any more.
    pub(in crate::proxy) fn is_settled(&self) -> bool {
        self.in_flight() == 0 && self.out.is_empty() && self.sending.is_idle()
    }

    /// How many requests are under way, or wait for their turn to be answered.
    #[inline]
    pub(in crate::proxy) fn in_flight(&self) -> usize {
        self.waiting() + self.silent as usize
    }

    // How many requests get a reply that is not given yet.
    #[inline]
    fn waiting(&self) -> usize {
        self.slots.len() + self.behind as usize
    }

    // Makes slots of those that wait, up to this place, counted from the first.
    fn make_slots(&mut self, place: usize) {
        while self.slots.len() <= place && self.behind > 0 {
            self.slots.push_back(Slot::Waiting);
            self.behind -= 1;
        }
    }

    // Puts something behind all that waits.
    fn add_slot(&mut self, slot: Slot) {
        self.make_slots(usize::MAX);
        self.slots.push_back(slot);
    }

    /// Takes the place for what the next request gets: its number.
    #[inline]
    pub(in crate::proxy) fn expect(&mut self, what: Due) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "bounded by ClientLimits::requests"
        )]
        let number = self.first.wrapping_add(self.waiting() as u32);
        match what {
            Due::One => self.behind += 1,
            Due::Gathered(gathering) => self.add_slot(Slot::Gathering(gathering)),
            Due::Nothing => {
                self.silent += 1;
                return self.first;
            }
        }
        number
    }

    /// Counts a request's bytes until its reply is delivered.
    #[inline]
    pub(in crate::proxy) fn request_sent(&mut self, bytes: usize) {
        self.request_bytes += bytes;
    }

    /// A request that is under way has other bytes than before.
    pub(in crate::proxy) fn request_resized(&mut self, before: usize, now: usize) {
        self.request_bytes = self.request_bytes.saturating_sub(before) + now;
    }

    /// Answers the next request at once.
    pub(in crate::proxy) fn put(&mut self, reply: &[u8], conn: ConnId, wire: &mut Wire) {
        if self.waiting() == 0 {
            self.out.push_copy(reply, &mut wire.spare);
            self.sending.list(conn, wire);
        } else {
            self.ready_bytes += reply.len();
            self.add_slot(Slot::Ready(reply.to_vec()));
        }
    }

    /// Gives what nobody has asked for: between two replies, behind what came before it.
    pub(in crate::proxy) fn push(&mut self, message: &Bytes, conn: ConnId, wire: &mut Wire) {
        if matches!(self.slots.front(), Some(Slot::Streaming(_))) {
            let pushes = self.pushes.get_or_insert_default();
            pushes.push(message.clone(), &mut wire.spare);
            self.ready_bytes += message.len();
        } else {
            self.give_pushes(wire);
            match message.len() < SHARE_BYTES_MIN {
                true => self.out.push_copy(message, &mut wire.spare),
                false => self.out.push(message.clone(), &mut wire.spare),
            }
            self.sending.list(conn, wire);
        }
    }

    /// No reply stands half in `out`: what waited for that goes out.
    #[inline]
    fn give_pushes(&mut self, wire: &mut Wire) {
        if let Some(pushes) = self.pushes.take() {
            self.ready_bytes -= pushes.len();
            self.out.append(*pushes, &mut wire.spare);
        }
    }

    /// A request that gets no reply is under way no longer.
    pub(in crate::proxy) fn end_silent(&mut self, bytes: usize) {
        debug_assert!(self.silent > 0, "a request that gets no reply ends once");
        self.silent = self.silent.saturating_sub(1);
        self.request_bytes = self.request_bytes.saturating_sub(bytes);
    }

    /// Takes all that is to be sent, unless a batch is being sent.
    pub(in crate::proxy) fn take_batch(&mut self) -> Option<Batch> {
        self.sending.unlist();
        if self.out.is_empty() || !self.sending.is_idle() {
            return None;
        }
        let batch = match self.out.len() {
            0..=BATCH_BYTES_MAX => self.out.take(),
            _ => self.out.take_front(BATCH_BYTES_MAX),
        };
        self.sending.begin(&batch);
        Some(batch)
    }

    /// A batch was sent, or will never be.
    pub(in crate::proxy) fn sent(&mut self, conn: ConnId, wire: &mut Wire, now: Time) {
        self.sending.end();
        self.last_taken = now;
        if !self.out.is_empty() {
            self.sending.list(conn, wire);
        }
    }

    /// Whether the reply to request `number` is what is to be given next, by one server.
    #[inline]
    pub(in crate::proxy) fn is_due(&self, number: u32) -> bool {
        let is_whole = match self.slots.front() {
            Some(next) => matches!(next, Slot::Waiting | Slot::Streaming(_)),
            None => self.behind > 0,
        };
        is_whole && number == self.first
    }

    /// Looks whether a server may say this to this fragment of request `number`.
    pub(in crate::proxy) fn check(
        &self,
        (number, fragment): (u32, u32),
        reply: &ByteQueue,
    ) -> Result<(), ReplyError> {
        let place = number.wrapping_sub(self.first) as usize;
        match self.slots.get(place) {
            Some(Slot::Gathering(gathering)) => gathering.check(fragment, reply),
            _ => Ok(()),
        }
    }

    /// Takes a part of the reply that is due.
    pub(in crate::proxy) fn deliver_part(
        &mut self,
        part: ByteQueue,
        conn: ConnId,
        wire: &mut Wire,
    ) {
        self.make_slots(0);
        let Some(slot) = self.slots.front_mut() else {
            return;
        };
        let before = match slot {
            Slot::Streaming(given) => *given,
            _ => 0,
        };
        *slot = Slot::Streaming(before + part.len());
        if before == 0 {
            self.give_pushes(wire);
        }
        self.reply_size.learn_part(before + part.len());
        self.out.append(part, &mut wire.spare);
        self.sending.list(conn, wire);
    }

    /// Takes back what was given of the reply that is due, as far as it is not on its way: whether
    /// that is all.
    pub(in crate::proxy) fn take_back(&mut self) -> bool {
        let Some(Slot::Streaming(given)) = self.slots.front() else {
            return true;
        };
        // What came before it leaves before it, and nothing comes behind it.
        let (given, left) = (*given, self.out.len());
        self.out.drop_back(given.min(left));
        self.slots[0] = Slot::Waiting;
        given <= left
    }

    /// Takes the reply, or one `fragment` of it, to request `number`, which had so many `bytes`.
    #[inline]
    pub(in crate::proxy) fn deliver<C: Chunk>(
        &mut self,
        (number, fragment): (u32, u32),
        reply: Reply<'_, C>,
        bytes: usize,
        conn: ConnId,
        wire: &mut Wire,
    ) {
        let place = number.wrapping_sub(self.first) as usize;
        self.request_bytes = self.request_bytes.saturating_sub(bytes);
        if place == 0 && self.slots.is_empty() && self.behind > 0 {
            self.reply_size.learn(reply.len());
            self.give_pushes(wire);
            reply.write_to(&mut self.out, &mut wire.spare);
            self.behind -= 1;
            self.first = self.first.wrapping_add(1);
            self.sending.list(conn, wire);
        } else {
            self.deliver_to_slot((place, fragment), reply, conn, wire);
        }
    }

    // The same where others are due before it, or something of it, or behind it, is here already.
    fn deliver_to_slot<C: Chunk>(
        &mut self,
        (place, fragment): (usize, u32),
        reply: Reply<'_, C>,
        conn: ConnId,
        wire: &mut Wire,
    ) {
        let reply_bytes = reply.len();
        self.make_slots(place);
        match self.slots.get_mut(place) {
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
                if given == 0 {
                    self.give_pushes(wire);
                }
                reply.write_to(&mut self.out, &mut wire.spare);
                self.give_pushes(wire);
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
                if !gathering.add(fragment, bytes) {
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
            .slots
            .front()
            .is_some_and(|slot| matches!(slot, Slot::Ready(_) | Slot::ReadyLarge(_)))
        {
            self.flush_ready(wire);
        }
        self.sending.list(conn, wire);
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
            self.slots[place] = Slot::ReadyLarge(Box::new(joined));
        }
    }

    #[inline]
    fn advance(&mut self) {
        self.slots.pop_front();
        self.first = self.first.wrapping_add(1);
        if self.slots.is_empty() && self.slots.capacity() > KEPT_SLOTS {
            self.slots = VecDeque::new();
        }
    }

    fn flush_ready(&mut self, wire: &mut Wire) {
        loop {
            match self.slots.front_mut() {
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

/// The counts, counted anew. In debug builds only.
#[cfg(debug_assertions)]
impl Replies {
    /// How many requests of the client's own, or parts of them, are under way to servers, by its
    /// slots, and of how many bytes.
    pub(in crate::proxy) fn count_anew(&self) -> (usize, usize) {
        let pushes = self.pushes.as_ref().map_or(0, |pushes| pushes.len());
        let (mut waiting, mut ready) = ((self.silent + self.behind) as usize, pushes);
        for slot in &self.slots {
            match slot {
                Slot::Waiting | Slot::Streaming(_) => waiting += 1,
                Slot::Ready(bytes) => ready += bytes.len(),
                Slot::ReadyLarge(bytes) => ready += bytes.len(),
                Slot::Gathering(gathering) => {
                    waiting += gathering.waiting() as usize;
                    ready += gathering.held_bytes();
                }
            }
        }
        assert_eq!(self.ready_bytes, ready, "replies that wait in slots");
        (waiting, self.request_bytes)
    }
}

#[cfg(test)]
mod tests;
