//! Ids are types, so that a server is never taken for a pool.

/// A pool's place in the configuration, pools sorted as twemproxy sorts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PoolIdx(pub u16);

/// A server's place in its pool, servers sorted as twemproxy sorts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerIdx(pub u16);

/// A worker's place among the workers of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerIdx(pub u16);

impl PoolIdx {
    /// For indexing a table of pools.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl ServerIdx {
    /// For indexing a table of servers.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl WorkerIdx {
    /// For indexing a table of workers.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}
