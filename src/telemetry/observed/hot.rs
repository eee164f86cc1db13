//! Which keys are asked for most, in bounded memory.
//!
//! A table of counters has room for [`KEYS_MAX`] keys. When it is full, half of the keys leave it: their
//! counters' median is taken from every counter, and what is then nothing is forgotten ("A
//! High-Performance Algorithm for Identifying Frequent Items in Data Streams", Anderson et al., 2017).
//! So no count is ever too great, and each is too small by what was taken at most.
//!
//! All of the first requests are counted. The more come, the fewer of them are, by chance, and each counts
//! for as many as were left out for it: that is what makes it cheap, and a share of them is as good.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::hash::BuildHasherDefault;
use std::hash::Hasher;
use std::hash::RandomState;

use crate::base::PoolIdx;
use crate::base::Random;
use crate::base::ServerIdx;

use super::CutKey;

/// So many keys are counted at once: each count is then right to within a five-hundredth of all uses of
/// keys, and the table has some 300 KiB.
const KEYS_MAX: usize = 1_024;

/// Behind so many requests one of so many is counted: of a key that has a hundredth of a million requests
/// the count is then right to within three hundredths of itself.
const STAGES: [(u64, u64); 2] = [(20_000, 16), (4_000, 4)];

/// So many commands are told apart for each key.
const COMMANDS_MAX: usize = 4;

/// One key, and how often it was used.
#[derive(Clone, Debug)]
pub struct HotKey {
    /// Its pool.
    pub pool: PoolIdx,
    /// Where it lived when it was last used.
    pub server: ServerIdx,
    /// How it begins.
    pub key: CutKey,
    /// At least so often it was used.
    pub uses: u64,
    commands: [(&'static str, u64); COMMANDS_MAX],
}

impl HotKey {
    /// By which commands, as far as there is room for them, and how often by each.
    pub fn commands(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let used = self.commands.iter().copied();
        used.filter(|(_, uses)| *uses > 0)
    }

    fn count(&mut self, command: &'static str, uses: u64) {
        let is_its = |(name, known): &&mut (&'static str, u64)| *known == 0 || *name == command;
        if let Some(place) = self.commands.iter_mut().find(is_its) {
            *place = (command, place.1 + uses);
        }
    }
}

/// A use of a key.
#[derive(Clone, Copy, Debug)]
pub struct Use<'a> {
    /// Whose key.
    pub pool: PoolIdx,
    /// Where it lives.
    pub server: ServerIdx,
    /// All of it.
    pub key: &'a [u8],
    /// From the table.
    pub command: &'static str,
}

/// How often keys were used, those that were used most.
#[derive(Clone, Debug)]
pub struct HotKeys {
    // The same for all workers, so that their counts add up, and another each time, so that nobody can
    // choose keys that share a place.
    hasher: RandomState,
    keys: HashMap<u64, HotKey, BuildHasherDefault<Hashed>>,
    requests: u64,
    // What was taken from every counter.
    taken: u64,
    // How many are left out before the next that counts, and for how many that does.
    skip: u64,
    weight: u64,
    random: Random,
}

impl HotKeys {
    /// Nothing counted yet; counts with the same `hasher` can be merged.
    #[must_use]
    pub fn new(hasher: RandomState) -> HotKeys {
        HotKeys {
            hasher,
            keys: HashMap::default(),
            requests: 0,
            taken: 0,
            skip: 0,
            weight: 1,
            random: Random::new(0),
        }
    }

    /// Whether the next request is to be counted.
    #[inline]
    pub fn is_due(&mut self) -> bool {
        let is_due = self.skip == 0;
        match is_due {
            true => self.draw(),
            false => self.skip -= 1,
        }
        is_due
    }

    // Not every so-manieth: clients may ask in a rhythm.
    fn draw(&mut self) {
        let mut stages = STAGES.into_iter();
        if let Some((_, weight)) = stages.find(|(from, _)| self.requests >= *from) {
            self.weight = weight;
            self.skip = self.random.below(2 * weight - 1);
        }
    }

    /// Counts a request with keys, each of which is to be [counted](HotKeys::count).
    pub fn count_request(&mut self) {
        self.requests += self.weight;
    }

    /// How many requests with keys there were.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Gives what was counted, and counts from nothing.
    pub fn take(&mut self) -> HotKeys {
        let new = HotKeys::new(self.hasher.clone());
        std::mem::replace(self, new)
    }

    /// Counts one use of one key.
    pub fn count(&mut self, used: Use<'_>) {
        let hash = self.hasher.hash_one((used.pool, used.key));
        if let Some(known) = self.keys.get_mut(&hash) {
            known.uses += self.weight;
            known.server = used.server;
            known.count(used.command, self.weight);
            return;
        }
        if self.keys.len() >= KEYS_MAX {
            self.forget_half();
        }
        let mut new = HotKey {
            pool: used.pool,
            server: used.server,
            key: CutKey::of(used.key),
            uses: self.weight,
            commands: [("", 0); COMMANDS_MAX],
        };
        new.count(used.command, self.weight);
        self.keys.insert(hash, new);
    }

    fn forget_half(&mut self) {
        let mut counts: Vec<u64> = self.keys.values().map(|key| key.uses).collect();
        let middle = counts.len() / 2;
        let (_, median, _) = counts.select_nth_unstable(middle);
        let median = *median;
        self.taken += median;
        self.keys.retain(|_, key| {
            key.uses = key.uses.saturating_sub(median);
            key.uses > 0
        });
    }

    /// Adds what another worker has counted.
    pub fn merge(&mut self, other: HotKeys) {
        self.requests += other.requests;
        self.taken += other.taken;
        self.weight = self.weight.max(other.weight);
        for (hash, key) in other.keys {
            match self.keys.get_mut(&hash) {
                Some(known) => {
                    known.uses += key.uses;
                    key.commands()
                        .for_each(|(command, uses)| known.count(command, uses));
                }
                None => {
                    self.keys.insert(hash, key);
                }
            }
        }
    }

    /// Whether some of them stand for others.
    #[must_use]
    pub fn is_sample(&self) -> bool {
        self.weight > 1
    }

    /// How much smaller than it is a count can be.
    #[must_use]
    pub fn error(&self) -> u64 {
        self.taken
    }

    /// Those that were used most, the first one most of all.
    #[must_use]
    pub fn top(&self, most: usize) -> Vec<&HotKey> {
        let mut keys: Vec<&HotKey> = self.keys.values().collect();
        keys.sort_by(|a, b| b.uses.cmp(&a.uses).then_with(|| a.key.cmp(&b.key)));
        keys.truncate(most);
        keys
    }
}

/// Takes what is a hash already.
#[derive(Clone, Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {
        debug_assert!(false, "hashes are numbers");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: PoolIdx = PoolIdx(0);

    fn used<'a>(key: &'a [u8], command: &'static str) -> Use<'a> {
        Use {
            pool: POOL,
            server: ServerIdx(3),
            key,
            command,
        }
    }

    #[test]
    fn few_keys_are_counted_exactly_and_by_command_and_of_several_workers_together() {
        let hasher = RandomState::new();
        let mut workers = [HotKeys::new(hasher.clone()), HotKeys::new(hasher)];
        for (worker, key, command, times) in [
            (0, "a", "get", 5),
            (1, "a", "set", 2),
            (1, "b", "get", 6),
            (0, "b", "get", 0),
        ] {
            for _ in 0..times {
                assert!(workers[worker].is_due());
                workers[worker].count_request();
                workers[worker].count(used(key.as_bytes(), command));
            }
        }
        let [mut all, second] = workers;
        all.merge(second);
        let top = all.top(10);
        let shown: Vec<_> = top
            .iter()
            .map(|key| (key.key.to_string(), key.uses, key.server))
            .collect();
        assert_eq!(
            shown,
            [("a".into(), 7, ServerIdx(3)), ("b".into(), 6, ServerIdx(3))]
        );
        assert_eq!(
            top[0].commands().collect::<Vec<_>>(),
            [("get", 5), ("set", 2)]
        );
        assert_eq!((all.requests, all.error(), all.top(1).len()), (13, 0, 1));
    }

    #[test]
    fn among_a_million_keys_the_hot_ones_are_found_in_bounded_memory_and_never_counted_too_often() {
        let mut keys = HotKeys::new(RandomState::new());
        let mut random = Random::new(7);
        let (mut hot, all) = ([0_u64; 3], 1_000_000_u64);
        for _ in 0..all {
            let draw = random.below(100);
            let key = match draw {
                // 20, 5 and 1 of a hundred.
                0..20 => 0,
                20..25 => 1,
                25 => 2,
                _ => 3 + random.below(1_000_000),
            };
            if let Some(uses) = hot.get_mut(usize::try_from(key).unwrap()) {
                *uses += 1;
            }
            keys.count(used(format!("key:{key}").as_bytes(), "get"));
            assert!(keys.keys.len() <= KEYS_MAX);
        }
        let top = keys.top(3);
        for (nth, key) in top.iter().enumerate() {
            assert_eq!(key.key.to_string(), format!("key:{nth}"));
            let (real, told) = (hot[nth], key.uses);
            assert!(
                told <= real && real - told <= keys.error(),
                "{told} of {real}"
            );
        }
        assert!(
            keys.error() <= all * 2 / KEYS_MAX as u64,
            "{}",
            keys.error()
        );
    }

    #[test]
    fn of_many_requests_some_stand_for_all_also_where_clients_ask_in_a_rhythm() {
        let mut keys = HotKeys::new(RandomState::new());
        let all = 2_000_000_u64;
        let mut counted = 0;
        for nth in 0..all {
            if keys.is_due() {
                counted += 1;
                keys.count_request();
                let key: &[u8] = if nth % 16 == 0 { b"hot" } else { b"other" };
                keys.count(used(key, "get"));
            }
        }
        assert!(counted < all / 10, "{counted}");
        let near = |told: u64, real: u64| told.abs_diff(real) < real / 20;
        let top = keys.top(2);
        assert!(near(keys.requests(), all), "{}", keys.requests());
        assert!(near(top[1].uses, all / 16), "{}", top[1].uses);
        assert_eq!(top[1].key.to_string(), "hot");
    }

    #[test]
    fn the_same_name_in_two_pools_is_two_keys_and_a_long_one_is_told_apart_by_all_of_it() {
        let mut keys = HotKeys::new(RandomState::new());
        keys.count(used(b"k", "get"));
        keys.count(Use {
            pool: PoolIdx(1),
            ..used(b"k", "get")
        });
        for end in ["a", "b"] {
            keys.count(used(("k".repeat(100) + end).as_bytes(), "get"));
        }
        assert_eq!(keys.top(9).len(), 4);
    }
}
