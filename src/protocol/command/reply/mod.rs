//! The replies that say what is in the table: `COMMAND`, its subcommands, and `HELP`.
//!
//! They have the form of Redis 7.0, which `redis-cli` and clients of clusters read; the texts
//! (summaries, help) are ours. Every row is shown, refused ones too: where a command's keys are is
//! as true of those.

mod docs;
mod getkeys;
mod glob;
mod info;
mod list;
mod sections;

use crate::protocol::resp::Resp;
use crate::protocol::resp::Writer;

use super::Args;
use super::Command;
use super::lookup;
use super::resolve;

pub use glob::key_matches as key_glob_matches;
pub use glob::matches as glob_matches;
pub use sections::names_section;

/// Appends the reply to `COMMAND` or one of its subcommands.
///
/// Arguments that are no such request get the error reply that is due to them.
pub fn command_reply<A: Args + ?Sized>(args: &A, resp: Resp, out: &mut Vec<u8>) {
    let command = match resolve(args) {
        Ok(command) => command,
        Err(error) => return error.write_reply(args, out),
    };
    let mut writer = Writer::new(resp, out);
    match command.name {
        "command" => info::write_all(&mut writer),
        "command|count" => writer.length(super::command_count()),
        "command|docs" => docs::write(args, &mut writer),
        "command|getkeys" => getkeys::write(args, getkeys::Tell::Keys, &mut writer),
        "command|getkeysandflags" => getkeys::write(args, getkeys::Tell::Uses, &mut writer),
        "command|info" => info::write(args, &mut writer),
        "command|list" => list::write(args, &mut writer),
        "command|help" => help_reply(args, out),
        _ => debug_assert!(false, "{} is not COMMAND", command.name),
    }
}

/// Appends the reply to a container's `HELP`, made from its rows: two lines a subcommand.
///
/// A request that is for no container gets an empty array.
pub fn help_reply<A: Args + ?Sized>(args: &A, out: &mut Vec<u8>) {
    // Arrays of lines are the same in both versions.
    let mut writer = Writer::new(Resp::V2, out);
    let container = if args.is_empty() {
        None
    } else {
        lookup(args.arg(0)).filter(|row| !row.subcommands.is_empty())
    };
    let Some(container) = container else {
        return writer.array(0);
    };
    writer.array(1 + 2 * container.subcommands.len());
    writer.status(&format!(
        "{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        container.name.to_ascii_uppercase()
    ));
    for row in container.subcommands {
        writer.status(&row.own_name().to_ascii_uppercase());
        writer.status(&format!("    {}", row.about.summary));
    }
}

/// The rows named in `COMMAND INFO` and `COMMAND DOCS`, from the third argument on.
fn named_rows<A: Args + ?Sized>(args: &A) -> impl Iterator<Item = Option<&'static Command>> {
    (2..args.len()).map(|i| super::lookup_full(args.arg(i)))
}
