//! The order of pools and of servers. It decides a server's index, and so where keys live.
//!
//! Owns: one comparison, twemproxy's, which no reader of the file may do differently. Never: looks at
//! anything but the name.

use std::cmp::Ordering;

/// twemproxy's order of names: the shorter first, equal lengths by their bytes (twemproxy:
/// `string_compare` in `src/nc_string.c`, used by `conf_validate_server` and
/// `conf_post_validate`).
#[must_use]
pub fn twemproxy_order(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::twemproxy_order;

    #[test]
    fn a_shorter_name_comes_first_whatever_its_bytes() {
        let mut names = ["server10", "server9", "b", "aa", "é", "zz", "server1"];
        names.sort_by(|a, b| twemproxy_order(a, b));
        assert_eq!(
            names,
            ["b", "aa", "zz", "é", "server1", "server9", "server10"]
        );
    }
}
