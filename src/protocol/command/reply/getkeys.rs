//! `COMMAND GETKEYS` and `COMMAND GETKEYSANDFLAGS`: the table at work on a request inside a request.

use super::Writer;
use crate::protocol::command::Args;
use crate::protocol::command::Command;
use crate::protocol::command::KeySearch;
use crate::protocol::command::KeySpec;
use crate::protocol::command::KeyUse;
use crate::protocol::command::args::Tail;
use crate::protocol::command::flags::Flags;
use crate::protocol::command::lookup;

/// What is told of each key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tell {
    Keys,
    /// The key, and what the command does with it.
    Uses,
}

pub(super) fn write<A: Args + ?Sized>(args: &A, tell: Tell, writer: &mut Writer<'_>) {
    let inner = Tail::new(args, 2);
    let Some(command) = find(&inner) else {
        return writer.error("ERR Invalid command specified");
    };
    if command
        .keys
        .specs()
        .all(|spec| spec.uses.has(KeyUse::NOT_KEY))
    {
        return writer.error("ERR The command has no key arguments");
    }
    if !command.arity.allows(inner.len()) {
        return writer.error("ERR Invalid number of arguments specified for command");
    }
    let keys = command.keys(&inner).ok();
    let keys = keys.filter(|_| command.keys.specs().all(|spec| has_keys(spec, inner.len())));
    let Some(keys) = keys else {
        if command.flags.has(Flags::NO_MANDATORY_KEYS) {
            return writer.array(0);
        }
        return writer.error("ERR Invalid arguments specified for command");
    };
    writer.array(keys.len());
    for (nth, index) in keys.iter().enumerate() {
        if tell == Tell::Uses {
            writer.array(2);
        }
        writer.bulk(inner.arg(index));
        if tell == Tell::Uses {
            let uses = command.keys.uses_of(nth);
            writer.set(uses.len());
            uses.names().for_each(|name| writer.status(name));
        }
    }
}

/// Whether a specification finds a key among so many arguments. Redis gives no keys if one finds none,
/// also where the command does without: `PFMERGE` with its destination alone.
fn has_keys(spec: KeySpec, len: usize) -> bool {
    match spec.search {
        KeySearch::Range { first, last, .. } if last < 0 => {
            usize::from(first) + usize::from(last.unsigned_abs()) <= len
        }
        _ => true,
    }
}

/// The row of the request inside, whatever the number of its arguments.
fn find<A: Args + ?Sized>(args: &Tail<'_, A>) -> Option<&'static Command> {
    if args.is_empty() {
        return None;
    }
    let command = lookup(args.arg(0))?;
    if command.subcommands.is_empty() || args.len() == 1 {
        return Some(command);
    }
    command.subcommand(args.arg(1))
}
