//! Attempts to connect that have failed since a connection to the server last worked.
//!
//! Owns: how many, why the last one did, and which of the server's addresses is tried. Never: decides when
//! the next one is made.

use crate::proxy::failure::Failure;

/// Attempts that have failed, and where the next one goes.
#[derive(Clone, Debug, Default)]
pub(in crate::proxy) struct Attempts {
    failed: u32,
    cause: Option<Failure>,
    // Of its addresses, best first.
    nth: usize,
}

impl Attempts {
    /// How many have failed.
    pub(in crate::proxy) fn count(&self) -> u32 {
        self.failed
    }

    /// Why the last one did.
    pub(in crate::proxy) fn cause(&self) -> Option<&Failure> {
        self.cause.as_ref()
    }

    /// Whether the last one failed for the same reason.
    pub(in crate::proxy) fn have_failed_so(&self, failure: &Failure) -> bool {
        self.failed > 0 && self.cause.as_ref() == Some(failure)
    }

    /// One more has failed.
    pub(in crate::proxy) fn failed(&mut self, failure: &Failure) {
        self.failed += 1;
        self.cause = Some(failure.clone());
    }

    /// There is a connection, or the server is elsewhere: whether any had failed before.
    pub(in crate::proxy) fn worked(&mut self) -> bool {
        self.cause = None;
        std::mem::take(&mut self.failed) > 0
    }

    /// One begins, with the best address.
    pub(in crate::proxy) fn begin(&mut self) {
        self.nth = 0;
    }

    /// Which address is tried.
    pub(in crate::proxy) fn nth(&self) -> usize {
        self.nth
    }

    /// It goes on with the next of so many addresses: whether there is one.
    pub(in crate::proxy) fn try_next(&mut self, addresses: usize) -> bool {
        let has_more = self.nth + 1 < addresses;
        self.nth += usize::from(has_more);
        has_more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_until_a_connection_works() {
        let mut attempts = Attempts::default();
        assert!(!attempts.have_failed_so(&Failure::TimedOut));
        attempts.failed(&Failure::TimedOut);
        attempts.failed(&Failure::ClosedByServer);
        assert_eq!(attempts.count(), 2);
        assert_eq!(attempts.cause(), Some(&Failure::ClosedByServer));
        assert!(attempts.have_failed_so(&Failure::ClosedByServer));
        assert!(!attempts.have_failed_so(&Failure::TimedOut));
        assert!(attempts.worked());
        assert_eq!((attempts.count(), attempts.cause()), (0, None));
        assert!(!attempts.worked());
    }

    #[test]
    fn each_address_is_tried_once_in_one_attempt() {
        let mut attempts = Attempts::default();
        assert!(attempts.try_next(3) && attempts.try_next(3));
        assert!(!attempts.try_next(3));
        assert_eq!(attempts.nth(), 2);
        attempts.begin();
        assert_eq!(attempts.nth(), 0);
        assert!(!attempts.try_next(1) && !attempts.try_next(0));
    }
}
