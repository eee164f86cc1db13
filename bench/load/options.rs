//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;

/// Sends requests at a fixed rate, whatever the replies do, and checks every reply.
///
/// Exit codes: 0 done (error replies are counted, not fatal); 2 cannot run; 3 a client got a reply
/// that is not its own.
#[derive(Clone, Debug, Parser)]
#[command(name = "load")]
pub(crate) struct Options {
    /// The proxy, or a server
    #[arg(long, value_name = "IP:PORT")]
    pub address: SocketAddr,
    /// Requests a second of all clients together; `max`: each client sends its next request when a
    /// reply has come (a closed loop, which finds the saturation)
    #[arg(long, value_name = "N|max", default_value = "1000")]
    pub rate: Rate,
    /// Clients; each has keys of one server only, so that a stalled server stalls its own clients
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub connections: usize,
    /// Length of the run; SIGINT and SIGTERM end it in order, too
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    pub seconds: Duration,
    /// Requests that are due in the first so many seconds are sent and checked, but not counted
    #[arg(long, value_name = "S", default_value = "0", value_parser = seconds)]
    pub warmup: Duration,
    /// The table that `coremux route` prints, `-` for stdin: keys, by the servers they live on
    /// [default: 1000 keys in one group]
    #[arg(long, value_name = "FILE")]
    pub keys: Option<PathBuf>,
    /// Only keys of these servers, by name
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Servers whose figures are left out of `all`, by name
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub apart: Vec<String>,
    /// Percentage of requests that are SET, the others are GET
    #[arg(long, value_name = "PERCENT", default_value_t = 50,
        value_parser = clap::value_parser!(u8).range(0..=100))]
    pub sets: u8,
    /// Length of the values; one that is too short for key and number is longer
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub value_bytes: usize,
    /// Requests that a client has under way at most; what is due beyond waits in the client, and
    /// its latency counts from when it was due
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub in_flight: usize,
    /// How long replies are waited for after the run
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    pub patience: Duration,
    /// Speaks memcached's text protocol: `get` and `set` in place of GET and SET
    #[arg(long)]
    pub memcached: bool,
    /// Keys that each GET asks for, all of its client's in turn; more than one only in memcached's
    /// protocol, and without SETs
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub keys_per_get: usize,
    /// A value that is not there is no lost write: the servers are caches, and may forget
    #[arg(long)]
    pub may_forget: bool,
    /// Writes the figures as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Writes a line a request: due and done in µs since 1970, server, client, GET or SET, `ok` or
    /// the error
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Writes a line a key: server, key, and of its values `key=RUN:NUMBER;xxx` the run's number,
    /// the number of the last that was acknowledged, the number of the last that was sent
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
}

/// How requests are paced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rate {
    /// Open loop: so many a second.
    Fixed(u64),
    /// Closed loop.
    Max,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Rate, String> {
        match text.parse() {
            _ if text == "max" => Ok(Rate::Max),
            Ok(rate @ 1..=10_000_000) => Ok(Rate::Fixed(rate)),
            _ => Err("a number from 1 to 10000000, or `max`".to_owned()),
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}
