//! Sorted sets.

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
use super::MODIFIES;
use super::NOSCRIPT;
use super::Numkeys;
use super::OVERWRITES;
use super::PEEKS;
use super::PLAIN;
use super::READS;
use super::Refusal;
use super::Rows;
use super::TAKES;
use super::TimeoutAt;
use super::UPDATES;
use super::VARIES;

const ZSET: Rows = Rows(Group::SortedSet);

/// Laid out by hand: a row takes as few lines as it can.
#[rustfmt::skip]
pub(super) static ROWS: &[Command] = &[
    ZSET.write("bzmove", AtLeast(5), Keys::lead_and_rest(1, TAKES, 0, INSERTS),
        DENYOOM.and(BLOCKING), "8.12.0",
        "Moves a member to another sorted set, and waits for one.")
        .refuse(Refusal::ConnectionState),
    ZSET.write("bzmpop", AtLeast(5), Keys::counted(2, 1, Numkeys::Pop, TAKES), BLOCKING, "7.0.0",
        "Pops members from the first sorted set that has any, and waits for one.")
        .waits(TimeoutAt::First),
    ZSET.write("bzpopmax", AtLeast(3), Keys::range(1, -2, 1, TAKES),
        NOSCRIPT.and(BLOCKING).and(FAST), "5.0.0",
        "Pops the highest member of the first sorted set that has any, and waits for one.")
        .waits(TimeoutAt::Last),
    ZSET.write("bzpopmin", AtLeast(3), Keys::range(1, -2, 1, TAKES),
        NOSCRIPT.and(BLOCKING).and(FAST), "5.0.0",
        "Pops the lowest member of the first sorted set that has any, and waits for one.")
        .waits(TimeoutAt::Last),
    ZSET.write("zadd", AtLeast(4), Keys::one(UPDATES), DENYOOM_FAST, "1.2.0",
        "Adds members or changes their scores."),
    ZSET.read("zcard", Exactly(2), Keys::one(PEEKS), FAST, "1.2.0", "Counts the members."),
    ZSET.read("zcount", Exactly(4), Keys::one(READS), FAST, "2.0.0",
        "Counts the members between two scores."),
    ZSET.read("zdiff", AtLeast(3), Keys::counted(1, 1, Numkeys::Sorted, READS), PLAIN, "6.2.0",
        "Returns the difference of sorted sets."),
    ZSET.write("zdiffstore", AtLeast(4), Keys::destination_and_counted(OVERWRITES, READS),
        DENYOOM, "6.2.0", "Stores the difference of sorted sets."),
    ZSET.write("zincrby", Exactly(4), Keys::one(MODIFIES), DENYOOM_FAST, "1.2.0",
        "Adds to a member's score."),
    ZSET.read("zinter", AtLeast(3), Keys::counted(1, 1, Numkeys::Sorted, READS), PLAIN, "6.2.0",
        "Returns the intersection of sorted sets."),
    ZSET.read("zintercard", AtLeast(3), Keys::counted(1, 1, Numkeys::Sorted, READS), PLAIN, "7.0.0",
        "Counts the members of the intersection."),
    ZSET.write("zinterstore", AtLeast(4), Keys::destination_and_counted(OVERWRITES, READS),
        DENYOOM, "2.0.0", "Stores the intersection of sorted sets."),
    ZSET.read("zlexcount", Exactly(4), Keys::one(READS), FAST, "2.8.9",
        "Counts the members between two names."),
    ZSET.write("zmove", AtLeast(4), Keys::lead_and_rest(1, TAKES, 0, INSERTS), DENYOOM, "8.12.0",
        "Moves members from one end to another sorted set."),
    ZSET.write("zmovemember", Exactly(6), Keys::lead_and_rest(1, TAKES, 0, INSERTS), DENYOOM, "8.12.0",
        "Moves a member to another sorted set."),
    ZSET.write("zmpop", AtLeast(4), Keys::counted(1, 1, Numkeys::Pop, TAKES), PLAIN, "7.0.0",
        "Pops members from the first sorted set that has any."),
    ZSET.read("zmscore", AtLeast(3), Keys::one(READS), FAST, "6.2.0",
        "Returns the scores of members."),
    ZSET.write("zpopmax", AtLeast(2), Keys::one(TAKES), FAST, "5.0.0", "Pops the highest members."),
    ZSET.write("zpopmin", AtLeast(2), Keys::one(TAKES), FAST, "5.0.0", "Pops the lowest members."),
    ZSET.read("zrandmember", AtLeast(2), Keys::one(READS), PLAIN, "6.2.0", "Returns some members.")
        .tips(VARIES),
    ZSET.read("zrange", AtLeast(4), Keys::one(READS), PLAIN, "1.2.0",
        "Returns the members in a range."),
    ZSET.read("zrangebylex", AtLeast(4), Keys::one(READS), PLAIN, "2.8.9",
        "Returns the members between two names.")
        .deprecated("6.2.0"),
    ZSET.read("zrangebyscore", AtLeast(4), Keys::one(READS), PLAIN, "1.0.5",
        "Returns the members between two scores.")
        .deprecated("6.2.0"),
    ZSET.write("zrangestore", AtLeast(5), Keys::lead_and_rest(1, OVERWRITES, 0, READS),
        DENYOOM, "6.2.0", "Stores the members in a range."),
    ZSET.read("zrank", AtLeast(3), Keys::one(READS), FAST, "2.0.0", "Returns a member's rank."),
    ZSET.write("zrem", AtLeast(3), Keys::one(DELETES), FAST, "1.2.0", "Removes members."),
    ZSET.write("zremrangebylex", Exactly(4), Keys::one(DELETES), PLAIN, "2.8.9",
        "Removes the members between two names."),
    ZSET.write("zremrangebyrank", Exactly(4), Keys::one(DELETES), PLAIN, "2.0.0",
        "Removes the members between two ranks."),
    ZSET.write("zremrangebyscore", Exactly(4), Keys::one(DELETES), PLAIN, "1.2.0",
        "Removes the members between two scores."),
    ZSET.read("zrevrange", AtLeast(4), Keys::one(READS), PLAIN, "1.2.0",
        "Returns the members between two ranks, highest first.")
        .deprecated("6.2.0"),
    ZSET.read("zrevrangebylex", AtLeast(4), Keys::one(READS), PLAIN, "2.8.9",
        "Returns the members between two names, last first.")
        .deprecated("6.2.0"),
    ZSET.read("zrevrangebyscore", AtLeast(4), Keys::one(READS), PLAIN, "2.2.0",
        "Returns the members between two scores, highest first.")
        .deprecated("6.2.0"),
    ZSET.read("zrevrank", AtLeast(3), Keys::one(READS), FAST, "2.0.0",
        "Returns a member's rank, counted from the highest."),
    ZSET.read("zscan", AtLeast(3), Keys::one(READS), PLAIN, "2.8.0", "Goes through the members.")
        .master_only().tips(VARIES),
    ZSET.read("zscore", Exactly(3), Keys::one(READS), FAST, "1.2.0", "Returns a member's score."),
    ZSET.read("zunion", AtLeast(3), Keys::counted(1, 1, Numkeys::Sorted, READS), PLAIN, "6.2.0",
        "Returns the union of sorted sets."),
    ZSET.write("zunionstore", AtLeast(4), Keys::destination_and_counted(OVERWRITES, READS),
        DENYOOM, "2.0.0", "Stores the union of sorted sets."),
];
