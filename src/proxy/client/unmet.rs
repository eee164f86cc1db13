//! What a client has asked its connection to be, and the connection is not.
//!
//! A `MULTI` that is refused is mostly followed by requests that rely on it, sent before the refusal was
//! read. None of them must be done by itself. Earlier releases refused `SELECT`, too; what relied on that
//! must not be done in another database after an upgrade from one of them:
//!
//! | after a refused | every request gets an error, but for | until |
//! |---|---|---|
//! | `MULTI` | `WATCH`, `UNWATCH`, `MULTI`, `QUIT`; `EXEC` gets `-EXECABORT` | `EXEC`, `DISCARD` or `RESET` |
//! | `SELECT`, by an earlier release | what the proxy answers itself, or refuses | a `SELECT` that is good, or `RESET` |
//!
//! In a transaction Redis queues whatever comes but for these, `PING` and `AUTH`, too. Owns: that a
//! client was refused one. Never: decides on a request, which `plan/authorize` does by this table.

/// What a client was refused, and has not taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unmet {
    /// A transaction.
    pub transaction: bool,
    /// Another database.
    pub database: bool,
}

const TRANSACTION: u8 = 1;
const DATABASE: u8 = 2;

impl Unmet {
    /// Nothing, for nearly every client.
    #[inline]
    #[must_use]
    pub fn is_nothing(self) -> bool {
        !(self.transaction || self.database)
    }

    /// As one byte.
    #[must_use]
    pub fn bits(self) -> u8 {
        let transaction = if self.transaction { TRANSACTION } else { 0 };
        transaction | if self.database { DATABASE } else { 0 }
    }

    /// What `bits` has made; `None` if that says something that nobody here knows.
    #[must_use]
    pub fn of_bits(bits: u8) -> Option<Unmet> {
        (bits & !(TRANSACTION | DATABASE) == 0).then_some(Unmet {
            transaction: bits & TRANSACTION != 0,
            database: bits & DATABASE != 0,
        })
    }
}
