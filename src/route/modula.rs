//! modula: the hash modulo the sum of the live servers' weights.
//!
//! Owns: which remainders belong to which server. Never: hashes a key.
//! twemproxy: `src/hashkit/nc_modula.c`, which repeats each live server's index `weight` times in
//! an array. The ends of those runs say the same in as many entries as there are servers.

use super::router::RouterServer;
use crate::base::ServerIdx;

/// Remainders below `end`, and not below the end before, belong to `server`.
#[derive(Clone, Copy, Debug)]
struct Run {
    end: u64,
    server: ServerIdx,
}

/// The table of one pool's live servers; at least one run.
#[derive(Clone, Debug)]
pub(super) struct Modula {
    runs: Box<[Run]>,
    /// The end of the last run.
    total: u64,
}

impl Modula {
    /// The table of the servers that are live, in twemproxy's order; `None` if none is.
    pub(super) fn new(servers: &[RouterServer<'_>]) -> Option<Modula> {
        let mut end = 0;
        let runs: Box<[Run]> = servers
            .iter()
            .zip(0..)
            .filter(|(server, _)| server.live)
            .map(|(server, index)| {
                end += u64::from(server.weight.get());
                Run {
                    end,
                    server: ServerIdx(index),
                }
            })
            .collect();
        let total = runs.last()?.end;
        Some(Modula { runs, total })
    }

    /// The owner of the hash's remainder.
    #[inline]
    pub(super) fn server(&self, hash: u32) -> ServerIdx {
        let remainder = u64::from(hash) % self.total;
        let place = self.runs.partition_point(|run| run.end <= remainder);
        self.runs[place].server
    }

    /// How many of the 2^32 hashes belong to each of `servers` servers.
    pub(super) fn hashes_of_each(&self, servers: usize) -> Vec<u64> {
        let rounds = (1 << 32) / self.total;
        let left_over = (1 << 32) % self.total;
        let below = |remainder: u64| rounds * remainder + remainder.min(left_over);
        let mut hashes = vec![0; servers];
        let mut from = 0;
        for run in &self.runs {
            hashes[run.server.index()] = below(run.end) - below(from);
            from = run.end;
        }
        hashes
    }
}
