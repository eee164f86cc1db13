//! Arrays, of which most elements may not be set.

use super::Arity::AtLeast;
use super::Arity::Exactly;
use super::Command;
use super::DELETES;
use super::DENYOOM;
use super::FAST;
use super::Group;
use super::INSERTS;
use super::Keys;
use super::PLAIN;
use super::READS;
use super::Rows;
use super::UPDATES;

const ARRAY: Rows = Rows(Group::Array);

/// Laid out by hand: a row takes as few lines as it can.
#[rustfmt::skip]
pub(super) static ROWS: &[Command] = &[
    ARRAY.read("arcount", AtLeast(2), Keys::one(READS), PLAIN, "8.8.0",
        "Counts the elements that are set."),
    ARRAY.write("ardel", AtLeast(3), Keys::one(DELETES), FAST, "8.8.0",
        "Deletes elements."),
    ARRAY.write("ardelrange", AtLeast(4), Keys::one(DELETES), PLAIN, "8.8.0",
        "Deletes the elements in ranges."),
    ARRAY.read("arget", AtLeast(3), Keys::one(READS), PLAIN, "8.8.0",
        "Returns the element at an index."),
    ARRAY.read("argetrange", Exactly(4), Keys::one(READS), PLAIN, "8.8.0",
        "Returns the elements in a range."),
    ARRAY.read("argrep", AtLeast(4), Keys::one(READS), PLAIN, "8.8.0",
        "Finds the elements that match."),
    ARRAY.read("arinfo", AtLeast(2), Keys::one(READS), PLAIN, "8.8.0",
        "Describes an array.")
        .master_only(),
    ARRAY.write("arinsert", AtLeast(3), Keys::one(INSERTS), DENYOOM, "8.8.0",
        "Inserts elements where the last ones ended."),
    ARRAY.read("arlastitems", AtLeast(3), Keys::one(READS), PLAIN, "8.8.0",
        "Returns the last elements."),
    ARRAY.read("arlen", AtLeast(2), Keys::one(READS), PLAIN, "8.8.0",
        "Returns the length."),
    ARRAY.read("armget", AtLeast(3), Keys::one(READS), PLAIN, "8.8.0",
        "Returns the elements at indexes."),
    ARRAY.write("armset", AtLeast(4), Keys::one(UPDATES), DENYOOM, "8.8.0",
        "Sets elements at indexes."),
    ARRAY.read("arnext", Exactly(2), Keys::one(READS), FAST, "8.8.0",
        "Returns where the next element is inserted."),
    ARRAY.read("arop", AtLeast(5), Keys::one(READS), PLAIN, "8.8.0",
        "Works out a figure of the elements in a range."),
    ARRAY.write("arring", AtLeast(4), Keys::one(UPDATES), DENYOOM, "8.8.0",
        "Inserts elements, over the oldest."),
    ARRAY.read("arscan", AtLeast(3), Keys::one(READS), PLAIN, "8.8.0",
        "Goes through the elements that are set.")
        .master_only(),
    ARRAY.write("arseek", Exactly(3), Keys::one(UPDATES), FAST, "8.8.0",
        "Says where the next element is inserted."),
    ARRAY.write("arset", AtLeast(4), Keys::one(UPDATES), DENYOOM, "8.8.0",
        "Sets elements from an index on."),
];
