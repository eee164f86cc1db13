//! `INFO` and `CONFIG GET`: what the proxy says of the pool, and what its servers say, told as one.
//!
//! Owns: the proxy's own part. Never: how servers' parts join, which is the protocol's.

use crate::base::Key;
use crate::base::Time;
use crate::protocol::Join;
use crate::protocol::Request;
use crate::protocol::command;
use crate::protocol::command::Args;
use crate::protocol::command::Local;
use crate::protocol::command::Section;
use crate::protocol::resp;
use crate::protocol::resp::BULK_BYTES_MAX;
use crate::proxy::Proxy;
use crate::proxy::client::local::UNTOLD;

/// In these a server's own part would be of another thing than the client's server.
const WHOLE: [&str; 2] = ["Server", "Replication"];

impl Proxy {
    /// Asks all servers that can be asked, and joins what they say with what the proxy does.
    pub(super) fn tell_of_servers(
        &mut self,
        key: Key,
        local: Local,
        request: &Request<'_>,
        now: Time,
    ) {
        let version = self.clients.slab[key].session.version();
        let join = match local {
            Local::Info => {
                let mut own = self.own_sections(key, now);
                own.retain(|section| command::names_section(request, &section.name));
                resp::Join::info(own, &WHOLE, version)
            }
            _ => resp::Join::settings(self.own_settings(key, request), version),
        };
        self.forward_to_able(key, Join::Resp(join), request, now);
    }

    /// The fields that clients look at: ioredis waits while `loading` is not 0.
    fn own_sections(&self, key: Key, now: Time) -> Vec<Section> {
        let pool = self.clients.slab[key].pool;
        let release = self.pools[pool.index()].release().unwrap_or(UNTOLD);
        let config = &self.pools[pool.index()].config;
        let counters = &self.stats.pools[pool.index()].counters;
        let uptime = now.since(Time::ZERO).as_secs();
        let clients = counters.client_connections.value();
        let text = str::to_owned;
        let sections = [
            (
                "Server",
                vec![
                    ("redis_version", release.to_string()),
                    ("redis_mode", text("standalone")),
                    ("coremux_version", text(env!("CARGO_PKG_VERSION"))),
                    ("os", text("Linux")),
                    ("arch_bits", text("64")),
                    ("process_id", self.worker.process.to_string()),
                    ("uptime_in_seconds", uptime.to_string()),
                    ("uptime_in_days", (uptime / 86_400).to_string()),
                ],
            ),
            ("Clients", vec![("connected_clients", clients.to_string())]),
            // Requests to one that loads are held, or refused: the others need not be waited with.
            (
                "Persistence",
                vec![("loading", text("0")), ("async_loading", text("0"))],
            ),
            (
                "Replication",
                vec![("role", text("master")), ("connected_slaves", text("0"))],
            ),
            (
                "Coremux",
                vec![
                    ("pool", text(&config.name)),
                    ("servers", config.servers.len().to_string()),
                    ("workers", self.worker.workers.to_string()),
                ],
            ),
        ];
        let section = |(name, fields): (&str, Vec<(&str, String)>)| Section {
            name: text(name),
            fields: fields
                .into_iter()
                .map(|(field, value)| (text(field), value))
                .collect(),
        };
        sections.map(section).into()
    }

    /// The settings that are the proxy's and not its servers', as far as the request names them.
    fn own_settings(&self, key: Key, request: &Request<'_>) -> Vec<(String, String)> {
        let config = &self.pools[self.clients.slab[key].pool.index()].config;
        let clients = config.limits.client_connections;
        let databases = config.greeting.databases.get();
        let databases = databases.max(config.greeting.redis_db.saturating_add(1));
        let idle = config.timeouts.client_idle;
        let own = [
            ("databases", databases.to_string()),
            (
                "maxclients",
                clients.map_or(0, std::num::NonZeroU32::get).to_string(),
            ),
            ("proto-max-bulk-len", BULK_BYTES_MAX.to_string()),
            ("timeout", idle.map_or(0, |time| time.as_secs()).to_string()),
        ];
        let is_named = |name: &str| {
            let mut patterns = (2..request.len()).map(|index| request.arg(index));
            patterns.any(|pattern| command::glob_matches(pattern, name.as_bytes()))
        };
        let own = own.into_iter().filter(|(name, _)| is_named(name));
        own.map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
