//! Requests that took long, for people and for programs.

use std::fmt::Write;

use serde::Serialize;

use crate::control::clock::rfc3339;
use crate::telemetry::slow::SlowRequest;

use super::Names;
use super::Telemetry;
use super::report::millis;

/// A request that took long. Times are in microseconds; a text that there is not is `None`.
#[derive(Debug, Serialize)]
pub(in crate::control) struct SlowReport<'a> {
    number: u64,
    at: String,
    pool: &'a str,
    // Not if it was removed since.
    server: Option<&'a str>,
    client: Option<String>,
    name: Option<&'a str>,
    command: &'static str,
    key: Option<&'a str>,
    took_us: u64,
    queued_us: u64,
    held_us: u64,
    at_server_us: u64,
    request_bytes: u64,
    reply_bytes: u64,
    timed_out: bool,
}

impl Telemetry {
    /// The latest requests that took long, of all pools or of this one, with a greater number than `since`,
    /// the latest first.
    ///
    /// # Errors
    ///
    /// A line that says which pools there are, if there is none of that name.
    pub(in crate::control) fn slow(
        &self,
        pool: Option<&str>,
        since: u64,
    ) -> Result<impl Iterator<Item = SlowReport<'_>>, String> {
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
        let new = slow.filter(|(_, slow)| slow.number > since);
        let mut slow: Vec<(&Names, &SlowRequest)> = new.collect();
        slow.sort_by_key(|(_, slow)| std::cmp::Reverse(slow.at));
        Ok(slow.into_iter().map(|(names, slow)| report(names, slow)))
    }

    /// The same, a line each.
    ///
    /// # Errors
    ///
    /// As [`Telemetry::slow`].
    pub(in crate::control) fn slow_lines(&self, pool: Option<&str>) -> Result<String, String> {
        let mut text = String::new();
        for slow in self.slow(pool, 0)? {
            let _ = writeln!(text, "{}", line(&slow));
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

    pub(in crate::control) fn no_pool(&self, pool: &str) -> String {
        let names: Vec<&str> = self.names.iter().map(|names| &*names.name).collect();
        format!(
            "there is no pool `{pool}`; there are: {}\n",
            names.join(", ")
        )
    }
}

fn report<'a>(names: &'a Names, slow: &'a SlowRequest) -> SlowReport<'a> {
    let server = names.servers.iter().find(|(idx, _)| *idx == slow.server);
    SlowReport {
        number: slow.number,
        at: rfc3339(slow.at),
        pool: &names.name,
        server: server.map(|(_, name)| &**name),
        client: slow.client.map(|peer| peer.to_string()),
        name: some(&slow.name),
        command: slow.command,
        key: some(&slow.key),
        took_us: slow.took(),
        queued_us: slow.queued,
        held_us: slow.held,
        at_server_us: slow.at_server,
        request_bytes: slow.request_bytes,
        reply_bytes: slow.reply_bytes,
        timed_out: slow.timed_out,
    }
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn line(slow: &SlowReport<'_>) -> String {
    format!(
        "{} pool={} server={} client={} name={} command={} key={} took={} queued={} held={} \
         at_server={} request_bytes={} reply_bytes={}{}",
        slow.at,
        slow.pool,
        slow.server.unwrap_or("(removed)"),
        slow.client.as_deref().unwrap_or("-"),
        slow.name.unwrap_or("-"),
        slow.command,
        slow.key.unwrap_or("-"),
        millis(slow.took_us),
        millis(slow.queued_us),
        millis(slow.held_us),
        millis(slow.at_server_us),
        slow.request_bytes,
        slow.reply_bytes,
        if slow.timed_out { " timed out" } else { "" }
    )
}
