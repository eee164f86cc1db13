//! Bob Jenkins's lookup3, `hashlittle` with the start value 13.
//!
//! twemproxy: `src/hashkit/nc_jenkins.c`. Its three readings by alignment give the same result on
//! a little-endian machine, so here is one.

use super::length;
use super::word;

/// libmemcached's start value.
const INIT: u32 = 13;
/// Bytes that enter before the state is mixed once.
const BLOCK_BYTES: usize = 12;

pub(super) fn jenkins(key: &[u8]) -> u32 {
    let start = 0xdead_beef_u32.wrapping_add(length(key)).wrapping_add(INIT);
    let mut state = [start; 3];
    let mut rest = key;
    // The last block is kept for `last_mix`, also when it is whole.
    while rest.len() > BLOCK_BYTES {
        let (block, after) = rest.split_at(BLOCK_BYTES);
        add(&mut state, block);
        mix(&mut state);
        rest = after;
    }
    if rest.is_empty() {
        return state[2];
    }
    let mut block = [0; BLOCK_BYTES];
    block[..rest.len()].copy_from_slice(rest);
    add(&mut state, &block);
    last_mix(&mut state);
    state[2]
}

#[inline]
fn add(state: &mut [u32; 3], block: &[u8]) {
    state[0] = state[0].wrapping_add(word(block));
    state[1] = state[1].wrapping_add(word(&block[4..]));
    state[2] = state[2].wrapping_add(word(&block[8..]));
}

#[inline]
fn mix(state: &mut [u32; 3]) {
    let [mut a, mut b, mut c] = *state;
    (a, c) = step(a, b, c, 4);
    (b, a) = step(b, c, a, 6);
    (c, b) = step(c, a, b, 8);
    (a, c) = step(a, b, c, 16);
    (b, a) = step(b, c, a, 19);
    (c, b) = step(c, a, b, 4);
    *state = [a, b, c];
}

/// `x -= z; x ^= z <<< rotate; z += y`; gives the new `x` and `z`.
#[inline]
fn step(x: u32, y: u32, z: u32, rotate: u32) -> (u32, u32) {
    (x.wrapping_sub(z) ^ z.rotate_left(rotate), z.wrapping_add(y))
}

#[inline]
fn last_mix(state: &mut [u32; 3]) {
    let [mut a, mut b, mut c] = *state;
    c = last_step(c, b, 14);
    a = last_step(a, c, 11);
    b = last_step(b, a, 25);
    c = last_step(c, b, 16);
    a = last_step(a, c, 4);
    b = last_step(b, a, 14);
    c = last_step(c, b, 24);
    *state = [a, b, c];
}

/// `x ^= y; x -= y <<< rotate`.
#[inline]
fn last_step(x: u32, y: u32, rotate: u32) -> u32 {
    (x ^ y).wrapping_sub(y.rotate_left(rotate))
}
