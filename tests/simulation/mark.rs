//! Marks: every request carries its client's and its own number in some argument, so that whoever
//! meets a frame anywhere knows whose it is.
//!
//! A text's mark is `~client.number~` at its beginning; a number's mark is the number itself.

/// Whose request it is, and which of his.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    pub client: usize,
    pub number: usize,
}

/// Numbers from here on are marks.
const FIRST_NUMBER: u64 = 7_000_000_000;
const NUMBERS_PER_CLIENT: u64 = 100_000;

/// The longest mark.
const MARK_BYTES_MAX: usize = 24;

impl Mark {
    pub fn text(self) -> Vec<u8> {
        format!("~{}.{}~", self.client, self.number).into_bytes()
    }

    pub fn decimal(self) -> Vec<u8> {
        let number = FIRST_NUMBER + self.client as u64 * NUMBERS_PER_CLIENT + self.number as u64;
        number.to_string().into_bytes()
    }

    /// The mark that `arg` bears.
    pub fn of(arg: &[u8]) -> Option<Mark> {
        match arg.split_first() {
            Some((b'~', _)) => {
                let text = &arg[1..mark_bytes(arg).checked_sub(1)?];
                let (client, number) = std::str::from_utf8(text).ok()?.split_once('.')?;
                Some(Mark {
                    client: client.parse().ok()?,
                    number: number.parse().ok()?,
                })
            }
            Some((b'7', _)) if arg.len() == 10 => {
                let number: u64 = std::str::from_utf8(arg).ok()?.parse().ok()?;
                let number = number - FIRST_NUMBER;
                Some(Mark {
                    client: usize::try_from(number / NUMBERS_PER_CLIENT).ok()?,
                    number: usize::try_from(number % NUMBERS_PER_CLIENT).ok()?,
                })
            }
            _ => None,
        }
    }
}

/// What stands behind the mark, or all of it.
pub fn without_mark(arg: &[u8]) -> &[u8] {
    &arg[mark_bytes(arg)..]
}

fn mark_bytes(arg: &[u8]) -> usize {
    if arg.first() != Some(&b'~') {
        return 0;
    }
    let head = &arg[1..arg.len().min(MARK_BYTES_MAX)];
    memchr::memchr(b'~', head).map_or(0, |end| end + 2)
}
