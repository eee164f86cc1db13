//! The first arguments of a request of which only the beginning is there.

use crate::protocol::resp::header::Header;
use crate::protocol::resp::header::read_header;

/// The arguments that begin in `head`, how a canonical request begins; the last one may be cut.
#[must_use]
pub fn leading_args(head: &[u8]) -> Vec<&[u8]> {
    let mut args = Vec::new();
    let Header::Number { value, end } = read_header(head, 0) else {
        return args;
    };
    let mut at = end;
    for _ in 0..value {
        let Header::Number { value, end } = read_header(head, at) else {
            break;
        };
        let left = head.len() - end;
        let len = usize::try_from(value).map_or(left, |len| len.min(left));
        args.push(&head[end..end + len]);
        at = (end + len + 2).min(head.len());
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_there_as_far_as_the_head_goes_and_cut_anywhere_none_is_wrong() {
        let frame = b"*3\r\n$3\r\nSET\r\n$4\r\nname\r\n$5\r\nvalue\r\n";
        let whole: [&[u8]; 3] = [b"SET", b"name", b"value"];
        assert_eq!(leading_args(frame), whole);
        for end in 0..frame.len() {
            for (arg, full) in leading_args(&frame[..end]).iter().zip(whole) {
                assert!(full.starts_with(arg), "{end}");
            }
        }
        assert_eq!(leading_args(&frame[..19]), [&b"SET"[..], b"na"]);
        assert!(leading_args(b"PING\r\n").is_empty());
    }
}
