//! Hashes.

use super::ANY_ORDER;
use super::Arity::AtLeast;
use super::Arity::Exactly;
use super::Command;
use super::DELETES;
use super::DENYOOM_FAST;
use super::FAST;
use super::Group;
use super::INSERTS;
use super::Keys;
use super::MODIFIES;
use super::PEEKS;
use super::PLAIN;
use super::READS;
use super::Rows;
use super::UPDATES;
use super::VARIES;

const HASH: Rows = Rows(Group::Hash);

/// A row a line.
#[rustfmt::skip]
pub(super) static ROWS: &[Command] = &[
    HASH.write("hdel", AtLeast(3), Keys::one(DELETES), FAST, "2.0.0", "Deletes fields."),
    HASH.read("hexists", Exactly(3), Keys::one(PEEKS), FAST, "2.0.0",
        "Says whether a field exists."),
    HASH.read("hget", Exactly(3), Keys::one(READS), FAST, "2.0.0", "Returns a field's value."),
    HASH.read("hgetall", Exactly(2), Keys::one(READS), PLAIN, "2.0.0",
        "Returns all fields with their values.")
        .tips(ANY_ORDER),
    HASH.write("hincrby", Exactly(4), Keys::one(MODIFIES), DENYOOM_FAST, "2.0.0",
        "Adds an integer to a field."),
    HASH.write("hincrbyfloat", Exactly(4), Keys::one(MODIFIES), DENYOOM_FAST, "2.6.0",
        "Adds a number to a field."),
    HASH.read("hkeys", Exactly(2), Keys::one(READS), PLAIN, "2.0.0", "Returns all fields.")
        .tips(ANY_ORDER),
    HASH.read("hlen", Exactly(2), Keys::one(PEEKS), FAST, "2.0.0", "Counts the fields."),
    HASH.read("hmget", AtLeast(3), Keys::one(READS), FAST, "2.0.0",
        "Returns the values of fields."),
    HASH.write("hmset", AtLeast(4), Keys::one(UPDATES), DENYOOM_FAST, "2.0.0", "Sets fields.")
        .deprecated("4.0.0"),
    HASH.read("hrandfield", AtLeast(2), Keys::one(READS), PLAIN, "6.2.0", "Returns some fields.")
        .tips(VARIES),
    HASH.read("hscan", AtLeast(3), Keys::one(READS), PLAIN, "2.8.0", "Goes through the fields.")
        .tips(VARIES),
    HASH.write("hset", AtLeast(4), Keys::one(UPDATES), DENYOOM_FAST, "2.0.0", "Sets fields."),
    HASH.write("hsetnx", Exactly(4), Keys::one(INSERTS), DENYOOM_FAST, "2.0.0",
        "Sets a field unless it exists."),
    HASH.read("hstrlen", Exactly(3), Keys::one(PEEKS), FAST, "3.2.0",
        "Returns the length of a field's value."),
    HASH.read("hvals", Exactly(2), Keys::one(READS), PLAIN, "2.0.0", "Returns all values.")
        .tips(ANY_ORDER),
];
