//! What a server's message is, as far as its place among the others goes.

/// What a message of a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// It answers the request whose turn it is.
    Value,
    /// The same with an error.
    Error,
    /// Nobody has asked for it: it takes no request's turn, and may come between any two replies.
    Message,
}

/// A message that lies whole in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// How many bytes it has.
    pub bytes: usize,
    /// What it is.
    pub kind: ReplyKind,
}
