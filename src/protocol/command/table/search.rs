//! The search module, which Redis 8 includes: an index is of one server's keys only.
//!
//! No more arguments are asked for here than to find the keys: the server knows the rest.

use super::Arity::AtLeast;
use super::Command;
use super::DELETES;
use super::Group;
use super::Keys;
use super::MODULE;
use super::MODULE_DENYOOM;
use super::PEEKS;
use super::READS;
use super::REDIS_8;
use super::Refusal;
use super::Rows;
use super::UPDATES;

const SEARCH: Rows = Rows(Group::Module);

/// Laid out by hand: a row takes as few lines as it can.
#[rustfmt::skip]
pub(super) static ROWS: &[Command] = &[
    SEARCH.keyless("ft._list", AtLeast(1), MODULE, REDIS_8,
        "Lists the indexes.").refuse(Refusal::EveryServer),
    SEARCH.keyless("ft.aggregate", AtLeast(1), MODULE, REDIS_8,
        "Searches and computes.").refuse(Refusal::EveryServer),
    SEARCH.keyless("ft.aliasadd", AtLeast(1), MODULE, REDIS_8,
        "Gives an index another name.").refuse(Refusal::EveryServer),
    SEARCH.keyless("ft.aliasdel", AtLeast(1), MODULE, REDIS_8,
        "Deletes an index's other name.").refuse(Refusal::EveryServer),
    SEARCH.keyless("ft.aliaslist", AtLeast(1), MODULE, "8.10.0",
        "Lists the aliases of indexes.").refuse(Refusal::EveryServer),
    SEARCH.keyless("ft.aliasupdate", AtLeast(1), MODULE, REDIS_8,
        "Gives another index's other name to an index.").refuse(Refusal::EveryServer),
    SEARCH.keyless("ft.alter", AtLeast(1), MODULE, REDIS_8,
        "Adds a field to an index.").refuse(Refusal::EveryServer),
    SEARCH.keyless("ft.config", AtLeast(1), MODULE, REDIS_8,
        "Returns or changes settings.").refuse(Refusal::EveryServer),
    SEARCH.keyless("ft.create", AtLeast(1), MODULE, REDIS_8,
        "Creates an index.").refuse(Refusal::EveryServer),
    SEARCH.keyless("ft.cursor", AtLeast(1), MODULE, REDIS_8,
        "Returns more of a search.").refuse(Refusal::EveryServer),
    SEARCH.keyless("ft.dictadd", AtLeast(1), MODULE, REDIS_8,
        "Adds words to a dictionary.").refuse(Refusal::EveryServer),
    SEARCH.keyless("ft.dictdel", AtLeast(1), MODULE, REDIS_8,
        "Deletes words from a dictionary.").refuse(Refusal::EveryServer),
    SEARCH.keyless("ft.dictdump", AtLeast(1), MODULE, REDIS_8,
        "Returns a dictionary.").refuse(Refusal::EveryServer),
    SEARCH.keyless("ft.dropindex", AtLeast(1), MODULE, REDIS_8,
        "Deletes an index.").refuse(Refusal::EveryServer),
    SEARCH.keyless("ft.explain", AtLeast(1), MODULE, REDIS_8,
        "Explains a search.").refuse(Refusal::EveryServer),
    SEARCH.keyless("ft.explaincli", AtLeast(1), MODULE, REDIS_8,
        "Explains a search to people.").refuse(Refusal::EveryServer),
    SEARCH.keyless("ft.hybrid", AtLeast(1), MODULE, REDIS_8,
        "Searches by words and vectors.").refuse(Refusal::EveryServer),
    SEARCH.keyless("ft.info", AtLeast(1), MODULE, REDIS_8,
        "Describes an index.").refuse(Refusal::EveryServer),
    SEARCH.keyless("ft.profile", AtLeast(1), MODULE, REDIS_8,
        "Searches and says how long what took.").refuse(Refusal::EveryServer),
    SEARCH.keyless("ft.search", AtLeast(1), MODULE, REDIS_8,
        "Searches.").refuse(Refusal::EveryServer),
    SEARCH.keyless("ft.spellcheck", AtLeast(1), MODULE, REDIS_8,
        "Suggests other spellings.").refuse(Refusal::EveryServer),
    SEARCH.write("ft.sugadd", AtLeast(2), Keys::one(UPDATES), MODULE_DENYOOM, REDIS_8,
        "Adds a suggestion."),
    SEARCH.write("ft.sugdel", AtLeast(2), Keys::one(DELETES), MODULE, REDIS_8,
        "Deletes a suggestion."),
    SEARCH.read("ft.sugget", AtLeast(2), Keys::one(READS), MODULE, REDIS_8, "Returns suggestions."),
    SEARCH.read("ft.suglen", AtLeast(2), Keys::one(PEEKS), MODULE, REDIS_8,
        "Counts the suggestions."),
    SEARCH.keyless("ft.syndump", AtLeast(1), MODULE, REDIS_8,
        "Returns the synonyms.").refuse(Refusal::EveryServer),
    SEARCH.keyless("ft.synupdate", AtLeast(1), MODULE, REDIS_8,
        "Adds synonyms.").refuse(Refusal::EveryServer),
    SEARCH.keyless("ft.tagvals", AtLeast(1), MODULE, REDIS_8,
        "Lists a field's tags.").refuse(Refusal::EveryServer),
];
