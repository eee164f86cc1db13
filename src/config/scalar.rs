//! One text becomes one value.
//!
//! Owns: what twemproxy takes for a number, and the names of hashes and distributions. Never: which key
//! the text belongs to.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::config::error::ConfigErrorKind;
use crate::route::Distribution;
use crate::route::Hash;
use crate::route::HashTag;

/// twemproxy keeps numbers in a C `int` (`conf_set_num` in `src/nc_conf.c`).
const NUMBER_MAX: u32 = i32::MAX.unsigned_abs();

/// 1 TiB: more is a typing error.
const BYTES_MAX: u64 = 1 << 40;

/// Digits only, leading zeros allowed, as twemproxy's `nc_atoi`.
pub(super) fn digits(text: &str) -> Option<u64> {
    let decimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // Too long for u64 is too big for every limit there is.
    decimal.then(|| text.parse().unwrap_or(u64::MAX))
}

fn in_range(text: &str, min: u64, max: u64) -> Result<u64, ConfigErrorKind> {
    digits(text)
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| ConfigErrorKind::NotANumber {
            found: text.to_owned(),
            min,
            max,
        })
}

/// 0 to 2147483647.
pub(super) fn number(text: &str) -> Result<u32, ConfigErrorKind> {
    in_range(text, 0, NUMBER_MAX.into()).map(|n| u32::try_from(n).unwrap_or(NUMBER_MAX))
}

/// 0 to 2147483647, 0 being `None`.
pub(super) fn limit(text: &str) -> Result<Option<NonZeroU32>, ConfigErrorKind> {
    number(text).map(NonZeroU32::new)
}

/// 1 to 2147483647.
pub(super) fn at_least_one(text: &str) -> Result<NonZeroU32, ConfigErrorKind> {
    limit(text)?.ok_or_else(|| ConfigErrorKind::NotANumber {
        found: text.to_owned(),
        min: 1,
        max: NUMBER_MAX.into(),
    })
}

/// Milliseconds.
pub(super) fn millis(text: &str) -> Result<Duration, ConfigErrorKind> {
    number(text).map(|ms| Duration::from_millis(ms.into()))
}

/// Milliseconds, 0 being `None`.
pub(super) fn millis_or_none(text: &str) -> Result<Option<Duration>, ConfigErrorKind> {
    millis(text).map(|time| Some(time).filter(|time| !time.is_zero()))
}

/// Milliseconds, at least one.
pub(super) fn millis_at_least_one(text: &str) -> Result<Duration, ConfigErrorKind> {
    at_least_one(text).map(|ms| Duration::from_millis(ms.get().into()))
}

/// Bytes, 0 to 1 TiB.
pub(super) fn bytes(text: &str) -> Result<usize, ConfigErrorKind> {
    in_range(text, 0, BYTES_MAX).map(|n| usize::try_from(n).unwrap_or(usize::MAX))
}

/// Bytes, 1 to 1 TiB.
pub(super) fn bytes_at_least_one(text: &str) -> Result<usize, ConfigErrorKind> {
    in_range(text, 1, BYTES_MAX).map(|n| usize::try_from(n).unwrap_or(usize::MAX))
}

/// Two bytes.
pub(super) fn hash_tag(text: &str) -> Result<HashTag, ConfigErrorKind> {
    match *text.as_bytes() {
        [open, close] => Ok(HashTag { open, close }),
        _ => Err(ConfigErrorKind::NotAHashTag {
            found: text.to_owned(),
        }),
    }
}

pub(super) fn hash(text: &str) -> Result<Hash, ConfigErrorKind> {
    Hash::from_name(text).ok_or_else(|| {
        let names: Vec<_> = Hash::ALL.iter().map(|hash| hash.name()).collect();
        not_one_of("hash", text, &names)
    })
}

pub(super) fn distribution(text: &str) -> Result<Distribution, ConfigErrorKind> {
    Distribution::from_name(text).ok_or_else(|| {
        let all = Distribution::ALL.iter();
        let names: Vec<_> = all.map(|distribution| distribution.name()).collect();
        not_one_of("distribution", text, &names)
    })
}

/// `found` is none of the `choices` of `what`.
pub(super) fn not_one_of(
    what: &'static str,
    found: &str,
    choices: &[&'static str],
) -> ConfigErrorKind {
    ConfigErrorKind::NotOneOf {
        what,
        found: found.to_owned(),
        choices: choices.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::bytes;
    use super::digits;
    use super::hash_tag;
    use super::millis_or_none;
    use super::number;
    use std::time::Duration;

    #[test]
    fn a_number_is_digits_and_nothing_else() {
        assert_eq!(digits("0123"), Some(123));
        assert_eq!(digits("99999999999999999999999"), Some(u64::MAX));
        for not in ["", "-1", "+1", " 1", "1 ", "0x10", "1e3", "1_000", "٣"] {
            assert_eq!(digits(not), None, "{not:?}");
        }
        assert_eq!(number("2147483647").ok(), Some(2_147_483_647));
        assert!(number("2147483648").is_err());
        assert_eq!(bytes("1099511627776").ok(), Some(1 << 40));
        assert!(bytes("1099511627777").is_err());
    }

    #[test]
    fn a_time_of_zero_is_no_limit() {
        assert_eq!(millis_or_none("0").ok(), Some(None));
        let time = Some(Some(Duration::from_millis(400)));
        assert_eq!(millis_or_none("400").ok(), time);
    }

    #[test]
    fn a_hash_tag_is_two_bytes() {
        let tag = hash_tag("{}").unwrap();
        assert_eq!((tag.open, tag.close), (b'{', b'}'));
        // Two bytes of one letter, which twemproxy takes, too.
        assert!(hash_tag("é").is_ok());
        for not in ["", "{", "{}}", "éé"] {
            assert!(hash_tag(not).is_err(), "{not:?}");
        }
    }
}
