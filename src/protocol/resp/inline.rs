//! Inline commands: a line of words, as people type them into netcat.

use crate::protocol::resp::request::ProtocolError;

/// Splits a line, without its line end, into words, by the rules of redis-cli and Redis (redis:
/// src/sds.c, sdssplitargs): double quotes with escapes, single quotes with `\'` only.
pub(super) fn split_words(line: &[u8]) -> Result<Vec<Vec<u8>>, ProtocolError> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        let blank = rest.iter().take_while(|byte| is_space(**byte)).count();
        rest = &rest[blank..];
        if rest.is_empty() {
            return Ok(words);
        }
        let (word, behind) = read_word(rest)?;
        words.push(word);
        rest = behind;
    }
}

// C's isspace in the "C" locale.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\x0b' | b'\x0c' | b'\r')
}

fn read_word(line: &[u8]) -> Result<(Vec<u8>, &[u8]), ProtocolError> {
    let (mut word, mut rest) = (Vec::new(), line);
    while let Some((&byte, behind)) = rest.split_first() {
        match byte {
            byte if is_space(byte) => break,
            b'"' => return read_double_quoted(word, behind),
            b'\'' => return read_single_quoted(word, behind),
            byte => word.push(byte),
        }
        rest = behind;
    }
    Ok((word, rest))
}

fn read_double_quoted(
    mut word: Vec<u8>,
    mut rest: &[u8],
) -> Result<(Vec<u8>, &[u8]), ProtocolError> {
    loop {
        match rest {
            [b'\\', b'x', high, low, behind @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push(hex(*high) << 4 | hex(*low));
                rest = behind;
            }
            [b'\\', escaped, behind @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                rest = behind;
            }
            [b'"', behind @ ..] => return closed(word, behind),
            [byte, behind @ ..] => {
                word.push(*byte);
                rest = behind;
            }
            [] => return Err(ProtocolError::UnbalancedQuotes),
        }
    }
}

fn read_single_quoted(
    mut word: Vec<u8>,
    mut rest: &[u8],
) -> Result<(Vec<u8>, &[u8]), ProtocolError> {
    loop {
        match rest {
            [b'\\', b'\'', behind @ ..] => {
                word.push(b'\'');
                rest = behind;
            }
            [b'\'', behind @ ..] => return closed(word, behind),
            [byte, behind @ ..] => {
                word.push(*byte);
                rest = behind;
            }
            [] => return Err(ProtocolError::UnbalancedQuotes),
        }
    }
}

// A closing quote is followed by a blank or by nothing.
fn closed(word: Vec<u8>, behind: &[u8]) -> Result<(Vec<u8>, &[u8]), ProtocolError> {
    match behind.first() {
        Some(byte) if !is_space(*byte) => Err(ProtocolError::UnbalancedQuotes),
        _ => Ok((word, behind)),
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_redis_splits_them() {
        let words = |line: &str| split_words(line.as_bytes());
        let of = |words: &[&str]| Ok(words.iter().map(|word| word.as_bytes().to_vec()).collect());
        assert_eq!(words("  SET  k\tv \r"), of(&["SET", "k", "v"]));
        assert_eq!(words(""), of(&[]));
        assert_eq!(
            words(r#"SET k "a b\n\x41\"" "#),
            of(&["SET", "k", "a b\nA\""])
        );
        assert_eq!(words(r"SET 'it\'s' ''"), of(&["SET", "it's", ""]));
        assert_eq!(words(r#"SET "open"#), Err(ProtocolError::UnbalancedQuotes));
        assert_eq!(words(r#"SET "a"b"#), Err(ProtocolError::UnbalancedQuotes));
    }
}
