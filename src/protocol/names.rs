//! The names of all commands of all protocols, as a configuration names them.

use crate::protocol::command;
use crate::protocol::command::Command;
use crate::protocol::command::Traits;
use crate::protocol::memcached;

/// A command's name as its table has it: `config|set` of `CONFIG|SET`. `None` if there is none.
#[must_use]
pub fn command_name(name: &str) -> Option<&'static str> {
    let name = name.as_bytes();
    let row = command::lookup_full(name).or_else(|| memcached::lookup(name));
    Some(row?.name)
}

/// The commands that are refused unless a pool allows them.
pub fn commands_on_leave() -> impl Iterator<Item = &'static str> {
    let rows = command::commands().flat_map(|row| std::iter::once(row).chain(row.subcommands));
    let rows = rows.chain(memcached::rows().iter().map(|row| &row.command));
    let on_leave = rows.filter(|row| needs_leave(row));
    on_leave.map(|row| row.name)
}

fn needs_leave(row: &Command) -> bool {
    row.traits.has(Traits::NEEDS_LEAVE)
}
