//! Judges every frame that reaches a server and every reply that reaches a client.
//!
//! It knows what each client has sent, what each server has executed and answered, and which
//! faults touched which server when. A reply is right if it is the one that the servers gave to
//! just this request; an error of the proxy's own is right only if a fault explains it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use bytes::Bytes;
use coremux::base::Time;
use coremux::config::Config;

use crate::fault::Touch;
use crate::frame::elements;
use crate::frame::write_bulk;
use crate::gathered::Execution;
use crate::gathered::gathered;
use crate::mark::Mark;
use crate::request::Expect;
use crate::request::Request;
use crate::routes::Placement;
use crate::routes::Route;
use crate::tally::Happening;
use crate::tally::Tally;
use crate::trace::head;
use crate::trace::trace;
use crate::world::LinkId;

const CROSS_SERVER: &[u8] = b"-CROSSSLOT Keys in request don't hash to the same server\r\n";
const NO_SERVER: &[u8] = b"-ERR Connection refused\r\n";
const TIMED_OUT: &[u8] = b"-ERR Connection timed out\r\n";
/// A reply waits for the end of the send before it.
const TIMER_SLACK_MICROS: u64 = 1000;

/// One request and what has become of it.
#[derive(Debug)]
struct Entry {
    request: Request,
    /// Where in the client's stream it ends.
    end: u64,
    /// When the proxy had received all of it.
    arrived: Option<Time>,
    executions: Vec<Execution>,
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
    /// By link: the last request that was executed.
    executed: BTreeMap<LinkId, usize>,
    /// By server: when the last request that succeeded was executed.
    succeeded: BTreeMap<usize, u64>,
}

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Belief {
    Known(Option<Bytes>),
    /// A write has failed, or may still be executed.
    Unknown,
}

/// A reply and its times.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    pub bytes: &'a [u8],
    /// When the proxy gave it to the wire.
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
    /// Connections that the proxy has given up: to which server, if it ever knew, and when.
    given_up: Vec<(Option<(usize, usize)>, Time)>,
    /// By pool: whether a key stays where it is whatever fails.
    stable: Vec<bool>,
    beliefs: BTreeMap<(usize, Vec<u8>), Belief>,
    ids: BTreeSet<i64>,
    executions: u64,
    /// The largest reply so far.
    pub largest_reply: usize,
}

impl Oracle {
    pub fn new(config: &Config, workers: usize) -> Oracle {
        let routes = || config.pools.iter().map(Route::new).collect();
        let stable = config.pools.iter().map(|pool| {
            !pool.auto_eject_hosts && pool.distribution != coremux::route::Distribution::Random
        });
        Oracle {
            books: Vec::new(),
            routes: (0..workers).map(|_| routes()).collect(),
            touches: Vec::new(),
            given_up: Vec::new(),
            timeouts: config.pools.iter().map(|pool| pool.timeout).collect(),
            stable: stable.collect(),
            beliefs: BTreeMap::new(),
            ids: BTreeSet::new(),
            executions: 0,
            largest_reply: 0,
        }
    }

    // --- what happens ---

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
        link: LinkId,
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
        let keys = matched_keys(&entry.request, args)
            .unwrap_or_else(|| panic!("{mark:?} came as {}", head(&args.join(&b' '))));
        let again = entry
            .executions
            .iter()
            .any(|earlier| keys.is_empty() || earlier.keys.iter().any(|key| keys.contains(key)));
        assert!(!again, "{mark:?} was executed twice");
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
        if entry.answered {
            assert!(entry.failed, "{mark:?} is executed after it has succeeded");
            tally.count(Happening::LateReply);
        }
        self.executions += 1;
        Execution {
            mark,
            server,
            keys,
            order: self.executions,
            reply: Bytes::new(),
        }
    }

    /// The server's reply to what it has executed.
    pub fn executed(&mut self, execution: Execution) {
        self.largest_reply = self.largest_reply.max(execution.reply.len());
        let Mark { client, number } = execution.mark;
        self.books[client].entries[number]
            .executions
            .push(execution);
    }

    /// Whether the request that a frame belongs to was split.
    pub fn is_fragment(&self, execution: &Execution) -> bool {
        let Mark { client, number } = execution.mark;
        self.books[client].entries[number].request.keys.len() > execution.keys.len()
    }

    // --- replies ---

    /// The next reply has reached a client.
    pub fn replied(&mut self, client: usize, answer: Answer<'_>, now: Time, tally: &mut Tally) {
        let number = self.books[client].answered;
        let reply = answer.bytes;
        assert!(
            number < self.books[client].arrived,
            "client {client} got a reply too many: {}",
            head(reply)
        );
        trace!(now, "client {client} reply {number}: {}", head(reply));
        tally.replies += 1;
        if reply.len() > 256 << 10 {
            tally.count(Happening::LargeReply);
        }
        let verdict = self.verdict(client, number, answer, tally);
        let succeeded = verdict.unwrap_or_else(|why| {
            panic!(
                "client {client} {why}: {}",
                self.describe(client, number, answer)
            )
        });
        self.check_timeout(client, number, answer);
        if succeeded {
            self.learn(client, number, reply);
        } else {
            self.forget(client, number);
        }
        let book = &mut self.books[client];
        book.entries[number].answered = true;
        book.entries[number].failed = !succeeded;
        book.answered += 1;
    }

    fn describe(&self, client: usize, number: usize, answer: Answer<'_>) -> String {
        let entry = &self.books[client].entries[number];
        format!(
            "request {number} {}, received at {}, got {}, sent at {}; executed: {:?}",
            head(&entry.request.args.join(&b' ')),
            entry.arrived.unwrap_or(Time::ZERO).as_micros(),
            head(answer.bytes),
            answer.emitted.as_micros(),
            entry.executions
        )
    }

    /// Whether a request has succeeded, or why the reply is wrong.
    fn verdict(
        &mut self,
        client: usize,
        number: usize,
        answer: Answer<'_>,
        tally: &mut Tally,
    ) -> Result<bool, &'static str> {
        let reply = answer.bytes;
        match &self.books[client].entries[number].request.expect {
            Expect::Exact(expected) | Expect::Broken(expected) if reply == expected => Ok(true),
            Expect::Exact(_) | Expect::Broken(_) => Err("got a wrong reply"),
            Expect::ClientId => {
                let id = crate::frame::integer(reply).ok_or("got no id")?;
                self.check_id(client, id);
                Ok(true)
            }
            Expect::Time if elements(reply).is_some_and(|time| time.len() == 2) => Ok(true),
            Expect::Time => Err("got no time"),
            Expect::Forwarded => self.judge(client, number, answer, tally),
        }
    }

    /// Whether a forwarded request has succeeded, or why the reply is wrong.
    fn judge(
        &mut self,
        client: usize,
        number: usize,
        answer: Answer<'_>,
        tally: &mut Tally,
    ) -> Result<bool, &'static str> {
        let book = &self.books[client];
        let entry = &book.entries[number];
        let reply = answer.bytes;
        let from = entry.arrived.unwrap_or(Time::ZERO);
        let placements = self.placements(client, number, answer.emitted);
        let crosses = |placement: &Placement| {
            entry.request.split.is_none() && placement.iter().any(|place| *place != placement[0])
        };
        if reply == CROSS_SERVER {
            let right = placements.iter().any(crosses) && entry.executions.is_empty();
            tally.count(Happening::CrossServer);
            return if right {
                Ok(false)
            } else {
                Err("got CROSSSLOT without a reason")
            };
        }
        if placements.iter().all(crosses) {
            return Err("has keys on several servers and was not refused");
        }
        if gathered(&entry.request, &entry.executions).as_deref() == Some(reply) {
            if entry.executions.len() > 1 {
                tally.count(Happening::Gathered);
            }
            let orders: Vec<(usize, u64)> = entry
                .executions
                .iter()
                .map(|e| (e.server, e.order))
                .collect();
            for (server, order) in orders {
                let before = self.books[client].succeeded.insert(server, order);
                if before.is_some_and(|before| before > order) {
                    return Err("was executed before an earlier one");
                }
            }
            return Ok(true);
        }
        if !reply.starts_with(b"-") {
            return Err("got a reply that is not its own");
        }
        if entry
            .executions
            .iter()
            .any(|e| e.keys.len() < entry.request.keys.len() && e.reply == reply)
        {
            return Ok(false);
        }
        if book.strict {
            return Err("got an error though no fault is left");
        }
        tally.errors += 1;
        if reply == TIMED_OUT {
            tally.count(Happening::TimedOut);
        }
        if reply == NO_SERVER && placements.iter().any(|p| p.contains(&None)) {
            tally.count(Happening::NoServer);
            return Ok(false);
        }
        let servers: BTreeSet<usize> = placements.iter().flatten().flatten().copied().collect();
        let explained = self.touches.iter().any(|touch| {
            touch.pool == book.pool
                && servers.contains(&touch.server)
                && touch.overlaps(from, answer.emitted)
                && touch.explains(reply)
        });
        if !explained {
            return Err("got an error that no fault explains");
        }
        // A request is failed by its own time, or with a connection that is given up: never by a
        // neighbour's time.
        let took = answer.emitted.since(from);
        let own_time = self.timeouts[book.pool].is_some_and(|timeout| took >= timeout);
        let given_up = self.given_up.iter().any(|(server, at)| {
            let here = server.is_none_or(|(pool, s)| pool == book.pool && servers.contains(&s));
            here && from <= *at && *at <= answer.emitted
        });
        if reply == TIMED_OUT && !own_time && !given_up {
            return Err("was failed before its time");
        }
        Ok(false)
    }

    /// Where a request's keys may have been looked for until `to`.
    fn placements(&self, client: usize, number: usize, to: Time) -> Vec<Placement> {
        let book = &self.books[client];
        let entry = &book.entries[number];
        let request = &entry.request;
        let keys: Vec<&[u8]> = match request.keys.is_empty() {
            true => vec![b"placeholder"],
            false => (0..request.keys.len())
                .map(|key| request.key(key))
                .collect(),
        };
        let from = entry.arrived.unwrap_or(Time::ZERO);
        self.routes[book.worker][book.pool].placements(&keys, from, to)
    }

    fn check_id(&mut self, client: usize, id: i64) {
        match self.books[client].id {
            Some(known) => assert_eq!(known, id, "client {client} has another id"),
            None => {
                assert!(
                    self.ids.insert(id),
                    "client {client} has another client's id {id}"
                );
                self.books[client].id = Some(id);
            }
        }
    }

    /// `timeout` is how long a request may take, queueing and connecting included.
    fn check_timeout(&self, client: usize, number: usize, answer: Answer<'_>) {
        let book = &self.books[client];
        let (Some(timeout), true) = (self.timeouts[book.pool], answer.unhindered) else {
            return;
        };
        let arrived = book.entries[number].arrived.unwrap_or(answer.emitted);
        let took = answer.emitted.since(arrived);
        let most = timeout + std::time::Duration::from_micros(TIMER_SLACK_MICROS);
        assert!(
            took <= most,
            "client {client} waited {took:?} for reply {number}, the timeout is {timeout:?}"
        );
    }

    // --- what keys hold ---

    fn learn(&mut self, client: usize, number: usize, reply: &[u8]) {
        let book = &self.books[client];
        if !self.stable[book.pool] {
            return;
        }
        let request = &book.entries[number].request;
        if !request.reads.is_empty() && !reply.starts_with(b"-") {
            let shown = match request.split {
                None => vec![reply],
                Some(_) => elements(reply).unwrap_or_default(),
            };
            for (key, shown) in request.reads.iter().zip(shown) {
                let Some(Belief::Known(value)) = self.beliefs.get(&(book.pool, key.clone())) else {
                    continue;
                };
                let mut expected = Vec::new();
                match value {
                    Some(value) => write_bulk(value, &mut expected),
                    None if request.args[0].eq_ignore_ascii_case(b"getrange") => {
                        expected.extend_from_slice(b"$0\r\n\r\n");
                    }
                    None => expected.extend_from_slice(b"$-1\r\n"),
                }
                assert!(
                    shown == expected,
                    "client {client} request {number} finds {} in {}, there must be {}",
                    head(shown),
                    head(key),
                    head(&expected)
                );
            }
        }
        if reply.starts_with(b"-") {
            return;
        }
        for (key, value) in &request.puts {
            let belief = self.beliefs.entry((book.pool, key.clone()));
            let belief = belief.or_insert(Belief::Known(None));
            if *belief != Belief::Unknown {
                *belief = Belief::Known(value.clone());
            }
        }
    }

    /// Nobody can say whether this request has changed, or will change, its keys.
    fn forget(&mut self, client: usize, number: usize) {
        let book = &self.books[client];
        for (key, _) in &book.entries[number].request.puts {
            self.beliefs
                .insert((book.pool, key.clone()), Belief::Unknown);
        }
    }

    /// Keys of a pool whose value is certain.
    pub fn known_keys(&self, pool: usize) -> Vec<Vec<u8>> {
        let known = self
            .beliefs
            .iter()
            .filter(|((of, _), belief)| *of == pool && **belief != Belief::Unknown);
        known.map(|((_, key), _)| key.clone()).collect()
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
