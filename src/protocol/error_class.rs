//! What an error says of the server that gives it, in the words of no protocol.

/// Of what kind an error is, as far as anything follows from it but telling the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// It is about the request. Nothing follows from it, as from a reply that is no error.
    Request,
    /// The server has no memory left for it, or is busy with something long.
    Overloaded,
    /// The server has not all of its data yet.
    Loading,
    /// The server is a replica without its master.
    MasterAway,
    /// The server is a replica, and does not write.
    NotMaster,
    /// The server is a master, and has too few replicas to write.
    TooFewReplicas,
    /// The server lets nobody wait any more: it was a master.
    Unblocked,
    /// The server does not know the script that was called: nothing was done.
    NoScript,
    /// The server could not read the request, and reads nothing behind it.
    Unreadable,
}

impl ErrorClass {
    /// The server cannot serve now (twemproxy: `redis_failure`). The client is told as it is; the
    /// server's failure is counted.
    #[inline]
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(self, ErrorClass::Overloaded | ErrorClass::Loading)
    }

    /// A replica has lost its master, or has not all data yet.
    #[must_use]
    pub fn is_unfit(self) -> bool {
        matches!(self, ErrorClass::MasterAway | ErrorClass::Loading)
    }

    /// The server is not, or has not, the master: it was one before, or has lost its own.
    #[must_use]
    pub fn is_demoted(self) -> bool {
        matches!(self, ErrorClass::NotMaster | ErrorClass::MasterAway)
    }

    /// The server will do what it is asked in a moment.
    #[must_use]
    pub fn is_not_yet(self) -> bool {
        matches!(self, ErrorClass::TooFewReplicas | ErrorClass::Loading)
    }
}
