//! Belief that does not flap: what changes it must be seen several times in a row.

/// Something that is good or bad, seen again and again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Debounced {
    good: bool,
    rise: u32,
    fall: u32,
    // Samples in a row that spoke against the present belief.
    against: u32,
}

impl Debounced {
    /// Believed to be `good`; it rises after so many good samples in a row, and falls after so
    /// many bad ones.
    pub(super) fn new(good: bool, rise: u32, fall: u32) -> Debounced {
        Debounced {
            good,
            rise,
            fall,
            against: 0,
        }
    }

    /// One more sample; whether it changed the belief.
    pub(super) fn see(&mut self, good: bool) -> bool {
        if good == self.good {
            self.against = 0;
            return false;
        }
        self.against += 1;
        let needed = if good { self.rise } else { self.fall };
        if self.against < needed {
            return false;
        }
        self.set(good);
        true
    }

    /// Believes at once.
    pub(super) fn set(&mut self, good: bool) {
        self.good = good;
        self.against = 0;
    }

    pub(super) fn is_good(&self) -> bool {
        self.good
    }
}

#[cfg(test)]
mod tests {
    use super::Debounced;

    #[test]
    fn what_comes_and_goes_changes_nothing_and_what_stays_does() {
        let mut debounced = Debounced::new(true, 3, 2);
        for good in [false, true, false, true, true, false, true] {
            assert!(!debounced.see(good), "one bad sample among good ones");
        }
        assert!(!debounced.see(false));
        assert!(debounced.see(false) && !debounced.is_good());
        for good in [true, true, false, true, true] {
            assert!(!debounced.see(good));
        }
        assert!(debounced.see(true) && debounced.is_good());
    }
}
