//! Whether a server is asked of itself, because of what an error seems to say.
//!
//! Owns: when it was last asked on this connection, and whether its answer is still to come. Never: decides
//! what it is asked: `opinion` does.

use std::time::Duration;

use crate::base::Time;

/// A server is not asked more often than this on a connection, however often it is spoken of.
const ASKED_EVERY: Duration = Duration::from_millis(50);

/// What a server is asked of itself on one connection.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Doubt {
    asked: Option<Time>,
    is_due: bool,
}

impl Doubt {
    /// Whether it may be asked now.
    pub(in crate::proxy) fn may_ask(&self, now: Time) -> bool {
        let just_asked = self.asked.is_some_and(|asked| now < asked + ASKED_EVERY);
        !self.is_due && !just_asked
    }

    /// It is asked.
    pub(in crate::proxy) fn ask(&mut self, now: Time) {
        *self = Doubt {
            asked: Some(now),
            is_due: true,
        };
    }

    /// When it was last asked.
    pub(in crate::proxy) fn asked(&self) -> Option<Time> {
        self.asked
    }

    /// Whether the answer is still to come.
    #[inline]
    pub(in crate::proxy) fn is_due(&self) -> bool {
        self.is_due
    }

    /// It has answered, or does not.
    pub(in crate::proxy) fn end(&mut self) {
        self.is_due = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_asked_once_at_a_time_and_not_too_often() {
        let at = |millis: u64| Time::from_micros(millis * 1_000);
        let mut doubt = Doubt::default();
        assert!(doubt.may_ask(at(0)) && !doubt.is_due());
        doubt.ask(at(10));
        assert!(doubt.is_due() && !doubt.may_ask(at(1_000)));
        doubt.end();
        assert!(!doubt.may_ask(at(59)));
        assert!(doubt.may_ask(at(60)));
        assert_eq!(doubt.asked(), Some(at(10)));
    }
}
