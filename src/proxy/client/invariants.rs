//! A client's counts, counted anew. In debug builds only.

use crate::proxy::client::Client;
use crate::proxy::client::Slot;

impl Client {
    /// So many requests of its own, or parts of them, are under way to servers, of so many bytes.
    pub(in crate::proxy) fn check_invariants(&self, (requests, bytes): (usize, usize)) {
        let (mut waiting, mut ready) = (0, 0);
        for slot in &self.pending {
            match slot {
                Slot::Waiting | Slot::Streaming(_) => waiting += 1,
                Slot::Ready(bytes) => ready += bytes.len(),
                Slot::ReadyLarge(bytes) => ready += bytes.len(),
                Slot::Gathering(gathering) => {
                    waiting += gathering.waiting();
                    ready += gathering.held_bytes();
                }
            }
        }
        assert_eq!(self.ready_bytes, ready, "replies that wait in slots");
        if self.listens() {
            assert_eq!(waiting, requests, "replies that {:?} awaits", self.key);
            assert_eq!(self.request_bytes, bytes, "requests of {:?}", self.key);
        }
    }
}
