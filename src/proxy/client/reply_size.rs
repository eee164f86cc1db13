//! How large a client's next reply may be.
//!
//! Owns: the guess by which requests are read ahead of their replies. Never: counts what is there.

/// What a reply is taken to have before the first has come: with it, 64 requests of a new client are
/// on their way at once under the default limit of 64 MiB. If its replies are small it waits once for
/// one of them; if they are large, they are not a thousand.
const FIRST_REPLY_BYTES: usize = 1 << 20;

/// What a client's replies have had lately, so that many requests for large values are not all sent
/// at once. In eight bytes, because every client has one.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) struct ReplySize(usize);

/// No reply has come. None is so long.
const UNKNOWN: usize = usize::MAX;

impl Default for ReplySize {
    fn default() -> ReplySize {
        ReplySize(UNKNOWN)
    }
}

impl ReplySize {
    #[inline]
    pub(in crate::proxy) fn expected(self) -> usize {
        match self.0 {
            UNKNOWN => FIRST_REPLY_BYTES,
            lately => lately,
        }
    }

    /// A reply has come. A larger one is believed at once, smaller ones by and by: too much memory
    /// is worse than a pause.
    #[inline]
    pub(in crate::proxy) fn learn(&mut self, bytes: usize) {
        self.0 = match self.0 {
            UNKNOWN => bytes,
            lately if bytes < lately => (lately * 7 + bytes).div_ceil(8),
            _ => bytes,
        };
    }

    /// So much of a reply has come.
    pub(in crate::proxy) fn learn_part(&mut self, bytes: usize) {
        if bytes > self.expected() {
            self.0 = bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reply_and_every_larger_one_is_believed_at_once() {
        let mut size = ReplySize::default();
        assert_eq!(size.expected(), FIRST_REPLY_BYTES);
        size.learn(5);
        assert_eq!(size.expected(), 5);
        size.learn(6 << 20);
        assert_eq!(size.expected(), 6 << 20);
        (0..200).for_each(|_| size.learn(5));
        assert!(size.expected() < 20, "{size:?}");
    }

    #[test]
    fn a_part_says_that_a_reply_is_no_smaller() {
        let mut size = ReplySize::default();
        size.learn_part(10);
        assert_eq!(size.expected(), FIRST_REPLY_BYTES);
        size.learn_part(3 << 20);
        assert_eq!(size.expected(), 3 << 20);
        size.learn(100);
        size.learn_part(200);
        assert!(size.expected() > 2 << 20);
    }
}
