//! `numkeys`: the argument that says how many keys follow it.

use super::KeyError;
use crate::protocol::command::Args;

/// What Redis says of a `numkeys` that does not fit: it depends on the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol::command) enum Numkeys {
    /// `ZUNION` and its like.
    Sorted,
    /// `SINTERCARD`.
    Card,
    /// `LMPOP` and its like: an argument (`LEFT`) must follow the keys.
    Pop,
    /// `EVAL` and its like: 0 is allowed.
    Script,
}

/// Reads the count at `at` and checks that so many keys follow it, `step` arguments each.
pub(super) fn count_at<A: Args + ?Sized>(
    name: &'static str,
    args: &A,
    at: usize,
    step: usize,
    rules: Numkeys,
) -> Result<usize, KeyError> {
    if at >= args.len() {
        return Err(KeyError::WrongNumber(name));
    }
    let must_follow = usize::from(rules == Numkeys::Pop);
    let room = (args.len() - at - 1).saturating_sub(must_follow) / step;
    let number = integer(args.arg(at));
    let Some(number) = number else {
        return Err(match rules {
            Numkeys::Sorted | Numkeys::Script => KeyError::NotAnInteger,
            Numkeys::Card | Numkeys::Pop => KeyError::NotPositive,
        });
    };
    if number < 1 {
        return Err(match rules {
            Numkeys::Sorted => KeyError::NoInputKey(name),
            Numkeys::Card | Numkeys::Pop => KeyError::NotPositive,
            Numkeys::Script if number == 0 => return Ok(0),
            Numkeys::Script => KeyError::Negative,
        });
    }
    match usize::try_from(number) {
        Ok(count) if count <= room => Ok(count),
        _ => Err(match rules {
            Numkeys::Sorted | Numkeys::Pop => KeyError::Syntax,
            Numkeys::Card | Numkeys::Script => KeyError::TooMany,
        }),
    }
}

/// An integer as Redis reads one: no sign but `-`, no leading zero, within 64 bits.
fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] => {}
        _ => return None,
    }
    digits.iter().try_fold(0_i64, |sum, byte| {
        if !byte.is_ascii_digit() {
            return None;
        }
        let digit = i64::from(byte - b'0');
        let sum = sum.checked_mul(10)?;
        if negative {
            sum.checked_sub(digit)
        } else {
            sum.checked_add(digit)
        }
    })
}
