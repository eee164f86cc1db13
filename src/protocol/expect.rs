//! What a server sends for a request, as far as its framing and its place depend on what was asked.

/// What is to come for one request, in two bytes: every request that is under way has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expect(u16);

// Behind these: so many replies, less one, come before the last, and are swallowed.
const BATCH: u16 = 4;

impl Expect {
    /// One reply. What else it says of itself is in its own bytes.
    pub const ONE: Expect = Expect(0);
    /// One reply of several values, with an end.
    pub const VALUES: Expect = Expect(1);
    /// One reply, which may be of a kind that the client has not asked for.
    pub const MAYBE: Expect = Expect(2);
    /// Nothing, not even an error: the request is done when it is sent.
    pub const NONE: Expect = Expect(3);

    /// One reply, behind `swallowed` others of which the client hears nothing; `None` if those are
    /// more than can be counted.
    #[must_use]
    pub fn batch(swallowed: u16) -> Option<Expect> {
        match swallowed {
            0 => Some(Expect::ONE),
            swallowed => (BATCH - 1).checked_add(swallowed).map(Expect),
        }
    }

    /// How many replies come before the one that counts.
    #[inline]
    #[must_use]
    pub fn swallowed(self) -> u16 {
        self.0.saturating_sub(BATCH - 1)
    }

    /// Whether nothing comes.
    #[inline]
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Expect::NONE
    }

    /// Whether what comes is for the client, whatever it says: then it can be passed on in parts.
    #[inline]
    #[must_use]
    pub fn passes_at_once(self) -> bool {
        matches!(self, Expect::ONE | Expect::VALUES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_counts_what_it_swallows_and_is_nothing_else() {
        for swallowed in [0, 1, 2, 65_532] {
            let batch = Expect::batch(swallowed).unwrap();
            assert_eq!(batch.swallowed(), swallowed);
            assert!(!batch.is_none() && batch != Expect::MAYBE && batch != Expect::VALUES);
            assert_eq!(batch.passes_at_once(), swallowed == 0);
        }
        assert_eq!(Expect::batch(65_533), None);
        for other in [Expect::ONE, Expect::VALUES, Expect::MAYBE, Expect::NONE] {
            assert_eq!(other.swallowed(), 0);
        }
    }
}
