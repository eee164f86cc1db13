//! Why bytes are no message, in any protocol.

use thiserror::Error;

use crate::protocol::memcached;
#[cfg(any(test, debug_assertions))]
use crate::protocol::numbered;
use crate::protocol::resp;
use crate::protocol::resp::Foreign;

/// The client's bytes are not a request. Closes that client, after saying so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// Of Redis's protocol.
    #[error(transparent)]
    Resp(#[from] resp::ProtocolError),
    /// Of memcached's.
    #[error(transparent)]
    Memcached(#[from] memcached::ProtocolError),
    /// Of the tests' one.
    #[cfg(any(test, debug_assertions))]
    #[error(transparent)]
    Numbered(#[from] numbered::Broken),
}

impl ProtocolError {
    /// Which other protocol the client speaks, if one is known.
    #[must_use]
    pub fn foreign(&self) -> Option<Foreign> {
        match self {
            ProtocolError::Resp(resp::ProtocolError::Foreign(foreign))
            | ProtocolError::Memcached(memcached::ProtocolError::Foreign(foreign)) => {
                Some(*foreign)
            }
            _ => None,
        }
    }
}

/// The server's bytes are not a reply. Closes that server connection and fails what awaits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReplyError {
    /// Of Redis's protocol.
    #[error(transparent)]
    Resp(#[from] resp::ReplyError),
    /// Of memcached's.
    #[error(transparent)]
    Memcached(#[from] memcached::ReplyError),
    /// Of the tests' one.
    #[cfg(any(test, debug_assertions))]
    #[error(transparent)]
    Numbered(#[from] numbered::Broken),
}
