//! What a watcher asks of the owner of its sockets, and what it has found out.

use std::net::SocketAddr;
use std::time::Duration;

use crate::base::ServerIdx;
use crate::config::HostPort;
use crate::sentinel::replication::Replication;
use crate::sentinel::write_hold::HoldEnd;

/// One connection to a Sentinel, from [`Output::Connect`] until [`Output::Close`] or until the
/// watcher is notified that it is closed. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// One question to a server about its role. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProbeId(pub u64);

/// An act that only the holder of the sockets can do, or a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Connect to a Sentinel; then call `connected` or `closed`. The watcher watches the time.
    Connect {
        /// The new connection.
        link: LinkId,
        /// Where the Sentinel is.
        address: HostPort,
    },
    /// Send these bytes behind those given before.
    Send {
        /// A connected one.
        link: LinkId,
        /// A few requests.
        bytes: Vec<u8>,
    },
    /// Close the connection, or stop connecting; `closed` is not to be called.
    Close(LinkId),
    /// Ask the server at `address` for its `ROLE`, within a second; then call `probed`.
    Probe {
        /// The question.
        probe: ProbeId,
        /// Where.
        address: HostPort,
    },
    /// Ask the server at `address` how far its data goes (`INFO replication`), within 400 ms; then
    /// call `measured`.
    Measure {
        /// The question.
        probe: ProbeId,
        /// Where.
        address: HostPort,
    },
    /// Something has been found out.
    Fact(Fact),
}

/// What came of a [`Output::Probe`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probed {
    /// It is a master.
    Master {
        /// The address that has answered, one of those that the name has.
        at: SocketAddr,
    },
    /// It is something else.
    NotMaster,
    /// It could not be asked, or did not say.
    Failed,
}

/// What came of a [`Output::Measure`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Measured {
    /// It has said what it has.
    Answer {
        /// The address that has answered, one of those that the name has.
        at: SocketAddr,
        /// What it has.
        says: Replication,
    },
    /// It could not be asked, or did not say.
    Failed,
}

/// Why a replica is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It does not answer.
    Silent,
    /// It does not hear its master.
    Cut,
    /// It is a master.
    Master,
    /// Its data has another history than its master's.
    OtherData,
    /// It lacks what its master had `replica_lag_ms` ago, or nobody can tell.
    Behind,
    /// Another server has become the master: what is known of it is out of date.
    MasterMoved,
    /// Most Sentinels do not name it, or call it down, or it is at another address.
    NotNamed,
}

impl Unfit {
    /// Words for the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Unfit::Silent => "no answer",
            Unfit::Cut => "it does not hear its master",
            Unfit::Master => "it is a master",
            Unfit::OtherData => "other data than its master's",
            Unfit::Behind => "too far behind its master",
            Unfit::MasterMoved => "the master moved",
            Unfit::NotNamed => "the sentinels do not call it good",
        }
    }
}

/// How a master became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The newest configuration that a Sentinel tells.
    Epoch,
    /// A replica that a Sentinel promotes, before the others have heard of it.
    Promotion,
    /// What most Sentinels tell, after the newer one has turned out to be a dead end.
    Majority,
}

impl Source {
    /// A word for the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Source::Epoch => "epoch",
            Source::Promotion => "promotion",
            Source::Majority => "majority",
        }
    }
}

/// Something that has been found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A server's master is there: its `ROLE` has just said so. Told when it becomes known and
    /// when it changes.
    Master {
        /// The server.
        server: ServerIdx,
        /// As the Sentinels write it.
        address: HostPort,
        /// The address that has answered.
        at: SocketAddr,
        /// The configuration's epoch; that of the one before while a promotion is under way.
        epoch: u64,
        /// How it became known.
        source: Source,
    },
    /// Every Sentinel that is heard, and they are a majority, knows no master of this name.
    Unknown {
        /// The server.
        server: ServerIdx,
    },
    /// A replica of a server may be read from now on, or no longer.
    Replica {
        /// The server.
        server: ServerIdx,
        /// As the Sentinels write it.
        address: HostPort,
        /// The address that has answered.
        at: SocketAddr,
        /// Why it is not to be read; `None` if it is.
        unfit: Option<Unfit>,
    },
    /// The Sentinels agree that a master is down, or do so no longer.
    Down {
        /// The server.
        server: ServerIdx,
        /// Whether it is.
        down: bool,
        /// The Sentinel that has said so first.
        sentinel: HostPort,
    },
    /// What a Sentinel says of a server is not followed: another server of the pool is there.
    Taken {
        /// The server.
        server: ServerIdx,
        /// The server that is there.
        by: ServerIdx,
        /// Where.
        address: HostPort,
    },
    /// A majority of the Sentinels is heard, or is no longer.
    Majority {
        /// Whether it is.
        seen: bool,
        /// How many are heard.
        heard: usize,
        /// How many there are.
        of: usize,
    },
    /// A Sentinel has begun to replace a master: writes to it are to wait. `ReleaseWrites` follows, or the
    /// time passes.
    HoldWrites {
        /// The server.
        server: ServerIdx,
        /// For how long at the most.
        within: Duration,
        /// Which Sentinel.
        sentinel: HostPort,
    },
    /// They wait no longer.
    ReleaseWrites {
        /// The server.
        server: ServerIdx,
        /// For how long they have.
        waited: Duration,
        /// Why.
        why: HoldEnd,
    },
    /// Most Sentinels say what a failover takes: requests are to be held for so long, where the file
    /// does not say for how long. Told when it becomes known and when it changes.
    Hold {
        /// Their `down-after-milliseconds`.
        down_after: Duration,
        /// That, and what it takes besides.
        hold: Duration,
    },
    /// Writes are to be refused, or are no longer; only where a quorum is required.
    Fenced(bool),
    /// A Sentinel answers, or does so no longer.
    Sentinel {
        /// Which.
        address: HostPort,
        /// Why it does not; `None` when it does.
        lost: Option<String>,
    },
    /// A Sentinel alone names a server that shares nothing with what is in use: it is not followed.
    Stranger {
        /// The server.
        server: ServerIdx,
        /// Where.
        address: HostPort,
    },
    /// A Sentinel belongs to another installation: its word does not count.
    Foreign {
        /// Which.
        address: HostPort,
    },
    /// A Sentinel refuses to answer: a wrong password, or no Sentinel at all.
    Refused {
        /// Which.
        address: HostPort,
        /// Its own words.
        words: String,
    },
}
