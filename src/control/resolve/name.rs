//! A server's name, and what is known of it.
//!
//! Owns: its addresses as last known, and when it may or must be asked again. Never: asks.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use tracing::info;
use tracing::warn;

use crate::base::Random;
use crate::config::HostPort;
use crate::config::ServerAddress;

/// Not sooner after an answer: a server that refuses connections asks for its name at each try.
pub(super) const GAP: Duration = Duration::from_secs(1);

/// A name, and what is known of it.
pub(super) struct Name {
    pub(super) host: Arc<str>,
    pub(super) port: u16,
    label: String,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) asked: bool,
    pub(super) failing: bool,
    answered_at: Option<Instant>,
    // `resolve_interval`.
    interval: Option<Duration>,
    // When the last answer is to be doubted.
    pub(super) stale_at: Option<Instant>,
    // Whether somebody has been told to come back then.
    pub(super) timed: bool,
    // Whether the lookup that is under way is nobody's wish.
    pub(super) refreshing: bool,
}

impl Name {
    /// The name in an address; none if it is one that needs no lookup.
    pub(super) fn of_address(address: &ServerAddress, interval: Option<Duration>) -> Option<Name> {
        match address {
            ServerAddress::Tcp(HostPort::Name { host, port }) => Some(Name {
                host: Arc::clone(host),
                port: *port,
                label: format!("{host}:{port}"),
                addresses: Vec::new(),
                asked: false,
                failing: false,
                answered_at: None,
                interval,
                stale_at: None,
                timed: false,
                refreshing: false,
            }),
            ServerAddress::Tcp(HostPort::Ip(_)) | ServerAddress::Unix(_) => None,
        }
    }

    /// Another `resolve_interval`.
    pub(super) fn set_interval(&mut self, interval: Option<Duration>) {
        self.interval = interval;
        match interval {
            None => (self.stale_at, self.timed) = (None, false),
            // A longer or shorter one counts from the next answer.
            Some(interval) if self.stale_at.is_none() => {
                (self.stale_at, self.timed) = (Some(now() + interval), false);
            }
            Some(_) => {}
        }
    }

    /// Somebody wants to know it: how long to wait before it is asked, `None` when that is under way.
    pub(super) fn wanted(&mut self) -> Option<Duration> {
        if std::mem::replace(&mut self.asked, true) {
            return None;
        }
        let since = self.answered_at.map_or(GAP, |at| at.elapsed());
        Some(GAP.saturating_sub(since))
    }

    /// How long the last answer holds, if nobody was told yet.
    pub(super) fn untimed(&mut self) -> Option<Duration> {
        let at = self.stale_at?;
        if std::mem::replace(&mut self.timed, true) {
            return None;
        }
        Some(at.saturating_duration_since(now()))
    }

    /// Remembers an answer. A failure leaves what was known before: an address that served a minute
    /// ago is better than none.
    pub(super) fn learn(&mut self, result: io::Result<Vec<SocketAddr>>, random: &mut Random) {
        (self.asked, self.refreshing) = (false, false);
        self.answered_at = Some(now());
        // A quarter sooner or later: names that were asked together are not asked together again.
        self.stale_at = self.interval.map(|interval| {
            let share = random.below(512);
            now() + interval * 3 / 4 + interval.mul_f64(share as f64 / 1024.0)
        });
        match result {
            Ok(addresses) if !addresses.is_empty() => {
                if self.failing {
                    info!(name = %self.label, "server name resolves again");
                }
                self.failing = false;
                self.addresses = addresses;
            }
            failed => {
                let error = failed
                    .err()
                    .map_or_else(|| "no addresses".to_owned(), |error| error.to_string());
                if !self.failing {
                    warn!(name = %self.label, error, "server name does not resolve");
                }
                self.failing = true;
            }
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the control plane is above the floors that are told the time"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}
