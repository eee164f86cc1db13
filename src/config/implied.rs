//! Values that follow from other keys where the file does not say them.
//!
//! Owns: `on_server_failure` and `hold_ms`, whose defaults depend on whether servers are ejected or have
//! Sentinels. Never: a default that depends on no other key; its row in `keys` has it.

use crate::config::endpoint::ListenAddress;
use crate::config::endpoint::ServerConfig;
use crate::config::hold::HoldTime;
use crate::config::keys::FailureConfig;
use crate::config::keys::PoolConfig;
use crate::config::order::twemproxy_order;
use crate::config::values::OnServerFailure;

impl PoolConfig {
    /// A pool with the defaults of a file that says nothing but this; the servers are put in
    /// twemproxy's order.
    #[must_use]
    pub fn new(name: &str, listen: ListenAddress, servers: Vec<ServerConfig>) -> PoolConfig {
        let mut pool = PoolConfig::unsaid(name);
        pool.listen.address = listen;
        pool.servers = servers;
        pool.imply(|_| false);
        pool.sort_servers();
        pool
    }

    /// Makes the pool say what it means; `said` says which keys it has.
    pub(super) fn imply(&mut self, said: impl Fn(&str) -> bool) {
        let has_sentinels = !self.sentinels.addresses.is_empty();
        let failure = &mut self.failure;
        if !said("on_server_failure") {
            failure.policy = match failure.auto_eject_hosts {
                true => OnServerFailure::Rehash,
                // Where Sentinels will name another master it is worth waiting for it.
                false if has_sentinels => OnServerFailure::Hold,
                false => OnServerFailure::Fail,
            };
        }
        if !said("hold_ms") && has_sentinels {
            failure.hold_time = HoldTime::BySentinels;
        }
        failure.auto_eject_hosts = failure.ejects();
    }

    /// Puts the servers in twemproxy's order.
    pub(super) fn sort_servers(&mut self) {
        let servers = &mut self.servers;
        servers.sort_by(|a, b| twemproxy_order(&a.name, &b.name));
    }
}

impl FailureConfig {
    /// Whether a server that fails is ejected.
    #[must_use]
    pub fn ejects(&self) -> bool {
        self.policy == OnServerFailure::Rehash
    }
}
