//! The last events of the process: failovers, ejections, reloads, upgrades, drains, with their times.
//!
//! Owns: how many are remembered, and their numbers. Never: what is worth one; the log decides, and
//! every event is a line of it.
//!
//! Any thread may put one in, so a lock guards them; it is held for as long as a copy takes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::SystemTime;

use serde::Serialize;
use serde_json::Map;
use serde_json::Value;

use super::clock::Micros;
use super::clock::rfc3339;

/// A night of ordinary trouble; the log has the rest.
const EVENTS_MAX: usize = 256;

/// An event.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RecentEvent {
    /// Counts from 1.
    number: u64,
    at: String,
    /// `error`, `warn` or `info`.
    level: &'static str,
    event: String,
    fields: Map<String, Value>,
}

/// The last events; clones are the same ones.
#[derive(Clone, Debug, Default)]
pub struct RecentEvents(Arc<Mutex<Ring>>);

#[derive(Debug, Default)]
struct Ring {
    last: u64,
    events: VecDeque<RecentEvent>,
}

impl RecentEvents {
    /// Remembers what has just happened.
    pub fn put(&self, level: &'static str, event: &str, fields: Map<String, Value>) {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let now = Micros::try_from(now.as_micros()).unwrap_or(Micros::MAX);
        let mut ring = self.ring();
        ring.last += 1;
        if ring.events.len() == EVENTS_MAX {
            ring.events.pop_front();
        }
        let event = RecentEvent {
            number: ring.last,
            at: rfc3339(now),
            level,
            event: event.to_owned(),
            fields,
        };
        ring.events.push_back(event);
    }

    /// Those with a greater number, the newest first.
    pub(super) fn after(&self, number: u64) -> Vec<RecentEvent> {
        let ring = self.ring();
        let newest = ring.events.iter().rev();
        newest.take_while(|e| e.number > number).cloned().collect()
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_are_remembered_the_newest_first_and_numbers_go_on() {
        let recent = RecentEvents::default();
        assert!(recent.after(0).is_empty());
        for nth in 1..=EVENTS_MAX + 3 {
            recent.put("info", &format!("event {nth}"), Map::new());
        }
        let all = recent.after(0);
        assert_eq!(all.len(), EVENTS_MAX);
        assert_eq!(all[0].event, format!("event {}", EVENTS_MAX + 3));
        assert_eq!(all[EVENTS_MAX - 1].number, 4);
        let new = recent.after(all[2].number);
        assert_eq!(new.len(), 2);
        assert!(recent.after(u64::MAX).is_empty());
    }
}
