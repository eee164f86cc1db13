//! Why the keys of a request cannot be found.

/// A request whose keys cannot be found. `Display` is what Redis says after `ERR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Too few arguments, or keys and values that do not pair.
    #[error("wrong number of arguments for '{0}' command")]
    WrongNumber(&'static str),
    /// `numkeys` is no integer.
    #[error("value is not an integer or out of range")]
    NotAnInteger,
    /// `numkeys` is below 1, in `ZUNION` and its like.
    #[error("at least 1 input key is needed for '{0}' command")]
    NoInputKey(&'static str),
    /// `numkeys` is no integer above 0, in `LMPOP`, `SINTERCARD` and their like.
    #[error("numkeys should be greater than 0")]
    NotPositive,
    /// `numkeys` is below 0, in `EVAL` and its like.
    #[error("Number of keys can't be negative")]
    Negative,
    /// `numkeys` is more than there are arguments.
    #[error("Number of keys can't be greater than number of args")]
    TooMany,
    /// An odd number of arguments after `STREAMS`. Redis says `XREAD` in `XREADGROUP` as well.
    #[error(
        "Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified."
    )]
    Unbalanced,
    /// What Redis calls so.
    #[error("syntax error")]
    Syntax,
}
