//! The threads that look names up, and may hang there.
//!
//! Owns: how many there are, and how a name becomes addresses. Never: remembers an answer.

use std::io;
use std::net::SocketAddr;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::reactor::Receiver;
use crate::reactor::Sender;
use crate::reactor::mailbox;

/// How a name becomes addresses: the system's resolver, or a test's.
pub type Lookup = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// Asks the system's resolver (`getaddrinfo`), which may take its time.
#[must_use]
pub fn system_lookup() -> Lookup {
    Arc::new(|host, port| Ok((host, port).to_socket_addrs()?.collect()))
}

/// Lookups at once. One that hangs (a dead name server: 5 s and more) leaves the others free.
pub(super) const THREADS: usize = 4;

/// What is looked up, and for whom.
pub(super) struct Ask {
    pub(super) pool: PoolIdx,
    pub(super) server: ServerIdx,
    pub(super) host: Arc<str>,
    pub(super) port: u16,
}

/// What came of a lookup.
pub(in crate::control) struct Answer {
    pub(in crate::control) pool: PoolIdx,
    pub(in crate::control) server: ServerIdx,
    // What was asked: by now the server may have another name.
    pub(super) host: Arc<str>,
    pub(super) port: u16,
    pub(super) result: io::Result<Vec<SocketAddr>>,
}

/// The threads; none before a server has a name.
pub(super) struct Crew {
    lookup: Lookup,
    asks: mpsc::Sender<Ask>,
    waiting: Arc<Mutex<mpsc::Receiver<Ask>>>,
    answer: Sender<Answer>,
    threads: usize,
}

impl Crew {
    /// No thread yet, and where the answers will arrive.
    pub(super) fn new(lookup: &Lookup) -> io::Result<(Crew, Receiver<Answer>)> {
        let (answer, answers) = mailbox()?;
        let (asks, waiting) = mpsc::channel::<Ask>();
        let crew = Crew {
            lookup: Arc::clone(lookup),
            asks,
            waiting: Arc::new(Mutex::new(waiting)),
            answer,
            threads: 0,
        };
        Ok((crew, answers))
    }

    /// Sees that there are enough for so many names.
    pub(super) fn enough_for(&mut self, names: usize) -> io::Result<()> {
        while self.threads < names.min(THREADS) {
            let (waiting, lookup, answer) = (
                Arc::clone(&self.waiting),
                Arc::clone(&self.lookup),
                self.answer.clone(),
            );
            let work = move || {
                while let Some(ask) = next(&waiting) {
                    answer.send(Answer {
                        pool: ask.pool,
                        server: ask.server,
                        result: lookup(&ask.host, ask.port),
                        host: ask.host,
                        port: ask.port,
                    });
                }
            };
            std::thread::Builder::new()
                .name("resolve".to_owned())
                .spawn(work)?;
            self.threads += 1;
        }
        Ok(())
    }

    /// The next thread that is free looks it up.
    pub(super) fn ask(&self, ask: Ask) {
        // Nobody stops listening before we do: we have the other end, too.
        let _ = self.asks.send(ask);
    }
}

fn next(waiting: &Mutex<mpsc::Receiver<Ask>>) -> Option<Ask> {
    let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    waiting.recv().ok()
}
