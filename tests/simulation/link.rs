//! A connection: two wires, the proxy's socket at one end, a model peer at the other.

use bytes::Bytes;
use coremux::base::Batch;
use coremux::base::Time;
use coremux::proxy::ConnId;

use crate::dice::Dice;
use crate::wire::Pace;
use crate::wire::Wire;

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Client(usize),
    Server { pool: usize, server: usize },
}

/// The proxy's descriptor, with the same states as the reactor's `Socket`.
#[derive(Debug)]
pub struct Socket {
    pub connecting: bool,
    pub receiving: bool,
    pub wants_receive: bool,
    pub ended: bool,
    pub closing: bool,
    /// Operations whose last completion has not come.
    pub under_way: usize,
    pub outgoing: Option<Outgoing>,
}

/// A batch on its way out.
#[derive(Debug)]
pub struct Outgoing {
    pub batch: Batch,
    pub rest: Bytes,
    /// The second attempt is under way.
    pub until_all_is_sent: bool,
    /// The kernel has no room; the send goes on when there is some.
    pub parked: bool,
    /// The attempt has failed.
    pub errno: Option<i32>,
}

impl Outgoing {
    pub fn new(batch: Batch) -> Outgoing {
        let slices: Vec<&[u8]> = batch.slices().collect();
        let rest = Bytes::from(slices.concat());
        assert!(!rest.is_empty(), "the proxy sends an empty batch");
        assert_eq!(rest.len(), batch.len(), "a batch does not know its length");
        Outgoing {
            batch,
            rest,
            until_all_is_sent: false,
            parked: false,
            errno: None,
        }
    }
}

/// A connection.
#[derive(Debug)]
pub struct Link {
    pub worker: usize,
    pub conn: ConnId,
    pub peer: Peer,
    /// Which of its server's addresses it is to.
    pub home: u8,
    pub to_proxy: Wire,
    pub to_peer: Wire,
    /// `None` once the descriptor is closed.
    pub socket: Option<Socket>,
    /// The peer's descriptor is closed.
    pub peer_gone: bool,
    /// The proxy reads one byte at a time.
    pub byte_by_byte: bool,
    /// Bytes that the proxy was given.
    pub received: u64,
    /// Where the proxy's batches end in its stream, and when it gave them.
    pub emitted: Vec<(u64, Time)>,
    /// Bytes of the batch that was sent last.
    pub last_send_bytes: usize,
    /// When the proxy's attempt to connect succeeded.
    pub connected: Option<Time>,
    /// When the proxy said that it sends no more.
    pub ended_by_proxy: Option<Time>,
    /// The proxy has stopped reading at some time.
    pub was_paused: bool,
    /// The proxy has had to wait for room at some time.
    pub was_parked: bool,
    /// The proxy has thrown the client out because memory was short.
    pub is_shed: bool,
    /// Touches that last as long as the proxy's socket.
    pub touches: Vec<usize>,
    /// When bytes were last received, before the proxy said that it sends no more.
    pub last_received: Option<Time>,
    /// It has brought, or will bring, what ends it by right: no reply, or a refused greeting.
    pub is_bad: bool,
    /// A request was executed on it, so the proxy takes it for ready.
    pub has_served: bool,
    /// The client is owed more than its limit, with so many requests on their way.
    pub over_limit: Option<usize>,
    /// As much as requests that were on their way may have brought.
    pub most_owed: usize,
}

impl Link {
    pub fn new(worker: usize, conn: ConnId, peer: Peer, dice: &mut Dice) -> Link {
        // Servers are near, and slow only by a fault; clients may be anywhere.
        let (far, narrow) = match peer {
            Peer::Client(_) => (dice.percent(10), dice.below(10)),
            Peer::Server { .. } => (false, dice.between(4, 9)),
        };
        let pace = Pace {
            delay: if far { (500, 5000) } else { (10, 150) },
            pieces: *dice.pick(&[1, 1, 2, 4]),
        };
        let capacity = match narrow {
            0 => 200,
            1..7 => 4096,
            _ => 64 << 10,
        };
        Link {
            worker,
            conn,
            peer,
            home: 0,
            to_proxy: Wire::new(64 << 10, pace),
            to_peer: Wire::new(capacity, pace),
            socket: None,
            peer_gone: false,
            byte_by_byte: dice.percent(5),
            received: 0,
            emitted: Vec::new(),
            last_send_bytes: 0,
            connected: None,
            ended_by_proxy: None,
            was_paused: false,
            was_parked: false,
            is_shed: false,
            touches: Vec::new(),
            last_received: None,
            is_bad: false,
            has_served: false,
            over_limit: None,
            most_owed: 0,
        }
    }

    /// When the proxy gave byte `at - 1` of its stream to the wire.
    pub fn emitted_at(&self, at: u64) -> Time {
        let place = self.emitted.partition_point(|(end, _)| *end < at);
        self.emitted[place].1
    }

    /// Nothing is on its way to the server.
    pub fn is_quiet(&self) -> bool {
        self.to_proxy.is_empty()
            && self.to_peer.is_empty()
            && self.socket.as_ref().is_some_and(|socket| {
                socket.outgoing.is_none() && !socket.connecting && !socket.closing && !socket.ended
            })
    }
}
