//! Positions on the earth.

use super::Arity::AtLeast;
use super::Command;
use super::DENYOOM;
use super::Group;
use super::Keys;
use super::OVERWRITES;
use super::PLAIN;
use super::READS;
use super::Rows;
use super::UPDATES;

const GEO: Rows = Rows(Group::Geo);

/// Laid out by hand: a row takes as few lines as it can.
#[rustfmt::skip]
pub(super) static ROWS: &[Command] = &[
    GEO.write("geoadd", AtLeast(5), Keys::one(UPDATES), DENYOOM, "3.2.0",
        "Adds members with their positions."),
    GEO.read("geodist", AtLeast(4), Keys::one(READS), PLAIN, "3.2.0",
        "Returns the distance between two members."),
    GEO.read("geohash", AtLeast(2), Keys::one(READS), PLAIN, "3.2.0",
        "Returns the positions of members as geohashes."),
    GEO.read("geopos", AtLeast(2), Keys::one(READS), PLAIN, "3.2.0",
        "Returns the positions of members."),
    GEO.write("georadius", AtLeast(6), Keys::georadius(6, READS, OVERWRITES), DENYOOM, "3.2.0",
        "Returns or stores the members around a point.")
        .deprecated("6.2.0"),
    GEO.read("georadius_ro", AtLeast(6), Keys::one(READS), PLAIN, "3.2.10",
        "Returns the members around a point.")
        .deprecated("6.2.0"),
    GEO.write("georadiusbymember", AtLeast(5), Keys::georadius(5, READS, OVERWRITES),
        DENYOOM, "3.2.0", "Returns or stores the members around a member.")
        .deprecated("6.2.0"),
    GEO.read("georadiusbymember_ro", AtLeast(5), Keys::one(READS), PLAIN, "3.2.10",
        "Returns the members around a member.")
        .deprecated("6.2.0"),
    GEO.read("geosearch", AtLeast(7), Keys::one(READS), PLAIN, "6.2.0",
        "Returns the members inside a box or a circle."),
    GEO.write("geosearchstore", AtLeast(8), Keys::lead_and_rest(1, OVERWRITES, 0, READS),
        DENYOOM, "6.2.0", "Stores the members inside a box or a circle."),
];
