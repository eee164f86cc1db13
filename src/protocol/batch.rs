//! Requests that a server is sent in one piece and answers as one: what it says on the way.

/// What one reply means that comes before the one that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchPart {
    /// The server has taken that part, and does it with the rest.
    Taken,
    /// It has not.
    Refused,
    /// No server that knows batches says this.
    Odd,
}
