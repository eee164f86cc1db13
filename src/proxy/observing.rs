//! What observers are shown of requests: which keys, how large, and the requests themselves.
//!
//! Owns: what of a request may be seen. Keys may, unless their pool hides them, and a command's own
//! name; everything else may be a value, of which the length is told, and where it may be a secret not
//! even that. Never: changes a request; is in the way of one while nobody observes.

use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::Time;
use crate::protocol::Request;
use crate::protocol::command;
use crate::protocol::command::Access;
use crate::protocol::command::Args;
use crate::protocol::command::Command;
use crate::protocol::command::KeyIndexes;
use crate::proxy::Proxy;
use crate::proxy::client::Client;
use crate::proxy::dispatch::desk::Desk;
use crate::proxy::pool::Pool;
use crate::proxy::server_conn::queue::heads::HEAD_BYTES_MAX;
use crate::telemetry::observed::ARGUMENTS_MAX;
use crate::telemetry::observed::BIG_BYTES_MIN;
use crate::telemetry::observed::Big;
use crate::telemetry::observed::BigKeys;
use crate::telemetry::observed::CutKey;
use crate::telemetry::observed::Filter;
use crate::telemetry::observed::HotKeys;
use crate::telemetry::observed::Kept;
use crate::telemetry::observed::Line;
use crate::telemetry::observed::Observer;
use crate::telemetry::observed::ObserverId;
use crate::telemetry::observed::Seen;
use crate::telemetry::observed::Use;
use crate::telemetry::observed::What;

/// Commands whose arguments may be secrets; all subcommands of one whose name is here are, too.
const SECRETIVE: &[&str] = &["auth", "hello", "config", "acl", "migrate"];

/// A request, and what is known of it.
struct Observed<'a> {
    request: &'a Request<'a>,
    command: &'static Command,
    pool: &'a Pool,
    at: PoolIdx,
}

impl Desk<'_> {
    /// Shows a request to those who want to see it. It is one that is done: not refused, and not to
    /// be read again.
    #[cold]
    pub(in crate::proxy) fn observe(
        &mut self,
        request: &Request<'_>,
        command: &'static Command,
        now: Time,
    ) {
        let observed = Observed {
            request,
            command,
            pool: self.pool,
            at: self.client.pool,
        };
        for kept in self.observers.of(self.client.pool) {
            match kept {
                Kept::HotKeys(hot) => {
                    if hot.is_due() {
                        observed.count_keys(hot);
                    }
                }
                Kept::BigKeys(big) => {
                    if command.access == Access::Write {
                        observed.look_at_values(big);
                    }
                }
                Kept::Requests(filter, tail) => {
                    if observed.passes(filter, self.client) {
                        let at = self.worker.epoch_micros(now);
                        tail.add(at, || observed.line(self.client, filter, at));
                    }
                }
            }
        }
    }
}

impl Observed<'_> {
    fn is_shown(&self) -> bool {
        self.pool.config.slow_log.keys
    }

    // Where it has none, or wrong ones, there is still a line of it.
    fn keys(&self) -> KeyIndexes {
        let keys = self.command.keys(self.request);
        keys.unwrap_or(KeyIndexes::NONE)
    }

    fn count_keys(&self, hot: &mut HotKeys) {
        let keys = self.keys();
        if keys.is_empty() {
            return;
        }
        hot.count_request();
        for index in keys.iter() {
            let key = self.request.arg(index);
            // Where no server is live nobody is kept busy by it.
            if let Some(server) = self.pool.server_of(key, 0) {
                hot.count(Use {
                    pool: self.at,
                    server,
                    key,
                    command: self.command.name,
                });
            }
        }
    }

    // A single key's is the whole request: a memcached item is no argument.
    fn look_at_values(&self, all: &mut BigKeys) {
        // No part of it is greater than all of it.
        if !all.may_have(self.request.frame_bytes()) {
            return;
        }
        let indexes = self.keys();
        let mut keys = indexes.iter().peekable();
        let is_single = indexes.len() == 1;
        while let Some(at) = keys.next() {
            let end = keys.peek().copied().unwrap_or(self.request.len());
            let bytes = match is_single {
                true => self.request.frame_bytes(),
                false => (at + 1..end).map(|at| self.request.arg_bytes(at)).sum(),
            };
            let key = self.request.arg(at);
            let server = self.pool.server_of(key, 0);
            if let (true, Some(server)) = (all.may_have(bytes), server) {
                all.add(Big {
                    pool: self.at,
                    server,
                    what: What::Value,
                    key: CutKey::of(key),
                    command: self.command.name,
                    bytes: bytes as u64,
                    times: 1,
                });
            }
        }
    }

    fn passes(&self, filter: &Filter, client: &Client) -> bool {
        let is_command = |wanted: &String| {
            let name = self.command.name;
            let rest = name.strip_prefix(wanted.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('|'))
        };
        let session = &client.session;
        let has_key = |glob: &Vec<u8>| {
            let keys = self.keys();
            self.is_shown()
                && keys
                    .iter()
                    .any(|index| command::key_glob_matches(glob, self.request.arg(index)))
        };
        filter.command.as_ref().is_none_or(is_command)
            && filter
                .client
                .as_ref()
                .is_none_or(|wanted| wanted.is(session.id(), session.peer(), session.name()))
            && filter.key.as_ref().is_none_or(has_key)
    }

    fn line(&self, client: &Client, filter: &Filter, at: u64) -> Box<str> {
        let database = self.pool.kind_of(client).database;
        let name = filter.names_pools.then_some(&*self.pool.config.name);
        let mut line = Line::new(at, database, client.session.peer(), name);
        let container = self.command.name.split('|').next().unwrap_or_default();
        let is_secretive = SECRETIVE.contains(&container);
        let words = 1 + usize::from(self.command.name.contains('|'));
        let indexes = self.keys();
        let shown = self.request.len().min(ARGUMENTS_MAX);
        for index in 0..shown {
            // However many there are: those among the first arguments are among the first keys.
            let mut keys = indexes.iter().take(ARGUMENTS_MAX + 1);
            let is_key = keys.any(|key| key == index);
            match (index < words, is_secretive) {
                (true, _) => line.quoted(self.request.arg(index)),
                (false, true) => line.redacted(),
                (false, false) if is_key && self.is_shown() => {
                    line.quoted(self.request.arg(index));
                }
                (false, false) => line.hidden(self.request.arg_bytes(index)),
            }
        }
        line.finish(self.request.len() - shown)
    }
}

impl Proxy {
    /// Shows an observer what he wants from now on.
    pub fn observe(&mut self, observer: &Observer) {
        self.observers.add(observer);
        self.look_at_replies();
    }

    /// What was kept for him since he asked last.
    pub fn tell_seen(&mut self, id: ObserverId) -> Option<Seen> {
        self.observers.take(id)
    }

    /// Keeps nothing for him any more.
    pub fn disregard(&mut self, id: ObserverId) {
        self.observers.remove(id);
        self.look_at_replies();
    }

    /// Has large replies looked at where somebody wants to see them.
    pub(in crate::proxy) fn look_at_replies(&mut self) {
        for (idx, pool) in (0..).map(PoolIdx).zip(&mut self.pools) {
            pool.looked_at_bytes = match self.observers.want_replies(idx) {
                true => BIG_BYTES_MIN,
                false => usize::MAX,
            };
        }
    }

    /// Shows a request of a client within a transaction.
    pub(in crate::proxy) fn observe_of(&mut self, client: Key, request: &Request<'_>, now: Time) {
        if self.observers.is_empty() {
            return;
        }
        let Some(mut desk) = self.desk(client) else {
            return;
        };
        if let Ok(command) = desk.pool.protocol.resolve(request) {
            desk.observe(request, command, now);
        }
    }

    /// Shows a reply of so many bytes to the first request on this connection.
    pub(in crate::proxy) fn observe_reply(&mut self, key: Key, bytes: usize) {
        let conn = &self.servers[key];
        let (pool, server) = (conn.pool, conn.server);
        for kept in self.observers.of(pool) {
            let Kept::BigKeys(big) = kept else { continue };
            if !big.may_have(bytes) {
                continue;
            }
            let of_pool = &self.pools[pool.index()];
            let head = conn.requests.first_head(HEAD_BYTES_MAX);
            let args = of_pool.protocol.leading_args(&head);
            let Some(command) = of_pool.protocol.command_of(&args) else {
                continue;
            };
            let first = command.first_key(&args[..]).ok().flatten();
            if let Some(first) = first.and_then(|index| args.get(index)) {
                big.add(Big {
                    pool,
                    server,
                    what: What::Reply,
                    key: CutKey::of(first),
                    command: command.name,
                    bytes: bytes as u64,
                    times: 1,
                });
            }
        }
    }
}
