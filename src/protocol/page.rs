//! One server's page of a walk over all keys of a pool, and the cursors of both.

/// The cursor of a server is below this: a table of as many buckets would take 16 TiB.
const OF_SERVER_BITS: u32 = 41;

/// Which server a cursor is of: a number of so many bits, before the server's own. In all 53 bits, so
/// that JavaScript's numbers hold it.
const MARK_BITS: u32 = 12;

/// The highest mark of a server; 0 is nobody's.
pub const MARK_MAX: u16 = (1 << MARK_BITS) - 1;

/// A page to ask one server for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The server's own cursor.
    pub of_server: u64,
    /// The server's mark.
    pub mark: u16,
    /// The mark of the server that comes behind it.
    pub next: Option<u16>,
}

/// A cursor of the pool, taken apart: a mark, and a server's cursor. `None` if it is none.
#[must_use]
pub fn take_apart(cursor: u64) -> Option<(u16, u64)> {
    let mark = u16::try_from(cursor >> OF_SERVER_BITS).ok()?;
    let of_server = cursor & ((1 << OF_SERVER_BITS) - 1);
    (mark <= MARK_MAX).then_some((mark, of_server))
}

/// The cursor of the pool that says so.
fn put_together(mark: u16, of_server: u64) -> u64 {
    u64::from(mark) << OF_SERVER_BITS | of_server
}

impl Page {
    /// What the pool's cursor is when the server's is this: it is 0 at a server's end. `None` if it is
    /// too large to be passed on.
    #[must_use]
    pub fn turned(&self, of_server: u64) -> Option<u64> {
        match (of_server, self.next) {
            (0, None) => Some(0),
            (0, Some(next)) => Some(put_together(next, 0)),
            (of_server, _) if of_server >> OF_SERVER_BITS == 0 => {
                Some(put_together(self.mark, of_server))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_server_and_fits_into_53_bits() {
        for mark in [1, 2, 77, MARK_MAX] {
            let page = Page {
                of_server: 5,
                mark,
                next: Some(3),
            };
            for of_server in [1, 1 << 20, (1 << OF_SERVER_BITS) - 1] {
                let cursor = page.turned(of_server).unwrap();
                assert!(cursor < 1 << 53);
                assert_eq!(take_apart(cursor), Some((mark, of_server)));
            }
            assert_eq!(
                page.turned(1 << OF_SERVER_BITS),
                None,
                "more than it can hold"
            );
            assert_eq!(take_apart(page.turned(0).unwrap()), Some((3, 0)));
            assert_eq!(Page { next: None, ..page }.turned(0), Some(0));
        }
        assert_eq!(take_apart(1 << 53), None);
        assert_eq!(take_apart(u64::MAX), None);
    }
}
