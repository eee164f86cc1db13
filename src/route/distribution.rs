//! How a pool lays keys over its servers.
//!
//! Owns: the names a configuration file may use. Never: does the laying (`router` does).

/// How keys are laid over servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Distribution {
    /// Consistent hashing: a ring of points, about 160 for each server, more for a heavier one.
    Ketama,
    /// The hash modulo the sum of the weights.
    Modula,
    /// Any live server, whatever the key.
    Random,
}

impl Distribution {
    /// Every distribution, in the order of twemproxy's own table.
    pub const ALL: &'static [Distribution] = &[
        Distribution::Ketama,
        Distribution::Modula,
        Distribution::Random,
    ];

    /// The distribution that a configuration file means by `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Distribution> {
        Distribution::ALL
            .iter()
            .copied()
            .find(|distribution| distribution.name() == name)
    }

    /// The name in the configuration file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Distribution::Ketama => "ketama",
            Distribution::Modula => "modula",
            Distribution::Random => "random",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Distribution;

    #[test]
    fn a_name_leads_back_to_its_distribution() {
        for &distribution in Distribution::ALL {
            assert_eq!(
                Distribution::from_name(distribution.name()),
                Some(distribution)
            );
        }
        assert_eq!(Distribution::from_name("Ketama"), None);
        assert_eq!(Distribution::from_name(""), None);
    }
}
