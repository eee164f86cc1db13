//! Redis's glob patterns (`src/util.c`, `stringmatchlen`), in any case or exactly: `*`, `?`, `[a-z]`, `[^a]`,
//! and `\` before a byte that stands for itself.

/// Whether `pattern` matches all of `text`, in any case, as names of commands and parameters are
/// matched. Never worse than the product of their lengths.
#[must_use]
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    matches_folded(pattern, text, |byte| byte.to_ascii_lowercase())
}

/// The same, each byte as it is, as keys are matched.
#[must_use]
pub fn key_matches(pattern: &[u8], text: &[u8]) -> bool {
    matches_folded(pattern, text, |byte| byte)
}

fn matches_folded(pattern: &[u8], text: &[u8], fold: fn(u8) -> u8) -> bool {
    let (mut p, mut t) = (0, 0);
    // After the last `*` seen, and how far into the text it was tried to reach.
    let mut star = None;
    loop {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            star = Some((p, t));
        } else if let Some(width) = match_one(&pattern[p..], text.get(t), fold) {
            p += width;
            t += 1;
        } else if p == pattern.len() && t == text.len() {
            return true;
        } else {
            match star {
                Some((after, reach)) if reach < text.len() => {
                    (p, t) = (after, reach + 1);
                    star = Some((p, t));
                }
                _ => return false,
            }
        }
    }
}

/// How many bytes of the pattern the element has that matches `byte`.
fn match_one(pattern: &[u8], byte: Option<&u8>, fold: fn(u8) -> u8) -> Option<usize> {
    let byte = fold(*byte?);
    let (width, matched) = match pattern {
        [] => return None,
        [b'?', ..] => (1, true),
        [b'[', class @ ..] => {
            let (width, matched) = match_class(class, byte, fold);
            (1 + width, matched)
        }
        [b'\\', escaped, ..] => (2, fold(*escaped) == byte),
        [plain, ..] => (1, fold(*plain) == byte),
    };
    matched.then_some(width)
}

/// A class, its `[` cut off: how long it is, `]` included, and whether `byte` is in it. Without a
/// `]` it goes to the end of the pattern.
fn match_class(class: &[u8], byte: u8, fold: fn(u8) -> u8) -> (usize, bool) {
    let (negated, mut at) = match class {
        [b'^', ..] => (true, 1),
        _ => (false, 0),
    };
    let mut found = false;
    loop {
        match class[at..] {
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', escaped, ..] => {
                found |= fold(escaped) == byte;
                at += 2;
            }
            [from, b'-', to, ..] => {
                let (from, to) = (fold(from), fold(to));
                found |= (from.min(to)..=from.max(to)).contains(&byte);
                at += 3;
            }
            [plain, ..] => {
                found |= fold(plain) == byte;
                at += 1;
            }
        }
    }
    (at, found != negated)
}

#[cfg(test)]
mod tests {
    use super::key_matches;
    use super::matches;

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "get", true),
            ("GET", "get", true),
            ("g?t", "get", true),
            ("g?t", "gt", false),
            ("*set*", "hsetnx", true),
            ("*s*s*s", "sss", true),
            ("*s*s*s*s", "sss", false),
            ("h[gs]et", "hset", true),
            ("h[^gs]et", "hset", false),
            ("h[^gs]et", "hlet", true),
            ("[a-c]cl", "acl", true),
            ("[C-A]cl", "bcl", true),
            ("[a-c]cl", "dcl", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("[\\]]", "]", true),
            ("[ab", "b", true),
            ("xinfo|*", "xinfo|help", true),
            ("get*", "set", false),
            ("*t", "get", true),
            ("\\", "\\", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                expected,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn keys_are_matched_as_they_are() {
        for (pattern, text, expected) in [
            ("User:*", "User:1", true),
            ("User:*", "user:1", false),
            ("[a-c]", "B", false),
            ("\\A", "a", false),
        ] {
            assert_eq!(key_matches(pattern.as_bytes(), text.as_bytes()), expected);
        }
    }

    #[test]
    fn many_stars_take_no_longer_than_the_product_of_the_lengths() {
        // Exponential backtracking would not end in this lifetime.
        let pattern = "*a".repeat(40) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(10_000).as_bytes()));
    }
}
