//! A transaction in one piece: `MULTI`, commands, `EXEC`.

use crate::base::ByteQueue;
use crate::base::Spare;
use crate::protocol::BatchPart;

const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

/// How Redis begins to say that nothing of a transaction was done.
const DISCARDED: &[u8] = b"-EXECABORT ";

/// And how it goes on where it says why (redis: src/server.c, execCommandAbort).
const BECAUSE: &[u8] = b"-EXECABORT Transaction discarded because of: ";

/// Begins a transaction in a server's queue.
pub fn begin_batch(queue: &mut ByteQueue, spare: &mut Spare) {
    queue.push_copy(MULTI, spare);
}

/// Ends it.
pub fn end_batch(queue: &mut ByteQueue, spare: &mut Spare) {
    queue.push_copy(EXEC, spare);
}

/// What the reply to `MULTI`, the `first` one, or to a command behind it means. `head` is how it
/// begins.
#[must_use]
pub fn batch_part(first: bool, head: &[u8]) -> BatchPart {
    let taken: &[u8] = if first { b"+OK\r\n" } else { b"+QUEUED\r\n" };
    match head {
        [b'-', ..] => BatchPart::Refused,
        head if head == taken => BatchPart::Taken,
        _ => BatchPart::Odd,
    }
}

/// Whether the error that `EXEC` got says that nothing was done.
#[must_use]
pub fn is_discarded(head: &[u8]) -> bool {
    head.starts_with(DISCARDED)
}

/// The error that such a one has for its reason, if it names one.
#[must_use]
pub fn discarded_for(head: &[u8]) -> Option<Vec<u8>> {
    let reason = head.strip_prefix(BECAUSE)?;
    Some([b"-", reason].concat())
}

/// Appends the error that names `reason`, an error without what makes it one.
pub fn write_discarded(reason: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(BECAUSE);
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_taken_only_in_the_words_for_its_place() {
        assert_eq!(batch_part(true, b"+OK\r\n"), BatchPart::Taken);
        assert_eq!(batch_part(false, b"+QUEUED\r\n"), BatchPart::Taken);
        for first in [true, false] {
            assert_eq!(batch_part(first, b"-OOM no\r\n"), BatchPart::Refused);
            assert_eq!(batch_part(first, b"$2\r\nOK\r\n"), BatchPart::Odd);
            assert_eq!(batch_part(first, b""), BatchPart::Odd);
        }
        assert_eq!(batch_part(true, b"+QUEUED\r\n"), BatchPart::Odd);
        assert_eq!(batch_part(false, b"+OK\r\n"), BatchPart::Odd);
    }

    #[test]
    fn the_reason_that_is_written_is_the_one_that_is_read() {
        let mut told = Vec::new();
        write_discarded("READONLY no", &mut told);
        assert!(is_discarded(&told));
        assert_eq!(discarded_for(&told).unwrap(), b"-READONLY no\r\n");
        let previous = b"-EXECABORT Transaction discarded because of previous errors.\r\n";
        assert!(is_discarded(previous) && discarded_for(previous).is_none());
        assert!(!is_discarded(b"-ERR EXEC without MULTI\r\n"));
    }
}
