//! The only source of chance: one seed gives one run.

use std::time::Duration;

use coremux::base::Random;

/// Throws from a seed.
#[derive(Debug)]
pub struct Dice(Random);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        // Neighbouring seeds are to give unlike runs from the first throw on.
        let mut random = Random::new(seed);
        Dice(Random::new(random.next_u64()))
    }

    /// Dice of somebody's own: what others throw does not change his.
    pub fn fork(&mut self) -> Dice {
        Dice(Random::new(self.0.next_u64()))
    }

    pub fn seed(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `0..bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound as u64) as usize
    }

    /// A number in `from..=to`.
    pub fn between(&mut self, from: usize, to: usize) -> usize {
        from + self.below(to - from + 1)
    }

    /// True in so many cases of a hundred.
    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub fn micros(&mut self, from: usize, to: usize) -> Duration {
        Duration::from_micros(self.between(from, to) as u64)
    }

    pub fn millis(&mut self, from: usize, to: usize) -> Duration {
        self.micros(from * 1000, to * 1000)
    }
}
