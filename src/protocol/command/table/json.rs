//! JSON documents, a module that Redis 8 includes.
//!
//! No more arguments are asked for here than to find the keys: the server knows the rest.

use super::Arity::AtLeast;
use super::Command;
use super::DELETES;
use super::Group;
use super::Keys;
use super::MODIFIES;
use super::MODULE;
use super::MODULE_DENYOOM;
use super::OVERWRITES;
use super::PEEKS;
use super::READS;
use super::REDIS_8;
use super::Rows;
use super::TAKES;
use super::UPDATES;

const JSON: Rows = Rows(Group::Module);

/// Laid out by hand: a row takes as few lines as it can.
#[rustfmt::skip]
pub(super) static ROWS: &[Command] = &[
    JSON.write("json.arrappend", AtLeast(2), Keys::one(UPDATES), MODULE_DENYOOM, REDIS_8,
        "Appends to arrays."),
    JSON.read("json.arrindex", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Finds a value in arrays."),
    JSON.write("json.arrinsert", AtLeast(2), Keys::one(UPDATES), MODULE_DENYOOM, REDIS_8,
        "Inserts into arrays."),
    JSON.read("json.arrlen", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Returns the lengths of arrays."),
    JSON.write("json.arrpop", AtLeast(2), Keys::one(TAKES), MODULE, REDIS_8,
        "Removes and returns an element of arrays."),
    JSON.write("json.arrtrim", AtLeast(2), Keys::one(UPDATES), MODULE, REDIS_8, "Shortens arrays."),
    JSON.write("json.clear", AtLeast(2), Keys::one(UPDATES), MODULE, REDIS_8,
        "Empties arrays and objects, and sets numbers to 0."),
    JSON.read("json.debug", AtLeast(3), Keys::one_at(2, PEEKS), MODULE, REDIS_8,
        "Describes a document's memory.")
        .master_only(),
    JSON.write("json.del", AtLeast(2), Keys::one(DELETES), MODULE, REDIS_8, "Deletes values."),
    JSON.write("json.forget", AtLeast(2), Keys::one(DELETES), MODULE, REDIS_8, "Deletes values."),
    JSON.read("json.get", AtLeast(2), Keys::one(READS), MODULE, REDIS_8, "Returns values."),
    JSON.write("json.merge", AtLeast(2), Keys::one(UPDATES), MODULE_DENYOOM, REDIS_8,
        "Merges a value into a document."),
    JSON.read("json.mget", AtLeast(3), Keys::range(1, -2, 1, READS), MODULE, REDIS_8,
        "Returns a value of each of several documents."),
    JSON.write("json.mset", AtLeast(4), Keys::range(1, -1, 3, OVERWRITES), MODULE_DENYOOM, REDIS_8,
        "Sets values in several documents."),
    JSON.write("json.numincrby", AtLeast(2), Keys::one(MODIFIES), MODULE_DENYOOM, REDIS_8,
        "Adds to numbers."),
    JSON.write("json.nummultby", AtLeast(2), Keys::one(MODIFIES), MODULE_DENYOOM, REDIS_8,
        "Multiplies numbers."),
    JSON.write("json.numpowby", AtLeast(2), Keys::one(MODIFIES), MODULE_DENYOOM, REDIS_8,
        "Raises numbers to a power."),
    JSON.read("json.objkeys", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Returns the names in objects."),
    JSON.read("json.objlen", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Counts the names in objects."),
    JSON.read("json.resp", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Returns a value as Redis would."),
    JSON.write("json.set", AtLeast(2), Keys::one(UPDATES), MODULE_DENYOOM, REDIS_8,
        "Sets a value."),
    JSON.write("json.strappend", AtLeast(2), Keys::one(UPDATES), MODULE_DENYOOM, REDIS_8,
        "Appends to strings."),
    JSON.read("json.strlen", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Returns the lengths of strings."),
    JSON.write("json.toggle", AtLeast(2), Keys::one(MODIFIES), MODULE_DENYOOM, REDIS_8,
        "Turns true to false and false to true."),
    JSON.read("json.type", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Returns the types of values."),
];
