//! A batch takes one place in the FIFO, and its server answers each part of it.
//!
//! Owns: how many of these replies have come, and what the server has refused. Never: reads one.

use crate::proxy::server_conn::queue::RequestQueue;

/// Whose a reply is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Turn {
    /// That of a request that gets one.
    Only,
    /// One of a batch before the last, behind so many.
    Part(u16),
    /// The last one of a batch.
    Last,
}

/// What a server has refused of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::proxy) struct Refusal {
    /// What it said first, without what makes it an error.
    pub(in crate::proxy) text: String,
    /// The batch itself was refused, when it began: what came behind was not part of one.
    pub(in crate::proxy) at_once: bool,
    /// How many parts.
    pub(in crate::proxy) parts: u16,
}

impl RequestQueue {
    /// Whose the reply is that has come.
    #[inline]
    pub(in crate::proxy) fn turn(&mut self) -> Turn {
        let awaited = self
            .next_sent()
            .map_or(0, |first| first.expect().swallowed());
        match (awaited, self.swallowed) {
            (0, _) => Turn::Only,
            (awaited, before) if before < awaited => {
                self.swallowed += 1;
                Turn::Part(before)
            }
            _ => Turn::Last,
        }
    }

    /// The server has refused the part that came last.
    pub(in crate::proxy) fn refuse_part(&mut self, text: impl FnOnce() -> String) {
        let at_once = self.swallowed == 1;
        let refusal = self.refusal.get_or_insert_with(|| {
            Box::new(Refusal {
                text: text(),
                at_once,
                parts: 0,
            })
        });
        refusal.parts += 1;
    }

    /// What was refused so far of the batch whose turn it is.
    pub(in crate::proxy) fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_deref()
    }

    /// Whether all parts were refused.
    pub(in crate::proxy) fn refused_all(&self) -> bool {
        let parts = self.refusal.as_ref().map_or(0, |refusal| refusal.parts);
        parts > 0 && parts == self.swallowed
    }

    /// The next reply is the first one of its request.
    #[inline]
    pub(super) fn begin_turn(&mut self) {
        self.swallowed = 0;
        if self.refusal.is_some() {
            self.refusal = None;
        }
    }
}
