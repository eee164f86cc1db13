//! The line that opens an array or a bulk string: a mark, a canonical decimal number, CR LF.

/// More digits than any number that we accept has; so a header line is never long.
const DIGITS_MAX: usize = 19;

/// What a header line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// The number, and where the line ends (behind its LF).
    Number { value: u64, end: usize },
    /// `-1`, a null.
    Null { end: usize },
    /// Not yet all there.
    Incomplete,
    /// Not a canonical number, or not followed by CR LF.
    Broken,
}

/// Reads the header line whose mark is at `buf[at]`.
#[inline]
pub(super) fn read_header(buf: &[u8], at: usize) -> Header {
    // Nearly all numbers have one digit or two.
    if let Some([first, second, third, fourth, ..]) = buf.get(at + 1..) {
        let (tens, ones) = (first.wrapping_sub(b'0'), second.wrapping_sub(b'0'));
        if [*second, *third] == *b"\r\n" && tens <= 9 {
            let value = u64::from(tens);
            return Header::Number { value, end: at + 4 };
        }
        if [*third, *fourth] == *b"\r\n" && ones <= 9 && (1..=9).contains(&tens) {
            let value = u64::from(tens) * 10 + u64::from(ones);
            return Header::Number { value, end: at + 5 };
        }
    }
    read_any_header(buf, at)
}

#[inline(never)]
fn read_any_header(buf: &[u8], at: usize) -> Header {
    let mut position = at + 1;
    let mut value: u64 = 0;
    while let Some(&byte) = buf.get(position) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return end_of_number(buf, at, position, value);
        }
        // Not canonical: a second digit behind a leading zero.
        if value == 0 && position > at + 1 {
            return Header::Broken;
        }
        if position - at > DIGITS_MAX {
            return Header::Broken;
        }
        value = value * 10 + u64::from(digit);
        position += 1;
    }
    Header::Incomplete
}

#[inline]
fn end_of_number(buf: &[u8], at: usize, position: usize, value: u64) -> Header {
    if position == at + 1 {
        return null(buf, position);
    }
    match (buf[position], buf.get(position + 1)) {
        (b'\r', Some(b'\n')) => Header::Number {
            value,
            end: position + 2,
        },
        (b'\r', None) => Header::Incomplete,
        _ => Header::Broken,
    }
}

fn null(buf: &[u8], position: usize) -> Header {
    let null = b"-1\r\n";
    let there = &buf[position..buf.len().min(position + null.len())];
    if there == null {
        Header::Null {
            end: position + null.len(),
        }
    } else if null.starts_with(there) {
        Header::Incomplete
    } else {
        Header::Broken
    }
}

/// How many bytes the header of a bulk string of `len` bytes has.
#[inline]
pub(super) fn header_bytes(len: usize) -> usize {
    let digits = len.checked_ilog10().unwrap_or(0) as usize + 1;
    1 + digits + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_numbers_are_numbers() {
        for (line, value) in [
            ("$0\r\n", 0),
            ("*12\r\n", 12),
            ("$9999999999\r\n", 9_999_999_999),
        ] {
            let end = line.len();
            assert_eq!(
                read_header(line.as_bytes(), 0),
                Header::Number { value, end },
                "{line:?}"
            );
            assert_eq!(header_bytes(usize::try_from(value).expect("64 bits")), end);
        }
        for line in [
            "$05\r\n",
            "$+5\r\n",
            "$-5\r\n",
            "$-0\r\n",
            "$\r\n",
            "$ 5\r\n",
            "$5 \r\n",
            "$5\n",
            "$5\rx",
            "$00\r\n",
            "$5x\r\n",
            "$-1x",
            "$18446744073709551621\r\n",
            "$-\r\n",
            "$--1\r\n",
        ] {
            assert_eq!(read_header(line.as_bytes(), 0), Header::Broken, "{line:?}");
        }
        assert_eq!(read_header(b"$-1\r\n", 0), Header::Null { end: 5 });
    }

    #[test]
    fn a_short_number_is_read_as_any_other() {
        for tail in ["", "$", "$3\r\nGET\r\n"] {
            for first in 0..=u8::MAX {
                for second in 0..=u8::MAX {
                    for end in ["\r\n", "\n\r", "\r", ""] {
                        let line = [b"*", &[first, second][..], end.as_bytes(), tail.as_bytes()];
                        let line = line.concat();
                        let read = read_header(&line, 0);
                        assert_eq!(read, read_any_header(&line, 0), "{:?}", line.escape_ascii());
                    }
                }
            }
        }
    }

    #[test]
    fn a_number_cut_anywhere_is_incomplete_never_wrong() {
        for line in ["$1234567\r\n", "$-1\r\n", "*0\r\n"] {
            for cut in 1..line.len() {
                assert_eq!(
                    read_header(&line.as_bytes()[..cut], 0),
                    Header::Incomplete,
                    "{line:?}"
                );
            }
        }
    }
}
