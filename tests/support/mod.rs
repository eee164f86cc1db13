//! What end-to-end tests stand on: real servers, the proxies, a tiny client.
//!
//! ```ignore
//! mod support;
//!
//! let redis = support::Redis::start();
//! let proxy = support::Proxy::start(support::Program::Coremux, |listen| {
//!     format!(
//!         "alpha:\n  listen: {}\n  redis: true\n  servers:\n   - {}:1 one\n",
//!         listen.tcp("alpha"),
//!         redis.address()
//!     )
//! });
//! let mut client = proxy.client("alpha");
//! assert_eq!(client.call(["SET", "key", "value"]), support::Reply::ok());
//! ```
//!
//! Everything that is started is killed when its value is dropped, and has its own directory. Ports
//! come from the kernel and stay reserved, so tests may run beside each other. Nothing sleeps for
//! a guess: [`eventually`] polls a condition until [`PATIENCE`] is over. A program that is not
//! installed, or does not start, fails the test with what it logged.
#![allow(unreachable_pub, reason = "each program of tests has this for itself")]
#![allow(
    clippy::unwrap_used,
    reason = "all of this is tests: what fails, fails the test"
)]

mod admin;
mod client;
mod differs;
mod fake;
mod load;
mod memcached;
mod memory;
mod pool;
mod port;
mod process;
mod proxy;
mod redis;
mod reply;
mod sentinel;
mod stats;
mod text_client;
mod value;

use std::time::Duration;
use std::time::Instant;

pub use admin::Admin;
pub use admin::http;
#[allow(unused_imports, reason = "for who holds a connection of its own")]
pub use admin::read_reply;
pub use client::Client;
pub use client::encode;
#[allow(unused_imports, reason = "for who compares every command")]
pub use differs::DIFFERS;
pub use fake::FakeConn;
pub use fake::FakeServer;
pub use load::Load;
pub use memcached::Memcached;
pub use memory::resident_bytes;
pub use pool::Pool;
pub use port::Port;
pub use process::Process;
pub use proxy::Listen;
pub use proxy::Program;
pub use proxy::Proxy;
pub use redis::Redis;
pub use reply::Reply;
pub use sentinel::Group;
pub use sentinel::Sentinel;
pub use stats::Stats;
#[allow(unused_imports, reason = "for who asks memcached")]
pub use text_client::TextClient;
pub use value::value;

/// How long anything may take before the test fails: far longer than it takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The time on the real clock.
#[allow(
    clippy::disallowed_methods,
    reason = "a test waits for real processes by the real clock"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// A command line's words: `"SET key value"`.
pub fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// Polls until there is an answer, and fails with `what` when [`PATIENCE`] is over.
pub fn eventually<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let deadline = now() + PATIENCE;
    loop {
        if let Some(answer) = poll() {
            return answer;
        }
        assert!(now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
