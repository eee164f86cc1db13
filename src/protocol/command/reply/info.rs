//! `COMMAND` and `COMMAND INFO`: the ten elements of Redis 7.0 for each row.

use super::Writer;
use super::named_rows;
use crate::protocol::command::Access;
use crate::protocol::command::Args;
use crate::protocol::command::Command;
use crate::protocol::command::KeySearch;
use crate::protocol::command::KeySpec;
use crate::protocol::command::command_count;
use crate::protocol::command::commands;

/// All top-level rows.
pub(super) fn write_all(writer: &mut Writer<'_>) {
    writer.array(command_count());
    for command in commands() {
        write_row(command, writer);
    }
}

/// The rows named in the request, nil for what is not in the table; all of them without a name.
pub(super) fn write<A: Args + ?Sized>(args: &A, writer: &mut Writer<'_>) {
    if args.len() == 2 {
        return write_all(writer);
    }
    writer.array(args.len() - 2);
    for row in named_rows(args) {
        match row {
            Some(command) => write_row(command, writer),
            None => writer.nil(),
        }
    }
}

fn write_row(command: &Command, writer: &mut Writer<'_>) {
    writer.array(10);
    writer.bulk(command.name);
    writer.integer(command.arity.as_redis());
    write_flags(command, writer);
    let (first, last, step) = command.keys.legacy_range();
    writer.integer(first);
    writer.integer(last);
    writer.integer(step);
    let categories = command.categories();
    writer.set(categories.len());
    for category in categories.names() {
        writer.status(&format!("@{category}"));
    }
    writer.set(command.about.tips.len());
    for tip in command.about.tips {
        writer.bulk(tip);
    }
    writer.set(command.keys.specs().count());
    for spec in command.keys.specs() {
        write_spec(&spec, writer);
    }
    match command.subcommands {
        // As Redis does it; RESP2 has the same for both.
        [] => writer.set(0),
        rows => writer.array(rows.len()),
    }
    for row in command.subcommands {
        write_row(row, writer);
    }
}

fn write_flags(command: &Command, writer: &mut Writer<'_>) {
    let access = match command.access {
        Access::Read => Some("readonly"),
        Access::Write => Some("write"),
        Access::Unstated => None,
    };
    let movable = command.keys.movable().then_some("movablekeys");
    let implied = access.into_iter().chain(movable);
    writer.set(command.flags.len() + implied.clone().count());
    for flag in implied.chain(command.flags.names()) {
        writer.status(flag);
    }
}

fn write_spec(spec: &KeySpec, writer: &mut Writer<'_>) {
    writer.map(3);
    writer.bulk("flags");
    writer.set(spec.uses.len());
    for name in spec.uses.names() {
        writer.status(name);
    }
    writer.bulk("begin_search");
    writer.map(2);
    match spec.search {
        KeySearch::Range { first: index, .. } | KeySearch::Counted { at: index, .. } => {
            write_kind("index", writer);
            writer.map(1);
            write_pair("index", index.into(), writer);
        }
        KeySearch::Keyword { word, from, .. } => {
            write_kind("keyword", writer);
            writer.map(2);
            writer.bulk("keyword");
            writer.bulk(word);
            write_pair("startfrom", from.into(), writer);
        }
        KeySearch::Unknown => {
            write_kind("unknown", writer);
            writer.map(0);
        }
    }
    writer.bulk("find_keys");
    writer.map(2);
    match spec.search {
        KeySearch::Range { last, step, .. } => write_range(last, step, 0, writer),
        KeySearch::Keyword { last, limit, .. } => write_range(last, 1, limit, writer),
        KeySearch::Counted { step, .. } => {
            write_kind("keynum", writer);
            writer.map(3);
            write_pair("keynumidx", 0, writer);
            write_pair("firstkey", 1, writer);
            write_pair("keystep", step.into(), writer);
        }
        KeySearch::Unknown => {
            write_kind("unknown", writer);
            writer.map(0);
        }
    }
}

fn write_range(last: i8, step: u8, limit: u8, writer: &mut Writer<'_>) {
    write_kind("range", writer);
    writer.map(3);
    write_pair("lastkey", last.into(), writer);
    write_pair("keystep", step.into(), writer);
    write_pair("limit", limit.into(), writer);
}

/// `type`, and the name of what `spec` is to follow.
fn write_kind(kind: &str, writer: &mut Writer<'_>) {
    writer.bulk("type");
    writer.bulk(kind);
    writer.bulk("spec");
}

fn write_pair(name: &str, value: i64, writer: &mut Writer<'_>) {
    writer.bulk(name);
    writer.integer(value);
}
