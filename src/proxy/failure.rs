//! Why a request could not be answered, and the words in which its client is told.

use thiserror::Error;

use crate::protocol::Protocol;
use crate::protocol::ReplyError;

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
    /// The server answered a part of a transaction with what is no answer to one.
    #[error("Server gave an unexpected reply within a transaction")]
    OddBatch,
    /// The server sent a reply that nobody had asked for.
    #[error("Server sent a reply without a request")]
    Unasked,
    /// The server refused `AUTH` or `SELECT`; its own words, one line.
    #[error("{0}")]
    Refused(String),
    /// The server refused what a client has asked for, such as a database; its own words, one line.
    #[error("{0}")]
    KindRefused(String),
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

impl Failure {
    /// Whether a request that changes nothing may be sent again after this, of which the reply was
    /// the `next` to come or a later one. A server that has sent what is no reply is not asked the
    /// same again; what others have asked behind it is.
    pub(super) fn allows_retry(&self, next: bool) -> bool {
        match self {
            Failure::BadReply(_) | Failure::OddBatch => !next,
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
    #[error("Keys in request don't hash to the same server")]
    CrossServer,
    /// Every server is ejected. The text is twemproxy's.
    #[error("Connection refused")]
    NoServer,
    /// It must reach every server, and one is ejected.
    #[error("A server of the pool is ejected: not done, for its keys would come back with it")]
    Incomplete,
    /// It needs leave that the pool's configuration does not give.
    #[error("'{}' is refused unless the pool's `allow:` names it", .0.replace('|', " "))]
    NeedsLeave(&'static str),
    /// The pool's configuration takes it away.
    #[error("'{}' is refused by the pool's `deny:`", .0.replace('|', " "))]
    Denied(&'static str),
    /// It goes through all keys by a cursor that this pool has not given. The text is Redis's.
    #[error("invalid cursor")]
    NoCursor,
    /// As many requests wait for its server as `hold_bytes` allows.
    #[error("Server unavailable: too many requests wait for it")]
    TooManyHeld,
    /// No reply within the pool's `timeout`. The text is twemproxy's.
    #[error("Connection timed out")]
    TimedOut,
    /// Too few Sentinels are heard to know who is master.
    #[error("Writes are refused: no majority of the Sentinels is heard")]
    Fenced,
    /// Only replicas are read, and none is fit.
    #[error("No replica can be read: none is known, or none keeps up with its master")]
    NoReplica,
    /// The pool has a password and the client has not given it. The text, without a full stop, is
    /// twemproxy's.
    #[error("Authentication required")]
    NotAuthenticated,
    /// The pool has all the clients that `client_connections` allows. The text is Redis's.
    #[error("max number of clients reached")]
    TooManyClients,
    /// It is about the clients of all workers, and one has not answered for too long.
    #[error("A worker of the proxy has not answered in time: not all of it is done or known")]
    WorkerSilent,
    /// It is about more clients than can be told of at once.
    #[error("The list is longer than client_output_limit: ask for fewer clients, by ID or TYPE")]
    TooManyLines,
    /// `EXEC` of a transaction of which a command was refused. The text is Redis's.
    #[error("Transaction discarded because of previous errors.")]
    Aborted,
    /// `EXEC` of a transaction whose keys a reload has parted.
    #[error(
        "Transaction discarded because of: CROSSSLOT {}",
        RequestError::CrossServer
    )]
    Parted,
    /// It cannot be part of a transaction. The text is Redis's.
    #[error("Command not allowed inside a transaction")]
    NotWithin,
    /// `MULTI` within a transaction, which goes on. The text is Redis's.
    #[error("MULTI calls can not be nested")]
    Nested,
    /// `WATCH` within a transaction, which goes on. The text is Redis's.
    #[error("WATCH inside MULTI is not allowed")]
    WatchWithin,
    /// With it the transaction would be larger than what its client may have under way.
    #[error(
        "Transaction discarded: it is larger than client_output_limit, or has too many commands"
    )]
    TransactionTooLarge,
    /// It is meant for another database.
    #[error("not done: SELECT was refused, and a SELECT that is not, or RESET, has not come yet")]
    WrongDatabase,
    /// Its client had closed its sending half long before it could be sent.
    #[error("Not sent: the server was away and the client has closed its sending half")]
    Abandoned,
    /// All exclusive connections to its server are held by other clients, and have been for as long as
    /// it may wait; or the pool has none.
    #[error("No exclusive connection to the server is free: see exclusive_connections")]
    NoExclusive,
    /// A command that waits, between `WATCH` and `EXEC`.
    #[error("A command that waits or listens cannot be asked between WATCH and EXEC")]
    WaitsWhileWatching,
    /// `WATCH` of a client whose watched keys are not watched any more.
    #[error("The connection that watched keys is lost: DISCARD, UNWATCH or EXEC comes first")]
    WatchLost,
    /// It listens to messages, which look like replies. The text is Redis's.
    #[error(
        "Can't execute '{0}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
    )]
    OnlyListens(&'static str),
    /// The names of all that it listens to would take more memory than a client may.
    #[error("Too many subscriptions: their names take more than client_output_limit")]
    TooManySubscriptions,
    /// It has waited on a server that it is to wait on no longer. The text is Redis's.
    #[error("force unblock from blocking operation, instance state changed (master -> replica?)")]
    Unblocked,
    /// Its server may not know it, and would take its data for requests.
    #[error("The server of this key is too old for this command")]
    TooNew,
    /// The process is at its limit of memory, and this client has sent more than most.
    #[error("The proxy is short of memory")]
    NoMemory,
}

impl RequestError {
    /// By which clients of some protocols tell it from others.
    fn code(self) -> &'static str {
        match self {
            RequestError::CrossServer => "CROSSSLOT",
            RequestError::NotAuthenticated => "NOAUTH",
            RequestError::Aborted | RequestError::Parted => "EXECABORT",
            RequestError::Unblocked => "UNBLOCKED",
            RequestError::NeedsLeave(_) | RequestError::Denied(_) | RequestError::TooNew => {
                "NOPERM"
            }
            _ => GENERIC,
        }
    }
}

impl RequestError {
    /// A word for it, by which it is counted.
    const fn cause(self) -> &'static str {
        match self {
            RequestError::CrossServer => "keys_on_several_servers",
            RequestError::NoServer => "no_server",
            RequestError::Incomplete => "incomplete",
            RequestError::NoCursor => "no_cursor",
            RequestError::NoExclusive => "no_exclusive_connection",
            RequestError::Unblocked => "unblocked",
            RequestError::TooManyHeld => "too_many_held",
            RequestError::TimedOut => "timed_out",
            RequestError::Fenced => "writes_refused",
            RequestError::NoReplica => "no_replica",
            RequestError::NotAuthenticated => "not_authenticated",
            RequestError::TooManyClients => "too_many_clients",
            RequestError::WorkerSilent => "worker_silent",
            RequestError::TooManyLines => "list_too_long",
            RequestError::Aborted | RequestError::Parted | RequestError::TransactionTooLarge => {
                "transaction_aborted"
            }
            RequestError::WrongDatabase => "wrong_database",
            RequestError::Abandoned => "abandoned",
            RequestError::NoMemory => "no_memory",
            RequestError::NeedsLeave(_) | RequestError::Denied(_) | RequestError::TooNew => {
                "command_refused"
            }
            // Not to be done there, for whatever its client has asked before.
            RequestError::NotWithin
            | RequestError::Nested
            | RequestError::WatchWithin
            | RequestError::WaitsWhileWatching => "not_allowed",
            RequestError::OnlyListens(_) => "only_listens",
            RequestError::TooManySubscriptions => "too_many_subscriptions",
            RequestError::WatchLost => "watch_lost",
        }
    }
}

impl Failure {
    /// A word for it, by which the requests that it fails are counted.
    const fn cause(&self) -> &'static str {
        match self {
            Failure::System(_) => "connection_failed",
            Failure::ClosedByServer => "server_closed",
            Failure::TimedOut => "timed_out",
            Failure::Unresolved => "name_unknown",
            Failure::BadReply(_) | Failure::OddBatch | Failure::Unasked => "bad_reply",
            Failure::Refused(_) | Failure::KindRefused(_) | Failure::BadGreeting => {
                "greeting_refused"
            }
            Failure::Moved | Failure::NotMaster => "master_moved",
            Failure::NotInStep | Failure::Unfit(_) | Failure::Left => "replica_unfit",
            Failure::Removed => "server_removed",
        }
    }
}

/// The code of an error that needs none of its own.
const GENERIC: &str = "ERR";

/// What is known of a request whose server has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Outcome {
    /// It was not executed, or changes nothing.
    NotDone,
    /// It was sent: it may have been executed.
    Unknown,
    /// It was not sent, and has waited for the server as long as it may.
    Held,
}

/// An answer of the proxy's own, in place of a server's.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) enum Answer<'a> {
    /// The request got no further than the proxy.
    Request(RequestError),
    /// Its server has failed.
    Server(&'a Failure, Outcome),
}

impl Answer<'_> {
    /// A word for why it is not a server's reply.
    pub(in crate::proxy) const fn cause(&self) -> &'static str {
        match self {
            Answer::Request(error) => error.cause(),
            Answer::Server(failure, _) => failure.cause(),
        }
    }

    /// As a client of this protocol reads it.
    pub(in crate::proxy) fn encode(self, protocol: Protocol) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Answer::Request(error) => protocol.write_error(error.code(), error, &mut out),
            Answer::Server(failure, Outcome::Unknown) => {
                let text = format_args!("{failure}; the outcome is unknown");
                protocol.write_error(GENERIC, text, &mut out);
            }
            Answer::Server(Failure::Refused(text) | Failure::KindRefused(text), _) => {
                protocol.write_server_error(text, &mut out);
            }
            Answer::Server(failure, Outcome::NotDone) => {
                protocol.write_error(GENERIC, failure, &mut out);
            }
            Answer::Server(failure, Outcome::Held) => {
                let text = format_args!("Server unavailable: {failure}");
                protocol.write_error(GENERIC, text, &mut out);
            }
        }
        out
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
        let not_done =
            |failure: &Failure| Answer::Server(failure, Outcome::NotDone).encode(Protocol::Resp);
        let refused = not_done(&Failure::System(111));
        assert_eq!(refused, b"-ERR Connection refused\r\n");
        let unresolved = not_done(&Failure::Unresolved);
        assert_eq!(unresolved, b"-ERR Host is down\r\n");
        assert_eq!(
            Answer::Request(RequestError::TimedOut).encode(Protocol::Resp),
            b"-ERR Connection timed out\r\n"
        );
    }

    #[test]
    fn a_server_that_refuses_is_quoted_unless_the_outcome_is_unknown() {
        let refused = Failure::Refused("NOPERM no".to_owned());
        for (outcome, line) in [
            (Outcome::NotDone, "-NOPERM no\r\n"),
            (Outcome::Held, "-NOPERM no\r\n"),
            (
                Outcome::Unknown,
                "-ERR NOPERM no; the outcome is unknown\r\n",
            ),
        ] {
            let answer = Answer::Server(&refused, outcome).encode(Protocol::Resp);
            assert_eq!(answer, line.as_bytes());
        }
    }
}
