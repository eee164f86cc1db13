//! Which release of its program a server is, by which clients choose what they ask.

use std::fmt;

/// As in `7.0.15`: the lower one knows less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release(pub u32, pub u32, pub u32);

impl Release {
    /// What a server calls itself; what is behind the third number is left out (`8.0.0-rc1`).
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Release> {
        let text = std::str::from_utf8(text).ok()?;
        let mut parts = text.splitn(3, '.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next().map_or(Some(0), |minor| minor.parse().ok())?;
        let patch = parts.next().unwrap_or("0");
        let digits = patch.find(|c: char| !c.is_ascii_digit());
        let patch = patch[..digits.unwrap_or(patch.len())].parse().ok()?;
        Some(Release(major, minor, patch))
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Release(major, minor, patch) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_ordered_by_their_numbers() {
        for (text, release) in [
            ("7.0.15", Release(7, 0, 15)),
            ("8.0.0-rc1", Release(8, 0, 0)),
            ("7.2", Release(7, 2, 0)),
        ] {
            assert_eq!(Release::parse(text.as_bytes()), Some(release));
        }
        for text in ["", "x", "7.x", "7.0.x", "-1.0.0", "99999999999.0.0"] {
            assert_eq!(Release::parse(text.as_bytes()), None, "{text}");
        }
        assert!(Release(7, 0, 9) < Release(7, 0, 15) && Release(9, 1, 0) < Release(10, 0, 0));
        assert_eq!(Release(7, 0, 15).to_string(), "7.0.15");
    }
}
