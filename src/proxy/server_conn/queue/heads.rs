//! How requests begin that are on their way, to say to people what they were.
//!
//! Owns: nothing; it copies. What is still being sent is with the socket's holder, and so is not known.

use std::ops::Range;
use std::time::Duration;

use crate::base::Time;
use crate::proxy::server_conn::queue::Pending;
use crate::proxy::server_conn::queue::RequestQueue;

/// As much of a request as is looked at, to say what it was.
pub(in crate::proxy) const HEAD_BYTES_MAX: usize = 512;

/// A request that is on its way.
#[derive(Debug)]
pub(in crate::proxy) struct OnItsWay {
    pub(in crate::proxy) pending: Pending,
    /// When it was handed over, if it was.
    pub(in crate::proxy) sent_at: Option<Time>,
    /// How it begins.
    pub(in crate::proxy) head: Vec<u8>,
}

impl RequestQueue {
    /// How the first request begins that was sent, at most so many bytes of it; nothing where they are not
    /// kept.
    pub(in crate::proxy) fn first_head(&self, bytes_max: usize) -> Vec<u8> {
        match self.awaits_replies() {
            true => self.head(0, bytes_max),
            false => Vec::new(),
        }
    }

    /// Those that wait for longer than `timeout`, the last so many of them.
    pub(in crate::proxy) fn latest(
        &self,
        timeout: Duration,
        now: Time,
        most: usize,
    ) -> Vec<OnItsWay> {
        let untimed = self.untimed();
        let is_late = |pending: &&Pending| pending.since() + timeout <= now;
        let late = self.fifo.range(untimed..).take_while(is_late).count();
        let places = untimed + late.saturating_sub(most)..untimed + late;
        let all = places.map(|place| OnItsWay {
            pending: self.fifo[place],
            sent_at: (place < self.sent_len()).then(|| self.sent.handed_over_at(place)),
            head: self.head(place, HEAD_BYTES_MAX),
        });
        all.collect()
    }

    fn head(&self, place: usize, bytes_max: usize) -> Vec<u8> {
        let bytes = |range: Range<usize>| -> usize {
            self.fifo.range(range).map(|one| one.bytes as usize).sum()
        };
        let own = bytes_max.min(self.fifo[place].bytes as usize);
        match place.checked_sub(self.sent_len()) {
            None => self.sent.head(place, bytes, own),
            Some(_) => {
                let skip = bytes(self.sent_len()..place);
                copied(self.bytes.slices(), skip, own)
            }
        }
    }
}

/// A copy of `bytes` of these behind the first `skip`.
pub(super) fn copied<'a>(
    slices: impl Iterator<Item = &'a [u8]>,
    mut skip: usize,
    bytes: usize,
) -> Vec<u8> {
    let mut head = Vec::with_capacity(bytes);
    for slice in slices {
        let from = skip.min(slice.len());
        skip -= from;
        let left = bytes - head.len();
        head.extend(slice[from..].iter().take(left));
        if head.len() == bytes {
            break;
        }
    }
    head
}

#[cfg(test)]
mod tests {
    use super::copied;

    #[test]
    fn a_head_is_found_wherever_it_lies() {
        let slices = || [&b"ab"[..], b"", b"cde", b"f"].into_iter();
        assert_eq!(copied(slices(), 0, 3), b"abc");
        assert_eq!(copied(slices(), 2, 2), b"cd");
        assert_eq!(copied(slices(), 4, 9), b"ef");
        assert_eq!(copied(slices(), 9, 1), b"");
        assert_eq!(copied(slices(), 0, 0), b"");
    }
}
