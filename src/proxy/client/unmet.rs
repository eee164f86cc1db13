//! What a client has asked its connection to be, and the connection is not.
//!
//! A `WATCH` that is refused is mostly followed by requests that rely on it, sent before the refusal was
//! read. None of them must be done blindly. Earlier releases refused `SELECT`, too; what relied on that
//! must not be done in another database after an upgrade from one of them:
//!
//! | after a refused | what gets an error | until |
//! |---|---|---|
//! | `WATCH` | `EXEC`: `-EXECABORT` | `EXEC`, `DISCARD`, `UNWATCH` or `RESET` |
//! | `SELECT`, by an earlier release | all but what the proxy answers itself, or refuses | a `SELECT` that is good, or `RESET` |
//!
//! Owns: that a client was refused one. Never: decides on a request.

/// What a client was refused, and has not taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unmet {
    /// That a transaction depends on keys.
    pub watch: bool,
    /// Another database.
    pub database: bool,
}

const DATABASE: u8 = 2;
const WATCH: u8 = 4;

/// What earlier releases say of a client whose `MULTI` they have refused.
pub(in crate::proxy) const TRANSACTION: u8 = 1;

impl Unmet {
    /// Nothing, for nearly every client.
    #[inline]
    #[must_use]
    pub fn is_nothing(self) -> bool {
        !(self.watch || self.database)
    }

    /// As one byte.
    #[must_use]
    pub fn bits(self) -> u8 {
        let watch = if self.watch { WATCH } else { 0 };
        watch | if self.database { DATABASE } else { 0 }
    }

    /// What `bits` has made, but for `TRANSACTION`; `None` if that says something that nobody here
    /// knows.
    #[must_use]
    pub fn of_bits(bits: u8) -> Option<Unmet> {
        (bits & !(WATCH | DATABASE | TRANSACTION) == 0).then_some(Unmet {
            watch: bits & WATCH != 0,
            database: bits & DATABASE != 0,
        })
    }
}
