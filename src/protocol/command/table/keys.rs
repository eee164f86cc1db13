//! Keys, whatever they hold.

use super::Arity::AtLeast;
use super::Arity::Exactly;
use super::BLOCKING;
use super::CREATES;
use super::Categories;
use super::Command;
use super::DENYOOM;
use super::FAST;
use super::Gather;
use super::Group;
use super::Keys;
use super::MODIFIES;
use super::MULTI_SHARD_SUM;
use super::NOSCRIPT;
use super::OVERWRITES;
use super::PEEKS;
use super::PLAIN;
use super::READS;
use super::REMOVES;
use super::Refusal;
use super::Rows;
use super::TAKES;
use super::UPDATES;
use super::VARIES;

const KEY: Rows = Rows(Group::Generic);

/// Laid out by hand: a row takes as few lines as it can.
#[rustfmt::skip]
pub(super) static ROWS: &[Command] = &[
    KEY.container("bless", "8.12.0", "Commands about keys that are not evicted.", &[
        KEY.write("bless|clear", AtLeast(3), Keys::one_at(2, UPDATES), FAST, "8.12.0",
            "Lets a key be evicted again."),
        KEY.read("bless|get", AtLeast(3), Keys::one_at(2, PEEKS), FAST, "8.12.0",
            "Says whether a key is exempt from eviction."),
        KEY.help("bless|help", "8.12.0"),
        KEY.keyless("bless|scan", AtLeast(3), PLAIN, "8.12.0",
            "Goes through the keys that are exempt.")
            .refuse(Refusal::EveryServer),
        KEY.write("bless|set", AtLeast(3), Keys::one_at(2, UPDATES), FAST, "8.12.0",
            "Exempts a key from eviction."),
    ]),
    KEY.write("copy", AtLeast(3), Keys::lead_and_rest(1, READS, 0, OVERWRITES), DENYOOM, "6.2.0",
        "Copies a key."),
    KEY.write("del", AtLeast(2), Keys::range(1, -1, 1, REMOVES), PLAIN, "1.0.0", "Deletes keys.")
        .split(Gather::Sum).tips(MULTI_SHARD_SUM),
    KEY.read("dump", Exactly(2), Keys::one(READS), PLAIN, "2.6.0", "Serializes a value.")
        .master_only().tips(VARIES),
    KEY.read("exists", AtLeast(2), Keys::range(1, -1, 1, PEEKS), FAST, "1.0.0",
        "Counts the keys that exist.")
        .split(Gather::Sum).tips(MULTI_SHARD_SUM),
    KEY.write("expire", AtLeast(3), Keys::one(UPDATES), FAST, "1.0.0",
        "Makes a key expire in so many seconds."),
    KEY.write("expireat", AtLeast(3), Keys::one(UPDATES), FAST, "1.2.0",
        "Makes a key expire at a Unix time in seconds."),
    KEY.read("expiretime", Exactly(2), Keys::one(READS), FAST, "7.0.0",
        "Returns when a key expires, a Unix time in seconds."),
    KEY.read("keys", Exactly(2), Keys::NONE, PLAIN, "1.0.0",
        "Lists the keys that match a pattern.")
        .ask_all(Gather::Chain).on_leave()
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"])
        .also(Categories::DANGEROUS),
    KEY.write("migrate", AtLeast(6), Keys::migrate(TAKES), PLAIN, "2.6.0",
        "Moves keys to another server.")
        .refuse(Refusal::Administration).tips(VARIES).also(Categories::DANGEROUS),
    KEY.write("move", Exactly(3), Keys::one(MODIFIES), FAST, "1.0.0",
        "Moves a key to another database."),
    KEY.container("object", "2.2.3", "Commands about how values are kept.", &[
        KEY.read("object|encoding", Exactly(3), Keys::one_at(2, PEEKS), PLAIN, "2.2.3",
            "Returns a value's encoding.")
            .master_only().tips(VARIES),
        KEY.read("object|freq", Exactly(3), Keys::one_at(2, PEEKS), PLAIN, "4.0.0",
            "Returns how often a key is used, a logarithm.")
            .master_only().tips(VARIES),
        KEY.help("object|help", "6.2.0"),
        KEY.read("object|idletime", Exactly(3), Keys::one_at(2, PEEKS), PLAIN, "2.2.3",
            "Returns for how long a key was not used.")
            .master_only().tips(VARIES),
        KEY.read("object|refcount", Exactly(3), Keys::one_at(2, PEEKS), PLAIN, "2.2.3",
            "Counts a value's references.")
            .master_only().tips(VARIES),
    ]),
    KEY.write("persist", Exactly(2), Keys::one(UPDATES), FAST, "2.2.0", "Makes a key not expire."),
    KEY.write("pexpire", AtLeast(3), Keys::one(UPDATES), FAST, "2.6.0",
        "Makes a key expire in so many milliseconds."),
    KEY.write("pexpireat", AtLeast(3), Keys::one(UPDATES), FAST, "2.6.0",
        "Makes a key expire at a Unix time in milliseconds."),
    KEY.read("pexpiretime", Exactly(2), Keys::one(READS), FAST, "7.0.0",
        "Returns when a key expires, a Unix time in milliseconds."),
    KEY.read("pttl", Exactly(2), Keys::one(READS), FAST, "2.6.0",
        "Returns how long a key lives, in milliseconds.")
        .tips(VARIES),
    KEY.read("randomkey", Exactly(1), Keys::NONE, PLAIN, "1.0.0", "Returns some key.")
        .ask_all(Gather::Any)
        .tips(&["request_policy:all_shards", "nondeterministic_output"]),
    KEY.write("rename", Exactly(3), Keys::lead_and_rest(1, TAKES, 0, OVERWRITES), PLAIN, "1.0.0",
        "Renames a key, over another."),
    KEY.write("renamenx", Exactly(3), Keys::lead_and_rest(1, TAKES, 0, CREATES), FAST, "1.0.0",
        "Renames a key unless the new name is taken."),
    KEY.write("restore", AtLeast(4), Keys::one(OVERWRITES), DENYOOM, "2.6.0",
        "Creates a key from what DUMP returned.")
        .also(Categories::DANGEROUS),
    KEY.read("scan", AtLeast(2), Keys::NONE, PLAIN, "2.8.0", "Goes through the keys.")
        .walk().tips(&["nondeterministic_output", "request_policy:special"]),
    KEY.write("sort", AtLeast(2), Keys::sort(Some(OVERWRITES), READS), DENYOOM, "1.0.0",
        "Sorts a list, set or sorted set, and returns or stores it.")
        .also(SORT_CATEGORIES).not_in(Categories::KEYSPACE),
    KEY.read("sort_ro", AtLeast(2), Keys::sort(None, READS), PLAIN, "7.0.0",
        "Sorts a list, set or sorted set and returns it.")
        .also(SORT_CATEGORIES).not_in(Categories::KEYSPACE),
    KEY.read("touch", AtLeast(2), Keys::range(1, -1, 1, PEEKS), FAST, "3.2.1",
        "Counts keys and marks them as used.")
        .master_only().split(Gather::Sum).tips(MULTI_SHARD_SUM),
    KEY.read("ttl", Exactly(2), Keys::one(READS), FAST, "1.0.0",
        "Returns how long a key lives, in seconds.")
        .tips(VARIES),
    KEY.read("type", Exactly(2), Keys::one(PEEKS), FAST, "1.0.0", "Returns the type of a value."),
    KEY.write("unlink", AtLeast(2), Keys::range(1, -1, 1, REMOVES), FAST, "4.0.0",
        "Deletes keys, and frees them in the background.")
        .split(Gather::Sum).tips(MULTI_SHARD_SUM),
    KEY.keyless("wait", Exactly(3), NOSCRIPT, "3.0.0",
        "Waits until replicas have what the connection wrote.")
        .refuse(Refusal::SharedWrites)
        .tips(&["request_policy:all_shards", "response_policy:agg_min"])
        .also(Categories::CONNECTION).not_in(Categories::KEYSPACE),
    KEY.keyless("waitaof", Exactly(4), BLOCKING, "7.2.0",
        "Waits until files have what the connection wrote.")
        .refuse(Refusal::SharedWrites)
        .tips(&["request_policy:all_shards", "response_policy:agg_min"])
        .also(Categories::CONNECTION).not_in(Categories::KEYSPACE),
];

/// Redis counts them with what they sort.
const SORT_CATEGORIES: Categories = Categories::DANGEROUS
    .and(Categories::LIST)
    .and(Categories::SET)
    .and(Categories::SORTEDSET);
