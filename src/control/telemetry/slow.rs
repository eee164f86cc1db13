//! Requests that took long, for people.

use std::fmt::Write;

use crate::control::clock::rfc3339;
use crate::telemetry::slow::SlowRequest;

use super::Names;
use super::Telemetry;
use super::report::millis;

impl Telemetry {
    /// The latest requests that took long, of all pools or of this one, the latest first.
    ///
    /// # Errors
    ///
    /// A line that says which pools there are, if there is none of that name.
    pub(in crate::control) fn slow(&self, pool: Option<&str>) -> Result<String, String> {
        let names = self.names.iter();
        let names = names.filter(|names| pool.is_none_or(|pool| *names.name == *pool));
        let names: Vec<&Names> = names.collect();
        if names.is_empty() {
            return Err(self.no_pool(pool.unwrap_or_default()));
        }
        let logs = names
            .iter()
            .filter_map(|names| Some((*names, self.pools.get(&names.pool)?)));
        let slow = logs.flat_map(|(names, sums)| sums.slow.iter().map(move |slow| (names, slow)));
        let mut slow: Vec<(&Names, &SlowRequest)> = slow.collect();
        slow.sort_by_key(|(_, slow)| std::cmp::Reverse(slow.at));
        let mut text = String::new();
        for (names, slow) in slow {
            let _ = writeln!(text, "{}", line(names, slow));
        }
        Ok(text)
    }

    /// Forgets those of all pools, or of this one.
    ///
    /// # Errors
    ///
    /// As [`Telemetry::slow`].
    pub(in crate::control) fn forget_slow(&mut self, pool: Option<&str>) -> Result<(), String> {
        let names = self.names.iter();
        let names = names.filter(|names| pool.is_none_or(|pool| *names.name == *pool));
        let places: Vec<_> = names.map(|names| names.pool).collect();
        if places.is_empty() {
            return Err(self.no_pool(pool.unwrap_or_default()));
        }
        for place in places {
            if let Some(sums) = self.pools.get_mut(&place) {
                sums.slow.clear();
            }
        }
        Ok(())
    }

    fn no_pool(&self, pool: &str) -> String {
        let names: Vec<&str> = self.names.iter().map(|names| &*names.name).collect();
        format!(
            "there is no pool `{pool}`; there are: {}\n",
            names.join(", ")
        )
    }
}

fn line(names: &Names, slow: &SlowRequest) -> String {
    let server = names.servers.iter().find(|(idx, _)| *idx == slow.server);
    let server = server.map_or("(removed)", |(_, name)| name);
    let client = slow
        .client
        .map_or_else(|| "-".to_owned(), |peer| peer.to_string());
    format!(
        "{} pool={} server={server} client={client} name={} command={} key={} took={} queued={} \
         held={} at_server={} request_bytes={} reply_bytes={}",
        rfc3339(slow.at),
        names.name,
        or_none(&slow.name),
        slow.command,
        or_none(&slow.key),
        millis(slow.took()),
        millis(slow.queued),
        millis(slow.held),
        millis(slow.at_server),
        slow.request_bytes,
        slow.reply_bytes
    )
}

fn or_none(text: &str) -> &str {
    match text {
        "" => "-",
        text => text,
    }
}
