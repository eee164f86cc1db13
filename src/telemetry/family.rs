//! Families of commands: few enough that each server can have a distribution for each.

/// A family of commands, whose latencies are comparable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Family {
    /// They change nothing.
    Read,
    /// They change something.
    Write,
    /// They may wait for something to come: how long they take says nothing of their server.
    Blocking,
    /// Scripts and functions, which take as long as they are.
    Script,
    /// All others: those without keys, and those that are not in the table.
    #[default]
    Other,
}

impl Family {
    /// Every one, in the order in which they are shown.
    pub const ALL: [Family; 5] = [
        Family::Read,
        Family::Write,
        Family::Blocking,
        Family::Script,
        Family::Other,
    ];

    /// As people read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Family::Read => "read",
            Family::Write => "write",
            Family::Blocking => "blocking",
            Family::Script => "script",
            Family::Other => "other",
        }
    }

    /// The one in this place of [`Family::ALL`].
    #[inline]
    #[must_use]
    pub fn at(place: u8) -> Family {
        Family::ALL
            .get(usize::from(place))
            .copied()
            .unwrap_or_default()
    }

    /// Its place in [`Family::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::Family;

    #[test]
    fn each_stands_in_its_place() {
        for (place, family) in Family::ALL.into_iter().enumerate() {
            assert_eq!(family.index(), place, "{}", family.name());
        }
    }
}
