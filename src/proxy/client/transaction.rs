//! What a client has asked for since its `MULTI`, until `EXEC` sends it in one piece.
//!
//! ```text
//!   MULTI ──► │ SET … │ INCR … │ ──► EXEC: one place in a server connection's FIFO
//!             frames, as they came        MULTI, the frames, EXEC
//! ```
//!
//! Owns: the commands, where their keys live, and whether one was refused. Never: decides where a
//! key lives; sends anything.

use crate::base::ByteQueue;
use crate::base::Chunk;
use crate::base::ServerIdx;
use crate::base::Spare;
use crate::protocol::Expect;
use crate::protocol::Protocol;
use crate::protocol::Request;
use crate::proxy::client::state::Carried;
use crate::proxy::failure::RequestError;

/// As many as can be counted of the replies that are swallowed, less that to `MULTI`.
pub(in crate::proxy) const COMMANDS_MAX: u16 = u16::MAX - 5;

/// No request is longer, and a transaction is one; its length is counted in 32 bits.
const BYTES_MAX: usize = 1 << 30;

/// Where a command's keys live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::proxy) enum Home {
    /// It has none, and goes with the others.
    #[default]
    Anywhere,
    /// At this server, or at none while all are ejected.
    At(Option<ServerIdx>),
}

impl Home {
    /// Where two commands can be done together.
    ///
    /// # Errors
    /// Nowhere.
    pub(in crate::proxy) fn with(self, other: Home) -> Result<Home, RequestError> {
        match (self, other) {
            (Home::Anywhere, home) | (home, Home::Anywhere) => Ok(home),
            (one, other) if one == other => Ok(one),
            _ => Err(RequestError::CrossServer),
        }
    }
}

/// The commands of one transaction.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Transaction {
    frames: ByteQueue,
    commands: u16,
    /// Some of them may change something.
    writes: bool,
    home: Home,
    // Which state of the pool's keys `home` is true of.
    routes: u64,
    // One was refused: nothing will be done.
    aborted: bool,
    /// What stands for chance where the pool chooses its servers by it.
    pub(in crate::proxy) draw: u32,
}

impl Transaction {
    /// `MULTI` was said, while the pool's keys lived as `routes` says.
    pub(in crate::proxy) fn new(draw: u32, routes: u64) -> Transaction {
        Transaction {
            routes,
            draw,
            ..Transaction::default()
        }
    }

    /// Nothing of it will be done, and nothing is kept.
    pub(in crate::proxy) fn abort(&mut self) {
        self.aborted = true;
        self.frames = ByteQueue::default();
        self.commands = 0;
    }

    pub(in crate::proxy) fn is_aborted(&self) -> bool {
        self.aborted
    }

    /// How many commands wait.
    pub(in crate::proxy) fn commands(&self) -> u16 {
        self.commands
    }

    pub(in crate::proxy) fn writes(&self) -> bool {
        self.writes
    }

    /// Where the keys lived when that was last found out.
    pub(in crate::proxy) fn home(&self) -> Home {
        self.home
    }

    /// Whether keys may have got other places since then.
    pub(in crate::proxy) fn is_outdated(&self, routes: u64) -> bool {
        self.routes != routes || self.home == Home::At(None)
    }

    /// The keys live there now.
    pub(in crate::proxy) fn settle(&mut self, home: Home, routes: u64) {
        (self.home, self.routes) = (home, routes);
    }

    /// What it costs in memory.
    pub(in crate::proxy) fn bytes(&self) -> usize {
        self.frames.len()
    }

    /// Whether so many more bytes are within the client's limit.
    pub(in crate::proxy) fn has_room(&self, more: usize, limit: usize) -> bool {
        self.commands < COMMANDS_MAX && self.bytes() + more <= limit.min(BYTES_MAX)
    }

    /// Puts a command behind the others, which lives at `home` as they do.
    pub(in crate::proxy) fn push<C: Chunk>(
        &mut self,
        (request, chunk): (&Request<'_>, Option<(&C, usize)>),
        (home, writes): (Home, bool),
        spare: &mut Spare,
    ) {
        request.write_to(&mut self.frames, chunk, spare);
        self.commands += 1;
        self.writes |= writes;
        self.home = home;
    }

    /// The commands, one frame after the other, to be looked at once more.
    pub(in crate::proxy) fn frames(&self) -> Vec<u8> {
        self.frames.to_vec()
    }

    /// Writes all of it, in one piece, into a server's queue: what comes for it.
    pub(in crate::proxy) fn write_to(
        self,
        protocol: Protocol,
        queue: &mut ByteQueue,
        spare: &mut Spare,
    ) -> Expect {
        let parts = 1 + self.commands;
        protocol.begin_batch(queue, spare);
        queue.append(self.frames, spare);
        protocol.end_batch(queue, spare);
        let expect = Expect::batch(parts);
        debug_assert!(expect.is_some(), "no more than COMMANDS_MAX");
        expect.unwrap_or_default()
    }

    /// What another process is told of it.
    pub(in crate::proxy) fn carried(&self) -> Carried {
        match self.aborted {
            true => Carried::Aborted,
            false => Carried::Open(self.frames()),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const NOWHERE: Option<(&Bytes, usize)> = None;
    const A: Home = Home::At(Some(ServerIdx(0)));
    const B: Home = Home::At(Some(ServerIdx(1)));

    fn queued(lines: &[&[u8]]) -> Transaction {
        let mut transaction = Transaction::new(0, 1);
        let mut args = Vec::new();
        for frame in lines {
            Protocol::Resp.cut_request(frame, &mut args).unwrap();
            let request = Request::whole(frame, &args);
            transaction.push((&request, NOWHERE), (A, true), &mut Spare::default());
        }
        transaction
    }

    #[test]
    fn it_leaves_in_one_piece_and_counts_what_is_swallowed() {
        let transaction = queued(&[b"*1\r\n$4\r\nPING\r\n", b"*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n"]);
        assert_eq!((transaction.commands(), transaction.bytes()), (2, 34));
        let mut queue = ByteQueue::default();
        let expect = transaction.write_to(Protocol::Resp, &mut queue, &mut Spare::default());
        assert_eq!(expect.swallowed(), 3);
        assert_eq!(
            queue.to_vec().escape_ascii().to_string(),
            b"*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n*1\r\n$4\r\nEXEC\r\n"
                .escape_ascii()
                .to_string()
        );
    }

    #[test]
    fn the_most_commands_can_be_counted_and_one_more_has_no_room() {
        assert_eq!(
            Expect::batch(COMMANDS_MAX + 1).map(Expect::swallowed),
            Some(COMMANDS_MAX + 1)
        );
        let mut transaction = Transaction::new(0, 1);
        assert!(transaction.has_room(10, 10) && !transaction.has_room(11, 10));
        assert!(!transaction.has_room(BYTES_MAX + 1, usize::MAX));
        transaction.commands = COMMANDS_MAX;
        assert!(!transaction.has_room(1, 10));
    }

    #[test]
    fn commands_go_together_only_to_one_server() {
        assert_eq!(A.with(Home::Anywhere), Ok(A));
        assert_eq!(Home::Anywhere.with(B), Ok(B));
        assert_eq!(A.with(A), Ok(A));
        assert_eq!(A.with(B), Err(RequestError::CrossServer));
        assert_eq!(A.with(Home::At(None)), Err(RequestError::CrossServer));
    }

    #[test]
    fn nothing_is_kept_of_one_that_was_aborted() {
        let mut transaction = queued(&[b"*1\r\n$4\r\nPING\r\n"]);
        assert_eq!(
            transaction.carried(),
            Carried::Open(b"*1\r\n$4\r\nPING\r\n".to_vec())
        );
        transaction.abort();
        assert!(transaction.is_aborted());
        assert_eq!((transaction.commands(), transaction.bytes()), (0, 0));
        assert_eq!(transaction.carried(), Carried::Aborted);
    }
}
