//! Sets.

use super::ANY_ORDER;
use super::Arity::AtLeast;
use super::Arity::Exactly;
use super::Command;
use super::DELETES;
use super::DENYOOM;
use super::DENYOOM_FAST;
use super::FAST;
use super::Group;
use super::INSERTS;
use super::Keys;
use super::Numkeys;
use super::OVERWRITES;
use super::PEEKS;
use super::PLAIN;
use super::READS;
use super::Rows;
use super::TAKES;
use super::UPDATES;
use super::VARIES;

const SET: Rows = Rows(Group::Set);

/// Laid out by hand: a row takes as few lines as it can.
#[rustfmt::skip]
pub(super) static ROWS: &[Command] = &[
    SET.write("sadd", AtLeast(3), Keys::one(INSERTS), DENYOOM_FAST, "1.0.0", "Adds members."),
    SET.write("saddex", AtLeast(5), Keys::one(INSERTS), DENYOOM_FAST, "8.12.0",
        "Adds members and sets when they expire."),
    SET.read("scard", Exactly(2), Keys::one(PEEKS), FAST, "1.0.0", "Counts the members."),
    SET.read("sdiff", AtLeast(2), Keys::range(1, -1, 1, READS), PLAIN, "1.0.0",
        "Returns the difference of sets.")
        .tips(ANY_ORDER),
    SET.read("sdiffcard", AtLeast(3), Keys::counted(1, 1, Numkeys::Card, READS), PLAIN, "8.10.0",
        "Counts the members of the difference."),
    SET.write("sdiffstore", AtLeast(3), Keys::lead_and_rest(1, OVERWRITES, -1, READS),
        DENYOOM, "1.0.0", "Stores the difference of sets."),
    SET.write("sexpire", AtLeast(6), Keys::one(UPDATES), FAST, "8.12.0",
        "Makes members expire in so many seconds."),
    SET.write("sexpireat", AtLeast(6), Keys::one(UPDATES), FAST, "8.12.0",
        "Makes members expire at a Unix time in seconds."),
    SET.read("sexpiretime", AtLeast(5), Keys::one(READS), FAST, "8.12.0",
        "Returns when members expire, a Unix time in seconds."),
    SET.read("sinter", AtLeast(2), Keys::range(1, -1, 1, READS), PLAIN, "1.0.0",
        "Returns the intersection of sets.")
        .tips(ANY_ORDER),
    SET.read("sintercard", AtLeast(3), Keys::counted(1, 1, Numkeys::Card, READS), PLAIN, "7.0.0",
        "Counts the members of the intersection."),
    SET.write("sinterstore", AtLeast(3), Keys::lead_and_rest(1, UPDATES, -1, READS),
        DENYOOM, "1.0.0", "Stores the intersection of sets."),
    SET.read("sismember", Exactly(3), Keys::one(PEEKS), FAST, "1.0.0",
        "Says whether something is a member."),
    SET.read("smembers", Exactly(2), Keys::one(READS), PLAIN, "1.0.0", "Returns all members.")
        .tips(ANY_ORDER),
    SET.read("smismember", AtLeast(3), Keys::one(READS), FAST, "6.2.0", "Says which are members."),
    SET.write("smove", Exactly(4), Keys::lead_and_rest(1, TAKES, 0, INSERTS), FAST, "1.0.0",
        "Moves a member to another set."),
    SET.write("spersist", AtLeast(5), Keys::one(UPDATES), FAST, "8.12.0",
        "Makes members not expire."),
    SET.write("spexpire", AtLeast(6), Keys::one(UPDATES), FAST, "8.12.0",
        "Makes members expire in so many milliseconds."),
    SET.write("spexpireat", AtLeast(6), Keys::one(UPDATES), FAST, "8.12.0",
        "Makes members expire at a Unix time in milliseconds."),
    SET.read("spexpiretime", AtLeast(5), Keys::one(READS), FAST, "8.12.0",
        "Returns when members expire, a Unix time in milliseconds."),
    SET.write("spop", AtLeast(2), Keys::one(TAKES), FAST, "1.0.0",
        "Removes and returns some members.")
        .tips(VARIES),
    SET.read("spttl", AtLeast(5), Keys::one(READS), FAST, "8.12.0",
        "Returns how long members live, in milliseconds.")
        .tips(VARIES),
    SET.read("srandmember", AtLeast(2), Keys::one(READS), PLAIN, "1.0.0", "Returns some members.")
        .tips(VARIES),
    SET.write("srem", AtLeast(3), Keys::one(DELETES), FAST, "1.0.0", "Removes members."),
    SET.read("sscan", AtLeast(3), Keys::one(READS), PLAIN, "2.8.0", "Goes through the members.")
        .master_only().tips(VARIES),
    SET.read("sttl", AtLeast(5), Keys::one(READS), FAST, "8.12.0",
        "Returns how long members live, in seconds.")
        .tips(VARIES),
    SET.read("sunion", AtLeast(2), Keys::range(1, -1, 1, READS), PLAIN, "1.0.0",
        "Returns the union of sets.")
        .tips(ANY_ORDER),
    SET.read("sunioncard", AtLeast(3), Keys::counted(1, 1, Numkeys::Card, READS), PLAIN, "8.10.0",
        "Counts the members of the union."),
    SET.write("sunionstore", AtLeast(3), Keys::lead_and_rest(1, OVERWRITES, -1, READS),
        DENYOOM, "1.0.0", "Stores the union of sets."),
];
