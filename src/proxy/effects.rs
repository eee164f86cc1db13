//! What the data plane asks of whoever holds its sockets.

use std::collections::VecDeque;

use crate::base::Batch;
use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Spare;
use crate::messages::Finding;
use crate::messages::Inquiry;
use crate::messages::Report;
use crate::messages::ScriptNews;
use crate::messages::SocketAddress;

/// Names one connection of one worker, from its beginning until `closed` was called for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConnId {
    /// A client is at the other end.
    Client(Key),
    /// A server is at the other end.
    Server(Key),
}

/// An act that only the holder of the sockets can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Open a socket to `address`; then call `connected` or `failed`.
    Connect {
        /// The new connection.
        conn: ConnId,
        /// Where to.
        address: SocketAddress,
        /// Whether to ask for TCP keepalive probes.
        keepalive: bool,
    },
    /// Stop receiving: what has been received already may still be handed over.
    Pause(ConnId),
    /// Receive again.
    Resume(ConnId),
    /// Close the sending half; receive on.
    ShutdownWrite(ConnId),
    /// Close the socket at once, then call `closed`.
    Close(ConnId),
    /// The same, and throw away what the peer has not received yet.
    Abort(ConnId),
    /// As soon as nothing is being received from it any more, take the client and give it, with its
    /// socket, to another process.
    HandOver(ConnId),
    /// Look the server's name up, then apply what was found.
    Resolve {
        /// The server's pool.
        pool: PoolIdx,
        /// The server.
        server: ServerIdx,
    },
    /// Tell the process.
    Report(Report),
    /// Tell every other worker of a script.
    Script(ScriptNews),
    /// Ask every other worker.
    Ask(Inquiry),
    /// Tell the worker that has asked.
    Answer(Finding),
}

/// What waits to be done outside: acts in order, and connections that have bytes to send.
#[derive(Debug, Default)]
pub(super) struct Wire {
    pub(super) outputs: VecDeque<Output>,
    pub(super) writable: Vec<ConnId>,
    pub(super) spare: Spare,
}

impl Wire {
    pub(super) fn put(&mut self, output: Output) {
        self.outputs.push_back(output);
    }
}

/// The sending half of a connection's life, the same for clients and servers.
///
/// While a batch is being sent it belongs to the socket's holder; meanwhile the next one gathers.
#[derive(Debug, Default)]
pub(super) struct Sending {
    /// Bytes handed over and not yet sent.
    pub(super) bytes: usize,
    listed: bool,
}

impl Sending {
    /// Puts the connection on the list of those that have bytes to send.
    #[inline]
    pub(super) fn list(&mut self, conn: ConnId, wire: &mut Wire) {
        if !self.listed && self.bytes == 0 {
            self.listed = true;
            wire.writable.push(conn);
        }
    }

    /// Takes it off the list.
    pub(super) fn unlist(&mut self) {
        self.listed = false;
    }

    /// Hands a batch over.
    pub(super) fn begin(&mut self, batch: &Batch) {
        debug_assert!(self.bytes == 0, "one batch at a time");
        self.bytes = batch.len();
    }

    /// The batch was sent, or will never be.
    pub(super) fn end(&mut self) {
        self.bytes = 0;
    }

    pub(super) fn is_idle(&self) -> bool {
        self.bytes == 0
    }
}
