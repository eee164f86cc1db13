//! Strings as arrays of bits.

use super::Arity::AtLeast;
use super::Arity::Exactly;
use super::Command;
use super::DENYOOM;
use super::FAST;
use super::Group;
use super::KeyUse;
use super::Keys;
use super::MODIFIES;
use super::OVERWRITES;
use super::PLAIN;
use super::READS;
use super::Rows;

const BITMAP: Rows = Rows(Group::Bitmap);

/// Laid out by hand: a row takes as few lines as it can.
#[rustfmt::skip]
pub(super) static ROWS: &[Command] = &[
    BITMAP.read("bitcount", AtLeast(2), Keys::one(READS), PLAIN, "2.6.0",
        "Counts the bits that are 1."),
    BITMAP.write("bitfield", AtLeast(2), Keys::one(MODIFIES.and(KeyUse::VARIABLE_FLAGS)),
        DENYOOM, "3.2.0", "Reads and writes integers of any width inside a string."),
    BITMAP.read("bitfield_ro", AtLeast(2), Keys::one(READS), FAST, "6.0.0",
        "Reads integers of any width inside a string."),
    BITMAP.write("bitop", AtLeast(4), Keys::lead_and_rest(2, OVERWRITES, -1, READS),
        DENYOOM, "2.6.0", "Stores the AND, OR, XOR or NOT of strings."),
    BITMAP.read("bitpos", AtLeast(3), Keys::one(READS), PLAIN, "2.8.7",
        "Finds the first bit that is 0 or 1."),
    BITMAP.read("bitrangeintarray", AtLeast(4), Keys::one(READS), PLAIN, "8.12.0",
        "Returns integers of a width from a string."),
    BITMAP.read("getbit", Exactly(3), Keys::one(READS), FAST, "2.2.0", "Returns one bit."),
    BITMAP.write("setbit", Exactly(4), Keys::one(MODIFIES), DENYOOM, "2.2.0",
        "Sets one bit and returns the old one."),
];
