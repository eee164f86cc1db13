//! When a file that has changed is read without being told to.
//!
//! Owns: how long it must have been still. Never: looks at it (`Source`), or reads it.
//!
//! ```text
//!   changed ─ still at the next look ─► read ─ it loses much ─► doubted ─ still for long ─► read
//!      ▲                                                           │
//!      └────────────────── changes again ◄─────────────────────────┘
//! ```

use std::time::Duration;

use crate::control::Stamp;

/// How often the file is looked at. One that is being written is read when it has not changed for
/// as long.
pub(super) const LOOK_PERIOD: Duration = Duration::from_millis(500);

/// What somebody writes slowly, in the place where it is read, may be valid half way, and then the
/// rest is missing. Who has written so much and goes on does it within this time.
pub(super) const STILL_FOR: Duration = Duration::from_secs(10);

#[expect(clippy::cast_possible_truncation, reason = "twenty")]
const LOOKS: u32 = (STILL_FOR.as_millis() / LOOK_PERIOD.as_millis()) as u32;

/// The file as it was seen from outside.
#[derive(Debug)]
pub(super) struct Watched {
    /// When it was read last, or is being read.
    read: Option<Stamp>,
    /// When it was read before that.
    before: Option<Stamp>,
    /// At the last look.
    seen: Option<Stamp>,
    /// At how many looks since it was the same.
    still: u32,
    doubted: Option<Stamp>,
}

impl Watched {
    /// A file that was read when it looked like `read`.
    pub(super) fn new(read: Option<Stamp>) -> Watched {
        Watched {
            read,
            before: read,
            seen: read,
            still: 0,
            doubted: None,
        }
    }

    /// It looks like `seen` now: whether it should be read.
    pub(super) fn looks(&mut self, seen: Option<Stamp>) -> bool {
        // Between a remove and a rename there is none.
        let same = seen.is_some() && seen == self.seen;
        self.still = if same { self.still + 1 } else { 0 };
        self.seen = seen;
        let looks = if seen == self.doubted { LOOKS } else { 1 };
        seen != self.read && self.still >= looks
    }

    /// It is being read, and looks like `stamp`.
    pub(super) fn is_read(&mut self, stamp: Option<Stamp>) {
        self.before = std::mem::replace(&mut self.read, stamp);
    }

    /// What was read loses much: whether that is to be doubted, and the file read again when it has
    /// been still for long.
    pub(super) fn doubt(&mut self) -> bool {
        if self.doubted == self.read && self.still >= LOOKS {
            return false;
        }
        self.doubted = std::mem::replace(&mut self.read, self.before);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(bytes: u64) -> Option<Stamp> {
        Some(Stamp {
            inode: (1, 1),
            written: i128::from(bytes),
            bytes,
        })
    }

    /// After how many looks it is read, if it always looks like `bytes`.
    fn read_after(watched: &mut Watched, bytes: u64) -> Option<u32> {
        let read = (1..100).find(|_| watched.looks(stamp(bytes)));
        if read.is_some() {
            watched.is_read(stamp(bytes));
        }
        read
    }

    #[test]
    fn a_file_that_has_changed_is_read_once_and_when_it_is_still() {
        let mut watched = Watched::new(stamp(1));
        assert_eq!(read_after(&mut watched, 1), None);
        for bytes in 2..20 {
            assert!(!watched.looks(stamp(bytes)), "it is being written");
            assert!(!watched.looks(None), "it is being replaced");
        }
        assert_eq!(read_after(&mut watched, 20), Some(2));
        assert_eq!(read_after(&mut watched, 20), None);
    }

    #[test]
    fn what_loses_much_is_read_again_when_it_was_still_for_long() {
        let mut watched = Watched::new(stamp(10));
        assert_eq!(read_after(&mut watched, 5), Some(2));
        assert!(watched.doubt());
        // From the look at which it was seen first.
        assert_eq!(read_after(&mut watched, 5), Some(LOOKS - 1));
        assert!(!watched.doubt());
        assert_eq!(read_after(&mut watched, 5), None);
    }

    #[test]
    fn a_doubted_file_that_goes_on_is_looked_at_anew() {
        let mut watched = Watched::new(stamp(10));
        assert_eq!(read_after(&mut watched, 5), Some(2));
        assert!(watched.doubt());
        assert!(!watched.looks(stamp(5)));
        // The rest has come, and then again the half of one.
        assert_eq!(read_after(&mut watched, 11), Some(2));
        assert_eq!(read_after(&mut watched, 5), Some(LOOKS + 1));
        assert!(!watched.doubt());
    }

    #[test]
    fn what_is_written_back_as_it_was_need_not_be_read() {
        let mut watched = Watched::new(stamp(10));
        assert_eq!(read_after(&mut watched, 5), Some(2));
        assert!(watched.doubt());
        assert_eq!(read_after(&mut watched, 10), None);
    }
}
