//! The part of a key that decides where it lives.
//!
//! Owns: twemproxy's rule for `hash_tag`. Never: hashes.

/// The two bytes around the part of a key that is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HashTag {
    /// Opens the part; may equal `close`, as in `$$`.
    pub open: u8,
    /// Closes the part.
    pub close: u8,
}

impl HashTag {
    /// What is hashed of `key`: the bytes between the first `open` and the first `close` after it,
    /// or the whole key where one of them is missing or nothing is between them (twemproxy:
    /// `server_pool_idx` in `src/nc_server.c`).
    #[must_use]
    pub fn hashed_part(self, key: &[u8]) -> &[u8] {
        let Some(open) = memchr::memchr(self.open, key) else {
            return key;
        };
        let after = &key[open + 1..];
        match memchr::memchr(self.close, after) {
            None | Some(0) => key,
            Some(close) => &after[..close],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HashTag;

    const BRACES: HashTag = HashTag {
        open: b'{',
        close: b'}',
    };

    #[test]
    fn the_bytes_between_the_tags_are_hashed() {
        assert_eq!(BRACES.hashed_part(b"user:{1000}:name"), b"1000");
        assert_eq!(BRACES.hashed_part(b"{a}"), b"a");
    }

    #[test]
    fn only_the_first_pair_counts() {
        assert_eq!(BRACES.hashed_part(b"{a}{b}"), b"a");
        assert_eq!(BRACES.hashed_part(b"}{a}"), b"a");
        assert_eq!(BRACES.hashed_part(b"{{a}}"), b"{a");
    }

    #[test]
    fn an_empty_or_open_tag_hashes_the_whole_key() {
        for key in [
            &b"{}"[..],
            b"a{}b",
            b"{}{b}",
            b"{a",
            b"a}",
            b"}a{",
            b"{",
            b"}",
            b"",
            b"plain",
        ] {
            assert_eq!(BRACES.hashed_part(key), key);
        }
    }

    #[test]
    fn equal_tags_pair_up() {
        let dollars = HashTag {
            open: b'$',
            close: b'$',
        };
        assert_eq!(dollars.hashed_part(b"x$a$y$"), b"a");
        assert_eq!(dollars.hashed_part(b"$$a$"), b"$$a$");
        assert_eq!(dollars.hashed_part(b"a$b"), b"a$b");
    }
}
