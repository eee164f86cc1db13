//! Time series, a module that Redis 8 includes.
//!
//! No more arguments are asked for here than to find the keys: the server knows the rest.

use super::Arity::AtLeast;
use super::BLOCKING;
use super::Command;
use super::DELETES;
use super::Group;
use super::Keys;
use super::MODIFIES;
use super::MODULE;
use super::MODULE_DENYOOM;
use super::Numkeys;
use super::OVERWRITES;
use super::PEEKS;
use super::READS;
use super::REDIS_8;
use super::Refusal;
use super::Rows;
use super::TimeoutAt;
use super::UPDATES;

const SERIES: Rows = Rows(Group::Module);

/// Laid out by hand: a row takes as few lines as it can.
#[rustfmt::skip]
pub(super) static ROWS: &[Command] = &[
    SERIES.write("ts.add", AtLeast(2), Keys::one(UPDATES), MODULE_DENYOOM, REDIS_8,
        "Adds a sample."),
    SERIES.write("ts.alter", AtLeast(2), Keys::one(UPDATES), MODULE_DENYOOM, REDIS_8,
        "Changes a series' settings."),
    SERIES.write("ts.create", AtLeast(2), Keys::one(OVERWRITES), MODULE_DENYOOM, REDIS_8,
        "Creates a series."),
    SERIES.write("ts.createrule", AtLeast(3), Keys::lead_and_rest(1, READS, 0, UPDATES),
        MODULE_DENYOOM, REDIS_8,
        "Makes one series the digest of another."),
    SERIES.write("ts.decrby", AtLeast(2), Keys::one(MODIFIES), MODULE_DENYOOM, REDIS_8,
        "Adds a sample that is lower than the last."),
    SERIES.write("ts.del", AtLeast(2), Keys::one(DELETES), MODULE, REDIS_8,
        "Deletes the samples between two times."),
    SERIES.write("ts.deleterule", AtLeast(3), Keys::lead_and_rest(1, READS, 0, UPDATES),
        MODULE, REDIS_8,
        "Ends what TS.CREATERULE began."),
    SERIES.read("ts.get", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Returns the last sample."),
    SERIES.write("ts.incrby", AtLeast(2), Keys::one(MODIFIES), MODULE_DENYOOM, REDIS_8,
        "Adds a sample that is higher than the last."),
    SERIES.read("ts.info", AtLeast(2), Keys::one(PEEKS), MODULE, REDIS_8, "Describes a series."),
    SERIES.write("ts.madd", AtLeast(4), Keys::range(1, -1, 3, UPDATES), MODULE_DENYOOM, REDIS_8,
        "Adds samples to several series."),
    SERIES.keyless("ts.mget", AtLeast(1), MODULE, REDIS_8,
        "Returns the last samples of the series with given labels.").refuse(Refusal::EveryServer),
    SERIES.keyless("ts.mrange", AtLeast(1), MODULE, REDIS_8,
        "Returns samples of the series with given labels.").refuse(Refusal::EveryServer),
    SERIES.keyless("ts.mrevrange", AtLeast(1), MODULE, REDIS_8,
        "Returns samples of the series with given labels, last first.")
        .refuse(Refusal::EveryServer),
    SERIES.read("ts.nrange", AtLeast(5), Keys::counted(1, 1, Numkeys::Card, READS), MODULE, "8.10.0",
        "Returns the samples of several series between two times."),
    SERIES.read("ts.nrevrange", AtLeast(5), Keys::counted(1, 1, Numkeys::Card, READS), MODULE, "8.10.0",
        "Returns the samples of several series between two times, last first."),
    SERIES.keyless("ts.queryindex", AtLeast(1), MODULE, REDIS_8,
        "Lists the series with given labels.").refuse(Refusal::EveryServer),
    SERIES.keyless("ts.querylabels", AtLeast(1), MODULE, "8.10.0",
        "Lists the labels of series.").refuse(Refusal::EveryServer),
    SERIES.read("ts.range", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Returns the samples between two times."),
    SERIES.read("ts.read", AtLeast(3), Keys::one(READS), MODULE.and(BLOCKING), "8.10.0",
        "Returns the samples after the given ones, and may wait for some.")
        .waits(TimeoutAt::Block),
    SERIES.read("ts.revrange", AtLeast(2), Keys::one(READS), MODULE, REDIS_8,
        "Returns the samples between two times, last first."),
];
