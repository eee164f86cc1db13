//! Which replies and values are the largest, in bounded memory.

use std::collections::HashMap;

use crate::base::PoolIdx;
use crate::base::ServerIdx;

use super::CutKey;

/// So many are kept; when there are more, the smaller half is forgotten.
const KEPT_MAX: usize = 512;

/// Whoever is smaller is not big.
pub const BIG_BYTES_MIN: usize = 1_024;

/// Which of the two a number of bytes is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum What {
    /// What a server has answered.
    Reply,
    /// What a client has sent to be kept.
    Value,
}

impl What {
    /// As people read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            What::Reply => "reply",
            What::Value => "value",
        }
    }
}

/// Whose it is: two long keys that begin alike are one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Whose {
    pool: PoolIdx,
    what: What,
    key: CutKey,
}

/// A large reply, or a large value.
#[derive(Clone, Debug)]
pub struct Big {
    /// Its pool.
    pub pool: PoolIdx,
    /// Who has given or got it.
    pub server: ServerIdx,
    /// What it is.
    pub what: What,
    /// How its key begins; that of a reply to several keys is the first of them.
    pub key: CutKey,
    /// From the table.
    pub command: &'static str,
    /// The most that was seen.
    pub bytes: u64,
    /// How often it was seen, since it is among the large ones.
    pub times: u64,
}

/// The largest replies and values.
#[derive(Clone, Debug, Default)]
pub struct BigKeys {
    all: HashMap<Whose, Big>,
    // Whoever is not larger is not among them.
    floor: u64,
}

impl BigKeys {
    /// Whether so many bytes may be among the largest.
    #[must_use]
    pub fn may_have(&self, bytes: usize) -> bool {
        bytes >= BIG_BYTES_MIN && bytes as u64 > self.floor
    }

    /// Looks at one; it is among the largest if it is one of them.
    pub fn add(&mut self, big: Big) {
        let whose = Whose {
            pool: big.pool,
            what: big.what,
            key: big.key.clone(),
        };
        match self.all.get_mut(&whose) {
            Some(known) => {
                let (times, bytes) = (known.times + big.times, known.bytes);
                if big.bytes > bytes {
                    *known = big;
                }
                known.times = times;
            }
            None => {
                self.all.insert(whose, big);
            }
        }
        if self.all.len() > KEPT_MAX {
            self.forget_half();
        }
    }

    fn forget_half(&mut self) {
        let mut sizes: Vec<u64> = self.all.values().map(|big| big.bytes).collect();
        let middle = sizes.len() / 2;
        let (_, median, _) = sizes.select_nth_unstable(middle);
        self.floor = self.floor.max(*median);
        let floor = self.floor;
        self.all.retain(|_, big| big.bytes > floor);
    }

    /// Adds what another worker has seen.
    pub fn merge(&mut self, other: BigKeys) {
        other.all.into_values().for_each(|big| self.add(big));
    }

    /// The largest, the first one most of all.
    #[must_use]
    pub fn top(&self, most: usize) -> Vec<&Big> {
        let mut all: Vec<&Big> = self.all.values().collect();
        all.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.key.cmp(&b.key)));
        all.truncate(most);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn big(key: &str, what: What, bytes: u64) -> Big {
        Big {
            pool: PoolIdx(0),
            server: ServerIdx(0),
            what,
            key: CutKey::of(key.as_bytes()),
            command: "get",
            bytes,
            times: 1,
        }
    }

    #[test]
    fn the_most_of_each_key_is_kept_and_how_often_it_was_seen() {
        let (mut all, mut other) = (BigKeys::default(), BigKeys::default());
        all.add(big("a", What::Reply, 2_000));
        all.add(big("a", What::Reply, 5_000));
        all.add(big("a", What::Reply, 3_000));
        other.add(big("a", What::Reply, 6_000));
        other.add(big("a", What::Value, 4_000));
        other.add(big("b", What::Reply, 4_500));
        all.merge(other);
        let shown: Vec<_> = all
            .top(3)
            .into_iter()
            .map(|big| (big.key.to_string(), big.what, big.bytes, big.times))
            .collect();
        assert_eq!(
            shown,
            [
                ("a".to_owned(), What::Reply, 6_000, 4),
                ("b".to_owned(), What::Reply, 4_500, 1),
                ("a".to_owned(), What::Value, 4_000, 1)
            ]
        );
        assert_eq!(all.top(1).len(), 1);
    }

    #[test]
    fn of_any_number_the_largest_stay_in_bounded_memory() {
        let mut all = BigKeys::default();
        for nth in (0..20_000_u64)
            .rev()
            .step_by(2)
            .chain((0..20_000).step_by(2))
        {
            let bytes = 1_024 + nth;
            if all.may_have(usize::try_from(bytes).unwrap()) {
                all.add(big(&format!("key:{nth}"), What::Value, bytes));
            }
            assert!(all.all.len() <= KEPT_MAX);
        }
        let sizes: Vec<u64> = all.top(100).into_iter().map(|big| big.bytes).collect();
        let expected: Vec<u64> = (19_900..20_000).rev().map(|nth| 1_024 + nth).collect();
        assert_eq!(sizes, expected);
        assert!(!all.may_have(BIG_BYTES_MIN - 1) && !BigKeys::default().may_have(9));
    }
}
