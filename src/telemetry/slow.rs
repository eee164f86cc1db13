//! Requests that took long, and where the time went. Never: a value; of the arguments only the first
//! key is kept, as far as it is short, and not even that where the pool's keys are to be hidden.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::base::ServerIdx;

/// As much of a key as is kept.
pub const KEY_BYTES_MAX: usize = 64;

/// One of a client's names.
const NAME_BYTES_MAX: usize = 64;

/// A request that took long. Times are in microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowRequest {
    /// As `SLOWLOG GET` numbers it: later ones have greater numbers.
    pub id: u64,
    /// In the order in which the control plane has heard of it; 0 before.
    pub number: u64,
    /// When its reply came, since 1970.
    pub at: u64,
    /// Who has asked; `None` on a unix socket, or if the client has gone.
    pub client: Option<SocketAddr>,
    /// What that one calls itself, escaped.
    pub name: String,
    /// From the table.
    pub command: &'static str,
    /// Its first key, cut and escaped; empty if there is none, or none is to be seen.
    pub key: String,
    /// Its size.
    pub request_bytes: u64,
    /// The size of the reply.
    pub reply_bytes: u64,
    /// Who has answered.
    pub server: ServerIdx,
    /// It waited for a server that was away, or was sent before.
    pub held: u64,
    /// It waited for its turn, or for a connection.
    pub queued: u64,
    /// From when it was handed to the kernel until its reply was read, or was waited for no longer.
    pub at_server: u64,
    /// Its client got an error, because no reply came in time.
    pub timed_out: bool,
}

/// So many requests of one millisecond have ids of their own.
const IDS_A_MILLI: u64 = 1 << 12;

/// An id for a request of the time `at`, the `nth` of all workers: in the order of time, another one for
/// each, and no more than what a floating-point number holds, which is all that some clients have.
#[must_use]
pub fn id(at: u64, nth: u64) -> u64 {
    at / 1_000 * IDS_A_MILLI + nth % IDS_A_MILLI
}

impl SlowRequest {
    /// All of it.
    #[must_use]
    pub fn took(&self) -> u64 {
        self.held + self.queued + self.at_server
    }
}

/// What a client calls itself, as it is shown.
#[must_use]
pub fn shown_name(name: &[u8]) -> String {
    escaped(&name[..name.len().min(NAME_BYTES_MAX)])
}

/// A key as it is shown: cut, which three dots say, and without a byte that a terminal obeys.
#[must_use]
pub fn shown_key(key: &[u8]) -> String {
    match key.get(..KEY_BYTES_MAX) {
        Some(head) if head.len() < key.len() => escaped(head) + "...",
        _ => escaped(key),
    }
}

fn escaped(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// The latest requests that took long, at most so many.
#[derive(Clone, Debug, Default)]
pub struct SlowLog {
    entries: VecDeque<SlowRequest>,
    /// How many there were, also those that are no longer there.
    pub count: u64,
}

impl SlowLog {
    /// Adds one, and forgets the oldest beyond `most`.
    pub fn push(&mut self, slow: SlowRequest, most: usize) {
        self.count += 1;
        self.entries.push_back(slow);
        self.keep(most);
    }

    /// Adds those of another, which are younger, and forgets the oldest beyond `most`. Each gets the next
    /// number.
    pub fn append(&mut self, other: &SlowLog, most: usize, last_number: &mut u64) {
        self.count += other.count;
        self.entries
            .extend(other.entries.iter().cloned().map(|slow| {
                *last_number += 1;
                SlowRequest {
                    number: *last_number,
                    ..slow
                }
            }));
        // Those of several workers come one worker after the other.
        self.entries.make_contiguous().sort_by_key(|slow| slow.at);
        self.keep(most);
    }

    fn keep(&mut self, most: usize) {
        let excess = self.entries.len().saturating_sub(most);
        self.entries.drain(..excess);
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.count = 0;
    }

    /// The latest first.
    pub fn iter(&self) -> impl Iterator<Item = &SlowRequest> {
        self.entries.iter().rev()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(at: u64) -> SlowRequest {
        SlowRequest {
            id: id(at, 0),
            number: 0,
            at,
            client: None,
            name: String::new(),
            command: "get",
            key: String::new(),
            request_bytes: 1,
            reply_bytes: 1,
            server: ServerIdx(0),
            held: 1,
            queued: 2,
            at_server: 3,
            timed_out: false,
        }
    }

    #[test]
    fn the_latest_of_all_workers_stay_and_all_are_counted() {
        let (mut all, mut other) = (SlowLog::default(), SlowLog::default());
        for at in [1, 5, 9] {
            all.push(slow(at), 3);
        }
        for at in [4, 7] {
            other.push(slow(at), 3);
        }
        let mut last = 40;
        all.append(&other, 3, &mut last);
        let kept: Vec<(u64, u64)> = all.iter().map(|slow| (slow.at, slow.number)).collect();
        assert_eq!((kept, all.count), (vec![(9, 0), (7, 42), (5, 0)], 5));
        assert_eq!((slow(1).took(), last), (6, 42));
        all.append(&SlowLog::default(), 0, &mut last);
        assert_eq!(all.iter().count(), 0);
    }

    #[test]
    fn ids_are_in_the_order_of_time_and_exact_in_a_double() {
        // In the year 2030.
        let now = 1_893_456_000_000_000;
        assert!(id(now, 4_095) < id(now + 1_000, 0) && id(now, 1) != id(now, 2));
        assert!(id(now, 4_095) < 1 << 53);
    }

    #[test]
    fn a_key_is_cut_and_never_moves_a_cursor() {
        assert_eq!(shown_key(b"a\x1b[2J\n\""), "a\\x1b[2J\\n\\\"");
        assert_eq!(shown_key(&[b'k'; 64]), "k".repeat(64));
        assert_eq!(shown_key(&[b'k'; 65]), "k".repeat(64) + "...");
        assert_eq!(shown_name(&[b'n'; 900]).len(), NAME_BYTES_MAX);
    }
}
