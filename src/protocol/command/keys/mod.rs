//! Where a command's keys are: what `COMMAND` says of it, and where they are in one request.
//!
//! Redis describes the places by up to three key specifications (Redis 7.0, `key-specs`). A row
//! gives those; the shape by which a request is searched is worked out from them at compile time
//! or, where Redis itself has a function instead of a specification, written beside them.

mod counted;
mod error;
mod indexes;
mod shape;
mod streams;

#[cfg(test)]
mod tests;

use super::args::Args;
use super::flags::KeyUse;
use shape::Shape;

pub(super) use counted::Numkeys;
pub use error::KeyError;
pub use indexes::KeyIndexes;
pub(super) use streams::block_option;

/// One key specification, as `COMMAND` gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// How they are found.
    pub search: KeySearch,
    /// What is done with them.
    pub uses: KeyUse,
}

/// How the keys of a specification are found: Redis's `begin_search` and `find_keys` together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySearch {
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

    /// Every `step`th argument from `first` to `last`, which counts as in [`KeySearch::Range`].
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
                Some(KeySpec::new(KeySearch::Counted { at, step }, uses)),
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
                Some(KeySpec::new(KeySearch::Counted { at: 2, step: 1 }, uses)),
                None,
            ],
        }
    }

    /// The first half of what follows `STREAMS`, a word that Redis looks for from `from` on.
    pub(super) const fn streams(from: i8, uses: KeyUse) -> Keys {
        let search = KeySearch::Keyword {
            word: "STREAMS",
            from,
            last: -1,
            limit: 2,
        };
        Keys {
            shape: Shape::Streams,
            specs: [Some(KeySpec::new(search, uses)), None, None],
        }
    }

    /// `SORT` (with `store`) and `SORT_RO`. Their `BY` and `GET` patterns name keys that depend on
    /// what the key holds: nobody can route by those, and Redis looks them up where the key is.
    pub(super) const fn sort(store: Option<KeyUse>, uses: KeyUse) -> Keys {
        let patterns = KeySpec::new(KeySearch::Unknown, uses);
        let (shape, destination) = match store {
            Some(store) => (Shape::Sort, Some(KeySpec::new(KeySearch::Unknown, store))),
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

    /// What is done with the `nth` key of a request, counted as [`KeyIndexes`] does: the first is
    /// the first specification's, the others are the last one's.
    pub(super) fn uses_of(&self, nth: usize) -> KeyUse {
        let spec = match nth {
            0 => self.specs().next(),
            _ => self.specs().last(),
        };
        spec.map_or(KeyUse::NONE, |spec| spec.uses)
    }

    /// Whether there is no key in any request.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        matches!(self.shape, Shape::None)
    }

    /// Whether every request has one key, which stands behind the command's name.
    #[inline]
    pub(super) const fn is_one_behind_name(&self) -> bool {
        const ONE: Shape = Shape::Range {
            first: 1,
            last: 1,
            step: 1,
        };
        matches!(self.shape, ONE)
    }

    /// Whether the places depend on the request: Redis's flag `movablekeys`.
    #[must_use]
    pub fn movable(&self) -> bool {
        self.specs()
            .any(|spec| !matches!(spec.search, KeySearch::Range { .. }))
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
    /// The request is one that Redis refuses, in Redis's words.
    #[inline]
    pub(super) fn find<A: Args + ?Sized>(
        &self,
        name: &'static str,
        args: &A,
    ) -> Result<KeyIndexes, KeyError> {
        self.shape.find(name, args)
    }
}

impl KeySpec {
    const fn new(search: KeySearch, uses: KeyUse) -> KeySpec {
        KeySpec { search, uses }
    }

    const fn range(first: u8, last: i8, step: u8, uses: KeyUse) -> KeySpec {
        KeySpec::new(KeySearch::Range { first, last, step }, uses)
    }

    const fn keyword(word: &'static str, from: i8, last: i8, uses: KeyUse) -> KeySpec {
        let search = KeySearch::Keyword {
            word,
            from,
            last,
            limit: 0,
        };
        KeySpec::new(search, uses)
    }
}
