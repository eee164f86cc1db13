//! The replies that GET and SET have.

/// One reply, in the bytes that were received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply<'a> {
    /// `+OK`
    Simple(&'a [u8]),
    /// `-ERR …`, without the dash
    Error(&'a [u8]),
    /// A value; `None` for a key that is not there.
    Bulk(Option<&'a [u8]>),
}

/// Bytes that are no such reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAReply;

/// The first reply of `bytes` and its length; `None` while it is not whole.
///
/// # Errors
///
/// What is neither, and never will be.
pub(crate) fn cut(bytes: &[u8]) -> Result<Option<(Reply<'_>, usize)>, NotAReply> {
    let Some(end) = memchr::memchr(b'\n', bytes) else {
        return Ok(None);
    };
    let line = bytes[..end].strip_suffix(b"\r").ok_or(NotAReply)?;
    let (kind, rest) = line.split_first().ok_or(NotAReply)?;
    let after = end + 1;
    match kind {
        b'+' => Ok(Some((Reply::Simple(rest), after))),
        b'-' => Ok(Some((Reply::Error(rest), after))),
        b'$' if rest == b"-1" => Ok(Some((Reply::Bulk(None), after))),
        b'$' => {
            let digits = std::str::from_utf8(rest).map_err(|_| NotAReply)?;
            let length: usize = digits.parse().map_err(|_| NotAReply)?;
            let whole = after.checked_add(length).and_then(|n| n.checked_add(2));
            let whole = whole.ok_or(NotAReply)?;
            match bytes.get(after..whole) {
                None => Ok(None),
                Some(body) => {
                    let value = body.strip_suffix(b"\r\n").ok_or(NotAReply)?;
                    Ok(Some((Reply::Bulk(Some(value)), whole)))
                }
            }
        }
        _ => Err(NotAReply),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_cut_and_pieces_waited_for() {
        let bytes = b"$3\r\na\nb\r\n$-1\r\n+OK\r\n-ERR no\r\n";
        let due = [
            Reply::Bulk(Some(b"a\nb")),
            Reply::Bulk(None),
            Reply::Simple(b"OK"),
            Reply::Error(b"ERR no"),
        ];
        let mut from = 0;
        for reply in due {
            for cut_at in from..bytes.len() {
                if let Some((cut_reply, length)) = cut(&bytes[from..cut_at]).unwrap() {
                    assert_eq!((cut_reply, from + length <= cut_at), (reply, true));
                }
            }
            let (found, length) = cut(&bytes[from..]).unwrap().unwrap();
            assert_eq!(found, reply);
            from += length;
        }
        assert_eq!(from, bytes.len());
    }

    #[test]
    fn garbage_is_no_reply() {
        for bytes in [
            &b"x\r\n"[..],
            b"+OK\n",
            b"$x\r\n",
            b"$1\r\nabc",
            b"*1\r\n",
            b"\n",
        ] {
            assert_eq!(cut(bytes), Err(NotAReply), "{bytes:?}");
        }
    }
}
