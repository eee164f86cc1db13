//! Whether a connection is still one of those that its server is reached by.
//!
//! Owns: that it is left, that another has its place, that its server is served no longer. Never: decides
//! it: `address_change` does.

use crate::proxy::pool::conns::Place;

/// How long a connection is used.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Tenure {
    // At its other end is its server no more: nothing is sent there now.
    leaving: bool,
    // Another connection has its place, which is this one: it only awaits replies.
    successor: Option<Place>,
    // It is closed when nothing is left to do on it: its server is served no longer.
    last: bool,
}

impl Tenure {
    /// Whether nothing more is sent on it.
    #[inline]
    pub(in crate::proxy) fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// An address may come back before its connection was left.
    pub(in crate::proxy) fn set_leaving(&mut self, leaving: bool) {
        self.leaving = leaving;
    }

    /// Where the connection is that has its place, if another has.
    #[inline]
    pub(in crate::proxy) fn successor(&self) -> Option<Place> {
        self.successor
    }

    /// The connection in this place does what is not to be done here any more.
    pub(in crate::proxy) fn succeed(&mut self, place: Place) {
        (self.successor, self.leaving) = (Some(place), true);
    }

    /// Whether it is closed when nothing is left to do on it.
    #[inline]
    pub(in crate::proxy) fn is_last(&self) -> bool {
        self.last
    }

    pub(in crate::proxy) fn set_last(&mut self, last: bool) {
        self.last = last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::pool::conns::ConnKind;
    use crate::proxy::pool::conns::Lane;

    #[test]
    fn one_that_has_a_successor_is_left() {
        let mut tenure = Tenure::default();
        assert!(!tenure.is_leaving() && !tenure.is_last());
        let place = Place {
            kind: ConnKind::default(),
            lane: Lane::Shared(1),
        };
        tenure.succeed(place);
        assert_eq!(tenure.successor(), Some(place));
        assert!(tenure.is_leaving());
    }
}
