//! Bloom and Cuckoo filters, sketches, digests: a module that Redis 8 includes.
//!
//! No more arguments are asked for here than to find the keys: the server knows the rest.

use super::Arity::AtLeast;
use super::Command;
use super::DELETES;
use super::Group;
use super::Keys;
use super::MODULE;
use super::MODULE_DENYOOM;
use super::OVERWRITES;
use super::PEEKS;
use super::READS;
use super::REDIS_8;
use super::Rows;
use super::UPDATES;

const FILTER: Rows = Rows(Group::Module);

/// Laid out by hand: a row takes as few lines as it can.
#[rustfmt::skip]
pub(super) static ROWS: &[Command] = &[
    FILTER.write("bf.add", AtLeast(2), Keys::one(UPDATES), MODULE_DENYOOM, REDIS_8,
        "Adds an item to a Bloom filter."),
    FILTER.read("bf.card", AtLeast(2), Keys::one(PEEKS), MODULE, REDIS_8,
        "Counts the items of a Bloom filter."),
    FILTER.read("bf.debug", AtLeast(2), Keys::one(PEEKS), MODULE, REDIS_8,
        "Describes the layers of a Bloom filter.")
        .master_only(),
    FILTER.read("bf.exists", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Says whether an item may be in a Bloom filter."),
    FILTER.read("bf.info", AtLeast(2), Keys::one(PEEKS), MODULE, REDIS_8,
        "Describes a Bloom filter."),
    FILTER.write("bf.insert", AtLeast(2), Keys::one(UPDATES), MODULE_DENYOOM, REDIS_8,
        "Adds items to a Bloom filter, and creates it."),
    FILTER.write("bf.load", AtLeast(2), Keys::one(UPDATES), MODULE_DENYOOM, REDIS_8,
        "Restores a Bloom filter."),
    FILTER.write("bf.loadchunk", AtLeast(2), Keys::one(UPDATES), MODULE_DENYOOM, REDIS_8,
        "Restores a part of a Bloom filter."),
    FILTER.write("bf.madd", AtLeast(2), Keys::one(UPDATES), MODULE_DENYOOM, REDIS_8,
        "Adds items to a Bloom filter."),
    FILTER.read("bf.mexists", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Says which items may be in a Bloom filter."),
    FILTER.write("bf.reserve", AtLeast(2), Keys::one(OVERWRITES), MODULE_DENYOOM, REDIS_8,
        "Creates a Bloom filter."),
    FILTER.read("bf.scandump", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Returns a part of a Bloom filter.")
        .master_only(),
    FILTER.write("cf.add", AtLeast(2), Keys::one(UPDATES), MODULE_DENYOOM, REDIS_8,
        "Adds an item to a Cuckoo filter."),
    FILTER.write("cf.addnx", AtLeast(2), Keys::one(UPDATES), MODULE_DENYOOM, REDIS_8,
        "Adds an item to a Cuckoo filter unless it may be there."),
    FILTER.write("cf.compact", AtLeast(2), Keys::one(UPDATES), MODULE, REDIS_8,
        "Makes a Cuckoo filter smaller."),
    FILTER.read("cf.count", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Estimates how often an item is in a Cuckoo filter."),
    FILTER.read("cf.debug", AtLeast(2), Keys::one(PEEKS), MODULE, REDIS_8,
        "Describes the layers of a Cuckoo filter.")
        .master_only(),
    FILTER.write("cf.del", AtLeast(2), Keys::one(DELETES), MODULE, REDIS_8,
        "Deletes an item from a Cuckoo filter."),
    FILTER.read("cf.exists", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Says whether an item may be in a Cuckoo filter."),
    FILTER.read("cf.info", AtLeast(2), Keys::one(PEEKS), MODULE, REDIS_8,
        "Describes a Cuckoo filter."),
    FILTER.write("cf.insert", AtLeast(2), Keys::one(UPDATES), MODULE_DENYOOM, REDIS_8,
        "Adds items to a Cuckoo filter, and creates it."),
    FILTER.write("cf.insertnx", AtLeast(2), Keys::one(UPDATES), MODULE_DENYOOM, REDIS_8,
        "Adds items to a Cuckoo filter unless they may be there."),
    FILTER.write("cf.loadchunk", AtLeast(2), Keys::one(UPDATES), MODULE_DENYOOM, REDIS_8,
        "Restores a part of a Cuckoo filter."),
    FILTER.read("cf.mexists", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Says which items may be in a Cuckoo filter."),
    FILTER.write("cf.reserve", AtLeast(2), Keys::one(OVERWRITES), MODULE_DENYOOM, REDIS_8,
        "Creates a Cuckoo filter."),
    FILTER.read("cf.scandump", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Returns a part of a Cuckoo filter.")
        .master_only(),
    FILTER.write("cms.incrby", AtLeast(2), Keys::one(UPDATES), MODULE_DENYOOM, REDIS_8,
        "Adds to the counts of items."),
    FILTER.read("cms.info", AtLeast(2), Keys::one(PEEKS), MODULE, REDIS_8, "Describes a sketch."),
    FILTER.write("cms.initbydim", AtLeast(2), Keys::one(OVERWRITES), MODULE_DENYOOM, REDIS_8,
        "Creates a sketch by its dimensions."),
    FILTER.write("cms.initbyprob", AtLeast(2), Keys::one(OVERWRITES), MODULE_DENYOOM, REDIS_8,
        "Creates a sketch by its errors."),
    FILTER.write("cms.merge", AtLeast(4), Keys::destination_and_counted(OVERWRITES, READS),
        MODULE_DENYOOM, REDIS_8,
        "Merges sketches."),
    FILTER.read("cms.query", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Returns the counts of items."),
    FILTER.write("tdigest.add", AtLeast(2), Keys::one(UPDATES), MODULE_DENYOOM, REDIS_8,
        "Adds values to a digest."),
    FILTER.read("tdigest.byrank", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Estimates values by their ranks."),
    FILTER.read("tdigest.byrevrank", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Estimates values by their ranks from the highest."),
    FILTER.read("tdigest.cdf", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Estimates which fraction is below values."),
    FILTER.write("tdigest.create", AtLeast(2), Keys::one(OVERWRITES), MODULE_DENYOOM, REDIS_8,
        "Creates a digest."),
    FILTER.read("tdigest.info", AtLeast(2), Keys::one(PEEKS), MODULE, REDIS_8,
        "Describes a digest."),
    FILTER.read("tdigest.max", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Returns the highest value."),
    FILTER.write("tdigest.merge", AtLeast(4), Keys::destination_and_counted(OVERWRITES, READS),
        MODULE_DENYOOM, REDIS_8,
        "Merges digests."),
    FILTER.read("tdigest.min", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Returns the lowest value."),
    FILTER.read("tdigest.quantile", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Estimates values by fractions."),
    FILTER.read("tdigest.rank", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Estimates the ranks of values."),
    FILTER.write("tdigest.reset", AtLeast(2), Keys::one(UPDATES), MODULE, REDIS_8,
        "Empties a digest."),
    FILTER.read("tdigest.revrank", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Estimates the ranks of values from the highest."),
    FILTER.read("tdigest.trimmed_mean", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Estimates the mean without the extremes."),
    FILTER.write("topk.add", AtLeast(2), Keys::one(UPDATES), MODULE_DENYOOM, REDIS_8,
        "Counts items once more."),
    FILTER.write("topk.count", AtLeast(2), Keys::one(UPDATES), MODULE, REDIS_8,
        "Estimates the counts of items."),
    FILTER.write("topk.incrby", AtLeast(2), Keys::one(UPDATES), MODULE_DENYOOM, REDIS_8,
        "Adds to the counts of items."),
    FILTER.read("topk.info", AtLeast(2), Keys::one(PEEKS), MODULE, REDIS_8,
        "Describes a top list."),
    FILTER.read("topk.list", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Returns the top list."),
    FILTER.read("topk.query", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Says which items are in the top list."),
    FILTER.write("topk.reserve", AtLeast(2), Keys::one(OVERWRITES), MODULE_DENYOOM, REDIS_8,
        "Creates a top list."),
];
