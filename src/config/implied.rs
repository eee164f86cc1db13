//! What keys imply for keys that the file does not say.
//!
//! Owns: the policy and the time to hold where they are not said. Never: a default that depends on
//! no other key; those stand in the table.

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
