//! Fowler, Noll and Vo's multiply-and-xor, in the four ways twemproxy has it.
//!
//! twemproxy: `src/hashkit/nc_fnv.c`. All four run in 32 bits: the low half of a 64-bit product
//! depends on the low halves alone, and twemproxy keeps only that half.

use super::signed;

/// The low half of FNV's 64-bit start value, 0xcbf29ce484222325.
const INIT_64: u32 = 0x8422_2325;
/// The low half of FNV's 64-bit prime, 0x100000001b3.
const PRIME_64: u32 = 0x1b3;
const INIT_32: u32 = 2_166_136_261;
const PRIME_32: u32 = 16_777_619;

pub(super) fn fnv1_64(key: &[u8]) -> u32 {
    fnv1(key, INIT_64, PRIME_64)
}

pub(super) fn fnv1a_64(key: &[u8]) -> u32 {
    fnv1a(key, INIT_64, PRIME_64)
}

pub(super) fn fnv1_32(key: &[u8]) -> u32 {
    fnv1(key, INIT_32, PRIME_32)
}

pub(super) fn fnv1a_32(key: &[u8]) -> u32 {
    fnv1a(key, INIT_32, PRIME_32)
}

#[inline]
fn fnv1(key: &[u8], init: u32, prime: u32) -> u32 {
    key.iter()
        .fold(init, |hash, &byte| hash.wrapping_mul(prime) ^ signed(byte))
}

#[inline]
fn fnv1a(key: &[u8], init: u32, prime: u32) -> u32 {
    key.iter().fold(init, |hash, &byte| {
        (hash ^ signed(byte)).wrapping_mul(prime)
    })
}
