//! What an operation is submitted with, so that its completion finds its way back.

use crate::base::Key;
use crate::proxy::ConnId;

/// Which operation completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A listener, by its place.
    Accept(u32),
    /// A receive on a connection.
    Receive(SocketSlot),
    /// A send.
    Send(SocketSlot),
    /// A connect.
    Connect(SocketSlot),
    /// A cancellation of a connection's operations.
    Cancel(SocketSlot),
    /// The timer.
    Timer,
    /// The mailbox.
    Mail,
    /// Something whose completion says nothing.
    Nothing,
}

/// A connection's place in the worker's table. It is not given to another one before the last
/// completion has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SocketSlot {
    pub(super) is_server: bool,
    pub(super) index: u32,
}

impl SocketSlot {
    pub(super) fn of(conn: ConnId) -> SocketSlot {
        let (is_server, Key { index, .. }) = match conn {
            ConnId::Client(key) => (false, key),
            ConnId::Server(key) => (true, key),
        };
        SocketSlot { is_server, index }
    }
}

const SERVER: u64 = 1 << 63;

impl Token {
    pub(super) fn pack(self) -> u64 {
        let (kind, place) = match self {
            Token::Accept(listener) => (
                1,
                SocketSlot {
                    is_server: false,
                    index: listener,
                },
            ),
            Token::Receive(place) => (2, place),
            Token::Send(place) => (3, place),
            Token::Connect(place) => (4, place),
            Token::Cancel(place) => (5, place),
            Token::Timer => return 6 << 32,
            Token::Mail => return 7 << 32,
            Token::Nothing => return 8 << 32,
        };
        let side = if place.is_server { SERVER } else { 0 };
        side | kind << 32 | u64::from(place.index)
    }

    pub(super) fn unpack(token: u64) -> Token {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the lower half is the index"
        )]
        let place = SocketSlot {
            is_server: token & SERVER != 0,
            index: token as u32,
        };
        match (token & !SERVER) >> 32 {
            1 => Token::Accept(place.index),
            2 => Token::Receive(place),
            3 => Token::Send(place),
            4 => Token::Connect(place),
            5 => Token::Cancel(place),
            6 => Token::Timer,
            7 => Token::Mail,
            _ => Token::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_comes_back_as_it_was() {
        let place = |is_server, index| SocketSlot { is_server, index };
        for token in [
            Token::Accept(3),
            Token::Receive(place(true, u32::MAX)),
            Token::Receive(place(false, 0)),
            Token::Send(place(true, 7)),
            Token::Connect(place(true, 1)),
            Token::Cancel(place(false, 9)),
            Token::Timer,
            Token::Mail,
            Token::Nothing,
        ] {
            assert_eq!(Token::unpack(token.pack()), token);
        }
    }
}
