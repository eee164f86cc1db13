//! Whose request a reply belongs to.

use crate::base::Key;

/// Which of a client's requests a reply belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::proxy) struct Awaiter {
    pub(in crate::proxy) client: Key,
    pub(in crate::proxy) sequence: u32,
    pub(in crate::proxy) fragment: u32,
}

/// No fragment has this number: there are no more of them than servers.
const BURIED: u32 = u32::MAX;

impl Awaiter {
    /// The fragment of a request that gets no reply.
    pub(in crate::proxy) const SILENT: u32 = u32::MAX - 1;

    /// The proxy itself: what it has asked of a server, between its clients' requests.
    pub(in crate::proxy) const OURS: Awaiter = Awaiter {
        client: Key::NONE,
        sequence: 0,
        fragment: 1,
    };

    /// Nobody any more: the reply is swallowed. Whose request it was is still known.
    #[must_use]
    pub(in crate::proxy) fn buried(self) -> Awaiter {
        Awaiter {
            fragment: BURIED,
            ..self
        }
    }

    /// The same request's reply of one server of several.
    pub(in crate::proxy) fn part(self, number: u32) -> Awaiter {
        match self.is_silent() {
            true => self,
            false => Awaiter {
                fragment: number,
                ..self
            },
        }
    }

    /// Whether its client has had an answer already.
    #[inline]
    pub(in crate::proxy) fn is_buried(self) -> bool {
        self.fragment == BURIED
    }

    /// Whether its client gets no reply, whatever becomes of the request.
    #[inline]
    pub(in crate::proxy) fn is_silent(self) -> bool {
        self.fragment == Awaiter::SILENT
    }
}
