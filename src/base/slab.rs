//! A table whose places are used again, each use with a generation of its own.

use std::ops::Index;
use std::ops::IndexMut;

/// Names one entry for as long as it lives, and nothing afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The place in the table.
    pub index: u32,
    /// How often the place had been given back before.
    pub generation: u32,
}

impl Key {
    /// A key that no slab ever gives out.
    pub const NONE: Key = Key {
        index: u32::MAX,
        generation: u32::MAX,
    };
}

/// Entries in places that stay where they are.
#[derive(Debug)]
pub struct Slab<T> {
    places: Vec<SlabSlot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct SlabSlot<T> {
    generation: u32,
    entry: Option<T>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab {
            places: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    /// Puts an entry into a free place.
    ///
    /// # Panics
    /// With 2^32 - 1 entries: each is a connection, and the kernel has no such number.
    pub fn insert(&mut self, entry: T) -> Key {
        if let Some(index) = self.free.pop() {
            let place = &mut self.places[index as usize];
            debug_assert!(place.entry.is_none(), "a free place holds an entry");
            place.entry = Some(entry);
            return Key {
                index,
                generation: place.generation,
            };
        }
        let index = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        assert!(index < u32::MAX, "the slab is full");
        self.places.push(SlabSlot {
            generation: 0,
            entry: Some(entry),
        });
        Key {
            index,
            generation: 0,
        }
    }

    /// Takes the entry out; its key names nothing any more.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let place = self.places.get_mut(key.index as usize)?;
        if place.generation != key.generation {
            return None;
        }
        let entry = place.entry.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(key.index);
        Some(entry)
    }

    /// The entry that `key` names, if it still lives.
    #[must_use]
    pub fn find(&self, key: Key) -> Option<&T> {
        let place = self.places.get(key.index as usize)?;
        if place.generation == key.generation {
            place.entry.as_ref()
        } else {
            None
        }
    }

    /// The entry that `key` names, if it still lives.
    #[must_use]
    pub fn find_mut(&mut self, key: Key) -> Option<&mut T> {
        let place = self.places.get_mut(key.index as usize)?;
        if place.generation == key.generation {
            place.entry.as_mut()
        } else {
            None
        }
    }

    /// The key of the entry that lives at `index` now.
    #[must_use]
    pub fn key_at(&self, index: u32) -> Option<Key> {
        let place = self.places.get(index as usize)?;
        place.entry.as_ref().map(|_| Key {
            index,
            generation: place.generation,
        })
    }

    /// How many entries have lived at once: all of them are below this index.
    #[must_use]
    pub fn places(&self) -> u32 {
        u32::try_from(self.places.len()).unwrap_or(u32::MAX)
    }

    /// Keys of all entries.
    pub fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        (0u32..)
            .zip(&self.places)
            .filter(|(_, place)| place.entry.is_some())
            .map(|(index, place)| Key {
                index,
                generation: place.generation,
            })
    }

    /// How many entries live.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Whether none lives.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Index<Key> for Slab<T> {
    type Output = T;

    fn index(&self, key: Key) -> &T {
        self.find(key).expect("the key names an entry that is gone")
    }
}

impl<T> IndexMut<Key> for Slab<T> {
    fn index_mut(&mut self, key: Key) -> &mut T {
        self.find_mut(key)
            .expect("the key names an entry that is gone")
    }
}

#[cfg(test)]
mod tests {
    use super::Slab;

    #[test]
    fn a_key_never_names_the_next_entry_of_its_place() {
        let mut slab = Slab::default();
        let first = slab.insert("first");
        assert_eq!(slab.remove(first), Some("first"));
        let second = slab.insert("second");
        assert_eq!(first.index, second.index, "the place is used again");
        assert_eq!(slab.find(first), None);
        assert_eq!(slab.find(second), Some(&"second"));
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.len(), 1);
    }
}
