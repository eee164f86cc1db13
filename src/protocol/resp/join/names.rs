//! Arrays of names, and of names with a count each.
//!
//! Owns: what is the same name. These replies are short, and are copied.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::base::ByteQueue;
use crate::protocol::Version;
use crate::protocol::is_everywhere;
use crate::protocol::resp::cut_reply;

use super::write_number;

/// The elements of all arrays, each once, in the order in which they come first.
pub(super) fn union(replies: &[ByteQueue], out: &mut Vec<u8>) -> Option<()> {
    let replies: Vec<Vec<u8>> = replies.iter().map(ByteQueue::to_vec).collect();
    let (mut seen, mut all) = (BTreeSet::new(), Vec::new());
    for reply in &replies {
        for element in elements(reply)? {
            if seen.insert(element) {
                all.push(element);
            }
        }
    }
    write_number(b'*', i64::try_from(all.len()).ok()?, out);
    for element in all {
        out.extend_from_slice(element);
    }
    Some(())
}

/// The names of the first array, each with what all servers have counted. Who listens to a channel that
/// is everywhere is counted by each of them.
pub(super) fn counts(replies: &[ByteQueue], out: &mut Vec<u8>) -> Option<()> {
    let replies: Vec<Vec<u8>> = replies.iter().map(ByteQueue::to_vec).collect();
    let mut sums: BTreeMap<&[u8], i64> = BTreeMap::new();
    let mut order = Vec::new();
    for (nth, reply) in replies.iter().enumerate() {
        let mut elements = elements(reply)?.into_iter();
        let mut seen = BTreeSet::new();
        while let Some(name) = elements.next() {
            let count = number(elements.next()?)?;
            if nth == 0 {
                order.push(name);
            }
            // A name that was asked for twice is counted twice by each.
            if !seen.insert(name) {
                continue;
            }
            let sum = sums.entry(name).or_default();
            *sum = match is_everywhere(text(name)?) {
                true => count.max(*sum),
                false => sum.checked_add(count)?,
            };
        }
    }
    write_number(b'*', i64::try_from(order.len() * 2).ok()?, out);
    for name in order {
        out.extend_from_slice(name);
        write_number(b':', *sums.get(name)?, out);
    }
    Some(())
}

/// The elements of an array that was cut before.
fn elements(array: &[u8]) -> Option<Vec<&[u8]>> {
    let mut rest = behind_line(array)?;
    let mut all = Vec::new();
    while !rest.is_empty() {
        let bytes = cut_reply(Version::V3, rest).ok()??;
        let (element, behind) = rest.split_at(bytes);
        all.push(element);
        rest = behind;
    }
    Some(all)
}

fn behind_line(frame: &[u8]) -> Option<&[u8]> {
    let end = memchr::memchr(b'\n', frame)?;
    frame.get(end + 1..)
}

/// What a bulk string holds.
fn text(bulk: &[u8]) -> Option<&[u8]> {
    bulk.first().filter(|mark| **mark == b'$')?;
    behind_line(bulk)?.strip_suffix(b"\r\n")
}

fn number(integer: &[u8]) -> Option<i64> {
    let digits = integer.strip_prefix(b":")?.strip_suffix(b"\r\n")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
