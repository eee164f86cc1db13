//! Why a request could not be answered, and the words in which its client is told.

use thiserror::Error;

use crate::protocol::resp::ReplyError;

/// Why a server connection ended, or never began.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// The system's error number (`ECONNREFUSED` …). The texts are those of strerror, which is what
    /// twemproxy's clients see.
    #[error("{}", system_text(*.0))]
    System(i32),
    /// The server closed.
    #[error("Server closed the connection")]
    ClosedByServer,
    /// It took longer than `connect_timeout`, or the server was silent for too long.
    #[error("Connection timed out")]
    TimedOut,
    /// The server's name is not known.
    #[error("Host is down")]
    Unresolved,
    /// The server sent what is no reply.
    #[error("Server sent a bad reply: {0}")]
    BadReply(ReplyError),
    /// The server sent a reply that nobody had asked for.
    #[error("Server sent a reply without a request")]
    Unasked,
    /// The server refused `AUTH` or `SELECT`; its own words, one line.
    #[error("{0}")]
    Refused(String),
    /// The server neither took nor refused what it was sent first.
    #[error("Server sent an unexpected reply to its greeting")]
    BadGreeting,
    /// The server is elsewhere: its master has been replaced.
    #[error("Server was replaced")]
    Moved,
    /// The server says that it is no master, and a master is what is wanted.
    #[error("Server is not a master")]
    NotMaster,
    /// The replica says that it is none, or that it does not hear its master.
    #[error("Replica is not in step with its master")]
    NotInStep,
    /// The replica cannot serve now; its own words.
    #[error("Replica cannot serve: {0}")]
    Unfit(String),
    /// The replica is to be read no longer.
    #[error("Replica was left")]
    Left,
    /// The server is no longer used.
    #[error("Server was removed")]
    Removed,
}

/// Behind the cause, where a request was sent and may have been executed or not.
const UNKNOWN_OUTCOME: &str = "; the outcome is unknown";

impl Failure {
    /// The error reply to a request that was not executed, or that changes nothing.
    #[must_use]
    pub fn reply(&self) -> Vec<u8> {
        match self {
            Failure::Refused(text) => format!("-{text}\r\n").into_bytes(),
            failure => format!("-ERR {failure}\r\n").into_bytes(),
        }
    }

    /// The error reply to a request that was sent: it may have been executed.
    #[must_use]
    pub fn reply_to_sent(&self) -> Vec<u8> {
        format!("-ERR {self}{UNKNOWN_OUTCOME}\r\n").into_bytes()
    }

    /// The error reply to a request that has waited for the server as long as it may.
    #[must_use]
    pub fn reply_to_held(&self) -> Vec<u8> {
        match self {
            Failure::Refused(_) => self.reply(),
            failure => format!("-ERR Server unavailable: {failure}\r\n").into_bytes(),
        }
    }

    /// Whether a request that changes nothing may be sent again after this, of which the reply was
    /// the `next` to come or a later one. A server that has sent what is no reply is not asked the
    /// same again; what others have asked behind it is.
    pub(super) fn allows_retry(&self, next: bool) -> bool {
        match self {
            Failure::BadReply(_) => !next,
            failure => matches!(
                failure,
                Failure::System(_)
                    | Failure::ClosedByServer
                    | Failure::TimedOut
                    | Failure::Moved
                    | Failure::NotMaster
                    | Failure::Removed
            ),
        }
    }
}

/// Why a request got no further than the proxy. The connection stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// Its keys live on several servers, and it cannot be split.
    #[error("CROSSSLOT Keys in request don't hash to the same server")]
    CrossServer,
    /// Every server is ejected. The text is twemproxy's.
    #[error("ERR Connection refused")]
    NoServer,
    /// As many requests wait for its server as `hold_bytes` allows.
    #[error("ERR Server unavailable: too many requests wait for it")]
    TooManyHeld,
    /// No reply within the pool's `timeout`. The text is twemproxy's.
    #[error("ERR Connection timed out")]
    TimedOut,
    /// Too few Sentinels are heard to know who is master.
    #[error("ERR Writes are refused: no majority of the Sentinels is heard")]
    Fenced,
    /// Only replicas are read, and none is fit.
    #[error("ERR No replica can be read: none is known, or none keeps up with its master")]
    NoReplica,
    /// The pool has a password and the client has not given it. The text, without a full stop, is
    /// twemproxy's.
    #[error("NOAUTH Authentication required")]
    NotAuthenticated,
    /// The pool has all the clients that `client_connections` allows. The text is Redis's.
    #[error("ERR max number of clients reached")]
    TooManyClients,
    /// `EXEC` of a transaction that was refused when it began. The text is Redis's.
    #[error("EXECABORT Transaction discarded because of previous errors.")]
    Aborted,
    /// It is part of a transaction that was refused when it began.
    #[error("ERR not done: MULTI is refused here, and EXEC, DISCARD or RESET has not come yet")]
    NoTransaction,
    /// It is meant for another database.
    #[error(
        "ERR not done: SELECT was refused, and a SELECT that is not, or RESET, has not come yet"
    )]
    WrongDatabase,
    /// Its client had closed its sending half long before it could be sent.
    #[error("ERR Not sent: the server was away and the client has closed its sending half")]
    Abandoned,
    /// The process is at its limit of memory, and this client has sent more than most.
    #[error("ERR The proxy is short of memory")]
    NoMemory,
}

impl RequestError {
    /// The error reply.
    #[must_use]
    pub fn reply(self) -> Vec<u8> {
        format!("-{self}\r\n").into_bytes()
    }
}

fn system_text(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_reads_what_a_client_of_twemproxy_reads() {
        let refused = Failure::System(111).reply();
        assert_eq!(refused, b"-ERR Connection refused\r\n");
        assert_eq!(Failure::Unresolved.reply(), b"-ERR Host is down\r\n");
        assert_eq!(
            RequestError::TimedOut.reply(),
            b"-ERR Connection timed out\r\n"
        );
    }
}
