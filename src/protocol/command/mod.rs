//! The command table: one row a command, from which parser, router, `COMMAND`, the documentation
//! and the tests work.
//!
//! Owns: what is known of each command (name, arity, where its keys are, what the proxy does with
//! it), finding a row and a request's keys, and the replies that say what is in the table.
//! Never: cuts frames, knows a server, keeps state.
//!
//! A request's way through here:
//!
//! ```text
//! args ─► resolve ─► &Command ─► handling(args) ─► Forward, Split, Wait ─► keys(args) ─► router
//!            │                        ├──► Local ─► answered by the proxy
//!            ▼                        ▼
//!       CommandError           Refuse(why): CommandError::Refused
//! ```
//!
//! The table has every command of Redis 7.0 (`tests/command_table/` compares it with the real
//! server's `COMMAND`) and the later ones of Redis and Valkey whose keys are in a plain place.

mod about;
mod args;
mod errors;
mod flags;
mod handling;
mod keys;
mod lookup;
mod reply;
mod script;
mod sections;
mod table;
mod wait;

#[cfg(test)]
mod tests;

pub use about::About;
pub use args::Args;
pub use errors::CommandError;
pub use flags::Categories;
pub use flags::Flags;
pub use flags::Group;
pub use flags::KeyUse;
pub use flags::Traits;
pub use handling::Access;
pub use handling::Arity;
pub use handling::ErrorsBy;
pub use handling::Gather;
pub use handling::Handling;
pub use handling::Local;
pub use handling::Refusal;
pub use keys::KeyError;
pub use keys::KeyIndexes;
pub use keys::KeySearch;
pub use keys::KeySpec;
pub use keys::Keys;
pub use lookup::command_count;
pub use lookup::commands;
pub use lookup::lookup;
pub use lookup::lookup_full;
pub use reply::command_reply;
pub use reply::glob_matches;
pub use reply::help_reply;
pub use reply::key_glob_matches;
pub use reply::names_section;
pub use script::ScriptWord;
pub use script::script_called;
pub use script::script_word;
pub use script::words_with_source;
pub use sections::Section;
pub use sections::alike;
pub use sections::join_sections;
pub use sections::parse_sections;
pub use sections::write_sections;
pub use wait::TimeoutAt;
pub use wait::Wait;

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Command {
    /// In lower case; a subcommand has its container's name and a bar before it:
    /// `object|encoding`.
    pub name: &'static str,
    /// How many arguments.
    pub arity: Arity,
    /// Where its keys are.
    pub keys: Keys,
    /// What it does to them.
    pub access: Access,
    /// Whose words its errors are.
    pub errors: ErrorsBy,
    handling: Handling,
    /// Redis's flags, but for those that follow from `access` and `keys`.
    pub flags: Flags,
    /// What Redis has no flag for.
    pub traits: Traits,
    /// Rows of a container (`OBJECT`, `CLIENT`); empty in every other.
    pub subcommands: &'static [Command],
    /// What is told of it, and nothing depends on.
    pub about: About,
}

/// Whether a client may give itself this name, or its library this one (redis: src/networking.c,
/// validateClientAttr): it would break the line of `CLIENT INFO` otherwise.
#[must_use]
pub fn is_client_name(name: &[u8]) -> bool {
    name.iter().all(u8::is_ascii_graphic)
}

/// Finds the row of a request, its subcommand's if it has one, and checks the number of arguments.
///
/// # Errors
///
/// The command or subcommand is unknown, or its arguments are too few or too many.
#[inline]
pub fn resolve<A: Args + ?Sized>(args: &A) -> Result<&'static Command, CommandError> {
    if args.is_empty() {
        return Err(CommandError::Unknown);
    }
    let mut command = lookup(args.arg(0)).ok_or(CommandError::Unknown)?;
    if !command.subcommands.is_empty() && args.len() > 1 {
        command = command
            .subcommand(args.arg(1))
            .ok_or(CommandError::UnknownSubcommand(command))?;
    }
    if command.arity.allows(args.len()) {
        Ok(command)
    } else {
        Err(CommandError::WrongArity(command))
    }
}

/// Finds the row of a request that begins with these arguments, its subcommand's if it has one.
#[must_use]
pub fn of_leading(args: &[&[u8]]) -> Option<&'static Command> {
    let command = lookup(args.first()?)?;
    let own = args.get(1).and_then(|name| command.subcommand(name));
    Some(own.unwrap_or(command))
}

impl Command {
    /// What the proxy does with this request.
    ///
    /// It depends on the arguments only in `XREAD` and `XREADGROUP`, which may ask to wait.
    #[inline]
    #[must_use]
    pub fn handling<A: Args + ?Sized>(&self, args: &A) -> Handling {
        if self.handling == Handling::Forward
            && self.flags.has(Flags::BLOCKING)
            && keys::block_option(args).is_some()
        {
            return Handling::Wait(TimeoutAt::Block);
        }
        self.handling
    }

    /// The key of a request that is forwarded whatever its arguments are, and whose only key stands
    /// behind the name; `None` for any other command. Whether there are enough arguments is
    /// [`resolve`]'s to say.
    #[inline]
    #[must_use]
    pub fn only_key<'a, A: Args + ?Sized>(&self, args: &'a A) -> Option<&'a [u8]> {
        let is_plain = self.handling == Handling::Forward
            && !self.flags.has(Flags::BLOCKING)
            && self.keys.is_one_behind_name()
            && args.len() > 1;
        is_plain.then(|| args.arg(1))
    }

    /// Whether it is this one of those that the proxy answers itself.
    #[must_use]
    pub fn is_local(&self, local: Local) -> bool {
        self.handling == Handling::Local(local)
    }

    /// The indexes of a request's keys; none for a command without keys.
    ///
    /// # Errors
    ///
    /// The request is one that Redis refuses, in Redis's words.
    #[inline]
    pub fn keys<A: Args + ?Sized>(&self, args: &A) -> Result<KeyIndexes, KeyError> {
        self.keys.find(self.name, args)
    }

    /// The index of a request's first key.
    ///
    /// # Errors
    ///
    /// As [`keys`](Command::keys).
    #[inline]
    pub fn first_key<A: Args + ?Sized>(&self, args: &A) -> Result<Option<usize>, KeyError> {
        Ok(self.keys(args)?.first())
    }

    /// Whether it may be sent once more when nobody knows if the first one was executed.
    #[must_use]
    pub const fn safe_to_retry(&self) -> bool {
        matches!(self.access, Access::Read)
    }

    /// Whether a replica may answer it, where replicas are read.
    #[inline]
    #[must_use]
    pub const fn may_ask_replica(&self) -> bool {
        matches!(self.access, Access::Read) && !self.traits.has(Traits::MASTER_ONLY)
    }

    /// The row of a subcommand, its name (without the container's) in any case.
    #[must_use]
    pub fn subcommand(&self, name: &[u8]) -> Option<&'static Command> {
        self.subcommands
            .iter()
            .find(|row| row.own_name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// The name without the container's: `encoding` of `object|encoding`.
    #[must_use]
    pub fn own_name(&self) -> &'static str {
        match self.name.split_once('|') {
            Some((_, own)) => own,
            None => self.name,
        }
    }

    /// The ACL categories, as Redis derives them from group, access and flags.
    #[must_use]
    pub fn categories(&self) -> Categories {
        let mut all = Categories::NONE;
        if self.subcommands.is_empty() {
            all = all.and(self.about.group.category());
        }
        match self.access {
            Access::Read if self.about.group != Group::Scripting => all = all.and(Categories::READ),
            Access::Write => all = all.and(Categories::WRITE),
            Access::Read | Access::Unstated => {}
        }
        for (flag, category) in [
            (Flags::ADMIN, Categories::ADMIN.and(Categories::DANGEROUS)),
            (Flags::PUBSUB, Categories::PUBSUB),
            (Flags::BLOCKING, Categories::BLOCKING),
            (Flags::FAST, Categories::FAST),
        ] {
            if self.flags.has(flag) {
                all = all.and(category);
            }
        }
        if !self.flags.has(Flags::FAST) {
            all = all.and(Categories::SLOW);
        }
        all.and(self.about.more_categories)
            .without(self.about.not_categories)
    }
}
