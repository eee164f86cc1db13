//! The elements of arrays that lie in queues, moved to where they belong.
//!
//! Owns: reading on in a queue whose bytes were cut before. Never: which element goes where.

use crate::base::ByteQueue;
use crate::base::Cursor;
use crate::base::SHARE_BYTES_MIN;
use crate::base::Spare;
use crate::protocol::Version;
use crate::protocol::resp::cut_reply;
use crate::protocol::resp::reply::ReplyError;

/// The elements of one array, read from front to back.
pub(super) struct Elements<'a> {
    reply: &'a ByteQueue,
    // Where `ahead` begins.
    cursor: Cursor,
    // What lies contiguous: nearly always all that is left.
    ahead: &'a [u8],
}

impl<'a> Elements<'a> {
    pub(super) fn of(reply: &'a ByteQueue) -> Option<Elements<'a>> {
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
    pub(super) fn move_next(&mut self, out: &mut ByteQueue, spare: &mut Spare) -> Option<()> {
        match cut_element(self.ahead) {
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
        let bytes = match cut_element(self.ahead) {
            Ok(Some(bytes)) => bytes,
            _ => element_bytes(self.cursor, self.reply)?,
        };
        self.cursor.move_to(self.reply, bytes, out, spare);
        self.ahead = self.cursor.ahead(self.reply);
        Some(())
    }

    pub(super) fn is_used_up(&mut self) -> bool {
        self.catch_up();
        self.ahead.is_empty()
    }

    fn catch_up(&mut self) {
        let whole = self.cursor.ahead(self.reply).len();
        self.cursor.skip(whole - self.ahead.len());
        self.ahead = self.cursor.ahead(self.reply);
    }
}

/// What was cut once before, in one of the versions; nearly all elements are the same in both.
#[inline]
fn cut_element(ahead: &[u8]) -> Result<Option<usize>, ReplyError> {
    match cut_reply(Version::V2, ahead) {
        Err(ReplyError::UnknownType { .. }) => cut_reply(Version::V3, ahead),
        cut => cut,
    }
}

/// Reads a mark and the number behind it: how many bytes the line has, and the number.
pub(super) fn read_header(cursor: &mut Cursor, reply: &ByteQueue) -> Option<(usize, i64)> {
    cursor.next_byte(reply)?;
    let (bytes, value) = read_number(cursor, reply)?;
    Some((bytes + 1, value))
}

/// Reads a line that is a number: how many bytes it has, and the number.
pub(super) fn read_number(cursor: &mut Cursor, reply: &ByteQueue) -> Option<(usize, i64)> {
    let (mut bytes, mut value, mut sign) = (0, 0i64, 1);
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
