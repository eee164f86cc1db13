//! Which sections a request for `INFO` names.

use crate::protocol::command::Args;

/// Every section, as `INFO` without a name gives it and these do.
const ALL: [&[u8]; 3] = [b"default", b"all", b"everything"];

/// Whether the request names this section.
pub fn names_section<A: Args + ?Sized>(args: &A, section: &str) -> bool {
    args.len() == 1
        || (1..args.len()).any(|index| {
            let word = args.arg(index);
            word.eq_ignore_ascii_case(section.as_bytes())
                || ALL.iter().any(|all| word.eq_ignore_ascii_case(all))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sections_that_are_named_are_told() {
        assert!(names_section(&["INFO"], "A"));
        assert!(names_section(&["INFO", "x", "ALL"], "A"));
        assert!(names_section(&["INFO", "b"], "B"));
        assert!(!names_section(&["INFO", "b"], "A"));
    }
}
