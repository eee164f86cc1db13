//! Hashes.

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
use super::MODIFIES;
use super::NOSCRIPT;
use super::OVERWRITES;
use super::PEEKS;
use super::PLAIN;
use super::READS;
use super::Refusal;
use super::Rows;
use super::TAKES;
use super::UPDATES;
use super::VARIES;

const HASH: Rows = Rows(Group::Hash);

/// Laid out by hand: a row takes as few lines as it can.
#[rustfmt::skip]
pub(super) static ROWS: &[Command] = &[
    HASH.write("hdel", AtLeast(3), Keys::one(DELETES), FAST, "2.0.0", "Deletes fields."),
    HASH.read("hexists", Exactly(3), Keys::one(PEEKS), FAST, "2.0.0",
        "Says whether a field exists."),
    HASH.write("hexpire", AtLeast(6), Keys::one(UPDATES), DENYOOM_FAST, "7.4.0",
        "Makes fields expire in so many seconds."),
    HASH.write("hexpireat", AtLeast(6), Keys::one(UPDATES), DENYOOM_FAST, "7.4.0",
        "Makes fields expire at a Unix time in seconds."),
    HASH.read("hexpiretime", AtLeast(5), Keys::one(READS), FAST, "7.4.0",
        "Returns when fields expire, Unix times in seconds."),
    HASH.read("hget", Exactly(3), Keys::one(READS), FAST, "2.0.0", "Returns a field's value."),
    HASH.read("hgetall", Exactly(2), Keys::one(READS), PLAIN, "2.0.0",
        "Returns all fields with their values.")
        .tips(ANY_ORDER),
    HASH.write("hgetdel", AtLeast(5), Keys::one(TAKES), FAST, "8.0.0",
        "Returns the values of fields and deletes them."),
    HASH.write("hgetex", AtLeast(5), Keys::one(MODIFIES), FAST, "8.0.0",
        "Returns the values of fields and sets when they expire."),
    HASH.container("himport", "8.10.0", "Commands that import hashes.", &[
        HASH.help("himport|help", "8.10.0"),
        HASH.keyless("himport|prepare", AtLeast(3), NOSCRIPT, "8.10.0",
            "Names the fields for what HIMPORT SET sends.")
            .refuse(Refusal::ConnectionState),
        HASH.write("himport|set", AtLeast(5), Keys::one_at(2, OVERWRITES), DENYOOM, "8.10.0",
            "Sets a hash by the names of HIMPORT PREPARE.")
            .refuse(Refusal::ConnectionState),
    ]),
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
    HASH.write("hpersist", AtLeast(5), Keys::one(UPDATES), FAST, "7.4.0",
        "Makes fields not expire."),
    HASH.write("hpexpire", AtLeast(6), Keys::one(UPDATES), DENYOOM_FAST, "7.4.0",
        "Makes fields expire in so many milliseconds."),
    HASH.write("hpexpireat", AtLeast(6), Keys::one(UPDATES), DENYOOM_FAST, "7.4.0",
        "Makes fields expire at a Unix time in milliseconds."),
    HASH.read("hpexpiretime", AtLeast(5), Keys::one(READS), FAST, "7.4.0",
        "Returns when fields expire, Unix times in milliseconds."),
    HASH.read("hpttl", AtLeast(5), Keys::one(READS), FAST, "7.4.0",
        "Returns how long fields live, in milliseconds.")
        .tips(VARIES),
    HASH.read("hrandfield", AtLeast(2), Keys::one(READS), PLAIN, "6.2.0", "Returns some fields.")
        .tips(VARIES),
    HASH.read("hscan", AtLeast(3), Keys::one(READS), PLAIN, "2.8.0", "Goes through the fields.")
        .master_only().tips(VARIES),
    HASH.write("hset", AtLeast(4), Keys::one(UPDATES), DENYOOM_FAST, "2.0.0", "Sets fields."),
    HASH.write("hsetex", AtLeast(6), Keys::one(UPDATES), DENYOOM_FAST, "8.0.0",
        "Sets fields and when they expire."),
    HASH.write("hsetnx", Exactly(4), Keys::one(INSERTS), DENYOOM_FAST, "2.0.0",
        "Sets a field unless it exists."),
    HASH.read("hstrlen", Exactly(3), Keys::one(PEEKS), FAST, "3.2.0",
        "Returns the length of a field's value."),
    HASH.read("httl", AtLeast(5), Keys::one(READS), FAST, "7.4.0",
        "Returns how long fields live, in seconds.")
        .tips(VARIES),
    HASH.read("hvals", Exactly(2), Keys::one(READS), PLAIN, "2.0.0", "Returns all values.")
        .tips(ANY_ORDER),
];
