//! Judges every frame that reaches a server and every reply that reaches a client.
//!
//! It knows what each client has sent, what each server has executed and answered, and which
//! faults touched which server when. A reply is right if it is the one that the servers gave to
//! just this request; an error of the proxy's own is right only if a fault explains it.

mod beliefs;
mod verdict;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use coremux::base::Time;
use coremux::config::Config;
use coremux::config::OnServerFailure;

use crate::fault::Touch;
use crate::gathered::Execution;
use crate::mark::Mark;
use crate::request::Request;
use crate::routes::Placement;
use crate::routes::Route;
use crate::tally::Happening;
use crate::tally::Tally;
use crate::trace::head;
use crate::workload::base;
use crate::world::LinkId;

use beliefs::Belief;

/// As in the proxy: behind the end of a client, its writes wait no longer for a server.
pub const ENDED_WAITS: Duration = Duration::from_millis(100);

/// A reply with less is passed on whole.
pub const STREAMED_BYTES_MIN: usize = 256 << 10;

/// One request and what has become of it.
#[derive(Debug)]
struct Entry {
    request: Request,
    /// Where in the client's stream it ends.
    end: u64,
    /// When the proxy had received all of it.
    arrived: Option<Time>,
    executions: Vec<Execution>,
    /// Servers that have refused it, or a part of it, and what they said.
    refusals: Vec<(usize, Bytes)>,
    /// Parts of it, by their keys, that were executed once more.
    retried: BTreeSet<Vec<usize>>,
    answered: bool,
    failed: bool,
}

/// What one client has asked, in order.
#[derive(Debug, Default)]
struct Book {
    pool: usize,
    worker: usize,
    entries: Vec<Entry>,
    arrived: usize,
    answered: usize,
    id: Option<i64>,
    /// No error is excused any more.
    strict: bool,
    /// Its transaction was too large, and its `EXEC` has not come.
    aborted: bool,
    /// When the proxy saw its end.
    ended: Option<Time>,
    /// By link: the last request that was executed.
    executed: BTreeMap<LinkId, usize>,
    /// By server: when the last request that succeeded was executed.
    succeeded: BTreeMap<usize, u64>,
}

/// A reply and its times.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    pub bytes: &'a [u8],
    /// When the proxy gave its first byte to the wire.
    pub begun: Time,
    /// When it gave the last one.
    pub emitted: Time,
    /// Whether the proxy could always give its replies to the wire at once.
    pub unhindered: bool,
}

/// The judge.
#[derive(Debug)]
pub struct Oracle {
    books: Vec<Book>,
    /// By worker and pool.
    pub routes: Vec<Vec<Route>>,
    touches: Vec<Touch>,
    timeouts: Vec<Option<std::time::Duration>>,
    /// How long requests are held, in pools that hold any.
    holds: Vec<Option<std::time::Duration>>,
    /// Connections that the proxy has given up: to which server, if it ever knew, and when.
    given_up: Vec<(Option<(usize, usize)>, Time)>,
    /// By pool: whether a key stays where it is whatever fails.
    stable: Vec<bool>,
    /// Pools that are reloaded.
    reloaded: BTreeSet<usize>,
    beliefs: BTreeMap<(usize, u32, Vec<u8>), Belief>,
    ids: BTreeSet<i64>,
    executions: u64,
    /// By pool and server: replies that said that it cannot serve now.
    pub transients: BTreeMap<(usize, usize), u64>,
    /// By pool and server: how often it has said so in its own words.
    pub spoken: BTreeMap<(usize, usize), u64>,
    /// Memory was short.
    pub was_short: bool,
    /// By pool: the most that a client may have waiting.
    limits: Vec<usize>,
    /// The largest reply so far.
    pub largest_reply: usize,
}

impl Oracle {
    pub fn new(config: &Config, workers: usize) -> Oracle {
        let routes = || config.pools.iter().map(Route::new).collect();
        let stable = config.pools.iter().map(|pool| {
            !pool.failure.ejects()
                && pool.mapping.distribution != coremux::route::Distribution::Random
        });
        Oracle {
            books: Vec::new(),
            routes: (0..workers).map(|_| routes()).collect(),
            touches: Vec::new(),
            given_up: Vec::new(),
            holds: config
                .pools
                .iter()
                .map(|pool| {
                    let holds = pool.failure.policy == OnServerFailure::Hold;
                    holds.then_some(pool.failure.hold_time.with(None))
                })
                .collect(),
            timeouts: config
                .pools
                .iter()
                .map(|pool| pool.timeouts.request)
                .collect(),
            stable: stable.collect(),
            reloaded: BTreeSet::new(),
            beliefs: BTreeMap::new(),
            ids: BTreeSet::new(),
            executions: 0,
            transients: BTreeMap::new(),
            spoken: BTreeMap::new(),
            was_short: false,
            limits: config
                .pools
                .iter()
                .map(|pool| pool.limits.client_output_bytes)
                .collect(),
            largest_reply: 0,
        }
    }

    // --- what happens ---

    /// The keys of a pool are to live elsewhere now and then.
    pub fn keys_move(&mut self, pool: usize) {
        self.stable[pool] = false;
    }

    /// Requests of a pool may get into another queue, behind younger ones.
    pub fn queues_move(&mut self, pool: usize) {
        self.reloaded.insert(pool);
    }

    /// A client has connected: its number.
    pub fn client(&mut self, pool: usize, worker: usize, strict: bool) -> usize {
        self.books.push(Book {
            pool,
            worker,
            strict,
            ..Book::default()
        });
        self.books.len() - 1
    }

    /// A client sends a request, whose last byte is byte `end` of its stream.
    pub fn sent(&mut self, client: usize, request: Request, end: u64) {
        self.books[client].entries.push(Entry {
            request,
            end,
            arrived: None,
            executions: Vec::new(),
            refusals: Vec::new(),
            retried: BTreeSet::new(),
            answered: false,
            failed: false,
        });
    }

    /// The proxy has received so many bytes of a client's stream.
    pub fn arrived(&mut self, client: usize, bytes: u64, now: Time) {
        let book = &mut self.books[client];
        while let Some(entry) = book.entries.get_mut(book.arrived) {
            if entry.end > bytes {
                break;
            }
            entry.arrived = Some(now);
            book.arrived += 1;
        }
    }

    pub fn touch(&mut self, pool: usize, server: usize, fault: Happening, now: Time) -> usize {
        self.touches.push(Touch {
            pool,
            server,
            fault,
            from: now,
            until: None,
        });
        self.touches.len() - 1
    }

    pub fn end_touch(&mut self, touch: usize, until: Time) {
        self.touches[touch].until.get_or_insert(until);
    }

    /// The proxy has closed a connection of its own accord.
    pub fn given_up(&mut self, server: Option<(usize, usize)>, now: Time) {
        self.given_up.push((server, now));
    }

    /// Nothing is wrong with any server after this.
    pub fn end_all_touches(&mut self, until: Time) {
        for touch in &mut self.touches {
            touch.until.get_or_insert(until);
        }
    }

    /// A frame has reached a server: whose it is. It must be what that client has asked, or its
    /// part for this server, at a server where its keys live, and for the first time.
    pub fn executing(
        &mut self,
        (pool, server): (usize, usize),
        (link, database, resp3): (LinkId, u32, bool),
        args: &[&[u8]],
        now: Time,
        tally: &mut Tally,
    ) -> Execution {
        let mark = args.iter().find_map(|arg| Mark::of(arg));
        let Some(mark) = mark else {
            panic!(
                "a server got a request of nobody's: {}",
                head(&args.join(&b' '))
            );
        };
        let book = &mut self.books[mark.client];
        assert_eq!(
            book.pool, pool,
            "a request of {mark:?} went to another pool"
        );
        let entry = &mut book.entries[mark.number];
        assert_eq!(
            (entry.request.database, entry.request.resp3),
            (database, resp3),
            "{mark:?} is executed in another database or version"
        );
        let keys = matched_keys(&entry.request, args)
            .unwrap_or_else(|| panic!("{mark:?} came as {}", head(&args.join(&b' '))));
        let again = |earlier: &Execution| {
            keys.is_empty() || earlier.keys.iter().any(|key| keys.contains(key))
        };
        // A read may be executed once more, on another connection, its reply being lost; and a
        // server that hung may execute the first one after that, to which nobody listens any more.
        let mut unheard = entry.answered && !entry.failed && entry.request.is_read();
        if let Some(at) = entry.executions.iter().position(again) {
            let once = entry.request.transaction.is_some() || !entry.request.is_read();
            assert!(!once, "{mark:?} was executed twice");
            let earlier = &entry.executions[at];
            assert_ne!(earlier.link, link, "{mark:?} was sent twice at once");
            assert!(
                entry.retried.insert(earlier.keys.clone()),
                "{mark:?} was executed more than twice"
            );
            tally.count(Happening::Retried);
            unheard |= link < earlier.link;
            if !unheard {
                entry.executions.remove(at);
            }
        }
        let from = entry
            .arrived
            .expect("a request is executed before it is sent");
        let names: Vec<&[u8]> = match entry.request.keys.is_empty() {
            true => vec![b"placeholder"],
            false => keys.iter().map(|key| entry.request.key(*key)).collect(),
        };
        let placements = self.routes[book.worker][pool].placements(&names, from, now);
        let at_home = |placement: &Placement| placement.iter().all(|place| *place == Some(server));
        assert!(
            placements.iter().any(at_home),
            "{mark:?} is executed at server {server}, its keys live at {placements:?}"
        );
        let last = book.executed.insert(link, mark.number);
        let whole = entry.request.split.is_none();
        assert!(
            last.is_none_or(|last| last < mark.number),
            "{mark:?} is executed behind {last:?}, whole: {whole}"
        );
        if entry.answered && !unheard {
            assert!(entry.failed, "{mark:?} is executed after it has succeeded");
            tally.count(Happening::LateReply);
        }
        if entry.refusals.iter().any(|(by, _)| *by == server) {
            tally.count(Happening::AskedAgain);
        }
        self.executions += 1;
        Execution {
            mark,
            server,
            link,
            keys,
            order: self.executions,
            unheard,
            reply: Bytes::new(),
        }
    }

    /// The proxy sees that a client sends no more.
    pub fn ended(&mut self, client: usize, now: Time) {
        self.books[client].ended.get_or_insert(now);
    }

    /// A write is executed on a connection that was `connected` then. Its client must not have ended
    /// long before: it may have asked again elsewhere.
    pub fn check_wanted(&self, execution: &Execution, connected: Time) {
        let Mark { client, number } = execution.mark;
        let book = &self.books[client];
        let unwanted = book
            .ended
            .is_some_and(|ended| ended + ENDED_WAITS <= connected);
        assert!(
            !unwanted || book.entries[number].request.is_read(),
            "{:?} has waited for a server, and is executed though its client has gone",
            execution.mark
        );
    }

    /// A write is executed on a connection that the proxy has not given up. If its client has been
    /// told that it failed, no later write of that client to one of its keys may have succeeded.
    pub fn check_in_time(&self, execution: &Execution, tally: &mut Tally) {
        let Mark { client, number } = execution.mark;
        let entries = &self.books[client].entries;
        let late = &entries[number];
        if late.request.is_read() || !late.answered {
            return;
        }
        let names = |entry: &Entry, keys: &[usize]| -> Vec<(u32, Vec<u8>)> {
            let keys = keys.iter().map(|key| base(entry.request.key(*key)));
            keys.map(|key| (entry.request.database, key)).collect()
        };
        let own = names(late, &execution.keys);
        let overlaps = |later: &Entry, keys: &[usize]| {
            let others = names(later, keys);
            others.iter().any(|key| own.contains(key))
        };
        for later in entries[number + 1..].iter() {
            if later.request.is_read() || !later.answered {
                continue;
            }
            tally.count(Happening::LateWrite);
            let mut executions = later.executions.iter();
            let done = executions
                .any(|done| done.server == execution.server && overlaps(later, &done.keys));
            assert!(
                later.failed || !done,
                "{:?} is executed behind a later write of its client that has succeeded",
                execution.mark
            );
        }
    }

    /// A frame has reached a server, which says that it does not do it now: nothing has happened.
    pub fn refused(&mut self, server: usize, args: &[&[u8]], reply: Bytes) {
        let mark = args.iter().find_map(|arg| Mark::of(arg));
        let Mark { client, number } = mark.expect("somebody's request");
        let entry = &mut self.books[client].entries[number];
        entry.refusals.push((server, reply));
    }

    /// Whether a frame belongs to a request that changes nothing.
    pub fn is_read(&self, args: &[&[u8]]) -> bool {
        let mark = args.iter().find_map(|arg| Mark::of(arg));
        mark.is_some_and(|Mark { client, number }| {
            self.books[client].entries[number].request.is_read()
        })
    }

    /// Whether what a frame is answered may be anybody's words, not the server's.
    pub fn is_script(&self, args: &[&[u8]]) -> bool {
        let mark = args.iter().find_map(|arg| Mark::of(arg));
        mark.is_some_and(|Mark { client, number }| {
            self.books[client].entries[number].request.is_script()
        })
    }

    /// The server's reply to what it has executed.
    pub fn executed(&mut self, execution: Execution) {
        self.largest_reply = self.largest_reply.max(execution.reply.len());
        let Mark { client, number } = execution.mark;
        if !execution.unheard {
            self.books[client].entries[number]
                .executions
                .push(execution);
        }
    }

    /// Whether the request that a frame belongs to was split.
    pub fn is_fragment(&self, execution: &Execution) -> bool {
        let Mark { client, number } = execution.mark;
        self.books[client].entries[number].request.keys.len() > execution.keys.len()
    }

    // --- ends ---

    /// Requests that a client still waits for.
    pub fn unanswered(&self, client: usize) -> usize {
        self.books[client].entries.len() - self.books[client].answered
    }

    /// A client goes, or was cut off: what it waits for may or may not happen.
    pub fn gone(&mut self, client: usize) {
        for number in self.books[client].answered..self.books[client].entries.len() {
            self.forget(client, number);
            let entry = &mut self.books[client].entries[number];
            (entry.answered, entry.failed) = (true, true);
        }
    }

    /// Whether all requests that the proxy had received before `time` are answered.
    pub fn answered_all_before(&self, client: usize, time: Time) -> bool {
        let book = &self.books[client];
        let next = book.entries.get(book.answered);
        next.is_none_or(|entry| entry.arrived.is_none_or(|arrived| arrived >= time))
    }

    /// A request that waits for its reply, for a message.
    pub fn first_unanswered(&self, client: usize) -> String {
        let book = &self.books[client];
        let entry = book.entries.get(book.answered);
        entry.map_or_else(String::new, |entry| {
            format!(
                "request {} {}",
                book.answered,
                head(&entry.request.args.join(&b' '))
            )
        })
    }
}

/// Which of a request's keys a frame carries, if it is that request or a part of it.
fn matched_keys(request: &Request, args: &[&[u8]]) -> Option<Vec<usize>> {
    let all = 0..request.keys.len();
    if request.args.len() == args.len() && request.args.iter().zip(args).all(|(a, b)| a == b) {
        return Some(all.collect());
    }
    request.split?;
    let name = request.args[0].to_ascii_lowercase();
    let mut rest = args.strip_prefix(&[name.as_slice()])?;
    let mut keys = Vec::new();
    for key in all {
        let part = request.with_key(key);
        if rest.len() >= part.len() && part.iter().zip(rest).all(|(a, b)| a == b) {
            keys.push(key);
            rest = &rest[part.len()..];
        }
    }
    rest.is_empty().then_some(keys)
}
