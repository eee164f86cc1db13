//! MurmurHash2 with libmemcached's seed.
//!
//! twemproxy: `src/hashkit/nc_murmur.c`.

use super::length;
use super::word;

const MULTIPLIER: u32 = 0x5bd1_e995;

pub(super) fn murmur(key: &[u8]) -> u32 {
    let seed = 0xdead_beef_u32.wrapping_mul(length(key));
    let mut hash = seed ^ length(key);
    let mut blocks = key.chunks_exact(4);
    for block in &mut blocks {
        let mut mixed = word(block).wrapping_mul(MULTIPLIER);
        mixed ^= mixed >> 24;
        hash = hash.wrapping_mul(MULTIPLIER) ^ mixed.wrapping_mul(MULTIPLIER);
    }
    let tail = blocks.remainder();
    if !tail.is_empty() {
        for (place, &byte) in tail.iter().enumerate() {
            hash ^= u32::from(byte) << (8 * place);
        }
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}
