//! What the JSON API answers, as far as it is shown.
//!
//! Owns: the fields, which `docs/api.md` documents. What is new there is passed over.

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;

/// One second's answers.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) status: Status,
    pub(super) events: Vec<Event>,
    pub(super) history: History,
    pub(super) slow: Vec<Slow>,
}

/// The same as it came, by the paths' last words.
#[derive(Debug)]
pub(super) struct Bodies {
    pub(super) status: String,
    pub(super) events: String,
    pub(super) history: String,
    pub(super) slow: String,
}

impl Bodies {
    /// What they say.
    pub(super) fn parse(&self) -> serde_json::Result<Answers> {
        Ok(Answers {
            status: serde_json::from_str(&self.status)?,
            events: serde_json::from_str(&self.events)?,
            history: serde_json::from_str(&self.history)?,
            slow: serde_json::from_str(&self.slow)?,
        })
    }
}

impl Answers {
    /// The last event and the last step.
    pub(super) fn last_numbers(&self) -> (u64, u64) {
        let event = self.events.first().map_or(0, |event| event.number);
        (event, self.history.last_step)
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Status {
    pub(super) version: String,
    pub(super) host: String,
    pub(super) started: String,
    pub(super) uptime_seconds: u64,
    pub(super) state: String,
    pub(super) reasons: Vec<String>,
    pub(super) memory: Memory,
    pub(super) workers: Vec<Worker>,
    pub(super) pools: Vec<Pool>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Memory {
    pub(super) resident_bytes: Option<u64>,
    pub(super) limit_bytes: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Worker {
    pub(super) worker: u32,
    pub(super) stuck: bool,
    pub(super) cpu: Option<f64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Pool {
    pub(super) pool: String,
    pub(super) state: String,
    pub(super) clients: u64,
    pub(super) usable: usize,
    pub(super) requests_per_second: f64,
    pub(super) errors_per_second: f64,
    #[serde(default)]
    pub(super) latencies: Vec<Window>,
    pub(super) servers: Vec<Server>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Server {
    pub(super) server: String,
    pub(super) address: String,
    pub(super) state: String,
    pub(super) usable: bool,
    pub(super) keys_share: Option<f64>,
    pub(super) requests_per_second: f64,
    pub(super) queued: u64,
    pub(super) awaited: u64,
    pub(super) timeouts: u64,
    #[serde(default)]
    pub(super) latencies: Vec<Window>,
}

/// How long replies took lately.
#[derive(Debug, Deserialize)]
pub(super) struct Window {
    pub(super) requests: u64,
    pub(super) at_server: Percentiles,
    pub(super) in_proxy: Percentiles,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Percentiles {
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Event {
    pub(super) number: u64,
    pub(super) at: String,
    pub(super) level: String,
    pub(super) event: String,
    pub(super) fields: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct History {
    pub(super) last_step: u64,
    pub(super) pools: Vec<PoolHistory>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PoolHistory {
    pub(super) pool: String,
    pub(super) requests_per_second: Vec<f64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Slow {
    pub(super) at: String,
    pub(super) pool: String,
    pub(super) server: Option<String>,
    pub(super) client: Option<String>,
    pub(super) name: Option<String>,
    pub(super) command: String,
    pub(super) key: Option<String>,
    pub(super) took_us: u64,
    pub(super) queued_us: u64,
    pub(super) held_us: u64,
    pub(super) at_server_us: u64,
    pub(super) request_bytes: u64,
    pub(super) reply_bytes: u64,
}
