//! What there is to ask.

use crate::protocol::Expect;
use crate::protocol::Request;
use crate::protocol::command::Access;
use crate::protocol::command::Args;
use crate::protocol::command::Command;
use crate::protocol::command::CommandError;
use crate::protocol::command::Gather;

/// The keys follow the number and the name.
const FIRST_KEY: u8 = 2;

static ROWS: [Command; 6] = [
    Command::of_lines("echo", Access::Read, FIRST_KEY, None),
    Command::of_lines("add", Access::Write, FIRST_KEY, None),
    Command::of_lines("get", Access::Read, FIRST_KEY, Some(Gather::Concat)),
    Command::of_lines("find", Access::Read, FIRST_KEY, None),
    Command::of_lines("put", Access::Write, FIRST_KEY, None),
    Command::of_lines("batch", Access::Write, FIRST_KEY, None),
];

/// The row of a request.
///
/// # Errors
/// There is none, or it has too few or too many arguments.
pub fn resolve(request: &Request<'_>) -> Result<&'static Command, CommandError> {
    let name = match Args::len(request) {
        0 | 1 => &[],
        _ => request.arg(1),
    };
    let row = ROWS.iter().find(|row| row.name.as_bytes() == name);
    let row = row.ok_or(CommandError::Unknown)?;
    match row.arity.allows(Args::len(request)) {
        true => Ok(row),
        false => Err(CommandError::WrongArity(row)),
    }
}

/// The arguments of a request that begins like this, and the row of them.
#[must_use]
pub fn leading_args(head: &[u8]) -> Vec<&[u8]> {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.split(|byte| *byte == b' ').collect()
}

/// The row of a request that begins with these arguments.
#[must_use]
pub fn command_of(args: &[&[u8]]) -> Option<&'static Command> {
    ROWS.iter()
        .find(|row| Some(&row.name.as_bytes()) == args.get(1))
}

/// What comes for it.
#[must_use]
pub fn expect(command: &Command) -> Expect {
    match command.name {
        "get" => Expect::VALUES,
        "find" => Expect::MAYBE,
        "put" => Expect::NONE,
        "batch" => Expect::batch(2).unwrap_or_default(),
        _ => Expect::ONE,
    }
}

/// Whether a client that may get a reply gets this one.
#[must_use]
pub fn passes(reply: &[u8]) -> bool {
    !reply.ends_with(b" none\n")
}
