//! Scripts and functions.

use super::ALL_NODES_OK;
use super::ALL_SHARDS_OK;
use super::ALL_SHARDS_ONE;
use super::ALL_SHARDS_SPECIAL;
use super::ANY_ORDER;
use super::Arity::AtLeast;
use super::Arity::Exactly;
use super::Command;
use super::DENYOOM;
use super::Flags;
use super::Gather;
use super::Group;
use super::Keys;
use super::MODIFIES;
use super::NOSCRIPT;
use super::Numkeys;
use super::READS;
use super::Refusal;
use super::Rows;
use super::SCRIPT;
use super::STALE;

const SCRIPTING: Rows = Rows(Group::Scripting);

/// Laid out by hand: a row takes as few lines as it can.
#[rustfmt::skip]
pub(super) static ROWS: &[Command] = &[
    SCRIPTING.keyless("eval", AtLeast(3), SCRIPT, "2.6.0", "Runs a script.")
        .with_keys(Keys::counted(2, 1, Numkeys::Script, MODIFIES)),
    SCRIPTING.read("eval_ro", AtLeast(3), Keys::counted(2, 1, Numkeys::Script, READS),
        SCRIPT, "7.0.0", "Runs a script that only reads."),
    SCRIPTING.keyless("evalsha", AtLeast(3), SCRIPT, "2.6.0", "Runs a loaded script.")
        .with_keys(Keys::counted(2, 1, Numkeys::Script, MODIFIES)),
    SCRIPTING.read("evalsha_ro", AtLeast(3), Keys::counted(2, 1, Numkeys::Script, READS),
        SCRIPT, "7.0.0", "Runs a loaded script that only reads."),
    SCRIPTING.keyless("fcall", AtLeast(3), SCRIPT, "7.0.0", "Calls a function.")
        .with_keys(Keys::counted(2, 1, Numkeys::Script, MODIFIES)),
    SCRIPTING.read("fcall_ro", AtLeast(3), Keys::counted(2, 1, Numkeys::Script, READS),
        SCRIPT, "7.0.0", "Calls a function that only reads."),
    SCRIPTING.container("function", "7.0.0", "Commands about functions.", &[
        SCRIPTING.write("function|delete", Exactly(3), Keys::NONE, NOSCRIPT, "7.0.0",
            "Deletes a library.")
            .ask_all(Gather::AllOk).tips(ALL_SHARDS_OK),
        SCRIPTING.keyless("function|dump", Exactly(2), NOSCRIPT, "7.0.0",
            "Serializes all libraries.")
            .ask_all(Gather::First),
        SCRIPTING.write("function|flush", AtLeast(2), Keys::NONE, NOSCRIPT, "7.0.0",
            "Deletes all libraries.")
            .ask_all(Gather::AllOk).tips(ALL_SHARDS_OK),
        SCRIPTING.help("function|help", "7.0.0"),
        SCRIPTING.keyless("function|kill", Exactly(2), NOSCRIPT.and(Flags::ALLOW_BUSY), "7.0.0",
            "Stops the function that is running.")
            .ask_all(Gather::OneOk).tips(ALL_SHARDS_ONE),
        SCRIPTING.keyless("function|list", AtLeast(2), NOSCRIPT, "7.0.0", "Lists the libraries.")
            .ask_all(Gather::First).tips(ANY_ORDER),
        SCRIPTING.write("function|load", AtLeast(3), Keys::NONE, DENYOOM.and(NOSCRIPT), "7.0.0",
            "Loads a library.")
            .ask_all(Gather::First).tips(ALL_SHARDS_OK),
        SCRIPTING.write("function|restore", AtLeast(3), Keys::NONE, DENYOOM.and(NOSCRIPT), "7.0.0",
            "Loads what FUNCTION DUMP returned.")
            .ask_all(Gather::AllOk).tips(ALL_SHARDS_OK),
        SCRIPTING.keyless("function|stats", Exactly(2), NOSCRIPT.and(Flags::ALLOW_BUSY), "7.0.0",
            "Describes the function that is running.")
            .ask_all(Gather::Longest).tips(ALL_SHARDS_SPECIAL),
    ]),
    SCRIPTING.container("script", "2.6.0", "Commands about scripts.", &[
        SCRIPTING.keyless("script|debug", Exactly(3), NOSCRIPT, "3.2.0",
            "Turns the debugger of scripts on or off.")
            .refuse(Refusal::Debugger),
        SCRIPTING.keyless("script|exists", AtLeast(3), NOSCRIPT, "2.6.0",
            "Says which scripts are loaded.")
            .ask_all(Gather::Every)
            .tips(&["request_policy:all_shards", "response_policy:agg_logical_and"]),
        SCRIPTING.keyless("script|flush", AtLeast(2), NOSCRIPT, "2.6.0", "Forgets all scripts.")
            .ask_all(Gather::AllOk).tips(ALL_NODES_OK),
        SCRIPTING.help("script|help", "5.0.0"),
        SCRIPTING.keyless("script|kill", Exactly(2), NOSCRIPT.and(Flags::ALLOW_BUSY), "2.6.0",
            "Stops the script that is running.")
            .ask_all(Gather::OneOk).tips(ALL_SHARDS_ONE),
        SCRIPTING.keyless("script|load", Exactly(3), NOSCRIPT.and(STALE), "2.6.0",
            "Loads a script.")
            .ask_all(Gather::First).tips(ALL_NODES_OK),
        SCRIPTING.keyless("script|show", Exactly(3), NOSCRIPT, "8.0.0",
            "Returns a loaded script (Valkey).")
            .ask_all(Gather::First),
    ]),
];
