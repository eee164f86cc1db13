//! What a worker asks of all workers about their clients, and what each of them answers.
//!
//! Workers know nothing of each other: the control plane carries both, and keeps neither.
//!
//! Owns: the words. Never: what is done about them, which is `proxy/inquiry`'s.

use std::time::Duration;

use crate::base::PoolIdx;
use crate::base::WorkerIdx;

/// What a client of one worker has asked about a pool's clients, who are with all workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inquiry {
    /// Whose client has asked.
    pub asker: WorkerIdx,
    /// Which of the asker's inquiries it is.
    pub number: u64,
    /// Which pool's clients are meant.
    pub pool: PoolIdx,
    /// What is to be done.
    pub request: ClientsRequest,
}

/// What is to be done about clients, or about what they have asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientsRequest {
    /// Tell the lines of these.
    List(Which),
    /// Close these.
    Kill(Which),
    /// Read no further.
    Pause {
        /// For how long.
        within: Duration,
        /// Only who writes stops.
        only_writes: bool,
    },
    /// Read on.
    Unpause,
    /// Tell their requests that took long, the latest so many.
    SlowLog {
        /// So many.
        most: usize,
    },
    /// Count those that are kept.
    SlowLogLen,
    /// Forget them.
    SlowLogReset,
    /// End this client's wait on its server.
    Unblock {
        /// As `CLIENT ID` tells it.
        id: u64,
        /// It gets an error, and not what it gets when its time is over.
        with_error: bool,
    },
}

/// Which of a pool's clients are meant: those for whom all of it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// One of these; any, if there is none.
    pub ids: Vec<u64>,
    /// Not this one.
    pub not: Option<u64>,
    /// At this address, as its line says.
    pub address: Option<Vec<u8>>,
    /// Connected to this address of ours, as its line says.
    pub local_address: Option<Vec<u8>>,
    /// Of a kind of connection that this is.
    pub of_kind: Option<ClientKind>,
    /// Connected for at least so long.
    pub age_min: Option<Duration>,
}

/// What Redis tells its clients apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// It asks, and is answered.
    Normal,
    /// It has subscribed.
    PubSub,
    /// A server that replicates, or is replicated: none of a proxy's clients is one.
    Replication,
}

/// What one worker answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Who is answered.
    pub asker: WorkerIdx,
    /// Which of its inquiries.
    pub number: u64,
    /// How many clients it concerned.
    pub count: u64,
    /// Their ids and lines, if those were asked for.
    pub lines: Vec<(u64, Vec<u8>)>,
    /// There were more lines than there is room for.
    pub is_cut: bool,
}
