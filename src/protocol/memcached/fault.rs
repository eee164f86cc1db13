//! What is wrong with what a client has sent.

use thiserror::Error;

use crate::protocol::resp::Foreign;

/// A request that is none. Its client is told, and goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no such command, or it has too few or too many words.
    Command,
    /// A key, a number or an option is none.
    Format,
    /// `delete` with something behind its key.
    Delete,
    /// An expiration time is no number.
    Exptime,
    /// What is to be added is no number.
    Delta,
    /// The data block does not end where it should.
    Data,
    /// No server can take so much.
    TooLarge,
    /// A meta command has a flag that it does not know.
    Flag,
    /// A meta command has a flag twice.
    Duplicate,
    /// What goes with a flag is not right.
    Token,
    /// An opaque token of more than 32 bytes.
    Opaque,
    /// A mode that `ms` or `ma` does not know.
    Mode,
    /// A key that is said to be base64 is not.
    Encoding,
}

impl Fault {
    const ALL: [Fault; 13] = [
        Fault::Command,
        Fault::Format,
        Fault::Delete,
        Fault::Exptime,
        Fault::Delta,
        Fault::Data,
        Fault::TooLarge,
        Fault::Flag,
        Fault::Duplicate,
        Fault::Token,
        Fault::Opaque,
        Fault::Mode,
        Fault::Encoding,
    ];

    /// By its number.
    pub(super) fn numbered(number: u32) -> Option<Fault> {
        Fault::ALL.get(number as usize).copied()
    }

    /// The line that its client gets, in memcached's words (memcached: proto_text.c).
    pub(super) fn line(self) -> &'static str {
        match self {
            Fault::Command => "ERROR",
            Fault::Format => "CLIENT_ERROR bad command line format",
            Fault::Delete => "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]",
            Fault::Exptime => "CLIENT_ERROR invalid exptime argument",
            Fault::Delta => "CLIENT_ERROR invalid numeric delta argument",
            Fault::Data => "CLIENT_ERROR bad data chunk",
            Fault::TooLarge => "SERVER_ERROR object too large for cache",
            Fault::Flag => "CLIENT_ERROR invalid flag",
            Fault::Duplicate => "CLIENT_ERROR duplicate flag",
            Fault::Token => "CLIENT_ERROR bad token in command line format",
            Fault::Opaque => "CLIENT_ERROR opaque token too long",
            Fault::Mode => "CLIENT_ERROR invalid mode for M token",
            Fault::Encoding => "CLIENT_ERROR error decoding key",
        }
    }

    pub(super) fn number(self) -> u32 {
        self as u32
    }
}

/// The client's bytes are no line. Closes that client, after saying so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// Another protocol.
    #[error("this port speaks memcached's text protocol, and not {0}")]
    Foreign(Foreign),
    /// A line without an end.
    #[error("line too long")]
    LineTooLong,
    /// A command with a key ends with LF alone. It may as well be in the middle of a key, and what
    /// follows a part of that: nobody can say where the next command begins.
    #[error("a line with a bare LF in it")]
    BareLineFeed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_its_number_and_is_one_line() {
        for (number, fault) in (0..).zip(Fault::ALL) {
            assert_eq!(fault.number(), number);
            assert_eq!(Fault::numbered(number), Some(fault));
            assert!(!fault.line().contains(['\r', '\n']));
        }
        assert_eq!(Fault::numbered(99), None);
    }
}
