//! Keys that a client sends as base64 (RFC 4648, 4), as memcached decodes them.

/// Appends what `text` stands for; `None` if it is no base64.
pub(super) fn decode(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if text.is_empty() || !text.len().is_multiple_of(4) {
        return None;
    }
    let last = text.len() / 4 - 1;
    for (nth, group) in text.chunks_exact(4).enumerate() {
        let padding = match group {
            [_, _, b'=', b'='] if nth == last => 2,
            [_, _, _, b'='] if nth == last => 1,
            _ => 0,
        };
        let mut bits = 0u32;
        for &letter in &group[..4 - padding] {
            bits = bits << 6 | sextet(letter)?;
        }
        bits <<= 6 * padding;
        // Bits that stand for nothing would give one key several names.
        if bits & ((1 << (8 * padding)) - 1) != 0 {
            return None;
        }
        out.extend_from_slice(&bits.to_be_bytes()[1..4 - padding]);
    }
    Some(())
}

fn sextet(letter: u8) -> Option<u32> {
    let value = match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(text.as_bytes(), &mut out).map(|()| out)
    }

    #[test]
    fn the_examples_of_the_rfc() {
        for (text, bytes) in [
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(decoded(text), Some(bytes.as_bytes().to_vec()));
        }
        assert_eq!(decoded("/+8A"), Some(vec![0xff, 0xef, 0]));
    }

    #[test]
    fn what_is_no_base64_is_none() {
        for text in [
            "", "Z", "Zg", "Zg=", "Z===", "====", "Zg==Zg==", "Zm9*", "Zh==", "Zm9=",
        ] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }
}
