//! What a client has of an exclusive connection.
//!
//! Owns: how far the client has come, and what it has asked that waits. Never: knows a connection.

use std::time::Duration;

use crate::base::Key;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::protocol::command::TimeoutAt;
use crate::protocol::command::Wait;

/// A client's hold on an exclusive connection, or its place in the queue for one.
#[derive(Debug)]
pub(in crate::proxy) struct Lease {
    /// To which server.
    pub(in crate::proxy) server: ServerIdx,
    pub(in crate::proxy) state: LeaseState,
}

/// How far it has come.
#[derive(Debug)]
pub(in crate::proxy) enum LeaseState {
    /// All connections are held: it waits for one.
    Waits,
    /// It has waited as long as it may.
    Refused,
    /// It has this connection, and has asked nothing on it.
    Granted(Key),
    /// It watches keys on this connection, until what it asks there last is answered.
    Watching {
        conn: Key,
        /// It has asked that.
        ending: bool,
    },
    /// The connection is lost on which it has watched keys.
    Lost,
    /// It has asked something on this connection that waits on its server.
    Blocked(Key, Box<Blocked>),
}

impl Lease {
    /// The connection that it holds.
    pub(in crate::proxy) fn conn(&self) -> Option<Key> {
        match &self.state {
            LeaseState::Granted(conn)
            | LeaseState::Blocked(conn, _)
            | LeaseState::Watching { conn, .. } => Some(*conn),
            LeaseState::Waits | LeaseState::Refused | LeaseState::Lost => None,
        }
    }

    /// The connection on which it asks this server, if it watches keys there.
    #[inline]
    pub(in crate::proxy) fn watches(&self, server: ServerIdx) -> Option<Key> {
        match self.state {
            LeaseState::Watching { conn, .. } if self.server == server => Some(conn),
            _ => None,
        }
    }

    /// Whether its client waits: for a connection, or for what it has asked there.
    pub(in crate::proxy) fn is_waiting(&self) -> bool {
        matches!(self.state, LeaseState::Waits | LeaseState::Blocked(..))
    }

    /// Whether it watches keys.
    pub(in crate::proxy) fn is_watching(&self) -> bool {
        matches!(self.state, LeaseState::Watching { .. })
    }

    /// Whether it ends with the replies that are due.
    pub(in crate::proxy) fn is_ending(&self) -> bool {
        matches!(self.state, LeaseState::Watching { ending: true, .. })
    }

    /// Whether nothing is asked on it, or was.
    pub(in crate::proxy) fn is_unused(&self) -> bool {
        matches!(
            self.state,
            LeaseState::Waits | LeaseState::Refused | LeaseState::Granted(_)
        )
    }

    /// Whether what it has asked may be asked again.
    pub(in crate::proxy) fn may_ask_again(&self) -> bool {
        match &self.state {
            LeaseState::Blocked(_, blocked) => blocked.wait.is_some() && !blocked.words.is_empty(),
            _ => false,
        }
    }

    /// What it has asked that waits.
    pub(in crate::proxy) fn blocked(&mut self) -> Option<&mut Blocked> {
        match &mut self.state {
            LeaseState::Blocked(_, blocked) => Some(blocked),
            _ => None,
        }
    }
}

/// A request that waits on its server.
#[derive(Debug)]
pub(in crate::proxy) struct Blocked {
    /// When it began.
    pub(in crate::proxy) since: Time,
    /// Its words, if it may be asked again.
    words: Vec<Vec<u8>>,
    wait: Option<(TimeoutAt, Wait)>,
    /// When its connection was lost, of the trouble that is not over.
    pub(in crate::proxy) lost: Option<Time>,
    /// When its client is told that it is over, because the proxy lets it go.
    pub(in crate::proxy) finish_by: Option<Time>,
}

impl Blocked {
    pub(in crate::proxy) fn new(
        words: Vec<Vec<u8>>,
        (at, wait): (TimeoutAt, Option<Wait>),
        since: Time,
    ) -> Blocked {
        Blocked {
            since,
            words,
            wait: wait.map(|wait| (at, wait)),
            lost: None,
            finish_by: None,
        }
    }

    /// When it is over by its own words; `None` is never.
    fn until(&self) -> Option<Time> {
        let (_, wait) = self.wait?;
        wait.time.map(|time| self.since + time)
    }

    /// When its server should have answered, which is given `timeout` for that.
    pub(in crate::proxy) fn deadline(&self, timeout: Option<Duration>) -> Option<Time> {
        let timeout = timeout?;
        match self.wait {
            // Its server will refuse it.
            None => Some(self.since + timeout),
            Some(_) => self.until().map(|until| until + timeout),
        }
    }

    /// The request again, with the time that is left; `None` if it is not to be asked again.
    pub(in crate::proxy) fn again(&self, now: Time) -> Option<Vec<Vec<u8>>> {
        let (at, wait) = self.wait.filter(|_| !self.words.is_empty())?;
        let mut words = self.words.clone();
        if let Some(until) = self.until() {
            let left = until.since(now);
            *words.get_mut(wait.index)? = at.text(left).into_bytes();
        }
        Some(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1000)
    }

    fn blocked(seconds: Option<u64>) -> Blocked {
        let words = ["BLPOP", "k", "0"].map(|word| word.as_bytes().to_vec());
        let wait = Wait {
            index: 2,
            time: seconds.map(Duration::from_secs),
        };
        Blocked::new(words.to_vec(), (TimeoutAt::Last, Some(wait)), at(1000))
    }

    #[test]
    fn what_is_asked_again_waits_for_what_is_left() {
        let again = |seconds, now| {
            blocked(seconds)
                .again(at(now))
                .unwrap_or_default()
                .join(&b' ')
        };
        assert_eq!(again(Some(5), 2500), b"BLPOP k 3.500");
        assert_eq!(again(Some(5), 9000), b"BLPOP k 0.001", "not for ever");
        assert_eq!(again(None, 9000), b"BLPOP k 0");
    }

    #[test]
    fn a_server_has_the_time_of_the_request_and_that_of_the_pool() {
        let pool = Some(Duration::from_secs(2));
        assert_eq!(blocked(Some(5)).deadline(pool), Some(at(8000)));
        assert_eq!(blocked(None).deadline(pool), None);
        assert_eq!(blocked(Some(5)).deadline(None), None);
        let unread = Blocked::new(Vec::new(), (TimeoutAt::Last, None), at(1000));
        assert_eq!(unread.deadline(pool), Some(at(3000)));
        assert_eq!(unread.again(at(1000)), None);
    }
}
