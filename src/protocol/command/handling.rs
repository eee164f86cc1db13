//! What becomes of a command: which servers it goes to, how replies come together, and why not.

use super::TimeoutAt;
use crate::protocol::TopicKind;

/// How many arguments a command takes, its name (and a container's subcommand) included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// This many.
    Exactly(u8),
    /// This many, or more.
    AtLeast(u8),
}

impl Arity {
    /// Whether `len` arguments will do.
    #[must_use]
    pub const fn allows(self, len: usize) -> bool {
        match self {
            Arity::Exactly(n) => len == n as usize,
            Arity::AtLeast(n) => len >= n as usize,
        }
    }

    /// As `COMMAND` gives it: `AtLeast(2)` is -2.
    #[must_use]
    pub const fn as_redis(self) -> i64 {
        match self {
            Arity::Exactly(n) => n as i64,
            Arity::AtLeast(n) => -(n as i64),
        }
    }
}

/// What a command does to its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Redis's flag `readonly`.
    Read,
    /// Redis's flag `write`.
    Write,
    /// Neither flag: it has no keys, or (`EVAL`) nobody can say what it does with them.
    Unstated,
}

/// Whose words a command's errors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorsBy {
    /// The server's own: what they say of the server can be believed, and what it says that it has
    /// refused was not done.
    Server,
    /// Anybody's: a script answers with any text, also one that a server has for its own state, and
    /// may have done half of its work before.
    Anybody,
}

/// What the proxy does with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    /// Goes, as it is, to the one server where all of its keys live; an error if they do not.
    Forward,
    /// Has no key and may go to any server. As in twemproxy, the server of the key `placeholder`.
    ForwardAnywhere,
    /// Goes to the one server where all of its keys live, which answers when something has happened:
    /// on a connection that the client has for itself.
    Wait(TimeoutAt),
    /// Makes a transaction depend on its keys, which all live on one server: on a connection that the
    /// client has for itself until that is over.
    Watch,
    /// Makes its client listen to topics, for as long as it likes.
    Subscribe(TopicKind),
    /// Makes it listen to some of them, or all, no longer.
    Unsubscribe(TopicKind),
    /// Goes to the one server where its first argument, a channel, lives.
    Publish,
    /// Is split into one command of the same name for every server that holds some of its keys.
    Split(Gather),
    /// Goes, as it is, to every server of the pool.
    AskAll(Gather),
    /// Goes to one server of the pool after another, a page at a time: its cursor says to which.
    Walk,
    /// Is answered by the proxy.
    Local(Local),
    /// Gets an error reply.
    Refuse(Refusal),
}

/// How the replies of several servers become one. One that is an error is the reply to all, but for
/// [`Gather::OneOk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gather {
    /// Arrays with one element a key: the elements, in the order of the keys.
    Concat,
    /// `+OK` from everyone.
    AllOk,
    /// Integers: their sum.
    Sum,
    /// Integers: the least.
    Min,
    /// Integers: the greatest.
    Max,
    /// Arrays: the elements of all.
    Chain,
    /// Arrays: the elements of all, each of them once.
    Union,
    /// Arrays of the same names, each with a count: each name with the sum of its counts, or with the
    /// greatest of them where [`is_everywhere`](crate::protocol::is_everywhere).
    Counts,
    /// Arrays of as many flags: those that every server has set.
    Every,
    /// All servers should say the same: what the first of them says.
    First,
    /// What any of them says that has something.
    Any,
    /// What that one says who says most: others have nothing to tell.
    Longest,
    /// `+OK` if one has done it.
    OneOk,
}

/// The commands that the proxy answers by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the command of that name")]
pub enum Local {
    Auth,
    ClientCaching,
    ClientCapa,
    ClientGetname,
    ClientGetredir,
    ClientId,
    ClientInfo,
    ClientKill,
    ClientList,
    ClientNoEvict,
    ClientNoTouch,
    ClientPause,
    ClientReply,
    ClientSetinfo,
    ClientSetname,
    ClientTracking,
    ClientTrackinginfo,
    ClientUnblock,
    ClientUnpause,
    /// `COMMAND` and its subcommands: [`command_reply`](super::command_reply).
    Command,
    ConfigGet,
    Discard,
    Echo,
    Exec,
    Hello,
    /// `HELP` of any container: [`help_reply`](super::help_reply).
    Help,
    Info,
    Multi,
    Ping,
    Quit,
    Reset,
    Role,
    Select,
    SlowlogGet,
    SlowlogLen,
    SlowlogReset,
    Time,
    Unwatch,
}

impl Local {
    /// Whether it is one about slow requests, which may have been any worker's.
    #[must_use]
    pub fn is_of_slow_log(self) -> bool {
        matches!(
            self,
            Local::SlowlogGet | Local::SlowlogLen | Local::SlowlogReset
        )
    }

    /// Whether it is one about clients who may be with any worker.
    #[must_use]
    pub fn is_of_all_clients(self) -> bool {
        matches!(
            self,
            Local::ClientKill
                | Local::ClientList
                | Local::ClientPause
                | Local::ClientUnblock
                | Local::ClientUnpause
        )
    }

    /// Whether it is one about the client that asks.
    #[must_use]
    pub fn is_of_client(self) -> bool {
        matches!(
            self,
            Local::ClientCaching
                | Local::ClientCapa
                | Local::ClientGetname
                | Local::ClientGetredir
                | Local::ClientId
                | Local::ClientInfo
                | Local::ClientNoEvict
                | Local::ClientNoTouch
                | Local::ClientReply
                | Local::ClientSetinfo
                | Local::ClientSetname
                | Local::ClientTracking
                | Local::ClientTrackinginfo
        )
    }
}

/// Why a command is refused. `Display` is the part of the error reply that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `WAIT`, `WAITAOF`.
    #[error("it waits for what its own connection has written, and clients share those that write")]
    SharedWrites,
    /// What changes every server's keys at one moment.
    #[error("it concerns the keys of every server")]
    EveryServer,
    /// The debugger of scripts, which takes a connection for itself.
    #[error("scripts are to be debugged on a server directly")]
    Debugger,
    /// What each server knows of itself alone.
    #[error("each server has its own: ask it directly")]
    EachItsOwn,
    /// What belongs to an operator.
    #[error("servers are to be administered directly")]
    Administration,
    /// `CLIENT MAINT_NOTIFICATIONS`.
    #[error("nothing is told of servers' maintenance here: the proxy goes to another one itself")]
    Maintenance,
    /// What would change a connection that other clients use as well.
    #[error("it would change the server connection that clients share")]
    ConnectionState,
    /// Redis Cluster's commands; the text is Redis's own without cluster mode, which clients know.
    #[error("This instance has cluster support disabled")]
    ClusterDisabled,
}
