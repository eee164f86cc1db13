//! Vector sets, which Redis has since version 8.
//!
//! How many arguments they take has changed since: no more is asked here than that there is a
//! key, the server knows the rest.

use super::Arity::AtLeast;
use super::Command;
use super::DELETES;
use super::DENYOOM;
use super::FAST;
use super::Group;
use super::Keys;
use super::PEEKS;
use super::PLAIN;
use super::READS;
use super::Rows;
use super::UPDATES;

const VSET: Rows = Rows(Group::VectorSet);

/// Laid out by hand: a row takes as few lines as it can.
#[rustfmt::skip]
pub(super) static ROWS: &[Command] = &[
    VSET.write("vadd", AtLeast(2), Keys::one(UPDATES), DENYOOM, "8.0.0", "Adds an element."),
    VSET.read("vcard", AtLeast(2), Keys::one(PEEKS), FAST, "8.0.0", "Counts the elements."),
    VSET.read("vdim", AtLeast(2), Keys::one(PEEKS), FAST, "8.0.0", "Returns the dimension."),
    VSET.read("vemb", AtLeast(2), Keys::one(READS), PLAIN, "8.0.0", "Returns an element's vector."),
    VSET.read("vgetattr", AtLeast(2), Keys::one(READS), PLAIN, "8.0.0",
        "Returns an element's attributes."),
    VSET.read("vinfo", AtLeast(2), Keys::one(PEEKS), FAST, "8.0.0", "Describes a vector set."),
    VSET.read("vismember", AtLeast(2), Keys::one(PEEKS), PLAIN, "8.0.0",
        "Says whether something is an element."),
    VSET.read("vlinks", AtLeast(2), Keys::one(READS), PLAIN, "8.0.0",
        "Returns an element's neighbours.")
        .master_only(),
    VSET.read("vrandmember", AtLeast(2), Keys::one(READS), PLAIN, "8.0.0",
        "Returns some elements."),
    VSET.read("vrange", AtLeast(2), Keys::one(READS), PLAIN, "8.4.0",
        "Returns the elements between two names."),
    VSET.write("vrem", AtLeast(2), Keys::one(DELETES), PLAIN, "8.0.0", "Removes an element."),
    VSET.write("vsetattr", AtLeast(2), Keys::one(UPDATES), PLAIN, "8.0.0",
        "Sets an element's attributes."),
    VSET.read("vsim", AtLeast(2), Keys::one(READS), PLAIN, "8.0.0", "Returns similar elements."),
];
