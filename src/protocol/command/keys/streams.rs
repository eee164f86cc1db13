//! The options of `XREAD` and `XREADGROUP`, and the keys that follow them.

use super::KeyError;
use super::KeyIndexes;
use super::shape::is_any;
use crate::protocol::command::Args;

/// How far the options of `XREAD` and `XREADGROUP` go.
struct StreamOptions {
    /// The index of the word `STREAMS`.
    streams: Option<usize>,
    /// The index of the value of `BLOCK`.
    block: Option<usize>,
}

fn stream_options<A: Args + ?Sized>(args: &A) -> StreamOptions {
    let mut found = StreamOptions {
        streams: None,
        block: None,
    };
    let mut i = 1;
    while i < args.len() {
        let word = args.arg(i);
        if word.eq_ignore_ascii_case(b"STREAMS") {
            found.streams = Some(i);
            break;
        }
        if word.eq_ignore_ascii_case(b"BLOCK") {
            found.block = Some(i + 1);
        }
        // Their values may be called `streams` or `block`, so they are stepped over.
        i += match () {
            () if word.eq_ignore_ascii_case(b"GROUP") => 3,
            () if is_any(word, &["BLOCK", "COUNT", "CLAIM"]) => 2,
            () => 1,
        };
    }
    found
}

/// Where an `XREAD` or `XREADGROUP` says how long it waits for entries, if it does.
pub(in crate::protocol::command) fn block_option<A: Args + ?Sized>(args: &A) -> Option<usize> {
    stream_options(args).block
}

pub(super) fn find_streams<A: Args + ?Sized>(args: &A) -> Result<KeyIndexes, KeyError> {
    let Some(word) = stream_options(args).streams else {
        return Err(KeyError::Syntax);
    };
    let rest = args.len() - word - 1;
    if rest == 0 {
        return Err(KeyError::Syntax);
    }
    if !rest.is_multiple_of(2) {
        return Err(KeyError::Unbalanced);
    }
    Ok(KeyIndexes::run(word + 1, 1, rest / 2))
}
