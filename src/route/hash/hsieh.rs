//! Paul Hsieh's SuperFastHash: four bytes at a time, as two halves.
//!
//! twemproxy: `src/hashkit/nc_hsieh.c`. Only the third byte of a three-byte tail is read signed.

use super::signed;

pub(super) fn hsieh(key: &[u8]) -> u32 {
    let mut hash = 0_u32;
    let mut blocks = key.chunks_exact(4);
    for block in &mut blocks {
        hash = hash.wrapping_add(half(block));
        hash = (hash << 16) ^ (half(&block[2..]) << 11) ^ hash;
        hash = hash.wrapping_add(hash >> 11);
    }
    hash = match *blocks.remainder() {
        [_, _, last] => {
            hash = hash.wrapping_add(half(blocks.remainder()));
            hash ^= hash << 16;
            hash ^= signed(last) << 18;
            hash.wrapping_add(hash >> 11)
        }
        [_, _] => {
            hash = hash.wrapping_add(half(blocks.remainder()));
            hash ^= hash << 11;
            hash.wrapping_add(hash >> 17)
        }
        [last] => {
            hash = hash.wrapping_add(u32::from(last));
            hash ^= hash << 10;
            hash.wrapping_add(hash >> 1)
        }
        _ => hash,
    };
    avalanche(hash)
}

/// Two bytes, little-endian.
#[inline]
fn half(bytes: &[u8]) -> u32 {
    u32::from(u16::from_le_bytes([bytes[0], bytes[1]]))
}

/// Lets the last bytes reach every bit.
#[inline]
fn avalanche(mut hash: u32) -> u32 {
    hash ^= hash << 3;
    hash = hash.wrapping_add(hash >> 5);
    hash ^= hash << 4;
    hash = hash.wrapping_add(hash >> 17);
    hash ^= hash << 25;
    hash.wrapping_add(hash >> 6)
}
