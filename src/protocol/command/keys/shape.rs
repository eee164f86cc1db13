//! How a request is searched for keys.

use super::KeyError;
use super::KeyIndexes;
use super::counted::Numkeys;
use super::counted::count_at;
use super::streams::find_streams;
use crate::protocol::command::Args;

/// How to search a request for keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    None,
    /// From `first` to `last`, both included; a negative `last` counts from the end (-1).
    Range {
        first: u8,
        last: i8,
        step: u8,
    },
    /// A count at `at`, then the keys.
    Counted {
        at: u8,
        step: u8,
        rules: Numkeys,
    },
    /// A destination at 1, a count at 2, then the keys.
    DestinationAndCounted,
    /// The first half of what follows the word `STREAMS`.
    Streams,
    /// A key at 1, and the destination after the word `STORE`.
    Sort,
    /// A key at 1, and the destination after `STORE` or `STOREDIST`, at `from` or later.
    GeoRadius {
        from: u8,
    },
    /// A key at 3 or, if that is empty, what follows the word `KEYS`.
    Migrate,
}

impl Shape {
    /// Finds the keys of a request for the command called `name`.
    #[inline]
    pub(super) fn find<A: Args + ?Sized>(
        self,
        name: &'static str,
        args: &A,
    ) -> Result<KeyIndexes, KeyError> {
        // Apart from the rest, so that what nearly every request needs is inlined.
        match self {
            Shape::Range { first, last, step } => find_range(name, args, first, last, step),
            _ => self.find_moving(name, args),
        }
    }

    fn find_moving<A: Args + ?Sized>(
        self,
        name: &'static str,
        args: &A,
    ) -> Result<KeyIndexes, KeyError> {
        match self {
            Shape::None => Ok(KeyIndexes::NONE),
            Shape::Range { first, last, step } => find_range(name, args, first, last, step),
            Shape::Counted { at, step, rules } => {
                let count = count_at(name, args, usize::from(at), usize::from(step), rules)?;
                Ok(KeyIndexes::run(
                    usize::from(at) + 1,
                    usize::from(step),
                    count,
                ))
            }
            Shape::DestinationAndCounted => {
                let count = count_at(name, args, 2, 1, Numkeys::Sorted)?;
                Ok(KeyIndexes::lead_and_run(1, 3, 1, count + 1))
            }
            Shape::Streams => find_streams(args),
            Shape::Sort => {
                let skips = |word: &[u8]| match () {
                    () if word.eq_ignore_ascii_case(b"LIMIT") => 2,
                    () if is_any(word, &["GET", "BY"]) => 1,
                    () => 0,
                };
                with_destination(name, args, 2, &["STORE"], skips)
            }
            Shape::GeoRadius { from } => {
                let skips = |word: &[u8]| usize::from(word.eq_ignore_ascii_case(b"COUNT"));
                with_destination(
                    name,
                    args,
                    usize::from(from),
                    &["STORE", "STOREDIST"],
                    skips,
                )
            }
            Shape::Migrate => find_migrate(name, args),
        }
    }
}

#[inline]
fn find_range<A: Args + ?Sized>(
    name: &'static str,
    args: &A,
    first: u8,
    last: i8,
    step: u8,
) -> Result<KeyIndexes, KeyError> {
    let (first, step) = (usize::from(first), usize::from(step));
    let back = usize::from(last.unsigned_abs());
    // Where the keys end, the last one's values included.
    let end = match last {
        ..0 => (args.len() + 1).saturating_sub(back),
        0.. => back + 1,
    };
    if end <= first || end > args.len() || (end - first) % step != 0 {
        return Err(KeyError::WrongNumber(name));
    }
    Ok(KeyIndexes::run(first, step, (end - first) / step))
}

/// The key at 1, and the destination after the last of `words` among the options from `from` on.
/// `skips` says how many values an option has.
fn with_destination<A: Args + ?Sized>(
    name: &'static str,
    args: &A,
    from: usize,
    words: &[&str],
    skips: impl Fn(&[u8]) -> usize,
) -> Result<KeyIndexes, KeyError> {
    if args.len() < 2 {
        return Err(KeyError::WrongNumber(name));
    }
    let mut destination = None;
    let mut i = from;
    while i < args.len() {
        let word = args.arg(i);
        if is_any(word, words) && i + 1 < args.len() {
            destination = Some(i + 1);
            i += 1;
        } else {
            i += skips(word);
        }
        i += 1;
    }
    Ok(match destination {
        Some(at) => KeyIndexes::lead_and_run(1, at, 1, 2),
        None => KeyIndexes::run(1, 1, 1),
    })
}

fn find_migrate<A: Args + ?Sized>(name: &'static str, args: &A) -> Result<KeyIndexes, KeyError> {
    if args.len() < 6 {
        return Err(KeyError::WrongNumber(name));
    }
    if !args.arg(3).is_empty() {
        return Ok(KeyIndexes::run(3, 1, 1));
    }
    let word = (6..args.len()).find(|&i| args.arg(i).eq_ignore_ascii_case(b"KEYS"));
    match word {
        Some(word) if word + 1 < args.len() => {
            Ok(KeyIndexes::run(word + 1, 1, args.len() - word - 1))
        }
        _ => Err(KeyError::Syntax),
    }
}

pub(super) fn is_any(word: &[u8], of: &[&str]) -> bool {
    of.iter()
        .any(|name| word.eq_ignore_ascii_case(name.as_bytes()))
}
