//! What is told of a command: by `COMMAND`, by `HELP`, in the documentation.
//!
//! Never: what a request's way depends on.

use super::flags::Categories;
use super::flags::Group;

/// What is told of a command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct About {
    /// Redis's group.
    pub group: Group,
    /// The first version of Redis (or Valkey, or the module) that has it.
    pub since: &'static str,
    /// The version that advises against it.
    pub deprecated_since: Option<&'static str>,
    /// One sentence.
    pub summary: &'static str,
    /// Redis's hints to clients of a cluster, and to those who cache.
    pub tips: &'static [&'static str],
    pub(super) more_categories: Categories,
    pub(super) not_categories: Categories,
}

impl About {
    /// What every command has.
    #[must_use]
    pub(super) const fn new(group: Group, since: &'static str, summary: &'static str) -> About {
        About {
            group,
            since,
            deprecated_since: None,
            summary,
            tips: &[],
            more_categories: Categories::NONE,
            not_categories: Categories::NONE,
        }
    }
}
