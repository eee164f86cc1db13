//! Lets clients go one after the other, so that they come back elsewhere, and not all at once.
//!
//! Owns: who is still to go, and when the next one does. A client goes between two requests: what
//! it has asked is answered, and a request of which a part has come is waited for as long as there
//! is time, and the `EXEC` of a transaction. Unlike a drain, it leaves new clients alone, and can be taken back.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::Key;
use crate::base::Time;
use crate::proxy::Proxy;

/// The least that a clock shows.
const STEP_MIN: Duration = Duration::from_micros(1);

/// Those who are to go.
#[derive(Debug, Default)]
pub(super) struct RollingDrain {
    waiting: VecDeque<Key>,
    next: Time,
    step: Duration,
    until: Time,
}

impl RollingDrain {
    /// When the next one is to go.
    pub(super) fn next(&self) -> Option<Time> {
        (!self.waiting.is_empty()).then_some(self.next.min(self.until))
    }
}

impl Proxy {
    /// Lets those go who are clients now, spread over `within`.
    pub fn let_go(&mut self, within: Duration, now: Time) {
        let waiting: VecDeque<Key> = self.clients.slab.keys().collect();
        let count = u32::try_from(waiting.len()).unwrap_or(u32::MAX);
        self.rolling_drain = RollingDrain {
            waiting,
            next: now,
            // Of no length, the same few could come up again and again at one moment.
            step: (within / count.max(1)).max(STEP_MIN),
            until: now + within,
        };
        self.part(now);
    }

    /// Those who have not gone stay.
    pub fn keep(&mut self) {
        self.rolling_drain = RollingDrain::default();
    }

    /// Lets those go whose time has come.
    pub(super) fn part(&mut self, now: Time) {
        while self.rolling_drain.next().is_some_and(|next| next <= now) {
            self.rolling_drain.next = self.rolling_drain.next + self.rolling_drain.step;
            let Some(key) = self.rolling_drain.waiting.pop_front() else {
                return;
            };
            let Some(client) = self.clients.slab.find(key) else {
                continue;
            };
            let half_a_request = client.input.has_any() || client.transaction.is_some();
            if client.life.is_open() && half_a_request && now < self.rolling_drain.until {
                self.rolling_drain.waiting.push_back(key);
            } else {
                self.end_client(key, true, now);
            }
        }
    }
}
