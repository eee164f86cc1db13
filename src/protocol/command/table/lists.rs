//! Lists.

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
use super::NOSCRIPT;
use super::Numkeys;
use super::PEEKS;
use super::PLAIN;
use super::READS;
use super::Rows;
use super::TAKES;
use super::TimeoutAt;
use super::UPDATES;

const LIST: Rows = Rows(Group::List);

/// Laid out by hand: a row takes as few lines as it can.
#[rustfmt::skip]
pub(super) static ROWS: &[Command] = &[
    LIST.write("blmove", Exactly(6), Keys::lead_and_rest(1, TAKES, 0, INSERTS),
        DENYOOM.and(NOSCRIPT).and(BLOCKING), "6.2.0",
        "Moves an element from one list to another, and waits for one.")
        .waits(TimeoutAt::Last),
    LIST.write("blmovem", AtLeast(6), Keys::lead_and_rest(1, TAKES, 0, INSERTS),
        DENYOOM.and(BLOCKING), "8.10.0",
        "Moves elements from one list to another, and waits for some.")
        .waits(TimeoutAt::Fifth),
    LIST.write("blmpop", AtLeast(5), Keys::counted(2, 1, Numkeys::Pop, TAKES), BLOCKING, "7.0.0",
        "Pops elements from the first list that has any, and waits for one.")
        .waits(TimeoutAt::First),
    LIST.write("blpop", AtLeast(3), Keys::range(1, -2, 1, TAKES), NOSCRIPT.and(BLOCKING), "2.0.0",
        "Pops the head of the first list that has any, and waits for one.")
        .waits(TimeoutAt::Last),
    LIST.write("brpop", AtLeast(3), Keys::range(1, -2, 1, TAKES), NOSCRIPT.and(BLOCKING), "2.0.0",
        "Pops the tail of the first list that has any, and waits for one.")
        .waits(TimeoutAt::Last),
    LIST.write("brpoplpush", Exactly(4), Keys::lead_and_rest(1, TAKES, 0, INSERTS),
        DENYOOM.and(NOSCRIPT).and(BLOCKING), "2.2.0",
        "Moves a list's tail to the head of another, and waits for one.")
        .waits(TimeoutAt::Last).deprecated("6.2.0"),
    LIST.read("lindex", Exactly(3), Keys::one(READS), PLAIN, "1.0.0",
        "Returns the element at an index."),
    LIST.write("linsert", Exactly(5), Keys::one(INSERTS), DENYOOM, "2.2.0",
        "Inserts before or after an element."),
    LIST.read("llen", Exactly(2), Keys::one(PEEKS), FAST, "1.0.0", "Counts the elements."),
    LIST.write("lmove", Exactly(5), Keys::lead_and_rest(1, TAKES, 0, INSERTS), DENYOOM, "6.2.0",
        "Moves an element from one list to another."),
    LIST.write("lmovem", AtLeast(5), Keys::lead_and_rest(1, TAKES, 0, INSERTS), DENYOOM, "8.10.0",
        "Moves elements from one list to another."),
    LIST.write("lmpop", AtLeast(4), Keys::counted(1, 1, Numkeys::Pop, TAKES), PLAIN, "7.0.0",
        "Pops elements from the first list that has any."),
    LIST.write("lpop", AtLeast(2), Keys::one(TAKES), FAST, "1.0.0", "Pops elements from the head."),
    LIST.read("lpos", AtLeast(3), Keys::one(READS), PLAIN, "6.0.6", "Finds elements."),
    LIST.write("lpush", AtLeast(3), Keys::one(INSERTS), DENYOOM_FAST, "1.0.0",
        "Adds elements at the head."),
    LIST.write("lpushx", AtLeast(3), Keys::one(INSERTS), DENYOOM_FAST, "2.2.0",
        "Adds elements at the head if the list exists."),
    LIST.read("lrange", Exactly(4), Keys::one(READS), PLAIN, "1.0.0",
        "Returns the elements in a range."),
    LIST.write("lrem", Exactly(4), Keys::one(DELETES), PLAIN, "1.0.0", "Removes equal elements."),
    LIST.write("lset", Exactly(4), Keys::one(UPDATES), DENYOOM, "1.0.0",
        "Replaces the element at an index."),
    LIST.write("ltrim", Exactly(4), Keys::one(DELETES), PLAIN, "1.0.0",
        "Keeps the elements in a range."),
    LIST.write("rpop", AtLeast(2), Keys::one(TAKES), FAST, "1.0.0", "Pops elements from the tail."),
    LIST.write("rpoplpush", Exactly(3), Keys::lead_and_rest(1, TAKES, 0, INSERTS), DENYOOM, "1.2.0",
        "Moves a list's tail to the head of another.")
        .deprecated("6.2.0"),
    LIST.write("rpush", AtLeast(3), Keys::one(INSERTS), DENYOOM_FAST, "1.0.0",
        "Adds elements at the tail."),
    LIST.write("rpushx", AtLeast(3), Keys::one(INSERTS), DENYOOM_FAST, "2.2.0",
        "Adds elements at the tail if the list exists."),
];
