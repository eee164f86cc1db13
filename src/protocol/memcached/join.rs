//! Parts of a request for several servers, and the one reply that theirs become.

use std::sync::Arc;

use crate::base::ByteQueue;
use crate::base::Cursor;
use crate::base::SHARE_BYTES_MIN;
use crate::base::Spare;
use crate::protocol::Request;
use crate::protocol::command::Args;
use crate::protocol::command::Command;
use crate::protocol::command::KeyIndexes;
use crate::protocol::memcached::reply::is_error;

/// What ends the values of one reply.
const END: &[u8] = b"END\r\n";

/// Begins a part.
pub fn begin_part(
    command: &Command,
    request: &Request<'_>,
    queue: &mut ByteQueue,
    spare: &mut Spare,
) {
    queue.push_copy(command.name.as_bytes(), spare);
    if command.name.starts_with("gat") {
        queue.push_copy(b" ", spare);
        queue.push_copy(request.arg(1), spare);
    }
}

/// Appends a key.
pub fn write_part(request: &Request<'_>, index: usize, queue: &mut ByteQueue, spare: &mut Spare) {
    queue.push_copy(b" ", spare);
    queue.push_copy(request.arg(index), spare);
}

/// Ends a part.
pub fn end_part(queue: &mut ByteQueue, spare: &mut Spare) {
    queue.push_copy(b"\r\n", spare);
}

/// What has come of the replies to one request.
#[derive(Debug)]
pub enum Join {
    /// Values, by part.
    Keys(KeysJoin),
    /// `OK` from every server, or the first error.
    All(Option<Vec<u8>>),
    /// Lines of every server, each with its name.
    Stats(StatsJoin),
}

impl Join {
    /// Of a request to every server.
    #[must_use]
    pub fn all() -> Join {
        Join::All(None)
    }

    /// Of the keys at these `indexes` of a request, of which `order` says which part has each.
    /// Where it may be `partial`, what fails of it is left out, unless all of it does.
    #[must_use]
    pub fn of_keys(
        request: &Request<'_>,
        indexes: KeyIndexes,
        order: Vec<u16>,
        partial: bool,
    ) -> Join {
        Join::Keys(KeysJoin::new(request, indexes, order, partial))
    }

    /// Of what each of these servers says of itself.
    #[must_use]
    pub fn stats(names: Vec<Arc<str>>) -> Join {
        let replies = vec![Vec::new(); names.len()];
        Join::Stats(StatsJoin { names, replies })
    }

    /// Takes a part's reply.
    pub fn add(&mut self, index: u32, reply: ByteQueue) {
        match self {
            Join::Stats(join) => {
                if let Some(of_server) = join.replies.get_mut(index as usize) {
                    *of_server = reply.to_vec();
                }
            }
            Join::Keys(join) => join.add(index, reply),
            Join::All(error) if begins_as_error(&reply) => {
                error.get_or_insert_with(|| reply.to_vec());
            }
            Join::All(_) => {}
        }
    }

    /// Whether a server may say this to the part of it that has this `index`.
    #[must_use]
    pub fn fits(&self, index: u32, reply: &ByteQueue) -> bool {
        match self {
            Join::Keys(join) => join.fits(index, reply),
            Join::All(_) | Join::Stats(_) => true,
        }
    }

    /// Appends the reply to the whole request.
    pub fn finish(self, out: &mut ByteQueue, spare: &mut Spare) {
        match self {
            Join::Keys(join) => join.finish(out, spare),
            Join::Stats(join) => out.push_copy(&join.lines(), spare),
            Join::All(None) => out.push_copy(b"OK\r\n", spare),
            Join::All(Some(error)) => out.push_copy(&error, spare),
        }
    }
}

/// What servers say of themselves.
#[derive(Debug)]
pub struct StatsJoin {
    names: Vec<Arc<str>>,
    replies: Vec<Vec<u8>>,
}

impl StatsJoin {
    fn lines(&self) -> Vec<u8> {
        let mut lines = Vec::new();
        for (name, reply) in self.names.iter().zip(&self.replies) {
            // Whoever reads it splits it at its blanks.
            let name = name.replace(' ', "_");
            for line in reply.split_inclusive(|byte| *byte == b'\n') {
                let (what, rest) = match line.strip_prefix(b"STAT ") {
                    Some(rest) => ("", rest),
                    None if line == b"END\r\n" => continue,
                    None => ("error ", line),
                };
                lines.extend_from_slice(format!("STAT {name}:{what}").as_bytes());
                lines.extend_from_slice(rest);
            }
        }
        lines.extend_from_slice(b"END\r\n");
        lines
    }
}

fn begins_as_error(reply: &ByteQueue) -> bool {
    let head: Vec<u8> = reply.slices().flatten().take(16).copied().collect();
    is_error(&head) || head.starts_with(b"ERROR\r\n")
}

/// The values that have come, by part.
#[derive(Debug)]
pub struct KeysJoin {
    // The keys that were asked, one behind the other, and where each ends.
    keys: Vec<u8>,
    ends: Vec<u32>,
    // Which part has each key.
    order: Vec<u16>,
    replies: Vec<ByteQueue>,
    error: Option<Vec<u8>>,
    // Hits of some servers will do.
    partial: bool,
    answered: bool,
}

impl KeysJoin {
    fn new(request: &Request<'_>, indexes: KeyIndexes, order: Vec<u16>, partial: bool) -> KeysJoin {
        let (mut keys, mut ends) = (Vec::new(), Vec::with_capacity(order.len()));
        for index in indexes.iter() {
            keys.extend_from_slice(request.arg(index));
            #[expect(clippy::cast_possible_truncation, reason = "no more than a line")]
            ends.push(keys.len() as u32);
        }
        KeysJoin {
            keys,
            ends,
            order,
            replies: Vec::new(),
            error: None,
            partial,
            answered: false,
        }
    }

    fn add(&mut self, index: u32, reply: ByteQueue) {
        if begins_as_error(&reply) {
            self.error.get_or_insert_with(|| reply.to_vec());
            return;
        }
        self.answered = true;
        let place = index as usize;
        if self.replies.len() <= place {
            self.replies.resize_with(place + 1, ByteQueue::default);
        }
        self.replies[place] = reply;
    }

    /// Appends the values in the order of the keys, and one end.
    fn finish(mut self, out: &mut ByteQueue, spare: &mut Spare) {
        let failed = self
            .error
            .take()
            .filter(|_| !self.partial || !self.answered);
        if let Some(error) = failed {
            out.push_copy(&error, spare);
        } else {
            self.move_values(out, spare);
            out.push_copy(END, spare);
        }
        for mut reply in std::mem::take(&mut self.replies) {
            spare.give_batch(reply.take());
        }
    }

    /// Appends the values in the order of the keys.
    fn move_values(&self, out: &mut ByteQueue, spare: &mut Spare) {
        let mut parts: Vec<Values<'_>> = self.replies.iter().map(Values::of).collect();
        for (key, part) in self.keys() {
            // A part that has failed has none.
            let values = parts.get_mut(usize::from(part));
            if let Some(values) = values
                && let Some(bytes) = values.next_of(key)
            {
                values.move_next(bytes, out, spare);
            }
        }
    }

    /// Whether the server of a part may say this: an error, or values of keys that it was asked for,
    /// in their order.
    fn fits(&self, index: u32, reply: &ByteQueue) -> bool {
        if begins_as_error(reply) {
            return true;
        }
        let mut values = Values::of(reply);
        for (key, _) in self.keys().filter(|(_, part)| u32::from(*part) == index) {
            if let Some(bytes) = values.next_of(key) {
                values.skip_next(bytes);
            }
        }
        values.is_used_up()
    }

    /// Each key, and which part has it.
    fn keys(&self) -> impl Iterator<Item = (&[u8], u16)> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        let bounds = begins.zip(&self.ends);
        bounds
            .zip(&self.order)
            .map(|((from, to), part)| (&self.keys[from as usize..*to as usize], *part))
    }
}

/// The values of one reply, read from front to back.
struct Values<'a> {
    reply: &'a ByteQueue,
    cursor: Cursor,
    // What lies contiguous: nearly always all that is left.
    ahead: &'a [u8],
}

impl<'a> Values<'a> {
    fn of(reply: &'a ByteQueue) -> Values<'a> {
        let mut cursor = reply.cursor();
        let ahead = cursor.ahead(reply);
        Values {
            reply,
            cursor,
            ahead,
        }
    }

    /// How many bytes the next value has, its line and its end included, if it is this key's.
    fn next_of(&mut self, key: &[u8]) -> Option<usize> {
        if let Some((name, bytes)) = header(self.ahead) {
            return (name == key).then_some(bytes);
        }
        if self.ahead == END {
            return None;
        }
        // Its line lies in several stretches.
        self.catch_up();
        let head = self.head();
        let (name, bytes) = header(&head)?;
        (name == key).then_some(bytes)
    }

    /// Moves the next value, of so many bytes.
    fn move_next(&mut self, bytes: usize, out: &mut ByteQueue, spare: &mut Spare) {
        if bytes < SHARE_BYTES_MIN && bytes <= self.ahead.len() {
            let (value, behind) = self.ahead.split_at(bytes);
            out.push_copy(value, spare);
            self.ahead = behind;
            return;
        }
        self.catch_up();
        self.cursor.move_to(self.reply, bytes, out, spare);
        self.ahead = self.cursor.ahead(self.reply);
    }

    /// The same, to nowhere.
    fn skip_next(&mut self, bytes: usize) {
        self.catch_up();
        self.cursor.pass(self.reply, bytes);
        self.ahead = self.cursor.ahead(self.reply);
    }

    /// The line at the cursor.
    fn head(&self) -> Vec<u8> {
        let (mut cursor, mut line) = (self.cursor, Vec::new());
        while let Some(byte) = cursor.next_byte(self.reply) {
            line.push(byte);
            if byte == b'\n' {
                break;
            }
        }
        line
    }

    fn is_used_up(&mut self) -> bool {
        self.catch_up();
        self.head() == END
    }

    fn catch_up(&mut self) {
        let whole = self.cursor.ahead(self.reply).len();
        self.cursor.skip(whole - self.ahead.len());
        self.ahead = self.cursor.ahead(self.reply);
    }
}

/// Of a value that begins here, in a reply that was cut before: whose it is, and how many bytes it
/// has, its line and its end included.
fn header(buf: &[u8]) -> Option<(&[u8], usize)> {
    let rest = buf.strip_prefix(b"VALUE ")?;
    let end = memchr::memchr(b'\n', rest)?;
    let mut words = rest[..end.checked_sub(1)?].split(|byte| *byte == b' ');
    let key = words.next()?;
    let size = std::str::from_utf8(words.nth(1)?).ok()?;
    let size: usize = size.parse().ok()?;
    Some((key, b"VALUE ".len() + end + 1 + size + 2))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::protocol::memcached::cut_request;
    use crate::protocol::memcached::resolve;

    fn queue(pieces: &[&[u8]]) -> ByteQueue {
        let (mut queue, mut spare) = (ByteQueue::default(), Spare::default());
        for piece in pieces {
            queue.push(Bytes::copy_from_slice(piece), &mut spare);
        }
        queue
    }

    fn join(line: &[u8], order: &[u16], partial: bool) -> Join {
        let mut args = Vec::new();
        cut_request(line, &mut args).unwrap().unwrap();
        let request = Request::whole(line, &args);
        let keys = resolve(&request).unwrap().keys(&request).unwrap();
        Join::of_keys(&request, keys, order.to_vec(), partial)
    }

    fn finished(join: Join) -> Vec<u8> {
        let (mut out, mut spare) = (ByteQueue::default(), Spare::default());
        join.finish(&mut out, &mut spare);
        out.to_vec()
    }

    #[test]
    fn values_come_in_the_order_of_the_keys_and_misses_are_left_out() {
        let mut join = join(b"get a b c d a\r\n", &[0, 1, 0, 1, 0], false);
        join.add(1, queue(&[b"VALUE d 1 1\r\nD\r\nEND\r\n"]));
        let first = b"VALUE a 0 1\r\nA\r\nVALUE c 0 0\r\n\r\nVALUE a 0 1\r\nA\r\nEND\r\n";
        join.add(0, queue(&[&first[..9], &first[9..]]));
        let all = b"VALUE a 0 1\r\nA\r\nVALUE c 0 0\r\n\r\nVALUE d 1 1\r\nD\r\nVALUE a 0 1\r\nA\r\nEND\r\n";
        assert_eq!(finished(join), all);
    }

    #[test]
    fn a_large_value_is_joined_across_stretches() {
        let body = vec![b'v'; 40_000];
        let head = b"VALUE a 0 40000\r\n";
        let mut join = join(b"get a b\r\n", &[0, 1], false);
        join.add(1, queue(&[b"VALUE b 0 1\r\nB\r\nEND\r\n"]));
        join.add(
            0,
            queue(&[
                &head[..10],
                &head[10..],
                &body[..9],
                &body[9..],
                b"\r\nEND\r\n",
            ]),
        );
        let all = [&head[..], &body, b"\r\nVALUE b 0 1\r\nB\r\nEND\r\n"].concat();
        assert_eq!(finished(join), all);
    }

    #[test]
    fn a_value_of_another_key_or_in_another_order_is_no_reply_to_a_part() {
        let join = join(b"get a b c a\r\n", &[0, 0, 1, 0], true);
        for (reply, fits) in [
            (&b"END\r\n"[..], true),
            (b"VALUE b 0 1\r\nB\r\nEND\r\n", true),
            (b"VALUE a 0 1\r\nA\r\nVALUE a 0 0\r\n\r\nEND\r\n", true),
            (b"SERVER_ERROR out of memory\r\n", true),
            (b"VALUE x 0 1\r\nX\r\nEND\r\n", false),
            (b"VALUE c 0 1\r\nC\r\nEND\r\n", false),
            (b"VALUE b 0 1\r\nB\r\nVALUE b 0 1\r\nB\r\nEND\r\n", false),
            (b"VALUE a 0 1\r\nA\r\nVALUE x 0 1\r\nX\r\nEND\r\n", false),
        ] {
            for at in 0..reply.len() {
                let in_two = queue(&[&reply[..at], &reply[at..]]);
                assert_eq!(join.fits(0, &in_two), fits, "{}", reply.escape_ascii());
            }
        }
        assert!(join.fits(1, &queue(&[b"VALUE c 0 1\r\nC\r\nEND\r\n"])));
    }

    #[test]
    fn statistics_have_the_name_of_their_server_and_so_has_an_error() {
        let mut join = Join::stats(vec!["a".into(), "10.0.0.1".into()]);
        join.add(1, queue(&[b"SERVER_ERROR Connection refused\r\n"]));
        join.add(0, queue(&[b"STAT pid 1\r\nSTAT rusage 0.1 0.2\r\nEND\r\n"]));
        let lines = b"STAT a:pid 1\r\nSTAT a:rusage 0.1 0.2\r\n\
            STAT 10.0.0.1:error SERVER_ERROR Connection refused\r\nEND\r\n";
        assert_eq!(finished(join), lines);
    }

    #[test]
    fn one_failed_part_fails_the_request_unless_it_may_be_partial() {
        let error = b"SERVER_ERROR Connection refused\r\n";
        for (partial, told) in [(false, &error[..]), (true, b"VALUE b 0 1\r\nB\r\nEND\r\n")] {
            let mut join = join(b"get a b\r\n", &[0, 1], partial);
            join.add(0, queue(&[error]));
            join.add(1, queue(&[b"VALUE b 0 1\r\nB\r\nEND\r\n"]));
            assert_eq!(finished(join), told);
        }
        let mut join = join(b"get a b\r\n", &[0, 1], true);
        join.add(0, queue(&[error]));
        join.add(1, queue(&[error]));
        assert_eq!(finished(join), error, "nobody has answered");
    }
}
