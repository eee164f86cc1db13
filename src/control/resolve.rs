//! Looks up the servers' names away from everything that must not wait.
//!
//! | file | owns |
//! |---|---|
//! | `crew` | a few threads that may hang in the resolver |
//! | `name` | one name: its addresses as last known, and when to ask again |
//!
//! Owns: which server has which name, over reloads too. Never: decides which address is used; the
//! workers are told all of them.

mod crew;
mod name;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::poll;
use tracing::warn;

use crate::base::PoolIdx;
use crate::base::Random;
use crate::base::ServerIdx;
use crate::config::Config;
use crate::config::Table;
use crate::messages::Change;
use crate::messages::SocketAddress;
use crate::reactor::Receiver;

use crew::Answer;
use crew::Ask;
use crew::Crew;
use crew::THREADS;
use name::GAP;
use name::Name;
use name::now;

pub use crew::Lookup;
pub use crew::system_lookup;

/// Of the threads so many may look up what is known, to see whether it has changed: a name server
/// that is away must not keep them all from a name that a connection waits for.
const REFRESHES_MAX: usize = THREADS / 2;

/// The servers that have names, and their addresses as last known.
pub struct Names {
    names: Vec<Vec<Option<Name>>>,
    answers: Receiver<Answer>,
    random: Random,
    crew: Crew,
}

impl Names {
    /// Starts to look up every name of `config`. The `seed` spreads later lookups in time.
    ///
    /// # Errors
    ///
    /// When a thread or a socket pair cannot be made.
    pub fn start(config: &Config, lookup: &Lookup, seed: u64) -> io::Result<Names> {
        let (crew, answers) = Crew::new(lookup)?;
        let mut names = Names {
            names: of_config(config),
            answers,
            random: Random::new(seed),
            crew,
        };
        names.crew.enough_for(names.all().len())?;
        for (pool, server) in names.all() {
            names.ask(pool, server);
        }
        Ok(names)
    }

    /// Waits for the first answers, but not longer than `within`: a name server that is away must
    /// not keep the servers that have addresses from being served.
    pub fn wait(&mut self, within: Duration) {
        let until = now() + within;
        while self.names.iter().flatten().flatten().any(|name| name.asked) {
            let left = until.saturating_duration_since(now());
            if left.is_zero() {
                return;
            }
            let timeout = rustix::event::Timespec::try_from(left).ok();
            let mut fds = [PollFd::new(&self.answers, PollFlags::IN)];
            // An interrupted wait is only a shorter one.
            let _ = poll(&mut fds, timeout.as_ref());
            for answer in self.take() {
                let _ = self.learn(answer);
            }
        }
    }

    fn addresses(&self, pool: PoolIdx, server: ServerIdx) -> &[SocketAddr] {
        match &self.names[pool.index()][server.index()] {
            Some(name) => &name.addresses,
            None => &[],
        }
    }

    /// What is known of every server that has a name, for workers that are about to start.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        let known = |&(pool, server): &_| !self.addresses(pool, server).is_empty();
        let all = self.all().into_iter().filter(known);
        all.map(|(pool, server)| self.change(pool, server))
            .collect()
    }

    /// What is known of a server now; no address when its name does not resolve.
    pub(super) fn change(&self, pool: PoolIdx, server: ServerIdx) -> Change {
        Change::Addresses {
            pool,
            server,
            addresses: self.known(pool, server),
        }
    }

    /// The addresses of a server's name; none if it has no name, or an unknown one.
    pub(super) fn known(&self, pool: PoolIdx, server: ServerIdx) -> Vec<SocketAddress> {
        let addresses = self.addresses(pool, server);
        addresses.iter().copied().map(SocketAddress::Tcp).collect()
    }

    /// Whether a server is where a name says.
    pub(super) fn has(&self, pool: PoolIdx, server: ServerIdx) -> bool {
        self.names[pool.index()][server.index()].is_some()
    }

    /// A server is elsewhere from now on, whatever its name says.
    pub(super) fn forget(&mut self, pool: PoolIdx, server: ServerIdx) {
        self.names[pool.index()][server.index()] = None;
    }

    /// How long to wait before [`ask`](Names::ask); `None` when an answer is already on its way
    /// or the server has no name.
    pub(super) fn wanted(&mut self, pool: PoolIdx, server: ServerIdx) -> Option<Duration> {
        self.names[pool.index()][server.index()].as_mut()?.wanted()
    }

    /// How long the last answers hold, of every name that nobody was told about yet: after that
    /// [`refresh`](Names::refresh) them.
    pub(super) fn untimed(&mut self) -> Vec<(PoolIdx, ServerIdx, Duration)> {
        let mut untimed = Vec::new();
        for (pool, server) in self.all() {
            let Some(name) = self.names[pool.index()][server.index()].as_mut() else {
                continue;
            };
            if let Some(left) = name.untimed() {
                untimed.push((pool, server, left));
            }
        }
        untimed
    }

    /// Looks a name up again because the last answer is old. If it is not yet, or too many such
    /// lookups hang already: how long to wait and come back.
    pub(super) fn refresh(&mut self, pool: PoolIdx, server: ServerIdx) -> Option<Duration> {
        let names = self.names.iter().flatten().flatten();
        let busy = names.filter(|name| name.refreshing).count() >= REFRESHES_MAX;
        let name = self.names[pool.index()][server.index()].as_mut()?;
        let left = name.stale_at?.saturating_duration_since(now());
        if name.asked {
            // Its answer says when to come back.
            name.timed = false;
            return None;
        }
        if !left.is_zero() {
            return Some(left);
        }
        if busy {
            return Some(GAP);
        }
        (name.refreshing, name.timed) = (true, false);
        self.ask(pool, server);
        None
    }

    /// Whether a name was looked up and has no address, by the last answer and by all before it.
    pub(super) fn is_unknown(&self, pool: PoolIdx, server: ServerIdx) -> bool {
        let name = &self.names[pool.index()][server.index()];
        name.as_ref()
            .is_some_and(|name| name.failing && name.addresses.is_empty())
    }

    /// Looks a server's name up.
    pub(super) fn ask(&mut self, pool: PoolIdx, server: ServerIdx) {
        let Some(name) = self.names[pool.index()][server.index()].as_mut() else {
            return;
        };
        name.asked = true;
        self.crew.ask(Ask {
            pool,
            server,
            host: Arc::clone(&name.host),
            port: name.port,
        });
    }

    /// Readable while answers wait.
    pub(super) fn wake_socket(&self) -> io::Result<std::os::unix::net::UnixStream> {
        self.answers.wake_socket()
    }

    /// The answers that wait.
    pub(super) fn take(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        self.answers.take(&mut answers);
        answers
    }

    /// Remembers an answer, unless nobody wants to know it any more; whether it did.
    pub(super) fn learn(&mut self, answer: Answer) -> bool {
        let name = self.names[answer.pool.index()][answer.server.index()].as_mut();
        let asked = |name: &&mut Name| (&name.host, name.port) == (&answer.host, answer.port);
        let Some(name) = name.filter(asked) else {
            return false;
        };
        name.learn(answer.result, &mut self.random);
        true
    }

    /// Other pools and servers are served; those that have `moved` are where the table says. New
    /// names are looked up at once.
    pub(super) fn reload(&mut self, table: &Table, moved: &BTreeSet<(PoolIdx, ServerIdx)>) {
        let mut fresh = Vec::new();
        for (pool, places) in (0..).map(PoolIdx).zip(table.places()) {
            if self.names.len() == pool.index() {
                self.names.push(Vec::new());
            }
            let names = &mut self.names[pool.index()];
            let before = names.len();
            names.resize_with(places, || None);
            let interval = table
                .pool(pool)
                .and_then(|pool| pool.timeouts.resolve_interval);
            for (server, name) in (0..).map(ServerIdx).zip(names) {
                let Some(config) = table.server(pool, server) else {
                    *name = None;
                    continue;
                };
                if server.index() >= before || moved.contains(&(pool, server)) {
                    *name = Name::of_address(&config.address, interval);
                    fresh.extend(name.is_some().then_some((pool, server)));
                } else if let Some(name) = name {
                    name.set_interval(interval);
                }
            }
        }
        if let Err(error) = self.crew.enough_for(self.all().len()) {
            warn!(%error, "no thread to look up names with");
        }
        for (pool, server) in fresh {
            self.ask(pool, server);
        }
    }

    fn all(&self) -> Vec<(PoolIdx, ServerIdx)> {
        let mut all = Vec::new();
        for (pool, servers) in (0..).map(PoolIdx).zip(&self.names) {
            for (server, name) in (0..).map(ServerIdx).zip(servers) {
                if name.is_some() {
                    all.push((pool, server));
                }
            }
        }
        all
    }
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Names").finish_non_exhaustive()
    }
}

fn of_config(config: &Config) -> Vec<Vec<Option<Name>>> {
    let pools = config.pools.iter();
    pools
        .map(|pool| {
            let servers = pool.servers.iter();
            servers
                .map(|s| Name::of_address(&s.address, pool.timeouts.resolve_interval))
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests;
