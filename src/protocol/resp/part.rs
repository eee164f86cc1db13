//! The part of a split request that goes to one server: the same command with some of the keys.

use crate::base::ByteQueue;
use crate::base::Spare;
use crate::protocol::command::Command;
use crate::protocol::resp::Request;

/// Begins a part with so many keys, each of which brings `step` arguments: itself, and values.
pub fn begin_part(
    command: &Command,
    keys: usize,
    step: usize,
    queue: &mut ByteQueue,
    spare: &mut Spare,
) {
    let (args, name) = (1 + keys * step, command.name);
    let head = format!("*{args}\r\n${}\r\n{name}\r\n", name.len());
    queue.push_copy(head.as_bytes(), spare);
}

/// Appends the key at `index`, and what belongs to it.
pub fn write_part(
    request: &Request<'_>,
    index: usize,
    step: usize,
    queue: &mut ByteQueue,
    spare: &mut Spare,
) {
    for arg in index..index + step {
        request.write_arg(arg, queue, spare);
    }
}
