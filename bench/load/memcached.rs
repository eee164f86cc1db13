//! memcached's replies to `get` of one key or many, and to `set`.

use crate::reply::NotAReply;
use crate::reply::Reply;

/// What ends the values of a `get`.
const END: &[u8] = b"END\r\n";

/// The first reply of `bytes` and its length; `None` while it is not whole.
///
/// # Errors
///
/// What is none, and never will be.
pub(crate) fn cut(bytes: &[u8]) -> Result<Option<(Reply<'_>, usize)>, NotAReply> {
    let Some(end) = memchr::memchr(b'\n', bytes) else {
        return Ok(None);
    };
    let line = bytes[..end].strip_suffix(b"\r").ok_or(NotAReply)?;
    let after = end + 1;
    match line {
        b"STORED" => Ok(Some((Reply::Simple(b"OK"), after))),
        b"END" => Ok(Some((Reply::Bulk(None), after))),
        line if line.starts_with(b"VALUE ") => only_value(bytes, line, after),
        line if is_error(line) => Ok(Some((Reply::Error(line), after))),
        _ => Err(NotAReply),
    }
}

fn is_error(line: &[u8]) -> bool {
    let words = [&b"ERROR"[..], b"CLIENT_ERROR", b"SERVER_ERROR"];
    words.iter().any(|word| line.starts_with(word))
}

/// The values of a `get` of many keys, each with its key, and the length of all of them with their
/// `END`; `None` while they are not whole. An error in their place is a reply of its own.
///
/// # Errors
///
/// What is none, and never will be.
pub(crate) fn cut_values<'a>(
    bytes: &'a [u8],
    values: &mut Vec<(&'a [u8], &'a [u8])>,
) -> Result<Option<usize>, NotAReply> {
    let mut at = 0;
    loop {
        let rest = &bytes[at..];
        if rest.starts_with(END) {
            return Ok(Some(at + END.len()));
        }
        let Some(end) = memchr::memchr(b'\n', rest) else {
            return Ok(None);
        };
        let line = rest[..end].strip_suffix(b"\r").ok_or(NotAReply)?;
        let key = line.strip_prefix(b"VALUE ").ok_or(NotAReply)?;
        let key = key.split(|byte| *byte == b' ').next().unwrap_or_default();
        let Some((value, after)) = value(rest, line, end + 1)? else {
            return Ok(None);
        };
        values.push((key, value));
        at += after;
    }
}

/// The value behind `VALUE key flags length` and where what follows it begins; `None` while it is
/// not whole.
fn value<'a>(
    bytes: &'a [u8],
    line: &[u8],
    after: usize,
) -> Result<Option<(&'a [u8], usize)>, NotAReply> {
    let length = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    let length = std::str::from_utf8(length).map_err(|_| NotAReply)?;
    let length: usize = length.parse().map_err(|_| NotAReply)?;
    let ends = after.checked_add(length).ok_or(NotAReply)?;
    let whole = ends.checked_add(2).ok_or(NotAReply)?;
    match bytes.get(ends..whole) {
        None => Ok(None),
        Some(b"\r\n") => Ok(Some((&bytes[after..ends], whole))),
        Some(_) => Err(NotAReply),
    }
}

/// `VALUE key flags length`, the value, and the `END` behind it.
fn only_value<'a>(
    bytes: &'a [u8],
    line: &[u8],
    after: usize,
) -> Result<Option<(Reply<'a>, usize)>, NotAReply> {
    let Some((value, ends)) = value(bytes, line, after)? else {
        return Ok(None);
    };
    let whole = ends + END.len();
    match bytes.get(ends..whole) {
        None => Ok(None),
        Some(END) => Ok(Some((Reply::Bulk(Some(value)), whole))),
        Some(_) => Err(NotAReply),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_cut_and_pieces_waited_for() {
        let bytes = b"VALUE k 0 3\r\na\nb\r\nEND\r\nEND\r\nSTORED\r\nSERVER_ERROR no\r\n";
        let due = [
            Reply::Bulk(Some(b"a\nb")),
            Reply::Bulk(None),
            Reply::Simple(b"OK"),
            Reply::Error(b"SERVER_ERROR no"),
        ];
        let mut from = 0;
        for reply in due {
            let (found, length) = cut(&bytes[from..]).unwrap().unwrap();
            assert_eq!(found, reply);
            for end in from..from + length {
                assert_eq!(cut(&bytes[from..end]), Ok(None));
            }
            from += length;
        }
        assert_eq!(from, bytes.len());
    }

    #[test]
    fn values_of_many_keys_come_with_their_keys_and_one_end() {
        let bytes = b"VALUE a 0 2\r\n\n\n\r\nVALUE b 0 0\r\n\r\nEND\r\nEND\r\n";
        let mut values = Vec::new();
        let length = cut_values(bytes, &mut values).unwrap().unwrap();
        assert_eq!(values, [(&b"a"[..], &b"\n\n"[..]), (b"b", b"")]);
        assert_eq!(&bytes[length..], b"END\r\n");
        for end in 0..length {
            assert_eq!(cut_values(&bytes[..end], &mut Vec::new()), Ok(None));
        }
        for wrong in [&b"STORED\r\n"[..], b"VALUE a 0 1\r\nxyz", b"END\nx"] {
            assert_eq!(cut_values(wrong, &mut Vec::new()), Err(NotAReply));
        }
    }

    #[test]
    fn garbage_is_no_reply() {
        for bytes in [
            &b"+OK\r\n"[..],
            b"END\n",
            b"VALUE k 0 x\r\n",
            b"VALUE k 0 1\r\nabcENDx\r\n",
        ] {
            assert_eq!(cut(bytes), Err(NotAReply), "{bytes:?}");
        }
    }
}
