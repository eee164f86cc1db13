//! Requests that leave one server connection's queue, to be put into another's.
//!
//! Owns: that each keeps its bytes, and what else is known of it.

use std::collections::BTreeMap;

use crate::base::ByteQueue;
use crate::base::Spare;
use crate::base::Time;
use crate::proxy::client::Awaiter;
use crate::proxy::server_conn::queue::Pending;
use crate::proxy::server_conn::queue::in_flight::SentBytes;

/// Of requests that were refused and taken back: when they first were.
pub(super) type Refused = BTreeMap<Awaiter, Time>;

/// What is known of one that leaves.
pub(super) fn take_refused(from: &mut Refused, pending: &Pending) -> Option<(Awaiter, Time)> {
    match pending.was_refused() {
        true => from.remove_entry(&pending.awaiter),
        false => None,
    }
}

/// Requests that were not sent, or are to be sent again, in their order, with their bytes.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Requests {
    pub(super) pendings: Vec<Pending>,
    pub(super) bytes: ByteQueue,
    pub(super) refused: Refused,
}

impl Requests {
    pub(in crate::proxy) fn is_empty(&self) -> bool {
        self.pendings.is_empty()
    }

    /// Each of them with its bytes, to go its own way.
    pub(in crate::proxy) fn each(self) -> impl Iterator<Item = (Pending, ByteQueue)> {
        let Requests {
            pendings,
            mut bytes,
            ..
        } = self;
        pendings.into_iter().map(move |mut pending| {
            // Elsewhere nobody has refused it.
            pending.mark_refused(false);
            let mut own = ByteQueue::default();
            own.untake(bytes.take_front(pending.bytes as usize));
            (pending, own)
        })
    }
}

/// Requests that were sent and got no reply, oldest first, with as much of their bytes as is kept.
#[derive(Debug)]
pub(in crate::proxy) struct Unanswered {
    pub(in crate::proxy) pendings: Vec<Pending>,
    /// A part of the first one's reply was given.
    pub(in crate::proxy) half_given: bool,
    pub(super) bytes: SentBytes,
    pub(super) refused: Refused,
}

impl Unanswered {
    /// Whether the bytes of the next request are kept.
    pub(in crate::proxy) fn has_next(&self) -> bool {
        self.bytes.has_next()
    }

    /// Leaves the next request, which is `pending`, out.
    pub(in crate::proxy) fn skip(&mut self, pending: &Pending) {
        self.bytes.skip_next(pending.bytes as usize);
    }

    /// Puts the next request, which is `pending` and whose bytes are kept, behind those in `to`.
    pub(in crate::proxy) fn resend(
        &mut self,
        pending: Pending,
        to: &mut Requests,
        spare: &mut Spare,
    ) {
        debug_assert!(self.has_next(), "what is not kept cannot be sent again");
        let size = pending.bytes as usize;
        self.bytes.move_next(size, &mut to.bytes, spare);
        to.refused.extend(take_refused(&mut self.refused, &pending));
        to.pendings.push(pending);
    }

    /// The bytes of the next request, which is `pending`, if they are kept.
    pub(in crate::proxy) fn take(
        &mut self,
        pending: &Pending,
        spare: &mut Spare,
    ) -> Option<ByteQueue> {
        let (mut bytes, is_kept) = (ByteQueue::default(), self.has_next());
        self.bytes
            .move_next(pending.bytes as usize, &mut bytes, spare);
        is_kept.then_some(bytes)
    }
}
