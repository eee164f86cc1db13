//! What a server sends for a request, as far as its framing and its place depend on what was asked.

/// What is to come for one request, in three bytes: every request that is under way has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expect {
    // What its client gets, and in the upper bits of which form it must be, as its protocol counts.
    kind: u8,
    // How many are swallowed, or what the protocol keeps to know the reply by. Not a number, so that
    // nothing is left empty before it.
    detail: [u8; 2],
}

const BATCH: u8 = 4;
const UNHEARD: u8 = 5;
const PART: u8 = 6;
const MANNER: u8 = 7;
const FORM_SHIFT: u32 = 3;

impl Expect {
    /// One reply. What else it says of itself is in its own bytes.
    pub const ONE: Expect = Expect::manner(0);
    /// One reply of several values, with an end.
    pub const VALUES: Expect = Expect::manner(1);
    /// One reply, which may be of a kind that the client has not asked for.
    pub const MAYBE: Expect = Expect::manner(2);
    /// Nothing, not even an error: the request is done when it is sent.
    pub const NONE: Expect = Expect::manner(3);
    /// One reply, of which its client hears nothing, whatever it says.
    pub const UNHEARD: Expect = Expect::manner(UNHEARD);

    /// One reply to a part of a request, which only who knows the part can tell from others.
    pub const PART: Expect = Expect::manner(PART);

    const fn manner(kind: u8) -> Expect {
        Expect {
            kind,
            detail: [0; 2],
        }
    }

    /// One reply, behind `swallowed` others of which the client hears nothing; `None` if those are
    /// more than can be counted.
    #[must_use]
    pub fn batch(swallowed: u16) -> Option<Expect> {
        match swallowed {
            0 => Some(Expect::ONE),
            u16::MAX => None,
            swallowed => Some(Expect {
                kind: BATCH,
                detail: swallowed.to_ne_bytes(),
            }),
        }
    }

    /// The same, in a form that its protocol knows by a number below 32, and of which it keeps this.
    #[inline]
    #[must_use]
    pub(in crate::protocol) const fn of_form(self, form: u8, detail: u16) -> Expect {
        Expect {
            kind: self.kind | form << FORM_SHIFT,
            detail: detail.to_ne_bytes(),
        }
    }

    /// In which form it must be.
    #[inline]
    #[must_use]
    pub(in crate::protocol) const fn form(self) -> u8 {
        self.kind >> FORM_SHIFT
    }

    /// What its protocol keeps of it.
    #[inline]
    #[must_use]
    pub(in crate::protocol) const fn detail(self) -> u16 {
        u16::from_ne_bytes(self.detail)
    }

    /// How many replies come before the one that counts.
    #[inline]
    #[must_use]
    pub fn swallowed(self) -> u16 {
        match self.kind {
            BATCH => self.detail(),
            _ => 0,
        }
    }

    /// Whether nothing comes.
    #[inline]
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Expect::NONE
    }

    /// Whether its client hears nothing of it, neither a reply nor that there is none.
    #[inline]
    #[must_use]
    pub fn is_unheard(self) -> bool {
        matches!(self.kind & MANNER, 3 | UNHEARD)
    }

    /// Whether what comes has to be looked at before the client gets it.
    #[inline]
    #[must_use]
    pub fn may_not_pass(self) -> bool {
        matches!(self.kind & MANNER, 2 | UNHEARD | PART)
    }

    /// Whether its reply is looked at where replies to parts are gathered, of one server, too.
    #[inline]
    #[must_use]
    pub fn is_of_part(self) -> bool {
        self.kind & MANNER == PART
    }

    /// Whether what comes is for the client, whatever it says: then it can be passed on in parts.
    #[inline]
    #[must_use]
    pub fn passes_at_once(self) -> bool {
        matches!(self.kind & MANNER, 0 | 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_counts_what_it_swallows_and_is_nothing_else() {
        for swallowed in [0, 1, 2, 65_534] {
            let batch = Expect::batch(swallowed).unwrap();
            assert_eq!(batch.swallowed(), swallowed);
            assert!(!batch.is_none() && batch != Expect::MAYBE && batch != Expect::VALUES);
            assert_eq!(batch.passes_at_once(), swallowed == 0);
        }
        assert_eq!(Expect::batch(u16::MAX), None);
        for other in [Expect::ONE, Expect::VALUES, Expect::MAYBE, Expect::NONE] {
            assert_eq!(other.swallowed(), 0);
        }
    }

    #[test]
    fn a_form_changes_nothing_of_what_the_client_gets() {
        let all = [Expect::ONE, Expect::VALUES, Expect::MAYBE, Expect::UNHEARD];
        for expect in all.into_iter().chain([Expect::PART]) {
            for (form, detail) in [(1, 0), (31, u16::MAX)] {
                let formed = expect.of_form(form, detail);
                assert_eq!((formed.form(), formed.detail()), (form, detail));
                assert_eq!(formed.swallowed(), 0);
                assert_eq!(formed.is_unheard(), expect == Expect::UNHEARD);
                assert_eq!(formed.passes_at_once(), expect.passes_at_once());
                assert_eq!(formed.may_not_pass(), !expect.passes_at_once());
                assert_eq!(formed.is_of_part(), expect == Expect::PART);
            }
        }
    }
}
