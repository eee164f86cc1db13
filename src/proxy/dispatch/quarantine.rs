//! Clients whose requests break server connections time and again, apart from all others.
//!
//! A request may be one that a server ends its connection for: a value that is larger than the server's
//! `proto-max-bulk-len`, a script that crashes it. Who shares the connection loses what was sent. So who
//! does that again and again gets a connection that only the likes of it use.
//!
//! Owns: who has broken a connection, as far as that can be told, and for how long it is kept apart.
//! Never: refuses a request; opens a connection.

use std::time::Duration;

use crate::base::Key;
use crate::base::Time;
use crate::proxy::Proxy;
use crate::proxy::failure::Failure;

/// A server that crashes breaks the connection of whoever was next: only so many at short
/// intervals are a habit.
const BREAKS_MIN: u8 = 3;

/// What is longer ago is forgotten.
const REMEMBERED: Duration = Duration::from_secs(60);

/// The connections that a client has broken.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::proxy) struct Breaks {
    count: u8,
    last: Option<Time>,
}

impl Breaks {
    /// Whether it is kept apart.
    pub(in crate::proxy) fn are_a_habit(self, now: Time) -> bool {
        self.count >= BREAKS_MIN && self.last.is_some_and(|last| now < last + REMEMBERED)
    }

    fn add(&mut self, now: Time) {
        if self.last.is_some_and(|last| now >= last + REMEMBERED) {
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.last = Some(now);
    }
}

/// Whether the request whose reply was the next to come may be the reason.
pub(in crate::proxy) fn may_be_provoked(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::ClosedByServer | Failure::System(_) | Failure::BadReply(_)
    )
}

impl Proxy {
    /// A connection has ended, it seems by this client's request.
    pub(in crate::proxy) fn charge(&mut self, client: Key, now: Time) {
        let Some(client) = self.clients.slab.find_mut(client) else {
            return;
        };
        let before = client.breaks.are_a_habit(now);
        client.breaks.add(now);
        if !before && client.breaks.are_a_habit(now) {
            tracing::warn!(
                pool = %self.pools[client.pool.index()].config.name,
                client = client.identity.id,
                command = client.identity.command,
                "client keeps breaking server connections: it gets others than its neighbours"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_in_a_minute_are_a_habit_which_a_minute_without_one_ends() {
        let at = |secs: u64| Time::from_micros(secs * 1_000_000);
        let mut breaks = Breaks::default();
        for secs in [0, 30] {
            breaks.add(at(secs));
            assert!(!breaks.are_a_habit(at(secs)));
        }
        breaks.add(at(80));
        assert!(breaks.are_a_habit(at(139)));
        assert!(!breaks.are_a_habit(at(140)));
        breaks.add(at(140));
        assert!(!breaks.are_a_habit(at(140)), "it begins anew");
    }
}
