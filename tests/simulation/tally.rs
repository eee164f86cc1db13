//! What has happened, and how often: a kind of trouble that never came up has proved nothing.

use std::fmt;

macro_rules! happenings {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// Everything that a run may bring about and that must have come up in some run.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Happening {
            $($(#[$doc])* $name,)+
        }

        /// All of them, in the order of the report.
        pub const ALL: &[Happening] = &[$(Happening::$name,)+];
    };
}

happenings! {
    // Faults of servers.
    /// A connection is refused.
    ConnectRefused,
    /// The first of a name's addresses refuses, the next one serves.
    DeadAddress,
    /// Nobody answers a connection attempt.
    ConnectSilent,
    /// A router says that there is no way.
    ConnectUnreachable,
    /// The proxy's own system refuses a socket, before anything is sent.
    ConnectFailsAtOnce,
    /// The server dies, and its connections with it.
    Killed,
    /// It accepts, and neither reads nor answers for a while.
    Stalled,
    /// It answers late.
    SlowReplies,
    /// It reads a few bytes at a time.
    SlowReads,
    /// It closes within a reply.
    ClosedMidReply,
    /// It executes a request and closes without a reply.
    ClosedBeforeReply,
    /// It closes a connection on which nothing is asked.
    ClosedIdle,
    /// A connection is reset.
    Reset,
    /// It sends what is no reply.
    Garbage,
    /// It sends a reply that nobody asked for.
    Unasked,
    /// It says that it cannot serve now.
    Transient,
    /// A script has done its work and answers in a server's words.
    ScriptSpoke,
    /// A server was asked itself what a script had said of it.
    SecondOpinion,
    /// It has come up, and refuses writes for a while.
    Refuses,
    /// It answers a part of a split request with a reply of the wrong kind.
    BadFragment,
    /// It does not take the password.
    AuthRefused,
    /// A request is executed on a connection of RESP3.
    NewerVersion,
    /// A server sends a message that nobody has asked for.
    Push,
    /// A request is executed in another database than its pool's.
    OtherDatabase,
    /// A connection for another database is closed because nobody uses it.
    UnusedDatabaseClosed,
    /// It does not have the database.
    SelectRefused,
    /// The network carries nothing for a while, neither way.
    WireFrozen,
    /// A server's name is not known.
    NameUnknown,
    /// The name server takes its time.
    NameSlow,
    /// A server is at another address from now on.
    Moved,
    /// The same, and whoever is connected to the old one is served there.
    Renamed,
    /// Writes to a server wait, because its master is about to be replaced.
    WritesHeld,
    /// They have kept a client from being read.
    WriteWaited,
    /// A reload gives a pool another number of connections.
    ReloadedConnections,
    /// A reload moves a server.
    ReloadedAddress,
    /// A reload moves keys.
    ReloadedKeys,
    // What clients do.
    /// A client resets its connection while replies are due.
    ClientReset,
    /// It closes while replies are due, and nobody could tell that from closing its sending half.
    ClientVanished,
    /// A write was not sent because its client had closed its sending half while it waited.
    Abandoned,
    /// It closes its sending half while replies are due.
    ClientHalfClose,
    /// It does not read for a while.
    ClientStopsReading,
    /// It sends byte by byte.
    ClientByteByByte,
    /// It sends a broken frame.
    ClientBroken,
    /// It says QUIT.
    ClientQuit,
    /// It gives a wrong password, or none.
    ClientWithoutPassword,
    /// There are too many already.
    ClientRefused,
    /// It says nothing for longer than it may.
    ClientIdle,
    /// All clients are told to go while replies are due.
    Drained,
    // What the process does.
    /// A client is let go.
    LetGo,
    /// Memory is short for a while.
    MemoryShort,
    /// A name is looked up that nobody has asked for.
    LookedUpAgain,
    // What must have followed now and then.
    /// A client was stopped, and went on.
    ClientPaused,
    /// A client was stopped because a server's queue was full.
    QueueFull,
    /// A client had more bytes waiting than its limit.
    OverLimit,
    /// A request was split and joined again.
    Gathered,
    /// A request with keys on several servers was refused.
    CrossServer,
    /// A transaction was done, all of it.
    TransactionDone,
    /// Nothing of it was done, for a command of it was wrong.
    TransactionAborted,
    /// Nothing of it was done, for its server has refused a part.
    TransactionRefused,
    /// Its server was lost, or answered too late.
    TransactionLost,
    /// It was larger than it might be.
    TransactionTooLarge,
    /// Its server closed the connection before it had all of it.
    TransactionBroken,
    /// A request was answered by the clock.
    TimedOut,
    /// A request was answered because nobody knows its server's name.
    HostIsDown,
    /// A request was executed after its client had an error for it, or had gone.
    LateReply,
    /// A write was executed after its client had an error for it and for, or a reply to, a later one.
    LateWrite,
    /// A server was ejected.
    Ejected,
    /// It was readmitted.
    Readmitted,
    /// A server that had failed answered a probe.
    AnsweredProbe,
    /// A server had to prove that it serves before it got a request.
    Proved,
    /// A request that changes nothing was executed, its reply was lost, and it was executed again.
    Retried,
    /// A request was told that nobody knows whether it was executed.
    OutcomeUnknown,
    /// A request waited for a server to come back, and succeeded.
    Held,
    /// It waited as long as it might.
    HeldTooLong,
    /// A client was closed because memory was short.
    Shed,
    /// A request went around a connection that carries something large.
    Detour,
    /// A connection to an address that a server has no longer was left.
    LeftAddress,
    /// A server refused a request, and did it when it was asked again.
    AskedAgain,
    /// A client was told that a server refuses.
    RefusalTold,
    /// All servers of a pool were ejected at once, and a request was told so.
    NoServer,
    /// A request that had not been sent when its connection ended was sent on the next one.
    SentAgain,
    /// A send was taken in parts.
    PartialSend,
    /// A reply larger than 256 KiB reached its client.
    LargeReply,
    /// A reply was passed on while it came.
    Streamed,
    /// The rest of it did not come, and its client was closed.
    StreamCut,
}

/// Counts of each.
#[derive(Clone, Debug)]
pub struct Tally {
    counts: Vec<u64>,
    /// Requests that got a reply.
    pub replies: u64,
    /// Error replies among them, made by the proxy because of a fault.
    pub errors: u64,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally {
            counts: vec![0; ALL.len()],
            replies: 0,
            errors: 0,
        }
    }
}

impl Tally {
    pub fn count(&mut self, what: Happening) {
        self.counts[what as usize] += 1;
    }

    pub fn count_many(&mut self, what: Happening, times: u64) {
        self.counts[what as usize] += times;
    }

    pub fn of(&self, what: Happening) -> u64 {
        self.counts[what as usize]
    }

    pub fn add(&mut self, other: &Tally) {
        for (sum, count) in self.counts.iter_mut().zip(&other.counts) {
            *sum += count;
        }
        self.replies += other.replies;
        self.errors += other.errors;
    }

    /// What has never happened.
    pub fn missing(&self) -> Vec<Happening> {
        ALL.iter()
            .copied()
            .filter(|what| self.of(*what) == 0)
            .collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} replies, {} of them errors",
            self.replies, self.errors
        )?;
        for what in ALL {
            writeln!(f, "{:>9} {what:?}", self.of(*what))?;
        }
        Ok(())
    }
}
