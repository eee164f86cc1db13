//! Deadlines: the one timer of the ring, and what is done when it comes up.

use std::sync::Arc;
use std::time::Duration;

use crate::base::Time;
use crate::reactor::message::FromWorker;
use crate::reactor::token::Token;

use super::Worker;
use super::hand_over::Leaving;

/// How often surplus memory is given back.
const TRIM_PERIOD: Duration = Duration::from_secs(1);

/// When a short send that a full socket has cut is gone on with at the latest. Its reader has
/// megabytes yet to read by then.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What is to be done at a time that the worker has set itself.
#[derive(Default)]
pub(super) struct Alarms {
    // When the ring's timer comes up.
    pub(super) timer: Option<Time>,
    trim_at: Option<Time>,
    // Sends are under way whose completions end no wait, see `Patience`.
    pub(super) sent_silently: bool,
    look_again_at: Option<Time>,
}

impl Worker {
    /// Sees that the ring completes something when the nearest deadline comes.
    pub(super) fn watch_the_time(&mut self, now: Time) {
        if self.alarms.trim_at.is_none() && self.ring.blocks().keeps_any() {
            self.alarms.trim_at = Some(now + TRIM_PERIOD);
        }
        if std::mem::take(&mut self.alarms.sent_silently) && self.alarms.look_again_at.is_none() {
            self.alarms.look_again_at = Some(now + LOOK_AGAIN);
        }
        let deadlines = [
            self.proxy.next_timeout(),
            self.alarms.look_again_at,
            self.alarms.trim_at,
            self.accepting.again_at,
            self.departure.leaving.as_ref().and_then(Leaving::until),
            self.watch.look_at(),
            self.departure.cut_at(),
        ];
        let Some(next) = deadlines.into_iter().flatten().min() else {
            return;
        };
        // One that comes up too early costs a pass; arming it anew each time costs every pass.
        if self.alarms.timer.is_none_or(|timer| next < timer) {
            self.alarms.timer = Some(next);
            self.ring.timeout(next.since(now), Token::Timer.pack());
        }
    }

    pub(super) fn look_at_memory(&mut self, now: Time) {
        let blocks = Arc::clone(self.ring.blocks());
        let tell = Some(&self.outbox);
        self.watch.look(&mut self.proxy, &blocks, tell, now);
    }

    pub(super) fn look_at_the_time(&mut self, now: Time) {
        if self.watch.is_high() || self.watch.look_at().is_some_and(|at| at <= now) {
            self.look_at_memory(now);
        }
        if self.proxy.next_timeout().is_some_and(|next| next <= now) {
            self.proxy.handle_timeout(now);
        }
        // That there was a pass is all that it takes.
        self.alarms.look_again_at = self.alarms.look_again_at.filter(|at| *at > now);
        if self.alarms.trim_at.is_some_and(|at| at <= now) {
            self.alarms.trim_at = None;
            self.ring.blocks().trim();
        }
        if self.accepting.again_at.is_some_and(|at| at <= now) {
            self.accepting.again_at = None;
            self.accept_all();
        }
        if self.departure.cut_at().is_some_and(|until| until <= now) {
            self.departure.drained = true;
            tracing::warn!(
                worker = self.idx.0,
                clients = self.proxy.client_count(),
                "clients were cut because draining took too long"
            );
            self.outbox.send(FromWorker::Drained(self.idx));
        }
    }
}
