//! memcached's replies to `get` of one key and to `set`.

use crate::reply::NotAReply;
use crate::reply::Reply;

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
        line if line.starts_with(b"VALUE ") => value(bytes, line, after),
        line if is_error(line) => Ok(Some((Reply::Error(line), after))),
        _ => Err(NotAReply),
    }
}

fn is_error(line: &[u8]) -> bool {
    let words = [&b"ERROR"[..], b"CLIENT_ERROR", b"SERVER_ERROR"];
    words.iter().any(|word| line.starts_with(word))
}

/// `VALUE key flags length`, the value, and the `END` behind it.
fn value<'a>(
    bytes: &'a [u8],
    line: &[u8],
    after: usize,
) -> Result<Option<(Reply<'a>, usize)>, NotAReply> {
    let length = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    let length = std::str::from_utf8(length).map_err(|_| NotAReply)?;
    let length: usize = length.parse().map_err(|_| NotAReply)?;
    let tail = b"\r\nEND\r\n";
    let ends = after.checked_add(length).ok_or(NotAReply)?;
    let whole = ends.checked_add(tail.len()).ok_or(NotAReply)?;
    match bytes.get(ends..whole) {
        None => Ok(None),
        Some(found) if found == tail => Ok(Some((Reply::Bulk(Some(&bytes[after..ends])), whole))),
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
