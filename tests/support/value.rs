//! Values that say whose they are.

/// The value that `key` was given the `n`th time: `bytes` long at least, and like no other, so a
/// reply that belongs to somebody else, or to another time, is seen.
pub fn value(key: &str, n: u64, bytes: usize) -> Vec<u8> {
    let stamp = format!("{key}={n};");
    let mut value = Vec::with_capacity(bytes + stamp.len());
    // The stamp all along: a value that was cut, or mixed with another, is none.
    while value.len() < bytes.max(1) {
        value.extend_from_slice(stamp.as_bytes());
    }
    value
}
