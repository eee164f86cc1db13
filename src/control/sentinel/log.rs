//! What is found out about masters and Sentinels, as lines of the log.

use std::net::SocketAddr;

use tracing::error;
use tracing::info;
use tracing::warn;

use crate::config::PoolConfig;
use crate::sentinel::Fact;
use crate::sentinel::HoldEnd;

/// Logs a fact; `from` is where a master was before.
pub(super) fn fact(pool: &PoolConfig, fact: &Fact, from: Option<SocketAddr>) {
    let name = |server: &crate::base::ServerIdx| &*pool.servers[server.index()].name;
    let pool = &*pool.name;
    match fact {
        Fact::Master {
            server,
            at,
            epoch,
            source,
            ..
        } => {
            let (server, source) = (name(server), source.name());
            match from {
                Some(from) if from != *at => {
                    info!(pool, server, %from, to = %at, epoch, source, "master moved");
                }
                _ => info!(pool, server, %at, epoch, source, "master found"),
            }
        }
        Fact::Replica {
            server,
            address,
            unfit,
            ..
        } => {
            let server = name(server);
            match unfit {
                Some(why) => {
                    let why = why.name();
                    warn!(pool, server, replica = %address, why, "replica read no longer");
                }
                None => info!(pool, server, replica = %address, "replica read"),
            }
        }
        Fact::Unknown { server } => {
            let server = name(server);
            error!(pool, server, "no sentinel knows a master of this name");
        }
        Fact::Down {
            server,
            down,
            sentinel,
        } => {
            let server = name(server);
            match down {
                true => warn!(pool, server, %sentinel, "sentinels agree that the master is down"),
                false => info!(pool, server, %sentinel, "sentinels agree that the master is up"),
            }
        }
        Fact::Taken {
            server,
            by,
            address,
        } => {
            let (server, by) = (name(server), name(by));
            error!(pool, server, %address, by, "master not followed: another server is there");
        }
        Fact::Majority { seen, heard, of } => match seen {
            true => info!(pool, heard, of, "majority of the sentinels heard"),
            false => warn!(pool, heard, of, "no majority of the sentinels heard"),
        },
        Fact::HoldWrites {
            server,
            within,
            sentinel,
        } => {
            let (server, within_ms) = (name(server), within.as_millis());
            info!(pool, server, %sentinel, within_ms, "writes wait: a failover begins");
        }
        Fact::ReleaseWrites {
            server,
            waited,
            why,
        } => {
            let (server, waited_ms, why) = (name(server), waited.as_millis(), why.name());
            match why == HoldEnd::Moved.name() {
                true => info!(pool, server, waited_ms, why, "writes go on"),
                false => warn!(pool, server, waited_ms, why, "writes go on"),
            }
        }
        Fact::Hold { down_after, hold } => {
            let (down_after_ms, hold_ms) = (down_after.as_millis(), hold.as_millis());
            info!(
                pool,
                hold_ms, down_after_ms, "requests are held as long as the sentinels need"
            );
        }
        Fact::Fenced(true) => warn!(pool, "writes refused: no majority of the sentinels"),
        Fact::Fenced(false) => info!(pool, "writes allowed: a majority of the sentinels agrees"),
        Fact::Sentinel { address, lost } => match lost {
            Some(error) => warn!(pool, sentinel = %address, error, "sentinel lost"),
            None => info!(pool, sentinel = %address, "sentinel answers"),
        },
        Fact::Stranger { server, address } => {
            let server = name(server);
            error!(
                pool,
                server,
                %address,
                "master not followed: one sentinel alone names a server with other data"
            );
        }
        Fact::Foreign { address } => {
            error!(pool, sentinel = %address, "sentinel of another installation, not believed");
        }
        Fact::Refused { address, words } => {
            error!(pool, sentinel = %address, error = words, "sentinel refuses us");
        }
    }
}
