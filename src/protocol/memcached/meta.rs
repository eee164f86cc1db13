//! The meta commands' flags.
//!
//! | | flags | with a token |
//! |---|---|---|
//! | all | `b k q` | `O`, `P`, `L` |
//! | `mg` | `c f h l s t u v` | `E N R T` |
//! | `ms` | `c I s` | `C E F M N T` |
//! | `md` | `I x` | `C E T` |
//! | `ma` | `c t v` | `C D E J M N T` |
//!
//! `q` is the proxy's to obey. `P` and `L` are words to a proxy about ways that this one does not have.

use crate::protocol::memcached::DATA_BYTES_MAX;
use crate::protocol::memcached::fault::Fault;
use crate::protocol::memcached::line::Words;
use crate::protocol::memcached::line::is_exptime;
use crate::protocol::memcached::line::is_u32;
use crate::protocol::memcached::line::is_u64;
use crate::protocol::memcached::line::size_of_data;

/// memcached's own limit.
const OPAQUE_BYTES_MAX: usize = 32;

/// Checks a meta command but for `mn`.
pub(super) fn check(words: &mut Words<'_>) -> Result<(), Fault> {
    words.at_least(2)?;
    let name = [words.word(0)[0], words.word(0)[1]];
    let first = match &name {
        b"ms" => {
            if words.len() < 3 {
                return Err(Fault::Format);
            }
            let bytes = size_of_data(words.word(2))?;
            words.set_data(bytes);
            if bytes > DATA_BYTES_MAX {
                return Err(Fault::TooLarge);
            }
            3
        }
        _ => 2,
    };
    words.key(1)?;
    check_flags(&name, first, words)
}

fn check_flags(name: &[u8; 2], first: usize, words: &mut Words<'_>) -> Result<(), Fault> {
    let (mut seen, mut index) = (0u128, first);
    let mut fault = None;
    while index < words.len() {
        let (flag, token) = (words.word(index)[0], &words.word(index)[1..]);
        let bit = 1u128.checked_shl(u32::from(flag)).unwrap_or(0);
        let checked = match seen & bit {
            0 => check_flag(name, flag, token),
            _ => Err(Fault::Duplicate),
        };
        // The first one is told, and all of them are looked at: one may be `q`.
        fault = fault.or(checked.err());
        seen |= bit;
        match flag {
            b'q' => words.set_quiet(),
            b'b' => words.set_encoded(),
            _ => {}
        }
        match flag {
            b'q' | b'P' | b'L' => words.drop_word(index),
            _ => index += 1,
        }
    }
    fault.map_or(Ok(()), Err)
}

fn check_flag(name: &[u8; 2], flag: u8, token: &[u8]) -> Result<(), Fault> {
    let alone: &[u8] = match name {
        b"mg" => b"bkqcfhlstuv",
        b"ms" => b"bkqcIs",
        b"md" => b"bkqIx",
        b"ma" => b"bkqctv",
        _ => b"b",
    };
    let with_token: &[u8] = match name {
        b"mg" => b"OPLENRT",
        b"ms" => b"OPLCEFMNT",
        b"md" => b"OPLCET",
        b"ma" => b"OPLCDEJMNT",
        _ => b"",
    };
    if alone.contains(&flag) {
        return match token {
            [] => Ok(()),
            _ => Err(Fault::Flag),
        };
    }
    if !with_token.contains(&flag) {
        return Err(Fault::Flag);
    }
    let is_right = match flag {
        b'O' if token.len() > OPAQUE_BYTES_MAX => return Err(Fault::Opaque),
        b'O' | b'P' | b'L' => true,
        b'M' => return check_mode(name, token),
        b'F' => is_u32(token),
        b'N' | b'R' | b'T' => is_exptime(token),
        _ => is_u64(token),
    };
    match is_right {
        true => Ok(()),
        false => Err(Fault::Token),
    }
}

fn check_mode(name: &[u8; 2], token: &[u8]) -> Result<(), Fault> {
    let modes: &[u8] = match name {
        b"ms" => b"EeAaPpRrSs",
        _ => b"IiDd+-",
    };
    match token {
        [mode] if modes.contains(mode) => Ok(()),
        _ => Err(Fault::Mode),
    }
}

/// Whether a flag of `mg` changes something: it is not asked a second time.
pub(super) fn changes(flag: &[u8]) -> bool {
    matches!(flag.first(), Some(b'E' | b'N' | b'R' | b'T'))
}
