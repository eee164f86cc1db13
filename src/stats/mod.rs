//! What is counted, and how it is printed: one table of metrics → structs, JSON, `-D`, Prometheus.
//!
//! Owns: names, kinds and meaning of every number. Never: a socket, a clock, a configuration, a
//! lock: each worker writes its own numbers, and readers add them up.

mod counter;
mod json;
mod prometheus;
mod table;
mod worker;

pub use counter::Counter;
pub use json::Head;
pub use json::to_json;
pub use prometheus::Exposition;
pub use prometheus::put_table;
pub use table::Kind;
pub use table::Metric;
pub use table::POOL_METRICS;
pub use table::PUBSUB_METRICS;
pub use table::PoolCounters;
pub use table::PoolTraffic;
pub use table::PubsubCounters;
pub use table::SERVER_METRICS;
pub use table::STANDING_METRICS;
pub use table::ServerCounters;
pub use table::ServerStanding;
pub use table::TRAFFIC_METRICS;
pub use table::WORKER_METRICS;
pub use table::WorkerCounters;
pub use table::describe;
pub use worker::PoolShape;
pub use worker::PoolStats;
pub use worker::Shape;
pub use worker::WorkerStats;
