//! How often each of a few known words has come.

/// How often each of a few known words has come. It has as many rows as there are words: they are
/// the program's own, never a client's.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    rows: Vec<(&'static str, u64)>,
    // The row that was counted last: the next is likely the same.
    last: usize,
}

impl Tally {
    /// Counts `word` once more.
    #[inline]
    pub fn count(&mut self, word: &'static str) {
        match self.rows.get_mut(self.last) {
            Some((known, count)) if std::ptr::eq(*known, word) => *count += 1,
            _ => self.count_other(word),
        }
    }

    fn count_other(&mut self, word: &'static str) {
        let known = self.rows.iter().position(|(known, _)| *known == word);
        self.last = known.unwrap_or_else(|| {
            self.rows.push((word, 0));
            self.rows.len() - 1
        });
        self.rows[self.last].1 += 1;
    }

    /// What was counted.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counted = self.rows.iter().copied();
        counted.filter(|(_, count)| *count > 0)
    }

    /// Counts from nothing.
    pub fn clear(&mut self) {
        self.rows.iter_mut().for_each(|(_, count)| *count = 0);
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn words_are_counted_each_by_itself_in_any_order() {
        let mut tally = Tally::default();
        ["get", "get", "set", "get", "get", "del"]
            .into_iter()
            .for_each(|word| tally.count(word));
        let counted: Vec<_> = tally.iter().collect();
        assert_eq!(counted, [("get", 4), ("set", 1), ("del", 1)]);
        tally.clear();
        assert_eq!(tally.iter().count(), 0);
        tally.count("del");
        assert_eq!(tally.iter().collect::<Vec<_>>(), [("del", 1)]);
    }
}
