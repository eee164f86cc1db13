//! What keys must hold: what was written, as long as nobody can doubt it.

use bytes::Bytes;

use crate::frame::elements;
use crate::frame::write_bulk;
use crate::oracle::Oracle;
use crate::store::A_SCRIPT_SAYS;
use crate::trace::head;

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Belief {
    Known(Option<Bytes>),
    /// A write has failed, or may still be executed.
    Unknown,
}

impl Oracle {
    pub(super) fn learn(&mut self, client: usize, number: usize, reply: &[u8]) {
        let book = &self.books[client];
        if !self.stable[book.pool] {
            return;
        }
        let request = &book.entries[number].request;
        if !request.reads.is_empty() && !reply.starts_with(b"-") {
            let shown = match request.split {
                None => vec![reply],
                Some(_) => elements(reply).unwrap_or_default(),
            };
            for (key, shown) in request.reads.iter().zip(shown) {
                let key_of = (book.pool, request.database, key.clone());
                let Some(Belief::Known(value)) = self.beliefs.get(&key_of) else {
                    continue;
                };
                let mut expected = Vec::new();
                match value {
                    Some(value) => write_bulk(value, &mut expected),
                    None if request.args[0].eq_ignore_ascii_case(b"getrange") => {
                        expected.extend_from_slice(b"$0\r\n\r\n");
                    }
                    None if request.resp3 => expected.extend_from_slice(b"_\r\n"),
                    None => expected.extend_from_slice(b"$-1\r\n"),
                }
                assert!(
                    shown == expected,
                    "client {client} request {number} finds {} in {}, there must be {}",
                    head(shown),
                    head(key),
                    head(&expected)
                );
            }
        }
        if reply.starts_with(b"-") && !reply.ends_with(A_SCRIPT_SAYS) {
            return;
        }
        for (key, value) in &request.puts {
            let key_of = (book.pool, request.database, key.clone());
            let belief = self.beliefs.entry(key_of);
            let belief = belief.or_insert(Belief::Known(None));
            if *belief != Belief::Unknown {
                *belief = Belief::Known(value.clone());
            }
        }
    }

    /// Nobody can say whether this request has changed, or will change, its keys.
    pub(super) fn forget(&mut self, client: usize, number: usize) {
        let book = &self.books[client];
        let request = &book.entries[number].request;
        for (key, _) in &request.puts {
            let key = (book.pool, request.database, key.clone());
            self.beliefs.insert(key, Belief::Unknown);
        }
    }

    /// Keys of a pool whose value is certain, by their databases.
    pub fn known_keys(&self, pool: usize) -> Vec<(u32, Vec<u8>)> {
        let known = self
            .beliefs
            .iter()
            .filter(|((of, ..), belief)| *of == pool && **belief != Belief::Unknown);
        known
            .map(|((_, database, key), _)| (*database, key.clone()))
            .collect()
    }
}
