//! Strings.

use super::Arity::AtLeast;
use super::Arity::Exactly;
use super::CREATES;
use super::Command;
use super::DELETES;
use super::DENYOOM;
use super::DENYOOM_FAST;
use super::FAST;
use super::Gather;
use super::Group;
use super::INSERTS;
use super::KeyUse;
use super::Keys;
use super::MODIFIES;
use super::Numkeys;
use super::OVERWRITES;
use super::PEEKS;
use super::PLAIN;
use super::READS;
use super::Rows;
use super::TAKES;
use super::UPDATES;

const STRING: Rows = Rows(Group::String);

/// Laid out by hand: a row takes as few lines as it can.
#[rustfmt::skip]
pub(super) static ROWS: &[Command] = &[
    STRING.write("append", Exactly(3), Keys::one(INSERTS), DENYOOM_FAST, "2.0.0",
        "Appends to a string."),
    STRING.write("decr", Exactly(2), Keys::one(MODIFIES), DENYOOM_FAST, "1.0.0", "Subtracts 1."),
    STRING.write("decrby", Exactly(3), Keys::one(MODIFIES), DENYOOM_FAST, "1.0.0",
        "Subtracts an integer."),
    STRING.write("delex", AtLeast(2), Keys::one(DELETES), FAST, "8.4.0",
        "Deletes a key if its string meets a condition."),
    STRING.write("delifeq", Exactly(3), Keys::one(DELETES), PLAIN, "9.0.0",
        "Deletes a key if its string is the given one (Valkey)."),
    STRING.read("digest", Exactly(2), Keys::one(READS), FAST, "8.4.0",
        "Returns the hash of a string."),
    STRING.read("get", Exactly(2), Keys::one(READS), FAST, "1.0.0", "Returns a string."),
    STRING.write("getdel", Exactly(2), Keys::one(TAKES), FAST, "6.2.0",
        "Returns a string and deletes its key."),
    STRING.write("getex", AtLeast(2), Keys::one(MODIFIES), FAST, "6.2.0",
        "Returns a string and sets when it expires."),
    STRING.read("getrange", Exactly(4), Keys::one(READS), PLAIN, "2.4.0",
        "Returns a part of a string."),
    STRING.write("getset", Exactly(3), Keys::one(MODIFIES), DENYOOM_FAST, "1.0.0",
        "Sets a string and returns the old one.")
        .deprecated("6.2.0"),
    STRING.write("incr", Exactly(2), Keys::one(MODIFIES), DENYOOM_FAST, "1.0.0", "Adds 1."),
    STRING.write("incrby", Exactly(3), Keys::one(MODIFIES), DENYOOM_FAST, "1.0.0",
        "Adds an integer."),
    STRING.write("incrbyfloat", Exactly(3), Keys::one(MODIFIES), DENYOOM_FAST, "2.6.0",
        "Adds a number."),
    STRING.write("increx", AtLeast(2), Keys::one(MODIFIES), DENYOOM_FAST, "8.8.0",
        "Adds, within bounds, and sets when the key expires."),
    STRING.read("lcs", AtLeast(3), Keys::range(1, 1, 1, READS), PLAIN, "7.0.0",
        "Finds the longest common subsequence of two strings."),
    STRING.read("mget", AtLeast(2), Keys::range(1, -1, 1, READS), FAST, "1.0.0",
        "Returns strings.")
        .split(Gather::Concat).tips(&["request_policy:multi_shard"]),
    STRING.write("mset", AtLeast(3), Keys::range(1, -1, 2, OVERWRITES), DENYOOM, "1.0.1",
        "Sets strings.")
        .split(Gather::AllOk)
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"]),
    STRING.write("msetex", AtLeast(4), Keys::counted(1, 2, Numkeys::Card, OVERWRITES),
        DENYOOM, "8.4.0",
        "Sets strings and when they expire.")
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"]),
    STRING.write("msetnx", AtLeast(3), Keys::range(1, -1, 2, CREATES), DENYOOM, "1.0.1",
        "Sets strings unless one of the keys exists.")
        .tips(&["request_policy:multi_shard", "response_policy:agg_min"]),
    STRING.write("psetex", Exactly(4), Keys::one(OVERWRITES), DENYOOM, "2.6.0",
        "Sets a string and makes it expire in so many milliseconds."),
    STRING.write("set", AtLeast(3), Keys::one(MODIFIES.and(KeyUse::VARIABLE_FLAGS)),
        DENYOOM, "1.0.0", "Sets a string."),
    STRING.write("setex", Exactly(4), Keys::one(OVERWRITES), DENYOOM, "2.0.0",
        "Sets a string and makes it expire in so many seconds."),
    STRING.write("setnx", Exactly(3), Keys::one(CREATES), DENYOOM_FAST, "1.0.0",
        "Sets a string unless its key exists."),
    STRING.write("setrange", Exactly(4), Keys::one(UPDATES), DENYOOM, "2.2.0",
        "Overwrites a part of a string."),
    STRING.read("strlen", Exactly(2), Keys::one(PEEKS), FAST, "2.2.0",
        "Returns the length of a string."),
    STRING.read("substr", Exactly(4), Keys::one(READS), PLAIN, "1.0.0",
        "Returns a part of a string.")
        .deprecated("2.0.0"),
];
