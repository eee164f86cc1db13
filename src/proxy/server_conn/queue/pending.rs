//! One request that awaits its reply, in as few bytes as can be: a busy connection has hundreds.
//!
//! Owns: what must be known of a request after it was queued. Never: its bytes, which lie in the
//! queue and in the batches that were sent.

use std::time::Duration;

use crate::base::Time;
use crate::protocol::Expect;
use crate::protocol::command::ErrorsBy;
use crate::proxy::client::Awaiter;
use crate::telemetry::Family;

/// What may be done with a request that was sent when its connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Retry {
    /// It changes nothing: it may be sent once more.
    Once,
    /// It changes nothing, and is not sent again all the same.
    Used,
    /// It may have been executed, and is not sent again.
    Never,
}

impl Retry {
    /// Of a command that is, or is not, safe to retry.
    pub(in crate::proxy) fn of(safe: bool) -> Retry {
        if safe { Retry::Once } else { Retry::Never }
    }
}

/// What a request's command says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) struct Terms {
    flags: u8,
    expect: Expect,
}

const USED: u8 = 1;
const NEVER: u8 = 2;
const RETRY: u8 = USED | NEVER;
const ERRORS_BY_ANYBODY: u8 = 4;
const REFUSED: u8 = 8;
const FAMILY_SHIFT: u32 = 4;
const FAMILY_MASK: u8 = 7;

const _: () = assert!(Family::ALL.len() <= FAMILY_MASK as usize + 1);

impl Terms {
    /// How it may be retried, whose words an error is, and what comes for it.
    pub(in crate::proxy) const fn new(retry: Retry, errors: ErrorsBy, expect: Expect) -> Terms {
        let flags = match errors {
            ErrorsBy::Server => 0,
            ErrorsBy::Anybody => ERRORS_BY_ANYBODY,
        };
        Terms { flags, expect }
            .with_retry(retry)
            .of_family(Family::Other)
    }

    /// The same, of a command of this family.
    pub(in crate::proxy) const fn of_family(self, family: Family) -> Terms {
        let others = self.flags & !(FAMILY_MASK << FAMILY_SHIFT);
        Terms {
            flags: others | (family as u8) << FAMILY_SHIFT,
            ..self
        }
    }

    /// The same with another reply.
    pub(in crate::proxy) const fn expecting(self, expect: Expect) -> Terms {
        Terms { expect, ..self }
    }

    /// What comes for it.
    #[inline]
    pub(in crate::proxy) const fn expect(self) -> Expect {
        self.expect
    }

    /// Whose words an error is.
    #[inline]
    pub(in crate::proxy) const fn errors(self) -> ErrorsBy {
        match self.flags & ERRORS_BY_ANYBODY {
            0 => ErrorsBy::Server,
            _ => ErrorsBy::Anybody,
        }
    }

    /// How it may be retried.
    #[inline]
    pub(in crate::proxy) const fn retry(self) -> Retry {
        match self.flags & RETRY {
            0 => Retry::Once,
            USED => Retry::Used,
            _ => Retry::Never,
        }
    }

    /// The same, to be retried otherwise.
    pub(in crate::proxy) const fn with_retry(self, retry: Retry) -> Terms {
        let bits = match retry {
            Retry::Once => 0,
            Retry::Used => USED,
            Retry::Never => NEVER,
        };
        Terms {
            flags: self.flags & !RETRY | bits,
            ..self
        }
    }
}

/// From when a request's time counts, and how long it had waited before. Both in eight bytes: the
/// former is good for eight years, and the latter is milliseconds, 65 s at the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Clock(u64);

const HELD_BITS: u32 = 16;

impl Clock {
    #[inline]
    fn at(since: Time) -> Clock {
        debug_assert!(
            since.as_micros() < 1 << (64 - HELD_BITS),
            "so long is no uptime"
        );
        Clock(since.as_micros() << HELD_BITS)
    }

    #[inline]
    fn since(self) -> Time {
        Time::from_micros(self.0 >> HELD_BITS)
    }

    #[inline]
    fn held_millis(self) -> u64 {
        self.0 & ((1 << HELD_BITS) - 1)
    }

    fn turn(&mut self, since: Time) {
        let held = since.since(
            self.since()
                .before(Duration::from_millis(self.held_millis())),
        );
        let held = u64::try_from(held.as_millis()).unwrap_or(u64::MAX);
        self.0 = Clock::at(since).0 | held.min((1 << HELD_BITS) - 1);
    }
}

/// A request that awaits its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) struct Pending {
    pub(in crate::proxy) awaiter: Awaiter,
    clock: Clock,
    /// The request's size.
    pub(in crate::proxy) bytes: u32,
    terms: Terms,
}

/// Two of them share a cache line: four bytes more are seen in the CPU that each request costs.
const _: () = assert!(size_of::<Pending>() <= 32);

impl Pending {
    pub(in crate::proxy::server_conn) fn new(
        awaiter: Awaiter,
        bytes: usize,
        terms: Terms,
        since: Time,
    ) -> Pending {
        #[expect(clippy::cast_possible_truncation, reason = "at most REQUEST_BYTES_MAX")]
        let bytes = bytes as u32;
        Pending {
            awaiter,
            clock: Clock::at(since),
            bytes,
            terms,
        }
    }

    /// The same request in other words, of so many bytes.
    pub(super) fn resized(self, bytes: usize) -> Pending {
        #[expect(clippy::cast_possible_truncation, reason = "at most REQUEST_BYTES_MAX")]
        let bytes = bytes as u32;
        Pending { bytes, ..self }
    }

    /// From when its time counts: when it was queued or, if it was held, when it could be sent, or
    /// when the connection ended on which it was.
    #[inline]
    pub(in crate::proxy) fn since(&self) -> Time {
        self.clock.since()
    }

    /// Its time counts from `since`.
    pub(super) fn time_from(&mut self, since: Time) {
        self.clock.turn(since);
    }

    /// How many microseconds passed from when it was read until it was sent at this moment.
    #[inline]
    pub(in crate::proxy) fn micros_in_proxy(&self, sent_at: Time) -> u64 {
        sent_at.micros_since(self.since()) + self.held_micros()
    }

    /// How many of these had passed before its time counted: it was held, or sent before.
    #[inline]
    pub(in crate::proxy) fn held_micros(&self) -> u64 {
        self.clock.held_millis() * 1_000
    }

    /// Which commands it is timed with.
    #[inline]
    pub(in crate::proxy) fn family(&self) -> Family {
        let place = self.terms.flags >> FAMILY_SHIFT & FAMILY_MASK;
        Family::at(place)
    }

    #[inline]
    pub(in crate::proxy) fn retry(&self) -> Retry {
        self.terms.retry()
    }

    pub(in crate::proxy) fn set_retry(&mut self, retry: Retry) {
        self.terms = self.terms.with_retry(retry);
    }

    /// Whether it may change something.
    #[inline]
    pub(in crate::proxy) fn writes(&self) -> bool {
        self.retry() == Retry::Never
    }

    /// Whose words an error is.
    #[inline]
    pub(in crate::proxy) fn errors(&self) -> ErrorsBy {
        self.terms.errors()
    }

    /// What comes for it.
    #[inline]
    pub(in crate::proxy) fn expect(&self) -> Expect {
        self.terms.expect
    }

    /// Whether one whole reply comes for it, which is its client's whatever it says, and it was never
    /// refused: what nearly all of them are.
    #[inline]
    pub(in crate::proxy::server_conn) fn is_plain(&self) -> bool {
        self.terms.expect.passes_at_once() && !self.was_refused()
    }

    pub(in crate::proxy) fn terms(&self) -> Terms {
        self.terms
    }

    /// Whether it was refused and taken back. When, is kept beside the queue: hardly any was.
    #[inline]
    pub(super) fn was_refused(&self) -> bool {
        self.terms.flags & REFUSED != 0
    }

    pub(super) fn mark_refused(&mut self, refused: bool) {
        match refused {
            true => self.terms.flags |= REFUSED,
            false => self.terms.flags &= !REFUSED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Key;

    #[test]
    fn what_was_waited_before_its_time_counts_is_kept_whichever_way_that_is_turned() {
        let at = |millis: u64| Time::from_micros(millis * 1_000);
        let mut clock = Clock::at(at(100));
        assert_eq!((clock.since(), clock.held_millis()), (at(100), 0));
        for (since, held) in [
            (350, 250),
            (350, 250),
            (2_000, 1_900),
            (500, 400),
            (100, 0),
            (90, 0),
        ] {
            clock.turn(at(since));
            assert_eq!((clock.since(), clock.held_millis()), (at(since), held));
        }
        clock.turn(at(1_000_000));
        assert_eq!(clock.held_millis(), 65_535);
        assert_eq!(clock.since(), at(1_000_000));
    }

    #[test]
    fn each_of_the_terms_is_kept_whatever_the_others_are() {
        let awaiter = Awaiter {
            client: Key::NONE,
            sequence: 1,
            fragment: 2,
        };
        for errors in [ErrorsBy::Server, ErrorsBy::Anybody] {
            for (first, family) in [
                (Retry::Once, Family::Read),
                (Retry::Used, Family::Other),
                (Retry::Never, Family::Script),
            ] {
                for then in [Retry::Once, Retry::Used, Retry::Never] {
                    let terms = Terms::new(first, errors, Expect::VALUES).of_family(family);
                    let mut pending = Pending::new(awaiter, 3, terms, Time::ZERO);
                    assert_eq!((pending.retry(), pending.errors()), (first, errors));
                    assert!(!pending.was_refused());
                    pending.mark_refused(true);
                    pending.set_retry(then);
                    assert_eq!((pending.retry(), pending.errors()), (then, errors));
                    assert!(pending.was_refused());
                    pending.mark_refused(false);
                    let expected = Terms::new(then, errors, Expect::VALUES).of_family(family);
                    assert_eq!((pending.terms(), pending.family()), (expected, family));
                }
            }
        }
    }
}
