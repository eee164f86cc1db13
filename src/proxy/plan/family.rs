//! Which family of commands a request is timed with.

use crate::protocol::command::Access;
use crate::protocol::command::Command;
use crate::protocol::command::ErrorsBy;
use crate::protocol::command::Flags;
use crate::telemetry::Family;

/// The family of a command.
#[inline]
pub(super) const fn family_of(command: &Command) -> Family {
    // Whoever answers with anybody's words runs anybody's script.
    if matches!(command.errors, ErrorsBy::Anybody) {
        return Family::Script;
    }
    match command.access {
        _ if command.flags.has(Flags::BLOCKING) => Family::Blocking,
        Access::Read => Family::Read,
        Access::Write => Family::Write,
        Access::Unstated => Family::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::command;

    #[test]
    fn a_command_is_timed_with_those_that_take_as_long() {
        for (name, family) in [
            ("get", Family::Read),
            ("mget", Family::Read),
            ("set", Family::Write),
            ("blpop", Family::Blocking),
            ("eval", Family::Script),
            ("eval_ro", Family::Script),
            ("ping", Family::Other),
        ] {
            let command = command::lookup(name.as_bytes()).unwrap();
            assert_eq!(family_of(command), family, "{name}");
        }
    }
}
