//! The order in which twemproxy keeps servers and pools.
//!
//! Owns: the comparison. Never: decides what is compared. The server index of `modula` and
//! `random`, ties on the ring and the order of the statistics all follow it.

use std::cmp::Ordering;

/// Shorter names first, names of one length by their bytes (twemproxy: `string_compare` in
/// `src/nc_string.c`). For `sort_by`: `servers.sort_by(|a, b| order(&a.name, &b.name))`.
#[must_use]
pub fn order(one: impl AsRef<[u8]>, other: impl AsRef<[u8]>) -> Ordering {
    let (one, other) = (one.as_ref(), other.as_ref());
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

#[cfg(test)]
mod tests {
    use super::order;

    #[test]
    fn shorter_names_come_first_then_bytes_decide() {
        let mut names = ["server10", "server2", "b", "aa", "a", "é", "server1"];
        names.sort_by(|one, other| order(one, other));
        assert_eq!(
            names,
            ["a", "b", "aa", "é", "server1", "server2", "server10"]
        );
    }
}
