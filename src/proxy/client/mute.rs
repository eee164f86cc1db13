//! Whether a client wants to hear replies (`CLIENT REPLY`).
//!
//! Owns: what was asked for, and to which request it applies: `SKIP` is over with the next one.

/// Whether the replies to a client's requests are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mute {
    /// They are.
    #[default]
    Heard,
    /// The next one is not.
    SkipNext,
    /// None is.
    Off,
}

impl Mute {
    /// Whether the reply to the next request is swallowed; then that one has come.
    #[inline]
    pub(in crate::proxy) fn takes_next(&mut self) -> bool {
        match self {
            Mute::Heard => false,
            Mute::SkipNext => {
                *self = Mute::Heard;
                true
            }
            Mute::Off => true,
        }
    }

    /// `CLIENT REPLY SKIP`, which says nothing to who hears nothing.
    pub(in crate::proxy) fn skip_next(&mut self) {
        if *self == Mute::Heard {
            *self = Mute::SkipNext;
        }
    }

    /// `RESET`, which is heard unless it is the one that is skipped.
    pub(in crate::proxy) fn reset(&mut self) {
        if *self == Mute::Off {
            *self = Mute::Heard;
        }
    }

    /// As another process is told it; nothing if there is nothing to tell.
    pub(in crate::proxy) fn number(self) -> Option<u8> {
        match self {
            Mute::Heard => None,
            Mute::SkipNext => Some(1),
            Mute::Off => Some(2),
        }
    }

    /// What has this number.
    pub(in crate::proxy) fn of_number(number: u8) -> Option<Mute> {
        let all = [Mute::SkipNext, Mute::Off];
        all.into_iter().find(|mute| mute.number() == Some(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_skipped_or_all_are() {
        let mut mute = Mute::default();
        assert!(!mute.takes_next());
        mute.skip_next();
        assert!(mute.takes_next() && !mute.takes_next());
        mute = Mute::Off;
        mute.skip_next();
        assert!(mute.takes_next() && mute.takes_next());
    }

    #[test]
    fn another_process_knows_it_again() {
        for mute in [Mute::SkipNext, Mute::Off] {
            assert_eq!(mute.number().and_then(Mute::of_number), Some(mute));
        }
        assert_eq!(
            (Mute::Heard.number(), Mute::of_number(0), Mute::of_number(3)),
            (None, None, None)
        );
    }
}
