//! The ids of clients, as `CLIENT ID` tells them.
//!
//! Owns: the next one. Those of all workers are different, and grow: each worker counts in steps of
//! as many as there are workers.

/// Gives each client an id that no other client of the process has.
#[derive(Debug)]
pub(in crate::proxy) struct ClientIds {
    next: u64,
    step: u64,
}

impl ClientIds {
    /// Those of one of so many workers.
    pub(in crate::proxy) fn new(worker: u16, workers: u16) -> ClientIds {
        ClientIds {
            next: u64::from(worker) + 1,
            step: u64::from(workers.max(1)),
        }
    }

    /// The id that the next client gets.
    pub(in crate::proxy) fn next(&self) -> u64 {
        self.next
    }

    /// The id of a new client.
    pub(in crate::proxy) fn take(&mut self) -> u64 {
        let id = self.next;
        self.next += self.step;
        id
    }

    /// None is lower than `first` from now on.
    pub(in crate::proxy) fn begin_at(&mut self, first: u64) {
        let behind = first.saturating_sub(self.next);
        // In steps, so that the ids of different workers stay different.
        self.next += behind.next_multiple_of(self.step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_workers_give_the_same_id_also_after_a_hand_over() {
        let mut given = Vec::new();
        for worker in 0..3 {
            let mut ids = ClientIds::new(worker, 3);
            given.extend([ids.take(), ids.take()]);
            ids.begin_at(20);
            assert!(ids.next() >= 20);
            given.extend([ids.take(), ids.take()]);
            ids.begin_at(5);
            given.push(ids.take());
        }
        let count = given.len();
        given.sort_unstable();
        given.dedup();
        assert_eq!(given.len(), count, "{given:?}");
    }
}
