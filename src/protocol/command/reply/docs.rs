//! `COMMAND DOCS`: what `redis-cli` makes its help from.

use super::Writer;
use super::named_rows;
use crate::protocol::command::Args;
use crate::protocol::command::Command;
use crate::protocol::command::command_count;
use crate::protocol::command::commands;

/// The documentation of the rows named in the request, of those that are in the table; of all
/// without a name.
pub(super) fn write<A: Args + ?Sized>(args: &A, writer: &mut Writer<'_>) {
    if args.len() == 2 {
        writer.map(command_count());
        commands().for_each(|command| write_row(command, writer));
    } else {
        writer.map(named_rows(args).flatten().count());
        named_rows(args)
            .flatten()
            .for_each(|command| write_row(command, writer));
    }
}

fn write_row(command: &Command, writer: &mut Writer<'_>) {
    let deprecated = command.about.deprecated_since;
    let subcommands = command.subcommands;
    writer.bulk(command.name);
    let optional = 2 * usize::from(deprecated.is_some()) + usize::from(!subcommands.is_empty());
    writer.map(3 + optional);
    for (name, value) in [
        ("summary", command.about.summary),
        ("since", command.about.since),
        ("group", command.about.group.name()),
    ] {
        writer.bulk(name);
        writer.bulk(value);
    }
    if let Some(since) = deprecated {
        writer.bulk("doc_flags");
        writer.set(1);
        writer.status("deprecated");
        writer.bulk("deprecated_since");
        writer.bulk(since);
    }
    if !subcommands.is_empty() {
        writer.bulk("subcommands");
        writer.map(subcommands.len());
        subcommands.iter().for_each(|row| write_row(row, writer));
    }
}
