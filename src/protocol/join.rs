//! Joins the replies to the parts of one request, as its protocol does.

use crate::base::ByteQueue;
use crate::base::Spare;
use crate::protocol::ReplyError;
use crate::protocol::memcached;
#[cfg(any(test, debug_assertions))]
use crate::protocol::numbered;
use crate::protocol::resp;

/// What has come of the replies to one split request.
#[derive(Debug)]
pub enum Join {
    /// Redis's.
    Resp(resp::Join),
    /// memcached's.
    Memcached(memcached::Join),
    /// The client hears nothing of them.
    Nothing,
    /// Of the tests.
    #[cfg(any(test, debug_assertions))]
    Numbered(numbered::Join),
}

impl Join {
    /// Takes the reply to part `index`.
    pub fn add(&mut self, index: u32, reply: ByteQueue) {
        match self {
            Join::Resp(join) => join.add(index, reply),
            Join::Memcached(join) => join.add(index, reply),
            Join::Nothing => {}
            #[cfg(any(test, debug_assertions))]
            Join::Numbered(join) => join.add(index, &reply),
        }
    }

    /// Looks whether a server may say this to the part that has this `index`.
    ///
    /// # Errors
    /// It may not.
    pub fn check(&self, index: u32, reply: &ByteQueue) -> Result<(), ReplyError> {
        match self {
            Join::Memcached(join) if !join.fits(index, reply) => {
                Err(memcached::ReplyError::OtherKey.into())
            }
            _ => Ok(()),
        }
    }

    /// Appends the reply to the whole request.
    pub fn finish(self, out: &mut ByteQueue, spare: &mut Spare) {
        match self {
            Join::Resp(join) => join.finish(out, spare),
            Join::Memcached(join) => join.finish(out, spare),
            Join::Nothing => {}
            #[cfg(any(test, debug_assertions))]
            Join::Numbered(join) => join.finish(out, spare),
        }
    }
}
