//! HyperLogLogs.

use super::ADMIN;
use super::Arity::AtLeast;
use super::Arity::Exactly;
use super::Command;
use super::DENYOOM;
use super::DENYOOM_FAST;
use super::Group;
use super::INSERTS;
use super::KeyUse;
use super::Keys;
use super::PLAIN;
use super::READS;
use super::Refusal;
use super::Rows;

const HLL: Rows = Rows(Group::HyperLogLog);

/// Laid out by hand: a row takes as few lines as it can.
#[rustfmt::skip]
pub(super) static ROWS: &[Command] = &[
    HLL.write("pfadd", AtLeast(2), Keys::one(INSERTS), DENYOOM_FAST, "2.8.9", "Adds elements."),
    HLL.read("pfcount", AtLeast(2), Keys::range(1, -1, 1, KeyUse::RW.and(KeyUse::ACCESS)),
        PLAIN, "2.8.9", "Estimates how many elements there are in the union."),
    HLL.write("pfdebug", Exactly(3), Keys::one_at(2, KeyUse::RW.and(KeyUse::ACCESS)),
        DENYOOM.and(ADMIN), "2.8.9", "Looks inside a HyperLogLog.")
        .refuse(Refusal::Administration),
    HLL.write("pfmerge", AtLeast(2), Keys::lead_and_rest(1, INSERTS.and(KeyUse::ACCESS), -1, READS),
        DENYOOM, "2.8.9", "Stores the union."),
    HLL.keyless("pfselftest", Exactly(1), ADMIN, "2.8.9", "Tests the server's HyperLogLogs.")
        .refuse(Refusal::Administration),
];
