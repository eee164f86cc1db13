//! The ways out of a queue, but for a reply: a connection ends, a client goes, time is over.
//!
//! Owns: what is taken out keeps its order and its bytes, or is dropped with them. Never: decides which.

use std::collections::HashSet;
use std::time::Duration;

use crate::base::ByteQueue;
use crate::base::Cursor;
use crate::base::Key;
use crate::base::Spare;
use crate::base::Time;
use crate::proxy::server_conn::queue::Pending;
use crate::proxy::server_conn::queue::RequestQueue;
use crate::proxy::server_conn::queue::Requests;
use crate::proxy::server_conn::queue::Unanswered;
use crate::proxy::server_conn::queue::count_answered;
use crate::proxy::server_conn::queue::moving::Refused;
use crate::proxy::server_conn::queue::moving::take_refused;
use crate::proxy::server_conn::queue::sizes;
use crate::stats::ServerCounters;

/// Requests whose time is over.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Expired {
    /// They have become tombstones.
    pub(in crate::proxy) sent: Vec<Pending>,
    /// They are not sent any more.
    pub(in crate::proxy) unsent: Vec<Pending>,
}

impl RequestQueue {
    /// Takes out what was sent and has no reply. What is still being sent is among it, without its
    /// bytes: nobody can say how much of them has arrived.
    pub(in crate::proxy) fn take_sent(&mut self, gauges: &ServerCounters) -> Unanswered {
        let sent = self.take_oldest_sent(self.sent_len(), gauges);
        self.sent.begin(0, false, Time::ZERO);
        sent
    }

    /// The same, but for what is still being sent: that stays, and has its bytes afterwards.
    pub(in crate::proxy) fn take_arrived(&mut self, gauges: &ServerCounters) -> Unanswered {
        let arrived = self.sent_len() - self.sent.in_sending();
        self.take_oldest_sent(arrived, gauges)
    }

    fn take_oldest_sent(&mut self, count: usize, gauges: &ServerCounters) -> Unanswered {
        self.tombstones = 0;
        self.begin_turn();
        let half_given = std::mem::take(&mut self.streaming);
        let pendings: Vec<Pending> = self.fifo.drain(..count).collect();
        count_answered(count, sizes(&pendings), gauges);
        Unanswered {
            half_given,
            bytes: self.sent.take(),
            refused: self.take_refused(&pendings),
            pendings,
        }
    }

    /// Takes out what was not sent.
    pub(in crate::proxy) fn take_unsent(&mut self, gauges: &ServerCounters) -> Requests {
        let pendings: Vec<Pending> = self.fifo.drain(self.sent_len()..).collect();
        let bytes = std::mem::take(&mut self.bytes);
        self.count_out(pendings.len(), bytes.len(), gauges);
        Requests {
            bytes,
            refused: self.take_refused(&pendings),
            pendings,
        }
    }

    /// Takes out what was not sent of those clients of whose requests none is sent.
    pub(in crate::proxy) fn take_unbound(
        &mut self,
        spare: &mut Spare,
        gauges: &ServerCounters,
    ) -> Requests {
        let sent = self.fifo.range(..self.sent_len());
        let bound: HashSet<Key> = sent.map(|sent| sent.awaiter.client).collect();
        let mut all = self.take_unsent(gauges);
        let (mut staying, mut going) = (Requests::default(), Requests::default());
        let mut cursor = Cursor::default();
        for pending in all.pendings {
            let to = match bound.contains(&pending.awaiter.client) {
                true => &mut staying,
                false => &mut going,
            };
            cursor.move_to(&all.bytes, pending.bytes as usize, &mut to.bytes, spare);
            to.refused.extend(take_refused(&mut all.refused, &pending));
            to.pendings.push(pending);
        }
        self.append(staying, spare, gauges);
        going
    }

    /// Takes requests that are `gone` out of those that are not sent, and drops their bytes.
    pub(in crate::proxy) fn drop_unsent(
        &mut self,
        gone: impl Fn(&Pending) -> bool,
        spare: &mut Spare,
        gauges: &ServerCounters,
    ) -> Vec<Pending> {
        let unsent = self.fifo.split_off(self.sent_len());
        let mut dropped = Vec::new();
        // Neighbours of the same fate are one stretch.
        let mut stretches: Vec<(usize, bool)> = Vec::new();
        for pending in unsent {
            let len = pending.bytes as usize;
            let stays = !gone(&pending);
            match stretches.last_mut() {
                Some((before, same)) if *same == stays => *before += len,
                _ => stretches.push((len, stays)),
            }
            match stays {
                true => self.fifo.push_back(pending),
                false => dropped.push(pending),
            }
        }
        if !dropped.is_empty() {
            self.bytes.retain(stretches, spare);
            self.leave_unsent(&dropped, gauges);
        }
        dropped
    }

    /// Takes out the oldest `count` requests of a queue of which nothing is sent.
    pub(in crate::proxy) fn drop_first(
        &mut self,
        count: usize,
        gauges: &ServerCounters,
    ) -> Vec<Pending> {
        debug_assert!(!self.awaits_replies(), "sent requests are not dropped");
        self.drop_unsent_range(0, count, gauges)
    }

    /// Takes out the youngest request, which was not sent.
    pub(in crate::proxy) fn drop_last(&mut self, gauges: &ServerCounters) -> Option<Pending> {
        if !self.has_unsent() {
            return None;
        }
        let last = self.fifo.pop_back()?;
        self.bytes.drop_back(last.bytes as usize);
        self.leave_unsent(&[last], gauges);
        Some(last)
    }

    /// Takes out what waits for longer than `timeout`: of what was sent, tombstones are left, which
    /// swallow the replies.
    pub(in crate::proxy) fn expire(
        &mut self,
        timeout: Duration,
        now: Time,
        gauges: &ServerCounters,
    ) -> Expired {
        let (untimed, boundary) = (self.untimed(), self.sent_len());
        let late = |pending: &&Pending| pending.since() + timeout <= now;
        let count = self.fifo.range(untimed..).take_while(late).count();
        let sent = (boundary - untimed).min(count);
        let buried = (untimed..untimed + sent).filter_map(|place| self.bury(place));
        let buried: Vec<Pending> = buried.collect();
        self.tombstones += sent;
        Expired {
            sent: buried,
            unsent: match count - sent {
                0 => Vec::new(),
                unsent => self.drop_unsent_range(boundary, unsent, gauges),
            },
        }
    }

    /// How many requests wait for longer than `timeout`, of a queue of which nothing is sent.
    pub(in crate::proxy) fn late(&self, timeout: Duration, now: Time) -> usize {
        let late = |pending: &&Pending| pending.since() + timeout <= now;
        self.fifo.iter().take_while(late).count()
    }

    /// Gives up what is kept of what was sent: nothing of it can be sent again. How many bytes that
    /// were.
    pub(in crate::proxy) fn forget_kept_bytes(&mut self) -> usize {
        self.sent.forget_bytes()
    }

    /// The time of all requests counts from now on.
    pub(in crate::proxy) fn time_from(&mut self, now: Time) {
        for pending in &mut self.fifo {
            pending.time_from(now);
        }
    }

    /// The same, but of those that were refused from when they first were.
    pub(in crate::proxy) fn time_from_refusal(&mut self, now: Time) {
        for place in 0..self.fifo.len() {
            let since = self.refused_at(&self.fifo[place]).unwrap_or(now);
            self.fifo[place].time_from(since);
        }
    }

    pub(super) fn bury(&mut self, place: usize) -> Option<Pending> {
        let buried = *self.fifo.get(place)?;
        take_refused(&mut self.refused, &buried);
        let tombstone = &mut self.fifo[place];
        tombstone.mark_refused(false);
        tombstone.awaiter = tombstone.awaiter.buried();
        Some(buried)
    }

    fn drop_unsent_range(
        &mut self,
        place: usize,
        count: usize,
        gauges: &ServerCounters,
    ) -> Vec<Pending> {
        let dropped: Vec<Pending> = self.fifo.drain(place..place + count).collect();
        self.bytes.drop_front(sizes(&dropped));
        if self.bytes.is_empty() {
            self.bytes = ByteQueue::default();
        }
        self.leave_unsent(&dropped, gauges);
        dropped
    }

    fn leave_unsent(&mut self, pendings: &[Pending], gauges: &ServerCounters) {
        for pending in pendings {
            take_refused(&mut self.refused, pending);
        }
        self.count_out(pendings.len(), sizes(pendings), gauges);
    }

    fn take_refused(&mut self, pendings: &[Pending]) -> Refused {
        let known = pendings
            .iter()
            .filter_map(|pending| take_refused(&mut self.refused, pending));
        known.collect()
    }
}
