//! What a valid file says: its pools.
//!
//! Owns: [`Config`]. One that was read from a file has passed every rule, so that nobody who has it checks
//! again. Never: a text that is still to be understood; what a pool is, which `keys` says.

use crate::config::keys::PoolConfig;
use crate::config::order::twemproxy_order;
use crate::config::warning::Warning;

/// A file that passed every rule. Pools are in twemproxy's order (shorter name first, then bytes).
#[derive(Clone, Debug)]
pub struct Config {
    /// At least one.
    pub pools: Vec<PoolConfig>,
    /// What is allowed and probably not meant, in the file's order.
    pub(super) warnings: Vec<Warning>,
}

impl Config {
    /// A configuration that comes from no file; the pools are put in twemproxy's order. None of
    /// the rules about several pools is checked.
    #[must_use]
    pub fn from_pools(mut pools: Vec<PoolConfig>) -> Config {
        pools.sort_by(|a, b| twemproxy_order(&a.name, &b.name));
        Config {
            pools,
            warnings: Vec::new(),
        }
    }

    /// What the start-up logs: facts that are allowed and probably not meant, in the file's order.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}
