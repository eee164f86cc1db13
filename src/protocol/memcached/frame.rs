//! A request that lies whole in what was received, as it is sent to a server.

use crate::protocol::Arg;
use crate::protocol::memcached::KEYS_BYTES_MAX;
use crate::protocol::memcached::fault::ProtocolError;
use crate::protocol::memcached::line::read_line;

/// Cuts the request that begins at `buf[0]` if it lies whole in `buf` and is canonical. All others
/// are for an assembly, also those that ask nothing.
///
/// # Errors
/// None: an assembly has them.
#[inline]
pub fn cut_request(buf: &[u8], args: &mut Vec<Arg>) -> Result<Option<usize>, ProtocolError> {
    let within = buf.len().min(KEYS_BYTES_MAX);
    let Some(end) = memchr::memchr(b'\n', &buf[..within]) else {
        return Ok(None);
    };
    let Some(line) = buf[..end].strip_suffix(b"\r") else {
        return Ok(None);
    };
    let asks = read_line(line, args);
    if !asks.canonical || asks.quiet || asks.encoded || asks.fault.is_some() {
        return Ok(None);
    }
    let end = end + 1;
    match asks.data {
        None if crosses_limit(buf, end) => Ok(None),
        None => Ok(Some(end)),
        Some(bytes) => {
            let behind = end + bytes + 2;
            let is_whole = buf.get(behind - 2..behind) == Some(b"\r\n");
            Ok((is_whole && end <= super::LINE_BYTES_MAX).then_some(behind))
        }
    }
}

/// Whether a line is longer than its command may be.
fn crosses_limit(buf: &[u8], end: usize) -> bool {
    end > super::LINE_BYTES_MAX && !buf.starts_with(b"g")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(bytes: &[u8]) -> Option<usize> {
        cut_request(bytes, &mut Vec::new()).unwrap()
    }

    #[test]
    fn a_request_ends_behind_its_data() {
        assert_eq!(cut(b"get a b\r\nget c\r\n"), Some(9));
        assert_eq!(cut(b"set k 0 0 5\r\na\r\nb\n\r\nget"), Some(20));
        assert_eq!(cut(b"set k 0 0 0\r\n\r\n"), Some(15));
        for end in 0..20 {
            assert_eq!(cut(&b"set k 0 0 5\r\na\r\nb\n\r\n"[..end]), None);
        }
    }

    #[test]
    fn what_is_not_canonical_is_for_an_assembly() {
        for bytes in [
            &b"get a\n"[..],
            b"get  a\r\n",
            b"set k 0 0 1 noreply\r\nx\r\n",
            b"set k 0 0 1\r\nxyz\r\n",
            b"mg a q\r\n",
            b"mg YQ== b\r\n",
            b"get a\x01\r\n",
            b"\r\n",
        ] {
            assert_eq!(cut(bytes), None, "{}", bytes.escape_ascii());
        }
    }
}
