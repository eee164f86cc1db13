//! What a client has sent and nobody has acted upon.
//!
//! ```text
//!   socket ──► │ unparsed │ ──► │ assembly: a request of which a part has come │ ──► requests
//!                 while it is stopped
//! ```
//!
//! Owns: these bytes, in the order in which they came, and whether more can come. Never: cuts a
//! request, decides that a client is stopped.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::base::Chunk;
use crate::base::Time;
use crate::protocol::Protocol;
use crate::protocol::RequestAssembly;

/// Behind the end of a client, its writes may wait so long for a server. Longer than connecting takes,
/// so that a shell's pipe is served; shorter than what makes clients give up and ask again.
const ENDED_WAITS: Duration = Duration::from_millis(100);

/// What a client has sent and nobody has acted upon.
#[derive(Debug)]
pub(in crate::proxy) struct Input {
    assembly: Option<Box<RequestAssembly>>,
    // `None` for nearly every client.
    kept: Option<Box<Kept>>,
    last_heard: Time,
}

/// What is kept of a client that was stopped, or that sends no more.
#[derive(Debug, Default)]
struct Kept {
    unparsed: VecDeque<Bytes>,
    // When the client has closed its sending half.
    ended: Option<Time>,
}

impl Input {
    pub(in crate::proxy) fn new(now: Time) -> Input {
        Input {
            assembly: None,
            kept: None,
            last_heard: now,
        }
    }

    /// Something has come.
    #[inline]
    pub(in crate::proxy) fn heard(&mut self, now: Time) {
        self.last_heard = now;
    }

    pub(in crate::proxy) fn last_heard(&self) -> Time {
        self.last_heard
    }

    /// Keeps what has come of a client that is stopped, behind what is kept already.
    pub(in crate::proxy) fn keep<C: Chunk>(&mut self, chunk: &C) {
        let kept = self.kept.get_or_insert_default();
        kept.unparsed.push_back(chunk.keep_from(0));
    }

    /// Keeps what was looked at last, from `at` on, before what is kept already.
    pub(in crate::proxy) fn put_back<C: Chunk>(&mut self, chunk: &C, at: usize) {
        if at < chunk.bytes().len() {
            let kept = self.kept.get_or_insert_default();
            kept.unparsed.push_front(chunk.keep_from(at));
        }
    }

    /// The next bytes of those that were kept.
    pub(in crate::proxy) fn next_unparsed(&mut self) -> Option<Bytes> {
        let next = self.kept.as_mut()?.unparsed.pop_front();
        if next.is_none() {
            // What a client needed once it need not own for ever.
            self.drop_unparsed();
        }
        next
    }

    fn drop_unparsed(&mut self) {
        match &mut self.kept {
            Some(kept) if kept.ended.is_some() => kept.unparsed = VecDeque::new(),
            nothing_else => *nothing_else = None,
        }
    }

    fn unparsed(&self) -> impl Iterator<Item = &Bytes> {
        self.kept.iter().flat_map(|kept| &kept.unparsed)
    }

    /// Whether bytes are kept that are to be looked at.
    pub(in crate::proxy) fn has_unparsed(&self) -> bool {
        self.unparsed().next().is_some()
    }

    /// Whether a request has begun to come, or waits.
    pub(in crate::proxy) fn has_any(&self) -> bool {
        self.is_assembling() || self.has_unparsed()
    }

    /// Whether a request has begun that did not lie whole in what was received.
    #[inline]
    pub(in crate::proxy) fn is_assembling(&self) -> bool {
        self.assembly.is_some()
    }

    /// Takes the request that has begun, or begins one.
    pub(in crate::proxy) fn take_assembly(&mut self, protocol: Protocol) -> Box<RequestAssembly> {
        let begun = self.assembly.take();
        begun.unwrap_or_else(|| Box::new(protocol.request_assembly()))
    }

    /// The request goes on with what comes next.
    pub(in crate::proxy) fn set_assembly(&mut self, assembly: Box<RequestAssembly>) {
        self.assembly = Some(assembly);
    }

    /// The client has closed its sending half.
    pub(in crate::proxy) fn end(&mut self, now: Time) {
        self.kept.get_or_insert_default().ended = Some(now);
    }

    pub(in crate::proxy) fn has_ended(&self) -> bool {
        self.ended().is_some()
    }

    fn ended(&self) -> Option<Time> {
        self.kept.as_ref().and_then(|kept| kept.ended)
    }

    /// Whether a write that has waited may still be sent. Who has closed its sending half may wait for
    /// its reply, or have given up and asked again on another connection: nobody can tell.
    pub(in crate::proxy) fn may_still_write(&self, now: Time) -> bool {
        self.ended().is_none_or(|ended| now < ended + ENDED_WAITS)
    }

    /// How many bytes are kept here.
    pub(in crate::proxy) fn bytes(&self) -> usize {
        let assembly = self.assembly.as_ref().map_or(0, |a| a.held_bytes());
        assembly + self.unparsed().map(Bytes::len).sum::<usize>()
    }

    /// Nothing of it will be acted upon.
    pub(in crate::proxy) fn forget(&mut self) {
        self.assembly = None;
        self.drop_unparsed();
    }

    /// Takes all that was sent and not acted upon, from the beginning of a request on.
    pub(in crate::proxy) fn take_all(&mut self) -> Vec<u8> {
        let mut input = Vec::new();
        if let Some(assembly) = self.assembly.take() {
            assembly.copy_raw(&mut input);
        }
        for piece in self.unparsed() {
            input.extend_from_slice(piece);
        }
        self.drop_unparsed();
        input
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Spare;

    fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1000)
    }

    fn drained(input: &mut Input) -> Vec<u8> {
        std::iter::from_fn(|| input.next_unparsed())
            .flatten()
            .collect()
    }

    #[test]
    fn what_is_kept_comes_out_in_the_order_in_which_it_was_sent() {
        let mut input = Input::new(Time::ZERO);
        input.put_back(&Bytes::from_static(b"xxab"), 2);
        input.keep(&Bytes::from_static(b"cd"));
        let first = input.next_unparsed().unwrap();
        input.put_back(&first, 1);
        input.keep(&Bytes::from_static(b"ef"));
        assert_eq!(input.bytes(), 5);
        assert_eq!(drained(&mut input), b"bcdef");
        assert!(!input.has_any());
    }

    #[test]
    fn nothing_is_kept_of_what_was_read_whole() {
        let mut input = Input::new(Time::ZERO);
        input.put_back(&Bytes::from_static(b"abc"), 3);
        assert!(!input.has_unparsed());
    }

    #[test]
    fn all_of_it_begins_with_the_request_that_had_begun() {
        let mut input = Input::new(Time::ZERO);
        let mut assembly = input.take_assembly(Protocol::Resp);
        let begun = Bytes::from_static(b"*2\r\n$3\r\nGET\r\n$1");
        let fed = assembly.feed(&begun, 0, &mut Spare::default()).unwrap();
        assert!(!fed.complete);
        input.set_assembly(assembly);
        input.keep(&Bytes::from_static(b"\r\nk\r\n"));
        assert!(input.is_assembling() && input.has_any());
        assert_eq!(input.take_all(), b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
        assert!(!input.has_any());
        assert_eq!(input.bytes(), 0);
    }

    #[test]
    fn a_write_waits_for_a_moment_only_behind_the_end_of_its_client() {
        let mut input = Input::new(Time::ZERO);
        assert!(input.may_still_write(at(10_000)));
        input.end(at(500));
        assert!(input.has_ended());
        assert!(input.may_still_write(at(599)));
        assert!(!input.may_still_write(at(600)));
    }

    #[test]
    fn what_is_forgotten_is_no_more() {
        let mut input = Input::new(Time::ZERO);
        let assembly = input.take_assembly(Protocol::Resp);
        input.set_assembly(assembly);
        input.keep(&Bytes::from_static(b"abc"));
        input.forget();
        assert!(!input.has_any());
    }
}
