//! Transactions.

use super::Arity::AtLeast;
use super::Arity::Exactly;
use super::Command;
use super::Flags;
use super::Group;
use super::Keys;
use super::Local;
use super::PEEKS;
use super::Rows;
use super::SESSION;
use super::SESSION_BUSY;

const TX: Rows = Rows(Group::Transactions);

/// Laid out by hand: a row takes as few lines as it can.
#[rustfmt::skip]
pub(super) static ROWS: &[Command] = &[
    TX.keyless("discard", Exactly(1), SESSION_BUSY, "2.0.0", "Gives up a transaction.")
        .local(Local::Discard),
    TX.keyless("exec", Exactly(1), SESSION.and(Flags::SKIP_SLOWLOG), "1.2.0",
        "Executes a transaction.")
        .local(Local::Exec),
    TX.keyless("multi", Exactly(1), SESSION_BUSY, "1.2.0", "Begins a transaction.")
        .local(Local::Multi),
    TX.keyless("unwatch", Exactly(1), SESSION_BUSY, "2.2.0", "Forgets the watched keys.")
        .local(Local::Unwatch),
    TX.keyless("watch", AtLeast(2), SESSION_BUSY, "2.2.0",
        "Makes a transaction depend on keys that do not change.")
        .with_keys(Keys::range(1, -1, 1, PEEKS)).watches(),
];
