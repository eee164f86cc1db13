//! Who observes requests: what workers are told and asked for him, and what he is shown.
//!
//! Owns: everybody who observes. One who has gone is found out within a step, and nothing is kept for
//! him any more; one who does not read is shown no more, and no worker is asked for him meanwhile: what
//! they keep has its bounds. Never: waits for a worker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::base::PoolIdx;
use crate::base::WorkerIdx;
use crate::control::asked::Pieces;
use crate::control::asked::Reply;
use crate::control::event::Event;
use crate::control::observed;
use crate::reactor::ToWorker;
use crate::telemetry::observed::Observer;
use crate::telemetry::observed::ObserverId;
use crate::telemetry::observed::Seen;
use crate::telemetry::observed::Wants;

use super::Control;

/// How often lines are fetched, and looked whether somebody is still there.
pub(super) const MONITOR_STEP: Duration = Duration::from_millis(100);

/// A worker that has not said by then what it has seen is not waited for.
const TELL_WITHIN: Duration = Duration::from_secs(2);

/// How often is said how much was left out.
const SAID_EVERY: Duration = Duration::from_secs(1);

/// Somebody who observes may do so beside so many others: each costs every request something.
const OBSERVERS_MAX: usize = 8;

/// What is asked for.
pub(super) struct Terms {
    /// Of these pools.
    pub(super) pools: Vec<PoolIdx>,
    /// What of them.
    pub(super) wants: Wants,
    /// For so long.
    pub(super) within: Duration,
    /// So many keys are shown,
    pub(super) top: usize,
    /// or so many lines a second.
    pub(super) rate: usize,
}

/// Who observes.
#[derive(Default)]
pub(super) struct Observers {
    last: u64,
    all: BTreeMap<ObserverId, Observing>,
}

struct Observing {
    // As the process's uptime.
    since: Duration,
    until: Duration,
    top: usize,
    // As `WorkerIdx` counts them: asked, and has not answered.
    asked: Vec<bool>,
    seen: Option<Seen>,
    to: To,
}

enum To {
    /// He gets one answer; `true` when it is being collected.
    Answer(Reply, bool),
    /// He gets lines.
    Lines(Pieces, Tap),
}

/// How many lines may go.
struct Tap {
    rate: usize,
    // In lines.
    allowed: f64,
    left_out: u64,
    said_at: Duration,
}

impl Control {
    /// Shows somebody what he has asked for.
    pub(super) fn begin_to_observe(&mut self, terms: Terms, reply: Reply) {
        if self.observers.all.len() >= OBSERVERS_MAX {
            let text = format!("{OBSERVERS_MAX} observe already: ask again when one has ended\n");
            return reply.refused(text);
        }
        self.observers.last += 1;
        let id = ObserverId(self.observers.last);
        let since = self.clock.uptime();
        let to = match &terms.wants {
            Wants::Requests(_) => To::Lines(
                reply.goes_on(),
                Tap {
                    rate: terms.rate,
                    allowed: 0.0,
                    left_out: 0,
                    said_at: since,
                },
            ),
            Wants::HotKeys(_) | Wants::BigKeys => To::Answer(reply, false),
        };
        let observing = Observing {
            since,
            until: since.saturating_add(terms.within),
            top: terms.top,
            asked: vec![false; self.workers.to.len()],
            seen: None,
            to,
        };
        let observer = Observer {
            id,
            pools: terms.pools,
            wants: terms.wants,
        };
        self.tell_all(&ToWorker::Observe(Arc::new(observer)));
        if let To::Lines(pieces, _) = &observing.to {
            // As Redis says that it begins.
            pieces.send("OK\n".to_owned());
        }
        self.observers.all.insert(id, observing);
        self.events.after(MONITOR_STEP, Event::Observing(id));
    }

    /// Does for an observer what is due.
    pub(super) fn look_after(&mut self, id: ObserverId) {
        let now = self.clock.uptime();
        let Some(one) = self.observers.all.get_mut(&id) else {
            return;
        };
        let asks = match &mut one.to {
            To::Answer(reply, _) if !reply.is_awaited() => return self.end_observing(id),
            To::Answer(_, collecting) if *collecting => {
                if now >= one.until + TELL_WITHIN {
                    return self.answer_observer(id);
                }
                false
            }
            To::Answer(_, collecting) => {
                *collecting = now >= one.until;
                *collecting
            }
            To::Lines(pieces, _) if !pieces.is_awaited() => return self.end_observing(id),
            To::Lines(pieces, _) if pieces.is_full() => false,
            To::Lines(pieces, tap) => {
                if let Some(text) = tap.text(one.seen.take(), now) {
                    pieces.send(text);
                }
                true
            }
        };
        if asks {
            for (worker, asked) in self.workers.to.iter().zip(&mut one.asked) {
                if !std::mem::replace(asked, true) {
                    worker.send(ToWorker::TellSeen(id));
                }
            }
        }
        self.events.after(MONITOR_STEP, Event::Observing(id));
    }

    /// A worker says what it has seen for an observer.
    pub(super) fn seen(&mut self, worker: WorkerIdx, id: ObserverId, seen: Seen) {
        // He may have gone.
        let Some(one) = self.observers.all.get_mut(&id) else {
            return;
        };
        if let Some(asked) = one.asked.get_mut(worker.index()) {
            *asked = false;
        }
        match &mut one.seen {
            Some(all) => all.merge(seen),
            None => one.seen = Some(seen),
        }
        let is_answer = matches!(one.to, To::Answer(..));
        if is_answer && one.asked.iter().all(|asked| !asked) {
            self.answer_observer(id);
        }
    }

    fn answer_observer(&mut self, id: ObserverId) {
        let now = self.clock.uptime();
        let Some(mut one) = self.end_observing_of(id) else {
            return;
        };
        let silent = one.asked.iter().filter(|asked| **asked).count();
        let telemetry = self.shown.telemetry.borrow();
        let time = now - one.since;
        let mut text = observed::text(&telemetry, one.seen.take(), one.top, time);
        if silent > 0 {
            text += &format!("{silent} of {} workers did not answer\n", one.asked.len());
        }
        if let To::Answer(reply, _) = one.to {
            reply.done(text);
        }
    }

    fn end_observing(&mut self, id: ObserverId) {
        self.end_observing_of(id);
    }

    fn end_observing_of(&mut self, id: ObserverId) -> Option<Observing> {
        self.tell_all(&ToWorker::Disregard(id));
        self.observers.all.remove(&id)
    }
}

impl Tap {
    /// The lines that may go now, and from time to time how many may not.
    fn text(&mut self, seen: Option<Seen>, now: Duration) -> Option<String> {
        #[expect(clippy::cast_precision_loss, reason = "100,000 at most")]
        let rate = self.rate as f64;
        self.allowed = (self.allowed + rate * MONITOR_STEP.as_secs_f64()).min(rate);
        let mut text = String::new();
        if let Some(Seen::Lines(mut lines)) = seen {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is 0 to 100,000"
            )]
            lines.thin(self.allowed as usize);
            #[expect(clippy::cast_precision_loss, reason = "100,000 at most")]
            let shown = lines.lines.len() as f64;
            self.allowed -= shown;
            self.left_out += lines.left_out;
            for (_, line) in &lines.lines {
                text.push_str(line);
                text.push('\n');
            }
        }
        if self.left_out > 0 && now >= self.said_at + SAID_EVERY {
            self.said_at = now;
            let left_out = std::mem::take(&mut self.left_out);
            text += &format!(
                "# {left_out} requests more, left out of {} lines a second\n",
                self.rate
            );
        }
        (!text.is_empty()).then_some(text)
    }
}
