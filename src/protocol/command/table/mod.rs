//! The rows, a file a group, and the words they are written in.
//!
//! A row says where the keys are and what is done with them ([`READS`], [`UPDATES`], …), so that
//! `COMMAND` can say it too. What a row does not say: it is forwarded by its keys.

use super::Command;
use super::about::About;
use super::flags::Categories;
use super::flags::Flags;
use super::flags::Group;
use super::flags::KeyUse;
use super::flags::Traits;
use super::handling::Access;
use super::handling::Arity;
use super::handling::ErrorsBy;
use super::handling::Gather;
use super::handling::Handling;
use super::handling::Local;
use super::handling::Refusal;
use super::keys::Keys;
use super::keys::Numkeys;
use super::wait::TimeoutAt;
use crate::protocol::TopicKind;

mod administration;
mod arrays;
mod bitmaps;
mod cluster;
mod connection;
mod geo;
mod hashes;
mod hyperloglogs;
mod json;
mod keys;
mod lists;
mod probabilistic;
mod pubsub;
mod scripting;
mod search;
mod server;
mod sets;
mod sorted_sets;
mod streams;
mod strings;
mod time_series;
mod transactions;
mod vector_sets;

/// Every top-level row, group by group.
pub(super) static GROUPS: &[&[Command]] = &[
    administration::ROWS,
    arrays::ROWS,
    bitmaps::ROWS,
    cluster::ROWS,
    connection::ROWS,
    geo::ROWS,
    hashes::ROWS,
    hyperloglogs::ROWS,
    json::ROWS,
    keys::ROWS,
    lists::ROWS,
    probabilistic::ROWS,
    pubsub::ROWS,
    scripting::ROWS,
    search::ROWS,
    server::ROWS,
    sets::ROWS,
    sorted_sets::ROWS,
    streams::ROWS,
    strings::ROWS,
    time_series::ROWS,
    transactions::ROWS,
    vector_sets::ROWS,
];

// What is done with keys.
const PEEKS: KeyUse = KeyUse::RO;
const READS: KeyUse = KeyUse::RO.and(KeyUse::ACCESS);
const UPDATES: KeyUse = KeyUse::RW.and(KeyUse::UPDATE);
const MODIFIES: KeyUse = UPDATES.and(KeyUse::ACCESS);
const INSERTS: KeyUse = KeyUse::RW.and(KeyUse::INSERT);
const DELETES: KeyUse = KeyUse::RW.and(KeyUse::DELETE);
const TAKES: KeyUse = DELETES.and(KeyUse::ACCESS);
const OVERWRITES: KeyUse = KeyUse::OW.and(KeyUse::UPDATE);
const CREATES: KeyUse = KeyUse::OW.and(KeyUse::INSERT);
const REMOVES: KeyUse = KeyUse::RM.and(KeyUse::DELETE);
const CHANNEL: KeyUse = KeyUse::NOT_KEY;

// Flags that go together.
const PLAIN: Flags = Flags::NONE;
const FAST: Flags = Flags::FAST;
const DENYOOM: Flags = Flags::DENYOOM;
const DENYOOM_FAST: Flags = DENYOOM.and(FAST);
const NOSCRIPT: Flags = Flags::NOSCRIPT;
const STALE: Flags = Flags::STALE;
const LOADING: Flags = Flags::LOADING.and(STALE);
const LOADING_FAST: Flags = LOADING.and(FAST);
const SESSION: Flags = NOSCRIPT.and(LOADING);
const SESSION_BUSY: Flags = SESSION.and(FAST).and(Flags::ALLOW_BUSY);
const ADMIN: Flags = Flags::ADMIN;
const ADMIN_SESSION: Flags = ADMIN.and(SESSION);
const NO_ASYNC_LOADING: Flags = Flags::NO_ASYNC_LOADING;
const BLOCKING: Flags = Flags::BLOCKING;
const MODULE: Flags = Flags::MODULE;
const MODULE_DENYOOM: Flags = MODULE.and(DENYOOM);
const SCRIPT: Flags = NOSCRIPT
    .and(STALE)
    .and(Flags::SKIP_MONITOR)
    .and(Flags::NO_MANDATORY_KEYS);

// Tips that go together.
const VARIES: &[&str] = &["nondeterministic_output"];
const ANY_ORDER: &[&str] = &["nondeterministic_output_order"];
const ALL_NODES_OK: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];
const ALL_NODES_SPECIAL: &[&str] = &[
    "nondeterministic_output",
    "request_policy:all_nodes",
    "response_policy:special",
];
const ALL_SHARDS_OK: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];
const ALL_SHARDS_ONE: &[&str] = &["request_policy:all_shards", "response_policy:one_succeeded"];
const ALL_SHARDS_SPECIAL: &[&str] = &[
    "nondeterministic_output",
    "request_policy:all_shards",
    "response_policy:special",
];
const MULTI_SHARD_SUM: &[&str] = &["request_policy:multi_shard", "response_policy:agg_sum"];

/// The version that a module's command is said to be of: Redis 8 includes the modules.
const REDIS_8: &str = "8.0.0";

/// Writes the rows of one group.
#[derive(Clone, Copy)]
struct Rows(Group);

impl Rows {
    const fn read(
        self,
        name: &'static str,
        arity: Arity,
        keys: Keys,
        flags: Flags,
        since: &'static str,
        summary: &'static str,
    ) -> Command {
        Command {
            access: Access::Read,
            keys,
            ..self.keyless(name, arity, flags, since, summary)
        }
    }

    const fn write(
        self,
        name: &'static str,
        arity: Arity,
        keys: Keys,
        flags: Flags,
        since: &'static str,
        summary: &'static str,
    ) -> Command {
        Command {
            access: Access::Write,
            keys,
            ..self.keyless(name, arity, flags, since, summary)
        }
    }

    /// A row whose access Redis does not state and that has no keys, unless it is given some.
    const fn keyless(
        self,
        name: &'static str,
        arity: Arity,
        flags: Flags,
        since: &'static str,
        summary: &'static str,
    ) -> Command {
        Command {
            name,
            arity,
            keys: Keys::NONE,
            access: Access::Unstated,
            errors: match self.0 {
                Group::Scripting => ErrorsBy::Anybody,
                _ => ErrorsBy::Server,
            },
            handling: Handling::Forward,
            flags,
            traits: Traits::NONE,
            subcommands: &[],
            about: About::new(self.0, since, summary),
        }
    }

    /// A command whose first argument says which command it is.
    const fn container(
        self,
        name: &'static str,
        since: &'static str,
        summary: &'static str,
        subcommands: &'static [Command],
    ) -> Command {
        Command {
            handling: Handling::Local(Local::Help),
            subcommands,
            ..self.keyless(name, Arity::AtLeast(2), PLAIN, since, summary)
        }
    }

    /// A container's `HELP`.
    const fn help(self, name: &'static str, since: &'static str) -> Command {
        self.keyless(
            name,
            Arity::Exactly(2),
            LOADING,
            since,
            "Lists the subcommands.",
        )
        .local(Local::Help)
    }
}

impl Command {
    /// A row of the tests' protocol.
    #[cfg(any(test, debug_assertions))]
    pub(in crate::protocol) const fn of_lines(
        name: &'static str,
        access: Access,
        first_key: u8,
        split: Option<Gather>,
    ) -> Command {
        let row = Rows(Group::Generic);
        let row = row.keyless(name, Arity::Exactly(first_key + 1), PLAIN, "", "");
        let row = match split {
            None => row.with_keys(Keys::one_at(first_key, UPDATES)),
            Some(gather) => Command {
                arity: Arity::AtLeast(first_key + 1),
                ..row
                    .with_keys(Keys::range(first_key, -1, 1, READS))
                    .split(gather)
            },
        };
        Command { access, ..row }
    }

    /// A row of memcached's protocol: where its first key is and, as in [`Keys::range`], its last.
    /// How many words there must be is said where they are read.
    pub(in crate::protocol) const fn of_words(
        name: &'static str,
        access: Access,
        keys: Option<(u8, i8)>,
        handling: Handling,
        summary: &'static str,
    ) -> Command {
        let row = Rows(Group::Generic).keyless(name, Arity::AtLeast(1), PLAIN, "", summary);
        let keys = match keys {
            None => Keys::NONE,
            Some((first, last)) => Keys::range(first, last, 1, READS),
        };
        Command {
            access,
            handling,
            ..row.with_keys(keys)
        }
    }

    const fn with_keys(mut self, keys: Keys) -> Command {
        self.keys = keys;
        self
    }

    const fn with_subcommands(mut self, subcommands: &'static [Command]) -> Command {
        self.subcommands = subcommands;
        self
    }

    const fn split(mut self, gather: Gather) -> Command {
        self.handling = Handling::Split(gather);
        self
    }

    const fn local(mut self, local: Local) -> Command {
        self.handling = Handling::Local(local);
        self
    }

    const fn refuse(mut self, refusal: Refusal) -> Command {
        self.handling = Handling::Refuse(refusal);
        self
    }

    const fn ask_all(mut self, gather: Gather) -> Command {
        self.handling = Handling::AskAll(gather);
        self
    }

    /// Its cursor is good only on the server that gave it.
    const fn walk(mut self) -> Command {
        self.handling = Handling::Walk;
        self.master_only()
    }

    const fn watches(mut self) -> Command {
        self.handling = Handling::Watch;
        self
    }

    const fn subscribes(mut self, kind: TopicKind) -> Command {
        self.handling = Handling::Subscribe(kind);
        self
    }

    const fn unsubscribes(mut self, kind: TopicKind) -> Command {
        self.handling = Handling::Unsubscribe(kind);
        self
    }

    /// Its first argument is a channel.
    const fn publishes(mut self) -> Command {
        self.handling = Handling::Publish;
        self
    }

    /// It waits on its server, for as long as the request says there.
    const fn waits(mut self, timeout: TimeoutAt) -> Command {
        self.handling = Handling::Wait(timeout);
        self
    }

    /// Refused unless the pool's configuration allows it.
    pub(in crate::protocol) const fn on_leave(mut self) -> Command {
        self.traits = self.traits.and(Traits::NEEDS_LEAVE);
        self
    }

    const fn anywhere(mut self) -> Command {
        self.handling = Handling::ForwardAnywhere;
        self
    }

    /// A read that no replica may answer: its reply is good only on the server that gave it (a
    /// cursor, and what a server knows of its own memory, its consumers and its file's version), or
    /// it changes what the master knows (when a key was used last).
    const fn master_only(mut self) -> Command {
        self.traits = self.traits.and(Traits::MASTER_ONLY);
        self
    }

    const fn tips(mut self, tips: &'static [&'static str]) -> Command {
        self.about.tips = tips;
        self
    }

    const fn deprecated(mut self, since: &'static str) -> Command {
        self.about.deprecated_since = Some(since);
        self
    }

    const fn also(mut self, categories: Categories) -> Command {
        self.about.more_categories = categories;
        self
    }

    const fn not_in(mut self, categories: Categories) -> Command {
        self.about.not_categories = categories;
        self
    }
}
