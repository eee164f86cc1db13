//! Deadlines, coarse: a connection has one entry that counts, and looks at its real deadlines when
//! it comes up.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::base::Time;
use crate::proxy::effects::ConnId;

/// When to look at which connection.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Time, ConnId)>>,
}

impl Timers {
    /// Looks at `conn` at `time`.
    pub(super) fn set(&mut self, time: Time, conn: ConnId) {
        self.heap.push(Reverse((time, conn)));
    }

    /// The nearest deadline.
    pub(super) fn next(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((time, _))| *time)
    }

    /// A connection whose deadline is not after `now`, and that deadline.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<(Time, ConnId)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}
