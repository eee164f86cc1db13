//! Finds a row by a command's name: on the path of every request, so without a branch per letter.
//!
//! A name is folded to lower case eight bytes at a time and hashed by its first and last eight
//! bytes into an open table that is built at compile time.

use super::Command;
use super::table;

/// A power of two, and at least twice the rows, so that a probe mostly ends where it begins.
const SLOTS: usize = 1024;
const EMPTY: u16 = u16::MAX;

const ROWS: usize = count_rows();

static INDEX: Index = Index::build();

/// The row of a top-level command, its name in any case. A container gives its own row.
#[inline]
#[must_use]
pub fn lookup(name: &[u8]) -> Option<&'static Command> {
    let folded = Folded::of(name);
    let mut slot = folded.slot();
    loop {
        let at = INDEX.slots[slot];
        if at == EMPTY {
            return None;
        }
        let entry = &INDEX.entries[usize::from(at)];
        if entry.folded.same(&folded) && entry.is_named(name) {
            return Some(entry.command);
        }
        slot = (slot + 1) % SLOTS;
    }
}

/// The row with this full name (`get`, `object|encoding`), in any case.
#[must_use]
pub fn lookup_full(name: &[u8]) -> Option<&'static Command> {
    match memchr::memchr(b'|', name) {
        None => lookup(name),
        Some(bar) => lookup(&name[..bar])?.subcommand(&name[bar + 1..]),
    }
}

/// Every top-level row, group by group.
pub fn commands() -> impl Iterator<Item = &'static Command> {
    table::GROUPS.iter().copied().flatten()
}

/// How many top-level rows there are.
#[must_use]
pub const fn command_count() -> usize {
    ROWS
}

const fn count_rows() -> usize {
    let mut rows = 0;
    let mut group = 0;
    while group < table::GROUPS.len() {
        rows += table::GROUPS[group].len();
        group += 1;
    }
    rows
}

#[derive(Clone, Copy)]
struct Entry {
    folded: Folded,
    command: &'static Command,
}

impl Entry {
    /// Up to 16 bytes the folded words say it all.
    #[inline]
    fn is_named(&self, name: &[u8]) -> bool {
        name.len() <= 16 || name.eq_ignore_ascii_case(self.command.name.as_bytes())
    }
}

struct Index {
    slots: [u16; SLOTS],
    entries: [Entry; ROWS],
}

impl Index {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "checked against the number of slots"
    )]
    const fn build() -> Index {
        const { assert!(ROWS * 2 <= SLOTS, "more slots are needed") };
        let first = Entry {
            folded: Folded::of(b""),
            command: &table::GROUPS[0][0],
        };
        let mut index = Index {
            slots: [EMPTY; SLOTS],
            entries: [first; ROWS],
        };
        let mut at = 0;
        let mut group = 0;
        while group < table::GROUPS.len() {
            let rows = table::GROUPS[group];
            let mut row = 0;
            while row < rows.len() {
                let entry = Entry {
                    folded: Folded::of(rows[row].name.as_bytes()),
                    command: &rows[row],
                };
                let slot = index.free_slot(&entry.folded);
                index.slots[slot] = at as u16;
                index.entries[at] = entry;
                at += 1;
                row += 1;
            }
            group += 1;
        }
        index
    }

    const fn free_slot(&self, folded: &Folded) -> usize {
        let mut slot = folded.slot();
        while self.slots[slot] != EMPTY {
            // Two names of more than 16 bytes could agree here by chance; none do.
            let other = &self.entries[self.slots[slot] as usize].folded;
            assert!(!other.same(folded), "two rows have the same name");
            slot = (slot + 1) % SLOTS;
        }
        slot
    }
}

/// A name in lower case: its length, its first and its last eight bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Folded {
    head: u64,
    tail: u64,
    len: usize,
}

impl Folded {
    #[inline]
    const fn of(name: &[u8]) -> Folded {
        let (head, tail) = ends(name);
        Folded {
            head: to_lower(head),
            tail: to_lower(tail),
            len: name.len(),
        }
    }

    #[inline]
    const fn same(&self, other: &Folded) -> bool {
        self.head == other.head && self.tail == other.tail && self.len == other.len
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "a hash")]
    const fn slot(&self) -> usize {
        // An odd number without a pattern: the golden ratio's bits.
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let mixed = self.head ^ self.tail.rotate_left(29) ^ self.len as u64;
        (mixed.wrapping_mul(SPREAD) >> (64 - SLOTS.ilog2())) as usize
    }
}

/// The first and the last eight bytes; of a shorter name, words that hold all of its bytes.
#[inline]
const fn ends(name: &[u8]) -> (u64, u64) {
    if let (Some(head), Some(tail)) = (name.first_chunk(), name.last_chunk()) {
        return (u64::from_le_bytes(*head), u64::from_le_bytes(*tail));
    }
    if let (Some(head), Some(tail)) = (name.first_chunk(), name.last_chunk()) {
        let (head, tail) = (u32::from_le_bytes(*head), u32::from_le_bytes(*tail));
        return (head as u64, tail as u64);
    }
    match *name {
        [] => (0, 0),
        [a] => (a as u64, 0),
        [a, b] => (a as u64, b as u64),
        [a, b, c, ..] => (a as u64 | (b as u64) << 8, c as u64),
    }
}

/// Adds 0x20 to every byte from `A` to `Z`, and to no other.
#[inline]
const fn to_lower(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let low = word & (EACH * 0x7f);
    // The top bit of a byte says whether its low seven bits are at least `A`, are above `Z`.
    let from_a = low + EACH * (0x80 - b'A' as u64);
    let above_z = low + EACH * (0x7f - b'Z' as u64);
    let upper = from_a & !above_z & !word & (EACH * 0x80);
    word | upper >> 2
}

#[cfg(test)]
mod tests {
    use super::EMPTY;
    use super::Folded;
    use super::INDEX;
    use super::SLOTS;
    use super::commands;
    use super::to_lower;

    #[test]
    fn names_are_where_their_hash_says_or_a_few_steps_on() {
        let steps = |name: &str| {
            let folded = Folded::of(name.as_bytes());
            let mut slot = folded.slot();
            let mut steps = 0;
            while !INDEX.entries[usize::from(INDEX.slots[slot])]
                .folded
                .same(&folded)
            {
                assert_ne!(INDEX.slots[slot], EMPTY, "{name}");
                slot = (slot + 1) % SLOTS;
                steps += 1;
            }
            steps
        };
        let all: Vec<usize> = commands().map(|row| steps(row.name)).collect();
        assert!(
            all.iter().sum::<usize>() < all.len() / 2,
            "half a step each on average: {all:?}"
        );
        assert!(all.iter().max() < Some(&8), "{all:?}");
    }

    #[test]
    fn only_the_letters_from_a_to_z_are_folded() {
        for byte in 0..=u8::MAX {
            // Neighbours must not carry into each other.
            for other in [0, b'@', b'A', b'Z', b'[', 0x7f, 0x80, 0xc1, 0xff] {
                let bytes = [other, byte, other, byte, byte, other, other, byte];
                let folded = to_lower(u64::from_le_bytes(bytes)).to_le_bytes();
                assert_eq!(folded, bytes.map(|b| b.to_ascii_lowercase()));
            }
        }
    }
}
