//! The server.

use super::ADMIN_SESSION;
use super::ALL_NODES_OK;
use super::ALL_SHARDS_OK;
use super::ALL_SHARDS_SPECIAL;
use super::ANY_ORDER;
use super::Arity::AtLeast;
use super::Arity::Exactly;
use super::Categories;
use super::Command;
use super::FAST;
use super::Gather;
use super::Group;
use super::Keys;
use super::LOADING;
use super::LOADING_FAST;
use super::Local;
use super::PEEKS;
use super::PLAIN;
use super::Refusal;
use super::Rows;
use super::VARIES;

const SERVER: Rows = Rows(Group::Server);

/// Laid out by hand: a row takes as few lines as it can.
#[rustfmt::skip]
pub(super) static ROWS: &[Command] = &[
    SERVER.keyless("command", AtLeast(1), LOADING, "2.8.13", "Describes all commands.")
        .local(Local::Command)
        .tips(ANY_ORDER)
        .also(Categories::CONNECTION)
        .with_subcommands(COMMAND),
    SERVER.container("config", "2.0.0", "Commands about the configuration.", &[
        SERVER.keyless("config|get", AtLeast(3), ADMIN_SESSION, "2.0.0", "Returns settings.")
            .local(Local::ConfigGet),
        SERVER.help("config|help", "5.0.0"),
        SERVER.keyless("config|resetstat", Exactly(2), ADMIN_SESSION, "2.0.0",
            "Resets the statistics.")
            .ask_all(Gather::AllOk).on_leave(),
        SERVER.keyless("config|rewrite", Exactly(2), ADMIN_SESSION, "2.8.0",
            "Writes the configuration file.")
            .ask_all(Gather::AllOk).on_leave(),
        SERVER.keyless("config|set", AtLeast(4), ADMIN_SESSION, "2.0.0", "Changes settings.")
            .ask_all(Gather::AllOk).on_leave().tips(ALL_NODES_OK),
    ]),
    SERVER.read("dbsize", Exactly(1), Keys::NONE, FAST, "1.0.0", "Counts the keys.")
        .ask_all(Gather::Sum)
        .tips(&["request_policy:all_shards", "response_policy:agg_sum"])
        .also(Categories::KEYSPACE),
    SERVER.write("flushall", AtLeast(1), Keys::NONE, PLAIN, "1.0.0",
        "Deletes all keys of all databases.")
        .ask_all(Gather::AllOk).on_leave()
        .tips(ALL_SHARDS_OK)
        .also(Categories::DANGEROUS.and(Categories::KEYSPACE)),
    SERVER.write("flushdb", AtLeast(1), Keys::NONE, PLAIN, "1.0.0",
        "Deletes all keys of the database.")
        .ask_all(Gather::AllOk).on_leave()
        .tips(ALL_SHARDS_OK)
        .also(Categories::DANGEROUS.and(Categories::KEYSPACE)),
    SERVER.keyless("info", AtLeast(1), LOADING, "1.0.0", "Describes the server.")
        .local(Local::Info).tips(ALL_SHARDS_SPECIAL).also(Categories::DANGEROUS),
    SERVER.read("lolwut", AtLeast(1), Keys::NONE, FAST, "5.0.0", "Draws a picture.").anywhere(),
    SERVER.container("memory", "4.0.0", "Commands about memory.", &[
        SERVER.keyless("memory|doctor", Exactly(2), PLAIN, "4.0.0",
            "Explains the use of memory in words.")
            .refuse(Refusal::EachItsOwn).tips(ALL_SHARDS_SPECIAL),
        SERVER.help("memory|help", "4.0.0"),
        SERVER.keyless("memory|malloc-stats", Exactly(2), PLAIN, "4.0.0",
            "Describes the allocator.")
            .refuse(Refusal::EachItsOwn).tips(ALL_SHARDS_SPECIAL),
        SERVER.keyless("memory|purge", Exactly(2), PLAIN, "4.0.0",
            "Gives free memory back to the system.")
            .ask_all(Gather::AllOk).tips(ALL_SHARDS_OK),
        SERVER.keyless("memory|stats", Exactly(2), PLAIN, "4.0.0", "Describes the use of memory.")
            .refuse(Refusal::EachItsOwn).tips(ALL_SHARDS_SPECIAL),
        SERVER.read("memory|usage", AtLeast(3), Keys::one_at(2, PEEKS), PLAIN, "4.0.0",
            "Estimates a key's memory.")
            .master_only(),
    ]),
    SERVER.write("swapdb", Exactly(3), Keys::NONE, FAST, "4.0.0", "Swaps two databases.")
        .refuse(Refusal::EveryServer).also(Categories::DANGEROUS.and(Categories::KEYSPACE)),
    SERVER.keyless("time", Exactly(1), LOADING_FAST, "2.6.0", "Returns the time.")
        .local(Local::Time).tips(VARIES),
];

/// `COMMAND` alone is a command, too.
#[rustfmt::skip]
static COMMAND: &[Command] = &[
    SERVER.keyless("command|count", Exactly(2), LOADING, "2.8.13", "Counts the commands.")
        .local(Local::Command).also(Categories::CONNECTION),
    SERVER.keyless("command|docs", AtLeast(2), LOADING, "7.0.0",
        "Returns the documentation of commands.")
        .local(Local::Command).tips(ANY_ORDER).also(Categories::CONNECTION),
    SERVER.keyless("command|getkeys", AtLeast(3), LOADING, "2.8.13",
        "Returns the keys of a command.")
        .local(Local::Command).also(Categories::CONNECTION),
    SERVER.keyless("command|getkeysandflags", AtLeast(3), LOADING, "7.0.0",
        "Returns the keys of a command and what is done with them.")
        .local(Local::Command).also(Categories::CONNECTION),
    SERVER.help("command|help", "5.0.0").also(Categories::CONNECTION),
    SERVER.keyless("command|info", AtLeast(2), LOADING, "2.8.13", "Describes commands.")
        .local(Local::Command).tips(ANY_ORDER).also(Categories::CONNECTION),
    SERVER.keyless("command|list", AtLeast(2), LOADING, "7.0.0", "Lists the commands' names.")
        .local(Local::Command).tips(ANY_ORDER).also(Categories::CONNECTION),
];
