//! Streams.

use super::Arity::AtLeast;
use super::Arity::Exactly;
use super::BLOCKING;
use super::Command;
use super::DELETES;
use super::DENYOOM;
use super::DENYOOM_FAST;
use super::FAST;
use super::Group;
use super::INSERTS;
use super::Keys;
use super::PEEKS;
use super::PLAIN;
use super::READS;
use super::Rows;
use super::UPDATES;
use super::VARIES;

const STREAM: Rows = Rows(Group::Stream);

/// Laid out by hand: a row takes as few lines as it can.
#[rustfmt::skip]
pub(super) static ROWS: &[Command] = &[
    STREAM.write("xack", AtLeast(4), Keys::one(UPDATES), FAST, "5.0.0",
        "Marks entries as processed by a group."),
    STREAM.write("xackdel", AtLeast(6), Keys::one(DELETES), FAST, "8.2.0",
        "Marks entries as processed by a group and deletes them."),
    STREAM.write("xadd", AtLeast(5), Keys::one(UPDATES), DENYOOM_FAST, "5.0.0", "Adds an entry.")
        .tips(VARIES),
    STREAM.write("xautoclaim", AtLeast(6), Keys::one(DELETES), FAST, "6.2.0",
        "Takes over entries that others have held for too long.")
        .tips(VARIES),
    STREAM.write("xcfgset", AtLeast(2), Keys::one(UPDATES), FAST, "8.6.0",
        "Sets how a stream recognizes entries that are added twice."),
    STREAM.write("xclaim", AtLeast(6), Keys::one(UPDATES), FAST, "5.0.0", "Takes over entries.")
        .tips(VARIES),
    STREAM.write("xdel", AtLeast(3), Keys::one(DELETES), FAST, "5.0.0", "Deletes entries."),
    STREAM.write("xdelex", AtLeast(5), Keys::one(DELETES), FAST, "8.2.0",
        "Deletes entries, and what groups hold of them."),
    STREAM.container("xgroup", "5.0.0", "Commands about a stream's groups.", &[
        STREAM.write("xgroup|create", AtLeast(5), Keys::one_at(2, INSERTS), DENYOOM, "5.0.0",
            "Creates a group."),
        STREAM.write("xgroup|createconsumer", Exactly(5), Keys::one_at(2, INSERTS),
            DENYOOM, "6.2.0", "Creates a consumer."),
        STREAM.write("xgroup|delconsumer", Exactly(5), Keys::one_at(2, DELETES), PLAIN, "5.0.0",
            "Deletes a consumer."),
        STREAM.write("xgroup|destroy", Exactly(4), Keys::one_at(2, DELETES), PLAIN, "5.0.0",
            "Deletes a group."),
        STREAM.help("xgroup|help", "5.0.0"),
        STREAM.write("xgroup|setid", AtLeast(5), Keys::one_at(2, UPDATES), PLAIN, "5.0.0",
            "Sets how far a group has read."),
    ]),
    STREAM.write("xidmprecord", Exactly(5), Keys::one(UPDATES), DENYOOM, "8.8.0",
        "Records an id by which entries that are added twice are recognized."),
    STREAM.container("xinfo", "5.0.0", "Commands that describe a stream.", &[
        STREAM.read("xinfo|consumers", Exactly(4), Keys::one_at(2, READS), PLAIN, "5.0.0",
            "Describes a group's consumers.")
            .master_only().tips(VARIES),
        STREAM.read("xinfo|groups", Exactly(3), Keys::one_at(2, READS), PLAIN, "5.0.0",
            "Describes a stream's groups.")
            .master_only(),
        STREAM.help("xinfo|help", "5.0.0"),
        STREAM.read("xinfo|stream", AtLeast(3), Keys::one_at(2, READS), PLAIN, "5.0.0",
            "Describes a stream.")
            .master_only(),
    ]),
    STREAM.read("xlen", Exactly(2), Keys::one(PEEKS), FAST, "5.0.0", "Counts the entries."),
    STREAM.write("xnack", AtLeast(7), Keys::one(UPDATES), FAST, "8.8.0",
        "Gives entries back that a group has not processed."),
    STREAM.read("xpending", AtLeast(3), Keys::one(READS), PLAIN, "5.0.0",
        "Returns the entries that a group has not yet processed.")
        .master_only().tips(VARIES),
    STREAM.read("xrange", AtLeast(4), Keys::one(READS), PLAIN, "5.0.0",
        "Returns the entries in a range."),
    STREAM.read("xread", AtLeast(4), Keys::streams(1, READS), BLOCKING, "5.0.0",
        "Returns the entries after the given ones, from streams."),
    STREAM.write("xreadgroup", AtLeast(7), Keys::streams(4, READS), BLOCKING, "5.0.0",
        "Returns the entries that a group has not yet read, from streams."),
    STREAM.read("xrevrange", AtLeast(4), Keys::one(READS), PLAIN, "5.0.0",
        "Returns the entries in a range, last first."),
    STREAM.write("xsetid", AtLeast(3), Keys::one(UPDATES), DENYOOM_FAST, "5.0.0",
        "Sets the last id."),
    STREAM.write("xtrim", AtLeast(4), Keys::one(DELETES), PLAIN, "5.0.0", "Shortens a stream.")
        .tips(VARIES),
];
