//! From what a file says of a pool's protocol to what is spoken there.

use crate::config;
use crate::config::PoolConfig;
use crate::protocol::Protocol;

/// What the clients and servers of a pool speak.
#[must_use]
pub fn spoken(pool: &PoolConfig) -> Protocol {
    match pool.protocol {
        config::Protocol::Redis => Protocol::Resp,
        #[cfg(any(test, debug_assertions))]
        config::Protocol::Numbered => Protocol::Numbered,
        config::Protocol::Memcached => Protocol::Memcached,
    }
}
