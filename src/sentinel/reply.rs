//! Replies of Sentinels and of servers that are asked for their role, as values.
//!
//! Owns: one unfinished reply, bounded. Never: what a reply means. Frames are cut by
//! `protocol::resp`, strictly; what is here only takes whole ones apart.

use bytes::Bytes;
use thiserror::Error;

use crate::base::Spare;
use crate::protocol::resp::ReplyAssembly;
use crate::protocol::resp::ReplyError;

/// 512 KiB: `SENTINEL SENTINELS` has some 700 bytes for each, so this is hundreds of them.
const REPLY_BYTES_MAX: usize = 512 << 10;

/// Replies of Sentinels have two levels, that of `ROLE` three.
const DEPTH_MAX: usize = 8;

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A status or a bulk string.
    Text(Vec<u8>),
    Error(Vec<u8>),
    Integer(i64),
    Null,
    Array(Vec<Value>),
}

impl Value {
    /// Its bytes, if it is a text.
    pub(super) fn text(&self) -> Option<&[u8]> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Its elements, if it is an array.
    pub(super) fn array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(values) => Some(values),
            _ => None,
        }
    }

    /// What stands behind `name` in an array of names and values, as `SENTINEL MASTER` has it.
    pub(super) fn field(&self, name: &str) -> Option<&[u8]> {
        let mut pairs = self.array()?.chunks_exact(2);
        let pair = pairs.find(|pair| pair[0].text() == Some(name.as_bytes()))?;
        pair[1].text()
    }
}

/// Why bytes are not a reply that is read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum ReplyFault {
    #[error(transparent)]
    Broken(#[from] ReplyError),
    #[error("reply of more than {REPLY_BYTES_MAX} bytes")]
    TooLong,
    #[error("reply of more than {DEPTH_MAX} levels")]
    TooDeep,
}

/// The replies of one connection.
#[derive(Debug, Default)]
pub(super) struct Replies {
    unfinished: ReplyAssembly,
    spare: Spare,
}

impl Replies {
    /// Takes bytes and gives each reply that they complete to `each`, until that says to stop.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(Value) -> bool,
    ) -> Result<(), ReplyFault> {
        let chunk = Bytes::copy_from_slice(bytes);
        let mut at = 0;
        while at < chunk.len() {
            let fed = self.unfinished.feed(&chunk, at, &mut self.spare)?;
            at += fed.used;
            if self.unfinished.held_bytes() > REPLY_BYTES_MAX {
                return Err(ReplyFault::TooLong);
            }
            if fed.complete {
                let frame = std::mem::take(&mut self.unfinished).into_bytes();
                let frame: Vec<&[u8]> = frame.slices().collect();
                let (value, _) = decode(&frame.concat(), DEPTH_MAX)?;
                if !each(value) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// The value at the beginning of `frame`, which was cut and is whole, and what follows it.
fn decode(frame: &[u8], depth: usize) -> Result<(Value, &[u8]), ReplyFault> {
    if depth == 0 {
        return Err(ReplyFault::TooDeep);
    }
    let end = memchr::memchr(b'\n', frame).ok_or(ReplyError::NoLineEnd)?;
    let line = &frame[1..end.saturating_sub(1).max(1)];
    let rest = &frame[end + 1..];
    let number = std::str::from_utf8(line).ok().and_then(|n| n.parse().ok());
    let count = number.and_then(|n: i64| usize::try_from(n).ok());
    Ok(match (frame[0], number, count) {
        (b'+', ..) => (Value::Text(line.to_vec()), rest),
        (b'-', ..) => (Value::Error(line.to_vec()), rest),
        (b':', Some(number), _) => (Value::Integer(number), rest),
        (b'$' | b'*', Some(-1), _) => (Value::Null, rest),
        (b'$', _, Some(len)) if rest.len() >= len + 2 => {
            (Value::Text(rest[..len].to_vec()), &rest[len + 2..])
        }
        (b'*', _, Some(count)) => {
            let (mut values, mut rest) = (Vec::new(), rest);
            for _ in 0..count {
                let (value, after) = decode(rest, depth - 1)?;
                values.push(value);
                rest = after;
            }
            (Value::Array(values), rest)
        }
        _ => return Err(ReplyError::BadNumber.into()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::any;
    use proptest::prelude::prop_assert_eq;
    use proptest::proptest;

    use super::*;

    fn read(pieces: &[&[u8]]) -> Result<Vec<Value>, ReplyFault> {
        let (mut replies, mut values) = (Replies::default(), Vec::new());
        for piece in pieces {
            replies.feed(piece, |value| {
                values.push(value);
                true
            })?;
        }
        Ok(values)
    }

    fn text(text: &str) -> Value {
        Value::Text(text.as_bytes().to_vec())
    }

    const SOME: &[u8] = b"+OK\r\n*2\r\n$8\r\n10.0.0.1\r\n$4\r\n6379\r\n-ERR No such master\r\n\
        *-1\r\n*3\r\n:-7\r\n*0\r\n$0\r\n\r\n$-1\r\n";

    #[test]
    fn every_kind_of_value_is_taken_apart() {
        let values = read(&[SOME]).unwrap();
        let expected = [
            text("OK"),
            Value::Array(vec![text("10.0.0.1"), text("6379")]),
            Value::Error(b"ERR No such master".to_vec()),
            Value::Null,
            Value::Array(vec![Value::Integer(-7), Value::Array(vec![]), text("")]),
            Value::Null,
        ];
        assert_eq!(values, expected);
    }

    #[test]
    fn a_field_is_what_stands_behind_its_name() {
        let fields = ["name", "ip", "ip", "10.0.0.1", "odd"].map(text);
        let value = Value::Array(fields.to_vec());
        assert_eq!(value.field("ip"), Some(b"10.0.0.1".as_slice()));
        assert_eq!(value.field("odd"), None);
        assert_eq!(value.field("name"), Some(b"ip".as_slice()));
    }

    #[test]
    fn a_reply_without_end_is_given_up() {
        let long = [b"$536870912\r\n".as_slice(), &vec![b'x'; REPLY_BYTES_MAX]].concat();
        assert_eq!(read(&[&long]), Err(ReplyFault::TooLong));
        let deep = b"*1\r\n".repeat(100_000);
        let deep = [deep.as_slice(), b":1\r\n"].concat();
        assert_eq!(read(&[&deep]), Err(ReplyFault::TooDeep));
    }

    proptest! {
        #[test]
        fn any_cut_of_the_same_bytes_gives_the_same_values(at in 0..SOME.len(), to in 0..SOME.len()) {
            let (at, to) = (at.min(to), at.max(to));
            let whole = read(&[SOME]).unwrap();
            prop_assert_eq!(read(&[&SOME[..at], &SOME[at..to], &SOME[to..]]).unwrap(), whole);
        }

        #[test]
        fn any_bytes_are_values_or_refused(bytes in vec(any::<u8>(), 0..60)) {
            let _ = read(&[&bytes]);
        }

        #[test]
        fn nearly_right_bytes_are_values_or_refused(
            bytes in vec(proptest::sample::select(b"*$:+-0123\r\nx".to_vec()), 0..40),
        ) {
            let _ = read(&[&bytes]);
        }
    }
}
