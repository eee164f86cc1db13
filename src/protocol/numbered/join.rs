//! Parts of a request for several servers, and the one reply that theirs become.

use crate::base::ByteQueue;
use crate::base::Spare;
use crate::protocol::Request;
use crate::protocol::command::Args;
use crate::protocol::command::Command;

/// Begins a part.
pub fn begin_part(
    command: &Command,
    request: &Request<'_>,
    queue: &mut ByteQueue,
    spare: &mut Spare,
) {
    queue.push_copy(request.arg(0), spare);
    queue.push_copy(b" ", spare);
    queue.push_copy(command.name.as_bytes(), spare);
}

/// Appends a key.
pub fn write_part(request: &Request<'_>, index: usize, queue: &mut ByteQueue, spare: &mut Spare) {
    queue.push_copy(b" ", spare);
    queue.push_copy(request.arg(index), spare);
}

/// Ends a part.
pub fn end_part(queue: &mut ByteQueue, spare: &mut Spare) {
    queue.push_copy(b"\n", spare);
}

/// The lines that have come, by part.
#[derive(Debug)]
pub struct Join {
    order: Vec<u16>,
    replies: Vec<Vec<u8>>,
    error: Option<Vec<u8>>,
}

impl Join {
    /// `order` says which part has each key.
    #[must_use]
    pub fn new(order: Vec<u16>) -> Join {
        Join {
            order,
            replies: Vec::new(),
            error: None,
        }
    }

    /// Takes a part's reply.
    pub fn add(&mut self, index: u32, reply: &ByteQueue) {
        let reply = reply.to_vec();
        if reply.starts_with(b"-") {
            self.error.get_or_insert(reply);
            return;
        }
        let place = index as usize;
        if self.replies.len() <= place {
            self.replies.resize(place + 1, Vec::new());
        }
        self.replies[place] = reply;
    }

    /// Appends the lines in the order of the keys, and one end.
    pub fn finish(self, out: &mut ByteQueue, spare: &mut Spare) {
        let lines = self.lines();
        match (&self.error, lines) {
            (Some(error), _) => out.push_copy(error, spare),
            (None, Some(lines)) => out.push_copy(&lines, spare),
            (None, None) => out.push_copy(b"- a server gave other values\n", spare),
        }
    }

    fn lines(&self) -> Option<Vec<u8>> {
        let parts = self.replies.iter();
        let mut parts: Vec<_> = parts
            .map(|part| part.split_inclusive(|byte| *byte == b'\n'))
            .collect();
        let mut lines = Vec::new();
        for part in &self.order {
            let line = parts.get_mut(usize::from(*part))?.next()?;
            if line.ends_with(b" .\n") {
                return None;
            }
            lines.extend_from_slice(line);
        }
        let mut end: &[u8] = &[];
        for mut part in parts {
            end = part.next().filter(|line| line.ends_with(b" .\n"))?;
        }
        lines.extend_from_slice(end);
        Some(lines)
    }
}
