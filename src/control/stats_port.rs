//! twemproxy's statistics port: connect, read one line of JSON, closed.
//!
//! The numbers are those of the moment of the connect: workers are read while they run. (twemproxy
//! adds them up every `-i` milliseconds, so its line is up to that much old.)

use std::cell::Ref;
use std::cell::RefCell;
use std::num::NonZeroU32;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;
use std::time::SystemTime;

use futures_lite::AsyncReadExt;
use futures_lite::AsyncWriteExt;
use glommio::net::TcpStream;
use tracing::warn;

use crate::control::accept::Accepted;
use crate::control::admission::Inside;
use crate::control::admission::PATIENCE;
use crate::control::adopt;
use crate::stats::Head;
use crate::stats::Shape;
use crate::stats::WorkerStats;
use crate::stats::to_json;

/// Where the line comes from.
#[derive(Debug)]
pub struct StatsSource {
    /// Whatever is served now.
    pub numbers: RefCell<Numbers>,
    /// The host's name.
    pub host: String,
    /// When the process started.
    pub started: Instant,
    /// How much memory the process may have; `None` is without a limit.
    pub memory_limit: Option<NonZeroUsize>,
}

/// What is counted.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// The names of the pools and servers, in the configuration's order.
    pub shape: Shape,
    /// Each worker's, in the same order.
    pub workers: Vec<Arc<WorkerStats>>,
    /// How many clients each pool may have, in the same order; `None` is without a limit.
    pub client_limits: Vec<Option<NonZeroU32>>,
}

impl StatsSource {
    /// What is counted now.
    pub(super) fn numbers(&self) -> Ref<'_, Numbers> {
        self.numbers.borrow()
    }

    /// The line, of now.
    pub(super) fn line(&self) -> String {
        let since_epoch = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let head = Head {
            source: &self.host,
            version: env!("CARGO_PKG_VERSION"),
            uptime: self.started.elapsed().as_secs(),
            timestamp: since_epoch.as_secs(),
        };
        let numbers = self.numbers();
        to_json(&numbers.shape, &numbers.workers, &head)
    }
}

/// More than any request line of a tool that takes the port for HTTP.
const UNWANTED_BYTES_MAX: usize = 8 << 10;

/// Answers whoever comes.
pub(super) async fn serve(mut accepted: Accepted, source: Rc<StatsSource>) {
    let inside = Inside::default();
    let mut accepts = true;
    while let Some(accepted) = accepted.next().await {
        match accepted {
            Ok(socket) => {
                accepts = true;
                let (stream, line) = (adopt::tcp_stream(socket), source.line());
                inside.admit(async move {
                    let answer = async { answer(stream, line).await.unwrap_or(()) };
                    // A reader that does not read must not keep its descriptor for long.
                    let patience = async { _ = glommio::timer::sleep(PATIENCE).await };
                    futures_lite::future::or(answer, patience).await;
                });
            }
            Err(error) => {
                // Mostly no descriptor left: that passes, and one line says enough.
                if accepts {
                    warn!(%error, "statistics port cannot accept");
                }
                accepts = false;
            }
        }
    }
    inside.leave();
}

// Closing with unread input would send a reset, which can overtake the line: so what a client
// such as curl sent first is read away.
async fn answer(mut stream: TcpStream, line: String) -> std::io::Result<()> {
    stream.write_all(line.as_bytes()).await?;
    stream.shutdown(std::net::Shutdown::Write).await?;
    let mut unwanted = [0; 1024];
    let mut read = 0;
    while read < UNWANTED_BYTES_MAX {
        match stream.read(&mut unwanted).await? {
            0 => break,
            n => read += n,
        }
    }
    Ok(())
}
