//! Joins the replies to the parts of one request into the reply to the whole.
//!
//! Owns: what the parts have said, as far as the whole needs it.

use crate::base::ByteQueue;
use crate::base::Cursor;
use crate::base::SHARE_BYTES_MIN;
use crate::base::Spare;
use crate::protocol::command::Gather;
use crate::protocol::resp::cut_reply;

/// What has come of the replies to one split request.
#[derive(Debug)]
pub struct Join {
    how: Gather,
    replies: Vec<ByteQueue>,
    // Of Concat: which part holds each key's element, in the order of the keys.
    order: Vec<u16>,
    sum: i64,
    error: Option<Vec<u8>>,
}

impl Join {
    /// Of `Gather::Concat`, `order` says which part holds each key, in the order of the keys.
    #[must_use]
    pub fn new(how: Gather, order: Vec<u16>) -> Join {
        Join {
            how,
            replies: Vec::new(),
            order,
            sum: 0,
            error: None,
        }
    }

    /// Takes the reply to part `index`.
    pub fn add(&mut self, index: u32, reply: ByteQueue) {
        match (self.how, first_byte(&reply)) {
            // As in twemproxy, one failed part fails the request; the first to arrive says why.
            (_, Some(b'-')) => self.error = self.error.take().or_else(|| Some(reply.to_vec())),
            (Gather::Sum, Some(b':')) => {
                self.sum = self.sum.saturating_add(integer(&reply).unwrap_or(0));
            }
            (Gather::AllOk, Some(b'+')) => {}
            (Gather::Concat, Some(b'*')) => {
                let place = index as usize;
                if self.replies.len() <= place {
                    self.replies.resize_with(place + 1, ByteQueue::default);
                }
                self.replies[place] = reply;
            }
            _ => self.fail_unexpected(),
        }
    }

    /// The reply to the whole request.
    pub fn finish(mut self, out: &mut ByteQueue, spare: &mut Spare) {
        if self.error.is_none() && self.how == Gather::Concat {
            let mut joined = ByteQueue::default();
            if self.concat(&mut joined, spare).is_some() {
                out.append(joined, spare);
            } else {
                self.fail_unexpected();
            }
        }
        for reply in std::mem::take(&mut self.replies) {
            let mut reply = reply;
            spare.give_batch(reply.take());
        }
        match (&self.error, self.how) {
            (Some(error), _) => out.push_copy(error, spare),
            (None, Gather::AllOk) => out.push_copy(b"+OK\r\n", spare),
            (None, Gather::Sum) => write_number(b':', self.sum, out.writer(spare)),
            (None, Gather::Concat) => {}
        }
    }

    fn fail_unexpected(&mut self) {
        let text = b"-ERR Server gave an unexpected reply to a part of the request\r\n";
        self.error.get_or_insert_with(|| text.to_vec());
    }

    /// `None` if a server gave fewer elements than it was asked for.
    fn concat(&self, out: &mut ByteQueue, spare: &mut Spare) -> Option<()> {
        let count = i64::try_from(self.order.len()).ok()?;
        write_number(b'*', count, out.writer(spare));
        let sources: Option<Vec<Elements<'_>>> = self.replies.iter().map(Elements::of).collect();
        let mut sources = sources?;
        for &fragment in &self.order {
            sources
                .get_mut(usize::from(fragment))?
                .move_next(out, spare)?;
        }
        sources.iter_mut().all(Elements::is_used_up).then_some(())
    }
}

/// The elements of one array, read from front to back.
struct Elements<'a> {
    reply: &'a ByteQueue,
    // Where `ahead` begins.
    cursor: Cursor,
    // What lies contiguous: nearly always all that is left.
    ahead: &'a [u8],
}

impl<'a> Elements<'a> {
    fn of(reply: &'a ByteQueue) -> Option<Elements<'a>> {
        let mut cursor = reply.cursor();
        read_header(&mut cursor, reply)?;
        let ahead = cursor.ahead(reply);
        Some(Elements {
            reply,
            cursor,
            ahead,
        })
    }

    /// Appends the next element to `out`; `None` if there is none.
    #[inline]
    fn move_next(&mut self, out: &mut ByteQueue, spare: &mut Spare) -> Option<()> {
        match cut_reply(self.ahead) {
            Ok(Some(bytes)) if bytes < SHARE_BYTES_MIN => {
                let (element, behind) = self.ahead.split_at(bytes);
                out.push_copy(element, spare);
                self.ahead = behind;
                Some(())
            }
            _ => self.move_large(out, spare),
        }
    }

    /// The same for an element that is shared, or that lies in several stretches.
    fn move_large(&mut self, out: &mut ByteQueue, spare: &mut Spare) -> Option<()> {
        self.catch_up();
        let bytes = match cut_reply(self.ahead) {
            Ok(Some(bytes)) => bytes,
            _ => element_bytes(self.cursor, self.reply)?,
        };
        self.cursor.move_to(self.reply, bytes, out, spare);
        self.ahead = self.cursor.ahead(self.reply);
        Some(())
    }

    fn is_used_up(&mut self) -> bool {
        self.catch_up();
        self.ahead.is_empty()
    }

    fn catch_up(&mut self) {
        let whole = self.cursor.ahead(self.reply).len();
        self.cursor.skip(whole - self.ahead.len());
        self.ahead = self.cursor.ahead(self.reply);
    }
}

fn first_byte(reply: &ByteQueue) -> Option<u8> {
    reply.cursor().next_byte(reply)
}

/// `:n` of a reply that was cut before.
fn integer(reply: &ByteQueue) -> Option<i64> {
    let mut cursor = reply.cursor();
    read_header(&mut cursor, reply).map(|header| header.1)
}

/// Reads a mark and the number behind it: how many bytes the line has, and the number.
fn read_header(cursor: &mut Cursor, reply: &ByteQueue) -> Option<(usize, i64)> {
    cursor.next_byte(reply)?;
    let (mut bytes, mut value, mut sign) = (1, 0i64, 1);
    loop {
        bytes += 1;
        match cursor.next_byte(reply)? {
            b'-' => sign = -1,
            b'\n' => return Some((bytes, value * sign)),
            digit @ b'0'..=b'9' => {
                value = value
                    .checked_mul(10)?
                    .checked_add(i64::from(digit - b'0'))?;
            }
            _ => {}
        }
    }
}

/// The size of the bulk string (or null) at the cursor; an element of another kind has none.
fn element_bytes(mut cursor: Cursor, reply: &ByteQueue) -> Option<usize> {
    if *cursor.ahead(reply).first()? != b'$' {
        return None;
    }
    let (header, len) = read_header(&mut cursor, reply)?;
    match usize::try_from(len) {
        Ok(len) => Some(header + len + 2),
        Err(_) => Some(header),
    }
}

fn write_number(mark: u8, value: i64, out: &mut Vec<u8>) {
    out.push(mark);
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn queue(pieces: &[&[u8]]) -> ByteQueue {
        let (mut queue, mut spare) = (ByteQueue::default(), Spare::default());
        for piece in pieces {
            queue.push(Bytes::copy_from_slice(piece), &mut spare);
        }
        queue
    }

    fn joined(how: Gather, order: &[u16], replies: &[(u32, &[u8])]) -> Vec<u8> {
        let mut join = Join::new(how, order.to_vec());
        for (index, reply) in replies {
            join.add(*index, queue(&[reply]));
        }
        let (mut out, mut spare) = (ByteQueue::default(), Spare::default());
        join.finish(&mut out, &mut spare);
        out.to_vec()
    }

    #[test]
    fn elements_come_in_the_order_of_the_keys() {
        let replies: [(u32, &[u8]); 2] =
            [(1, b"*1\r\n$1\r\nb\r\n"), (0, b"*2\r\n$1\r\na\r\n$-1\r\n")];
        let all = b"*3\r\n$1\r\na\r\n$1\r\nb\r\n$-1\r\n";
        assert_eq!(joined(Gather::Concat, &[0, 1, 0], &replies), all);
    }

    #[test]
    fn numbers_are_summed_and_oks_are_one_ok() {
        assert_eq!(
            joined(Gather::Sum, &[], &[(0, b":2\r\n"), (1, b":40\r\n")]),
            b":42\r\n"
        );
        assert_eq!(
            joined(Gather::AllOk, &[], &[(0, b"+OK\r\n"), (1, b"+OK\r\n")]),
            b"+OK\r\n"
        );
    }

    #[test]
    fn one_failed_part_fails_the_request_with_its_own_words() {
        let replies: [(u32, &[u8]); 2] = [(0, b":2\r\n"), (1, b"-LOADING wait\r\n")];
        assert_eq!(joined(Gather::Sum, &[], &replies), b"-LOADING wait\r\n");
        let replies: [(u32, &[u8]); 2] = [(0, b"*1\r\n$1\r\na\r\n"), (1, b"-OOM no\r\n")];
        assert_eq!(joined(Gather::Concat, &[0, 1], &replies), b"-OOM no\r\n");
    }

    #[test]
    fn a_server_that_gives_too_few_or_too_many_elements_is_an_error() {
        for reply in [
            &b"*1\r\n$1\r\na\r\n"[..],
            b"*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n",
        ] {
            let out = joined(Gather::Concat, &[0, 0], &[(0, reply)]);
            assert!(out.starts_with(b"-ERR"), "{}", out.escape_ascii());
        }
    }

    #[test]
    fn a_large_element_is_joined_across_stretches() {
        let body = vec![b'v'; 40_000];
        let head = b"*2\r\n$1\r\na\r\n$40000\r\n";
        let reply = queue(&[head, &body[..20_000], &body[20_000..], b"\r\n"]);
        let mut join = Join::new(Gather::Concat, vec![0, 0]);
        join.add(0, reply);
        let (mut out, mut spare) = (ByteQueue::default(), Spare::default());
        join.finish(&mut out, &mut spare);
        assert_eq!(out.to_vec(), [&head[..], &body, b"\r\n"].concat());
    }
}
