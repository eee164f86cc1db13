//! What operators do to a server: refused here.

use super::ADMIN;
use super::ADMIN_SESSION;
use super::ALL_NODES_OK;
use super::ALL_NODES_SPECIAL;
use super::ANY_ORDER;
use super::Arity::AtLeast;
use super::Arity::Exactly;
use super::Categories;
use super::Command;
use super::DENYOOM;
use super::FAST;
use super::Flags;
use super::Gather;
use super::Group;
use super::Keys;
use super::LOADING;
use super::LOADING_FAST;
use super::Local;
use super::NO_ASYNC_LOADING;
use super::NOSCRIPT;
use super::OVERWRITES;
use super::Refusal;
use super::Rows;
use super::SESSION;
use super::STALE;
use super::VARIES;

const SERVER: Rows = Rows(Group::Server);

/// Laid out by hand: a row takes as few lines as it can.
#[rustfmt::skip]
pub(super) static ROWS: &[Command] = &[
    SERVER.container("acl", "6.0.0", "Commands about users and what they may do.", &[
        SERVER.keyless("acl|cat", AtLeast(2), SESSION, "6.0.0",
            "Lists the categories, or the commands of one.")
            .refuse(Refusal::Administration),
        SERVER.keyless("acl|deluser", AtLeast(3), ADMIN_SESSION, "6.0.0", "Deletes users.")
            .refuse(Refusal::Administration),
        SERVER.keyless("acl|dryrun", AtLeast(4), ADMIN_SESSION, "7.0.0",
            "Says whether a user may run a command.")
            .refuse(Refusal::Administration),
        SERVER.keyless("acl|genpass", AtLeast(2), SESSION, "6.0.0", "Makes up a password.")
            .refuse(Refusal::Administration),
        SERVER.keyless("acl|getuser", Exactly(3), ADMIN_SESSION, "6.0.0",
            "Returns a user's rules.")
            .refuse(Refusal::Administration),
        SERVER.help("acl|help", "6.0.0"),
        SERVER.keyless("acl|list", Exactly(2), ADMIN_SESSION, "6.0.0",
            "Lists the users with their rules.")
            .refuse(Refusal::Administration),
        SERVER.keyless("acl|load", Exactly(2), ADMIN_SESSION, "6.0.0",
            "Reads the file of users again.")
            .refuse(Refusal::Administration),
        SERVER.keyless("acl|log", AtLeast(2), ADMIN_SESSION, "6.0.0",
            "Lists what was denied of late.")
            .refuse(Refusal::Administration),
        SERVER.keyless("acl|save", Exactly(2), ADMIN_SESSION, "6.0.0", "Writes the file of users.")
            .refuse(Refusal::Administration),
        SERVER.keyless("acl|setuser", AtLeast(3), ADMIN_SESSION, "6.0.0",
            "Creates or changes a user.")
            .refuse(Refusal::Administration),
        SERVER.keyless("acl|users", Exactly(2), ADMIN_SESSION, "6.0.0", "Lists the users.")
            .refuse(Refusal::Administration),
        SERVER.keyless("acl|whoami", Exactly(2), SESSION, "6.0.0",
            "Returns the connection's user.")
            .refuse(Refusal::Administration),
    ]),
    SERVER.keyless("backup", AtLeast(2), ADMIN, "8.10.0", "Saves and restores the keys.")
        .refuse(Refusal::Administration),
    SERVER.keyless("bgrewriteaof", Exactly(1), ADMIN.and(NOSCRIPT).and(NO_ASYNC_LOADING), "1.0.0",
        "Rewrites the append-only file in the background.")
        .ask_all(Gather::First).on_leave(),
    SERVER.keyless("bgsave", AtLeast(1), ADMIN.and(NOSCRIPT).and(NO_ASYNC_LOADING), "1.0.0",
        "Saves the keys in the background.")
        .ask_all(Gather::First).on_leave(),
    SERVER.container("commandlog", "8.1.0", "Commands about slow and large requests (Valkey).", &[
        SERVER.keyless("commandlog|get", AtLeast(4), ADMIN.and(LOADING), "8.1.0",
            "Lists the slow or large requests.")
            .refuse(Refusal::EachItsOwn),
        SERVER.help("commandlog|help", "8.1.0"),
        SERVER.keyless("commandlog|len", Exactly(3), ADMIN.and(LOADING), "8.1.0",
            "Counts the slow or large requests.")
            .refuse(Refusal::EachItsOwn),
        SERVER.keyless("commandlog|reset", Exactly(3), ADMIN.and(LOADING), "8.1.0",
            "Forgets the slow or large requests.")
            .refuse(Refusal::EachItsOwn),
    ]),
    SERVER.keyless("debug", AtLeast(2), ADMIN_SESSION, "1.0.0",
        "Commands for debugging the server.")
        .ask_all(Gather::First).on_leave(),
    SERVER.keyless("failover", AtLeast(1), ADMIN.and(NOSCRIPT).and(STALE), "6.2.0",
        "Makes a replica take over.")
        .refuse(Refusal::Administration),
    SERVER.keyless("hotkeys", AtLeast(2), ADMIN, "8.6.0", "Finds the keys that are used most.")
        .refuse(Refusal::Administration),
    SERVER.keyless("lastsave", Exactly(1), LOADING_FAST, "1.0.0",
        "Returns when the keys were saved last, on the server where that is longest ago.")
        .ask_all(Gather::Min)
        .tips(VARIES)
        .also(Categories::ADMIN.and(Categories::DANGEROUS)),
    SERVER.container("latency", "2.8.13", "Commands about latency.", &[
        SERVER.keyless("latency|doctor", Exactly(2), ADMIN_SESSION, "2.8.13",
            "Explains latency in words.")
            .refuse(Refusal::EachItsOwn).tips(ALL_NODES_SPECIAL),
        SERVER.keyless("latency|graph", Exactly(3), ADMIN_SESSION, "2.8.13",
            "Draws the latency of an event.")
            .refuse(Refusal::EachItsOwn).tips(ALL_NODES_SPECIAL),
        SERVER.help("latency|help", "2.8.13"),
        SERVER.keyless("latency|histogram", AtLeast(2), ADMIN_SESSION, "7.0.0",
            "Returns how the latencies of commands are spread.")
            .refuse(Refusal::EachItsOwn).tips(ALL_NODES_SPECIAL),
        SERVER.keyless("latency|history", Exactly(3), ADMIN_SESSION, "2.8.13",
            "Returns the latencies of an event.")
            .refuse(Refusal::EachItsOwn).tips(ALL_NODES_SPECIAL),
        SERVER.keyless("latency|latest", Exactly(2), ADMIN_SESSION, "2.8.13",
            "Returns the latest latency of all events.")
            .refuse(Refusal::EachItsOwn).tips(ALL_NODES_SPECIAL),
        SERVER.keyless("latency|reset", AtLeast(2), ADMIN_SESSION, "2.8.13", "Forgets latencies.")
            .refuse(Refusal::EachItsOwn).tips(ALL_NODES_OK),
    ]),
    SERVER.container("module", "4.0.0", "Commands about modules.", &[
        SERVER.help("module|help", "5.0.0"),
        SERVER.keyless("module|list", Exactly(2), ADMIN.and(NOSCRIPT), "4.0.0",
            "Lists the modules.")
            .refuse(Refusal::Administration).tips(ANY_ORDER),
        SERVER.keyless("module|load", AtLeast(3),
            ADMIN.and(NOSCRIPT).and(NO_ASYNC_LOADING), "4.0.0", "Loads a module.")
            .refuse(Refusal::Administration),
        SERVER.keyless("module|loadex", AtLeast(3),
            ADMIN.and(NOSCRIPT).and(NO_ASYNC_LOADING), "7.0.0", "Loads a module with parameters.")
            .refuse(Refusal::Administration),
        SERVER.keyless("module|unload", Exactly(3),
            ADMIN.and(NOSCRIPT).and(NO_ASYNC_LOADING), "4.0.0", "Unloads a module.")
            .refuse(Refusal::Administration),
    ]),
    SERVER.keyless("monitor", Exactly(1), ADMIN_SESSION, "1.0.0",
        "Shows all requests as they come.")
        .refuse(Refusal::Administration),
    SERVER.keyless("psync", AtLeast(3),
        ADMIN.and(NOSCRIPT).and(NO_ASYNC_LOADING).and(Flags::NO_MULTI), "2.8.0",
        "Begins replication.")
        .refuse(Refusal::Administration),
    SERVER.keyless("replconf", AtLeast(1), ADMIN_SESSION.and(Flags::ALLOW_BUSY), "3.0.0",
        "Configures replication.")
        .refuse(Refusal::Administration),
    SERVER.keyless("replicaof", Exactly(3),
        ADMIN.and(NOSCRIPT).and(STALE).and(NO_ASYNC_LOADING), "5.0.0",
        "Makes the server a replica, or a master.")
        .ask_all(Gather::AllOk).on_leave(),
    SERVER.write("restore-asking", AtLeast(4), Keys::one(OVERWRITES),
        DENYOOM.and(Flags::ASKING), "3.0.0", "Creates a key in a slot that is being imported.")
        .refuse(Refusal::Administration).also(Categories::DANGEROUS.and(Categories::KEYSPACE)),
    SERVER.keyless("role", Exactly(1), SESSION.and(FAST), "2.8.12",
        "Returns the server's role in replication.")
        .local(Local::Role).also(Categories::ADMIN.and(Categories::DANGEROUS)),
    SERVER.keyless("save", Exactly(1),
        ADMIN.and(NOSCRIPT).and(NO_ASYNC_LOADING).and(Flags::NO_MULTI), "1.0.0", "Saves the keys.")
        .ask_all(Gather::AllOk).on_leave(),
    SERVER.keyless("shutdown", AtLeast(1),
        ADMIN_SESSION.and(Flags::NO_MULTI).and(Flags::ALLOW_BUSY), "1.0.0",
        "Saves the keys and ends the server.")
        .ask_all(Gather::AllOk).on_leave(),
    SERVER.keyless("slaveof", Exactly(3),
        ADMIN.and(NOSCRIPT).and(STALE).and(NO_ASYNC_LOADING), "1.0.0",
        "Makes the server a replica, or a master.")
        .ask_all(Gather::AllOk).on_leave().deprecated("5.0.0"),
    SERVER.container("slowlog", "2.2.12", "Commands about slow requests.", &[
        SERVER.keyless("slowlog|get", AtLeast(2), LOADING.and(ADMIN), "2.2.12",
            "Lists the slow requests.")
            .local(Local::SlowlogGet)
            .tips(&["request_policy:all_nodes", "nondeterministic_output"]),
        SERVER.help("slowlog|help", "6.2.0"),
        SERVER.keyless("slowlog|len", Exactly(2), LOADING.and(ADMIN), "2.2.12",
            "Counts the slow requests.")
            .local(Local::SlowlogLen)
            .tips(&[
                "request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output",
            ]),
        SERVER.keyless("slowlog|reset", Exactly(2), LOADING.and(ADMIN), "2.2.12",
            "Forgets the slow requests.")
            .local(Local::SlowlogReset).tips(ALL_NODES_OK),
    ]),
    SERVER.keyless("sync", Exactly(1),
        ADMIN.and(NOSCRIPT).and(NO_ASYNC_LOADING).and(Flags::NO_MULTI), "1.0.0",
        "Begins replication.")
        .refuse(Refusal::Administration),
];
