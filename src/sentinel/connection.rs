//! One connection to a Sentinel: connected, lost, connected again.
//!
//! Owns: the state of the socket as far as the watcher knows it, its deadline, the pause between two
//! attempts. Never: what is sent on it.

use std::time::Duration;

use crate::base::Random;
use crate::base::Time;
use crate::sentinel::output::LinkId;
use crate::sentinel::reply::Replies;
use crate::sentinel::reply::Value;

/// Linux sends its second SYN after one second: a connect that needs it is taken for lost.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// A Sentinel that has restarted is reached again within two seconds; one that is gone for long is
/// tried every second or two.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// A wrong password does not become right in a moment.
const PAUSE_REFUSED: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Down { until: Time },
    Connecting { link: LinkId, until: Time },
    Open { link: LinkId },
}

/// One connection, or the pause before it.
#[derive(Debug)]
pub(super) struct Connection {
    state: State,
    failures: u32,
    replies: Replies,
    /// When the connection counts as dead unless something has arrived by then.
    pub(super) deadline: Option<Time>,
}

impl Connection {
    /// One that connects at once.
    pub(super) fn new(now: Time) -> Connection {
        Connection {
            state: State::Down { until: now },
            failures: 0,
            replies: Replies::default(),
            deadline: None,
        }
    }

    /// The connection that there is, or is being made.
    pub(super) fn link(&self) -> Option<LinkId> {
        match self.state {
            State::Down { .. } => None,
            State::Connecting { link, .. } | State::Open { link } => Some(link),
        }
    }

    /// The connection, once it can be written to.
    pub(super) fn open_link(&self) -> Option<LinkId> {
        match self.state {
            State::Open { link } => Some(link),
            _ => None,
        }
    }

    /// When to look at it next.
    pub(super) fn due(&self) -> Option<Time> {
        match self.state {
            State::Down { until } | State::Connecting { until, .. } => Some(until),
            State::Open { .. } => self.deadline,
        }
    }

    /// Whether it is time to connect.
    pub(super) fn wants_connecting(&self, now: Time) -> bool {
        matches!(self.state, State::Down { until } if until <= now)
    }

    /// Whether the other end has been silent for too long.
    pub(super) fn is_overdue(&self, now: Time) -> bool {
        let until = match self.state {
            State::Down { .. } => None,
            State::Connecting { until, .. } => Some(until),
            State::Open { .. } => self.deadline,
        };
        until.is_some_and(|until| until <= now)
    }

    /// An attempt to connect begins.
    pub(super) fn connecting(&mut self, link: LinkId, now: Time) {
        let until = now + CONNECT_WITHIN;
        self.state = State::Connecting { link, until };
    }

    /// It is connected.
    pub(super) fn connected(&mut self) {
        if let State::Connecting { link, .. } = self.state {
            self.state = State::Open { link };
        }
        self.replies = Replies::default();
        self.deadline = None;
    }

    /// It works: the pause after the next loss is the shortest again.
    pub(super) fn is_good(&mut self) {
        self.failures = 0;
    }

    /// It is lost; the next attempt follows after a pause.
    pub(super) fn lost(&mut self, refused: bool, random: &mut Random, now: Time) {
        let pause = match refused {
            true => PAUSE_REFUSED,
            false => (PAUSE_MIN * (1 << self.failures.min(10))).min(PAUSE_MAX),
        };
        self.failures = self.failures.saturating_add(1);
        let until = now + jittered(pause, random);
        self.state = State::Down { until };
        self.deadline = None;
    }

    /// Takes bytes, and returns the replies that they complete; an error text when they are none.
    pub(super) fn received(&mut self, bytes: &[u8]) -> Result<Vec<Value>, String> {
        let mut values = Vec::new();
        let each = |value| {
            values.push(value);
            true
        };
        let fed = self.replies.feed(bytes, each);
        fed.map_err(|fault| fault.to_string())?;
        Ok(values)
    }
}

/// Half of `pause` to all of it: many proxies do not come back at the same moment.
pub(super) fn jittered(pause: Duration, random: &mut Random) -> Duration {
    let micros = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
    pause / 2 + Duration::from_micros(random.below(micros / 2 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_begin_anew_after_success() {
        let (mut random, mut now) = (Random::new(1), Time::ZERO);
        let mut connection = Connection::new(now);
        let mut pauses = Vec::new();
        for attempt in 0..8 {
            assert!(connection.wants_connecting(now));
            connection.connecting(LinkId(attempt), now);
            connection.lost(false, &mut random, now);
            let until = connection.due().unwrap();
            assert!(!connection.wants_connecting(now));
            pauses.push(until.since(now));
            now = until;
        }
        assert!(pauses[0] >= PAUSE_MIN / 2 && pauses[0] <= PAUSE_MIN);
        assert!(pauses[7] >= PAUSE_MAX / 2 && pauses[7] <= PAUSE_MAX);
        connection.connecting(LinkId(9), now);
        connection.connected();
        connection.is_good();
        connection.lost(false, &mut random, now);
        assert!(connection.due().unwrap().since(now) <= PAUSE_MIN);
        connection.lost(true, &mut random, now);
        assert!(connection.due().unwrap().since(now) >= PAUSE_REFUSED / 2);
    }

    #[test]
    fn a_connect_that_takes_too_long_is_overdue() {
        let mut connection = Connection::new(Time::ZERO);
        connection.connecting(LinkId(1), Time::ZERO);
        assert_eq!(
            (connection.link(), connection.open_link()),
            (Some(LinkId(1)), None)
        );
        assert!(!connection.is_overdue(Time::ZERO));
        assert!(connection.is_overdue(Time::ZERO + CONNECT_WITHIN));
        connection.connected();
        assert_eq!(connection.open_link(), Some(LinkId(1)));
        assert!(!connection.is_overdue(Time::ZERO + CONNECT_WITHIN));
    }
}
