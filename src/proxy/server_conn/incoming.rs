//! What a server sends.
//!
//! Owns: the reply of which a part has come, when anything last came, and for whose request the server
//! may have stopped to read. Never: cuts a reply, pairs one.

use crate::base::Key;
use crate::base::Time;
use crate::protocol::ReplyAssembly;

/// What a server sends on one connection.
#[derive(Debug)]
pub(in crate::proxy) struct Incoming {
    assembly: Option<Box<ReplyAssembly>>,
    // Before the first byte, when the attempt to connect began.
    last_heard: Time,
    // Whose request the server could not read, and closes for: nothing behind it is executed.
    unreadable: Option<Key>,
}

impl Incoming {
    pub(in crate::proxy) fn new(now: Time) -> Incoming {
        Incoming {
            assembly: None,
            last_heard: now,
            unreadable: None,
        }
    }

    /// Something has come, or is now waited for.
    #[inline]
    pub(in crate::proxy) fn heard(&mut self, now: Time) {
        self.last_heard = now;
    }

    pub(in crate::proxy) fn last_heard(&self) -> Time {
        self.last_heard
    }

    /// Whether a reply has begun that did not lie whole in what was received.
    #[inline]
    pub(in crate::proxy) fn is_assembling(&self) -> bool {
        self.assembly.is_some()
    }

    pub(in crate::proxy) fn assembly(&self) -> Option<&ReplyAssembly> {
        self.assembly.as_deref()
    }

    pub(in crate::proxy) fn assembly_mut(&mut self) -> Option<&mut ReplyAssembly> {
        self.assembly.as_deref_mut()
    }

    /// Takes the reply that has begun, if one has.
    pub(in crate::proxy) fn take_assembly(&mut self) -> Option<Box<ReplyAssembly>> {
        self.assembly.take()
    }

    /// The reply goes on with what comes next.
    pub(in crate::proxy) fn set_assembly(&mut self, assembly: Box<ReplyAssembly>) {
        self.assembly = Some(assembly);
    }

    /// Nothing of a reply that has begun is waited for.
    pub(in crate::proxy) fn forget(&mut self) {
        self.assembly = None;
    }

    /// Whose request the server could not read.
    #[inline]
    pub(in crate::proxy) fn unreadable(&self) -> Option<Key> {
        self.unreadable
    }

    pub(in crate::proxy) fn set_unreadable(&mut self, client: Option<Key>) {
        self.unreadable = client;
    }

    /// The same, and it is settled.
    pub(in crate::proxy) fn take_unreadable(&mut self) -> Option<Key> {
        self.unreadable.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Expect;
    use crate::protocol::Protocol;
    use crate::protocol::Version;

    #[test]
    fn a_reply_that_has_begun_goes_on_until_it_is_forgotten() {
        let mut incoming = Incoming::new(Time::ZERO);
        assert!(!incoming.is_assembling() && incoming.take_assembly().is_none());
        let assembly = Protocol::Resp.reply_assembly(Version::V2, Expect::ONE);
        incoming.set_assembly(Box::new(assembly));
        assert!(incoming.is_assembling() && incoming.assembly_mut().is_some());
        incoming.forget();
        assert!(!incoming.is_assembling() && incoming.assembly().is_none());
    }

    #[test]
    fn whose_request_was_not_read_is_known_until_it_is_settled() {
        let mut incoming = Incoming::new(Time::ZERO);
        incoming.set_unreadable(Some(Key::NONE));
        assert_eq!(incoming.unreadable(), Some(Key::NONE));
        assert_eq!(incoming.take_unreadable(), Some(Key::NONE));
        assert_eq!(incoming.unreadable(), None);
    }
}
