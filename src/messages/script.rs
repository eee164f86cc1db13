//! What workers tell each other of scripts.

use std::sync::Arc;

use crate::base::PoolIdx;
use crate::base::WorkerIdx;

/// A client of one worker has told something of a script, which the others must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptNews {
    /// Whose client.
    pub teller: WorkerIdx,
    /// Of which pool.
    pub pool: PoolIdx,
    /// What it has told.
    pub what: ScriptFact,
}

/// What is told of scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptFact {
    /// This is one.
    Source {
        /// By which it is called.
        sha1: [u8; 20],
        /// Its text.
        source: Arc<[u8]>,
    },
    /// All are to be forgotten.
    Flushed,
}
