//! Where a command's keys are: what `COMMAND` says of it, and where they are in one request.
//!
//! Redis describes the places by up to three key specifications (Redis 7.0, `key-specs`). A row
//! gives those; the [`Shape`] by which a request is searched is worked out from them at compile
//! time or, where Redis itself has a function instead of a specification, written beside them.

use super::args::Args;
use super::flags::KeyUse;

/// The indexes of one request's keys, in the order in which `COMMAND GETKEYS` gives them.
///
/// Every shape is one index and then a run of evenly spaced ones, so nothing is allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyIndexes {
    first: usize,
    next: usize,
    step: usize,
    count: usize,
}

impl KeyIndexes {
    const NONE: KeyIndexes = KeyIndexes {
        first: 0,
        next: 0,
        step: 1,
        count: 0,
    };

    const fn run(first: usize, step: usize, count: usize) -> KeyIndexes {
        KeyIndexes::lead_and_run(first, first + step, step, count)
    }

    /// One index, then evenly spaced ones from `next` on; `count` is of all of them.
    const fn lead_and_run(first: usize, next: usize, step: usize, count: usize) -> KeyIndexes {
        KeyIndexes {
            first,
            next,
            step,
            count,
        }
    }

    /// How many keys there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no key.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The first key's index.
    #[must_use]
    pub const fn first(&self) -> Option<usize> {
        if self.count == 0 {
            None
        } else {
            Some(self.first)
        }
    }

    /// How far one key is from the next: 2 in `MSET`, whose keys alternate with values.
    #[must_use]
    pub const fn step(&self) -> usize {
        self.step
    }

    /// Every key's index.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = usize> + use<> {
        let KeyIndexes {
            first,
            next,
            step,
            count,
        } = *self;
        (0..count).map(move |i| if i == 0 { first } else { next + (i - 1) * step })
    }
}

/// A request whose keys cannot be found. `Display` is what Redis says after `ERR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Too few arguments, or keys and values that do not pair.
    #[error("wrong number of arguments for '{0}' command")]
    WrongNumber(&'static str),
    /// `numkeys` is no integer.
    #[error("value is not an integer or out of range")]
    NotAnInteger,
    /// `numkeys` is below 1, in `ZUNION` and its like.
    #[error("at least 1 input key is needed for '{0}' command")]
    NoInputKey(&'static str),
    /// `numkeys` is no integer above 0, in `LMPOP`, `SINTERCARD` and their like.
    #[error("numkeys should be greater than 0")]
    NotPositive,
    /// `numkeys` is below 0, in `EVAL` and its like.
    #[error("Number of keys can't be negative")]
    Negative,
    /// `numkeys` is more than there are arguments.
    #[error("Number of keys can't be greater than number of args")]
    TooMany,
    /// A script without keys: nothing says which server it is for. The text is ours.
    #[error("'{0}' needs at least one key behind this proxy, to know which server it is for")]
    Keyless(&'static str),
    /// An odd number of arguments after `STREAMS`. Redis says `XREAD` in `XREADGROUP` as well.
    #[error(
        "Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified."
    )]
    Unbalanced,
    /// What Redis calls so.
    #[error("syntax error")]
    Syntax,
}

/// What Redis says of a `numkeys` that does not fit: it depends on the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numkeys {
    /// `ZUNION` and its like.
    Sorted,
    /// `SINTERCARD`.
    Card,
    /// `LMPOP` and its like: an argument (`LEFT`) must follow the keys.
    Pop,
    /// `EVAL` and its like: 0 is allowed by Redis.
    Script,
}

/// How to search a request for keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
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

/// One key specification, as `COMMAND` gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// Where the keys are.
    pub place: Place,
    /// What is done with them.
    pub uses: KeyUse,
}

/// Where the keys of a specification are: Redis's `begin_search` and `find_keys` together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// From `first` on; `last` counts from `first` or, if negative, from the end (-1).
    Range {
        /// Index of the first key.
        first: u8,
        /// Last key.
        last: i8,
        /// From one key to the next.
        step: u8,
    },
    /// A count at `at`, then the keys.
    Counted {
        /// Index of the count.
        at: u8,
        /// From one key to the next.
        step: u8,
    },
    /// After a word; `last` as in `Range`.
    Keyword {
        /// The word.
        word: &'static str,
        /// Where to begin looking for it; negative: from the end, backwards.
        from: i8,
        /// Last key.
        last: i8,
        /// 2: only the first half of what is left holds keys. 0: all of it.
        limit: u8,
    },
    /// Redis does not say.
    Unknown,
}

/// A row's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    shape: Shape,
    specs: [Option<KeySpec>; 3],
}

impl Keys {
    /// No key.
    pub const NONE: Keys = Keys {
        shape: Shape::None,
        specs: [None; 3],
    };

    /// One key, at 1.
    pub(super) const fn one(uses: KeyUse) -> Keys {
        Keys::one_at(1, uses)
    }

    /// One key, at `at`.
    pub(super) const fn one_at(at: u8, uses: KeyUse) -> Keys {
        Keys::range(at, 0, 1, uses)
    }

    /// Every `step`th argument from `first` to `last`, which counts as in [`Place::Range`].
    pub(super) const fn range(first: u8, last: i8, step: u8, uses: KeyUse) -> Keys {
        Keys {
            shape: Keys::range_shape(first, first, last, step),
            specs: [Some(KeySpec::range(first, last, step, uses)), None, None],
        }
    }

    /// One key at `at`, and from the next argument to `last` others that are used otherwise.
    pub(super) const fn lead_and_rest(at: u8, lead: KeyUse, last: i8, rest: KeyUse) -> Keys {
        Keys {
            shape: Keys::range_shape(at, at + 1, last, 1),
            specs: [
                Some(KeySpec::range(at, 0, 1, lead)),
                Some(KeySpec::range(at + 1, last, 1, rest)),
                None,
            ],
        }
    }

    const fn range_shape(first: u8, last_from: u8, last: i8, step: u8) -> Shape {
        let last = if last < 0 {
            last
        } else {
            last_from as i8 + last
        };
        Shape::Range { first, last, step }
    }

    /// A count at `at`, then the keys.
    pub(super) const fn counted(at: u8, step: u8, rules: Numkeys, uses: KeyUse) -> Keys {
        Keys {
            shape: Shape::Counted { at, step, rules },
            specs: [
                Some(KeySpec::new(Place::Counted { at, step }, uses)),
                None,
                None,
            ],
        }
    }

    /// A destination, a count, then the keys: `ZUNIONSTORE`.
    pub(super) const fn destination_and_counted(destination: KeyUse, uses: KeyUse) -> Keys {
        Keys {
            shape: Shape::DestinationAndCounted,
            specs: [
                Some(KeySpec::range(1, 0, 1, destination)),
                Some(KeySpec::new(Place::Counted { at: 2, step: 1 }, uses)),
                None,
            ],
        }
    }

    /// The first half of what follows `STREAMS`, a word that Redis looks for from `from` on.
    pub(super) const fn streams(from: i8, uses: KeyUse) -> Keys {
        let place = Place::Keyword {
            word: "STREAMS",
            from,
            last: -1,
            limit: 2,
        };
        Keys {
            shape: Shape::Streams,
            specs: [Some(KeySpec::new(place, uses)), None, None],
        }
    }

    /// `SORT` (with `store`) and `SORT_RO`. Their `BY` and `GET` patterns name keys that depend on
    /// what the key holds: nobody can route by those, and Redis looks them up where the key is.
    pub(super) const fn sort(store: Option<KeyUse>, uses: KeyUse) -> Keys {
        let patterns = KeySpec::new(Place::Unknown, uses);
        let (shape, destination) = match store {
            Some(store) => (Shape::Sort, Some(KeySpec::new(Place::Unknown, store))),
            None => (Keys::range_shape(1, 1, 0, 1), None),
        };
        Keys {
            shape,
            specs: [
                Some(KeySpec::range(1, 0, 1, uses)),
                Some(patterns),
                destination,
            ],
        }
    }

    /// `GEORADIUS` and `GEORADIUSBYMEMBER`, whose options begin at `from`.
    pub(super) const fn georadius(from: u8, uses: KeyUse, store: KeyUse) -> Keys {
        Keys {
            shape: Shape::GeoRadius { from },
            specs: [
                Some(KeySpec::range(1, 0, 1, uses)),
                Some(KeySpec::keyword("STORE", from as i8, 0, store)),
                Some(KeySpec::keyword("STOREDIST", from as i8, 0, store)),
            ],
        }
    }

    /// `MIGRATE`.
    pub(super) const fn migrate(uses: KeyUse) -> Keys {
        let rest = KeySpec::keyword("KEYS", -2, -1, uses.and(KeyUse::INCOMPLETE));
        Keys {
            shape: Shape::Migrate,
            specs: [Some(KeySpec::range(3, 0, 1, uses)), Some(rest), None],
        }
    }

    /// The specifications, as `COMMAND` gives them.
    pub fn specs(&self) -> impl Iterator<Item = KeySpec> + use<> {
        self.specs.into_iter().flatten()
    }

    /// Whether there is no key in any request.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        matches!(self.shape, Shape::None)
    }

    /// Whether the places depend on the request: Redis's flag `movablekeys`.
    #[must_use]
    pub fn movable(&self) -> bool {
        self.specs()
            .any(|spec| !matches!(spec.place, Place::Range { .. }))
    }

    /// First, last and step as in `COMMAND`; what only a specification can say is left out.
    #[must_use]
    pub const fn legacy_range(&self) -> (i64, i64, i64) {
        match self.shape {
            Shape::Range { first, last, step } => (first as i64, last as i64, step as i64),
            Shape::DestinationAndCounted | Shape::Sort | Shape::GeoRadius { .. } => (1, 1, 1),
            Shape::Migrate => (3, 3, 1),
            Shape::None | Shape::Counted { .. } | Shape::Streams => (0, 0, 0),
        }
    }

    /// Finds the keys of a request for the command called `name`.
    ///
    /// # Errors
    ///
    /// The request is one that Redis refuses, in Redis's words; or a script without keys.
    #[inline]
    pub(super) fn find<A: Args + ?Sized>(
        &self,
        name: &'static str,
        args: &A,
    ) -> Result<KeyIndexes, KeyError> {
        match self.shape {
            Shape::Range { first, last, step } => find_range(name, args, first, last, step),
            _ => self.find_moving(name, args),
        }
    }

    fn find_moving<A: Args + ?Sized>(
        &self,
        name: &'static str,
        args: &A,
    ) -> Result<KeyIndexes, KeyError> {
        match self.shape {
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

impl KeySpec {
    const fn new(place: Place, uses: KeyUse) -> KeySpec {
        KeySpec { place, uses }
    }

    const fn range(first: u8, last: i8, step: u8, uses: KeyUse) -> KeySpec {
        KeySpec::new(Place::Range { first, last, step }, uses)
    }

    const fn keyword(word: &'static str, from: i8, last: i8, uses: KeyUse) -> KeySpec {
        let place = Place::Keyword {
            word,
            from,
            last,
            limit: 0,
        };
        KeySpec::new(place, uses)
    }
}

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

/// Reads the count at `at` and checks that so many keys follow it, `step` arguments each.
fn count_at<A: Args + ?Sized>(
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
            Numkeys::Script if number < 0 => KeyError::Negative,
            Numkeys::Script => KeyError::Keyless(name),
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

/// How far the options of `XREAD` and `XREADGROUP` go.
struct StreamOptions {
    /// The index of the word `STREAMS`.
    streams: Option<usize>,
    /// Whether `BLOCK` is among them.
    block: bool,
}

fn stream_options<A: Args + ?Sized>(args: &A) -> StreamOptions {
    let mut found = StreamOptions {
        streams: None,
        block: false,
    };
    let mut i = 1;
    while i < args.len() {
        let word = args.arg(i);
        if word.eq_ignore_ascii_case(b"STREAMS") {
            found.streams = Some(i);
            break;
        }
        // Their values may be called `streams` or `block`, so they are stepped over.
        i += match () {
            () if word.eq_ignore_ascii_case(b"GROUP") => 3,
            () if is_any(word, &["BLOCK", "COUNT", "CLAIM"]) => 2,
            () => 1,
        };
        found.block |= word.eq_ignore_ascii_case(b"BLOCK");
    }
    found
}

/// Whether an `XREAD` or `XREADGROUP` asks to wait for entries.
pub(super) fn asks_to_block<A: Args + ?Sized>(args: &A) -> bool {
    stream_options(args).block
}

fn find_streams<A: Args + ?Sized>(args: &A) -> Result<KeyIndexes, KeyError> {
    let Some(word) = stream_options(args).streams else {
        return Err(KeyError::Syntax);
    };
    let rest = args.len() - word - 1;
    if rest == 0 {
        return Err(KeyError::Syntax);
    }
    if rest % 2 != 0 {
        return Err(KeyError::Unbalanced);
    }
    Ok(KeyIndexes::run(word + 1, 1, rest / 2))
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

fn is_any(word: &[u8], of: &[&str]) -> bool {
    of.iter()
        .any(|name| word.eq_ignore_ascii_case(name.as_bytes()))
}
