//! Commands that wait for something to happen on their server: where a request says for how long.
//!
//! Owns: reading that argument, and writing what is left of it when the request is asked again. What
//! is no number is the server's to refuse.

use std::time::Duration;

use super::Args;
use super::keys::block_option;

/// Where a request says how long it waits, and in what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutAt {
    /// In seconds, the last argument.
    Last,
    /// In seconds, the first argument.
    First,
    /// The fifth argument, before options, in seconds: `BLMOVEM`.
    Fifth,
    /// In milliseconds, behind the word `BLOCK`.
    Block,
}

/// The same of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Which argument says so.
    pub index: usize,
    /// How long; `None` is for ever.
    pub time: Option<Duration>,
}

/// Longer than a process lives, and short enough to be added to a time.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

impl TimeoutAt {
    /// How long a request waits; `None` if it does not say so in a way that its server will take.
    #[must_use]
    pub fn of<A: Args + ?Sized>(self, args: &A) -> Option<Wait> {
        let index = match self {
            TimeoutAt::Last => args.len().checked_sub(1)?,
            TimeoutAt::First => 1,
            TimeoutAt::Fifth => 5,
            TimeoutAt::Block => block_option(args)?,
        };
        if index >= args.len() {
            return None;
        }
        let number: f64 = std::str::from_utf8(args.arg(index)).ok()?.parse().ok()?;
        let seconds = match self {
            TimeoutAt::Last | TimeoutAt::First | TimeoutAt::Fifth => number,
            TimeoutAt::Block => number / 1000.0,
        };
        if seconds == 0.0 {
            return Some(Wait { index, time: None });
        }
        let time = Duration::try_from_secs_f64(seconds).ok()?;
        Some(Wait {
            index,
            time: Some(time.min(LONGEST)),
        })
    }

    /// The argument that says `left`, which is at least a millisecond: none would be for ever.
    #[must_use]
    pub fn text(self, left: Duration) -> String {
        let millis = left.as_millis().max(1);
        match self {
            TimeoutAt::Last | TimeoutAt::First | TimeoutAt::Fifth => {
                format!("{}.{:03}", millis / 1000, millis % 1000)
            }
            TimeoutAt::Block => millis.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(at: TimeoutAt, request: &str) -> Option<(usize, Option<u64>)> {
        let args: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        let wait = at.of(args.as_slice())?;
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Some((wait.index, wait.time.map(millis)))
    }

    #[test]
    fn a_request_says_how_long_it_waits_where_its_row_says() {
        for (at, request, expected) in [
            (TimeoutAt::Last, "BLPOP a b 5", Some((3, Some(5000)))),
            (TimeoutAt::Last, "BLPOP a 0", Some((2, None))),
            (TimeoutAt::Last, "BLPOP a 0.0", Some((2, None))),
            (TimeoutAt::Last, "BLPOP a 0.25", Some((2, Some(250)))),
            (
                TimeoutAt::First,
                "BLMPOP 1.5 1 a LEFT",
                Some((1, Some(1500))),
            ),
            (
                TimeoutAt::Block,
                "XREAD BLOCK 70 STREAMS s $",
                Some((2, Some(70))),
            ),
            (
                TimeoutAt::Block,
                "XREAD COUNT 2 block 0 STREAMS s $",
                Some((4, None)),
            ),
            (TimeoutAt::Block, "XREAD STREAMS BLOCK 1", None),
            (TimeoutAt::Last, "BLPOP a x", None),
            (TimeoutAt::Last, "BLPOP a -1", None),
            (TimeoutAt::Last, "BLPOP a nan", None),
            (TimeoutAt::Last, "BLPOP a inf", None),
        ] {
            assert_eq!(of(at, request), expected, "{request}");
        }
    }

    #[test]
    fn a_wait_that_never_ends_fits_into_a_time() {
        assert_eq!(
            of(TimeoutAt::Last, "BLPOP a 1e300"),
            None,
            "no server takes it"
        );
        let (_, time) = of(TimeoutAt::Last, "BLPOP a 1e18").unwrap_or_default();
        assert_eq!(time, Some(LONGEST.as_secs() * 1000));
    }

    #[test]
    fn what_is_left_is_said_in_the_same_unit_and_never_as_for_ever() {
        let left = Duration::from_micros(2_034_900);
        assert_eq!(TimeoutAt::Last.text(left), "2.034");
        assert_eq!(TimeoutAt::Block.text(left), "2034");
        assert_eq!(TimeoutAt::First.text(Duration::ZERO), "0.001");
        assert_eq!(TimeoutAt::Block.text(Duration::ZERO), "1");
    }
}
