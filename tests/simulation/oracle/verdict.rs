//! Whether a reply is the right one: its request's own, or an error that a fault explains.

use std::collections::BTreeSet;
use std::time::Duration;

use coremux::base::Time;

use crate::fault::HELD;
use crate::fault::OUTCOME_UNKNOWN;
use crate::fault::REMEMBERED;
use crate::fault::Touch;
use crate::frame::elements;
use crate::gathered::gathered;
use crate::oracle::Answer;
use crate::oracle::ENDED_WAITS;
use crate::oracle::Oracle;
use crate::oracle::STREAMED_BYTES_MIN;
use crate::request::Expect;
use crate::routes::Placement;
use crate::tally::Happening;
use crate::tally::Tally;
use crate::trace::head;
use crate::trace::trace;
use crate::workload::ABORTED;

const CROSS_SERVER: &[u8] = b"-CROSSSLOT Keys in request don't hash to the same server\r\n";
const TOO_LARGE: &[u8] =
    b"-ERR Transaction discarded: it is larger than client_output_limit, or has \
    too many commands\r\n";
const NO_SERVER: &[u8] = b"-ERR Connection refused\r\n";
const TIMED_OUT: &[u8] = b"-ERR Connection timed out\r\n";
const ABANDONED: &[u8] =
    b"-ERR Not sent: the server was away and the client has closed its sending half\r\n";
const NO_NAME: &[u8] = b"-ERR Host is down\r\n";
/// A reply waits for the end of the send before it, which its worker may hear of so late.
const TIMER_SLACK: Duration = Duration::from_millis(11);

impl Oracle {
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
        let book = &self.books[client];
        let arrived = book.entries[number].arrived.unwrap_or(now);
        if self.holds[book.pool].is_some() && !reply.starts_with(b"-") {
            // Longer than any healthy server takes.
            let took = answer.emitted.since(arrived);
            if took > Duration::from_millis(40) {
                tally.count(Happening::Held);
            }
        }
        if reply.len() > STREAMED_BYTES_MIN {
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

    /// A client was closed when it had got only a part of its next reply. That must be a part of
    /// its own, of one that is so large that it was passed on while it came; and something must
    /// have befallen the server that gave it.
    pub fn cut_short(&self, client: usize, part: &[u8], now: Time, tally: &mut Tally) {
        let book = &self.books[client];
        let number = book.answered;
        let entry = &book.entries[number];
        let [execution] = entry.executions.as_slice() else {
            panic!(
                "client {client} got a part of a reply that nobody gave: {}",
                head(part)
            );
        };
        let whole = &execution.reply;
        assert!(
            whole.len() > STREAMED_BYTES_MIN && whole.len() > part.len() && whole.starts_with(part),
            "client {client} got a part of no reply of its own: {}, request {number} had {}",
            head(part),
            head(whole)
        );
        let from = entry.arrived.unwrap_or(now);
        let explained = self.touches.iter().any(|touch| {
            (touch.pool, touch.server) == (book.pool, execution.server)
                && touch.overlaps(from, now)
                && touch.breaks_replies()
        });
        assert!(
            explained && !book.strict,
            "client {client} got a part of reply {number}, and no fault explains it"
        );
        tally.count(Happening::StreamCut);
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
            Expect::Exact(expected) | Expect::Broken(expected) if reply == expected => {
                if reply == ABORTED {
                    tally.count(Happening::TransactionAborted);
                }
                // What ends a transaction says one of these.
                self.books[client].aborted &= ![b"+OK\r\n", ABORTED].contains(&reply);
                Ok(true)
            }
            Expect::Queued { bytes } => self.queued(client, *bytes, reply, tally),
            Expect::Exact(_) if self.books[client].aborted && reply == ABORTED => {
                self.books[client].aborted = false;
                Ok(true)
            }
            Expect::Exact(_) | Expect::Broken(_) => Err("got a wrong reply"),
            Expect::ClientId => {
                let id = crate::frame::integer(reply).ok_or("got no id")?;
                self.check_id(client, id);
                Ok(true)
            }
            Expect::Time if elements(reply).is_some_and(|time| time.len() == 2) => Ok(true),
            Expect::Time => Err("got no time"),
            Expect::Hello(resp3) => {
                let begin: &[u8] = if *resp3 { b"%7\r\n" } else { b"*14\r\n" };
                match reply.starts_with(begin) {
                    true => Ok(true),
                    false => Err("got no welcome"),
                }
            }
            Expect::Forwarded => self.judge(client, number, answer, tally),
        }
    }

    /// Whether a command waits for its `EXEC`, or why the reply is wrong.
    fn queued(
        &mut self,
        client: usize,
        bytes: usize,
        reply: &[u8],
        tally: &mut Tally,
    ) -> Result<bool, &'static str> {
        let book = &mut self.books[client];
        match reply {
            b"+QUEUED\r\n" => Ok(true),
            TOO_LARGE if bytes > self.limits[book.pool] || self.was_short => {
                tally.count(Happening::TransactionTooLarge);
                book.aborted = true;
                Ok(true)
            }
            _ => Err("was not queued"),
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
        let book = &mut self.books[client];
        let aborted = std::mem::take(&mut book.aborted);
        let book = &self.books[client];
        let entry = &book.entries[number];
        let reply = answer.bytes;
        if aborted {
            return match reply == ABORTED && entry.executions.is_empty() {
                true => Ok(false),
                false => Err("was aborted, and something else is told"),
            };
        }
        if entry.request.transaction.is_some() {
            tally.count(match reply {
                [b'*', ..] => Happening::TransactionDone,
                reply if reply.starts_with(b"-EXECABORT") => Happening::TransactionRefused,
                _ => Happening::TransactionLost,
            });
        }
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
            let pool = book.pool;
            let speaks = is_transient(reply) && !entry.request.is_script();
            if let ([only], true) = (entry.executions.as_slice(), speaks) {
                *self.transients.entry((pool, only.server)).or_default() += 1;
            }
            let book = &self.books[client];
            let entry = &book.entries[number];
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
        let refusals = &entry.refusals;
        if let Some((server, _)) = refusals.iter().find(|(_, said)| said == reply) {
            // Of a read the first reply may have been lost.
            let is_whole_write = entry.request.split.is_none() && !entry.request.is_read();
            if is_whole_write && !entry.executions.is_empty() {
                return Err("was done, and its client is told that it was refused");
            }
            tally.count(Happening::RefusalTold);
            if is_transient(reply) && !entry.request.is_script() {
                *self.transients.entry((book.pool, *server)).or_default() += 1;
            }
            return Ok(false);
        }
        if entry
            .executions
            .iter()
            .any(|e| e.keys.len() < entry.request.keys.len() && e.reply == reply)
        {
            return Ok(false);
        }
        if reply == ABANDONED {
            let ended = book
                .ended
                .is_some_and(|at| at + ENDED_WAITS <= answer.emitted);
            tally.count(Happening::Abandoned);
            return match ended && !entry.request.is_read() {
                true => Ok(false),
                false => Err("was given up and its client has not ended"),
            };
        }
        if book.strict {
            return Err("got an error though no fault is left");
        }
        tally.errors += 1;
        let text = reply.strip_suffix(b"\r\n").unwrap_or(reply);
        let unknown = text.ends_with(OUTCOME_UNKNOWN);
        if unknown {
            tally.count(Happening::OutcomeUnknown);
            if entry.request.is_read() {
                return Err("changes nothing and has an unknown outcome");
            }
        }
        let lost = [
            &b"-ERR Server closed"[..],
            b"-ERR Connection reset",
            b"-ERR Broken pipe",
        ];
        let was_lost = lost.iter().any(|beginning| reply.starts_with(beginning));
        // Of a split request other parts may have been executed.
        let whole = entry.request.split.is_none();
        if was_lost && !unknown && whole && !entry.request.is_read() && !entry.executions.is_empty()
        {
            return Err("was executed, and its client is told that it was not");
        }
        if reply[1..].starts_with(HELD) {
            tally.count(Happening::HeldTooLong);
            if self.holds[book.pool].is_none() {
                return Err("was held in a pool that holds nothing");
            }
        }
        match reply {
            TIMED_OUT => tally.count(Happening::TimedOut),
            NO_NAME => tally.count(Happening::HostIsDown),
            _ => {}
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
                && (touch.explains(reply) || self.recalls(touch, reply))
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
            here && from <= *at + REMEMBERED && *at <= answer.emitted
        });
        if reply == TIMED_OUT && !own_time && !given_up {
            return Err("was failed before its time");
        }
        Ok(false)
    }

    /// Whether a client may be told this because an attempt to connect has no end yet: until then
    /// the last one speaks for the server, however long nobody has asked for another.
    fn recalls(&self, attempt: &Touch, reply: &[u8]) -> bool {
        let before = self.touches.iter().filter(|touch| {
            (touch.pool, touch.server) == (attempt.pool, attempt.server)
                && touch.fault != Happening::ConnectSilent
                && touch.from < attempt.from
        });
        attempt.fault == Happening::ConnectSilent
            && before
                .max_by_key(|touch| touch.from)
                .is_some_and(|touch| touch.explains(reply))
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

    /// `timeout` is how long a request may take, queueing and connecting included, until its reply
    /// begins.
    fn check_timeout(&self, client: usize, number: usize, answer: Answer<'_>) {
        let book = &self.books[client];
        let (Some(timeout), true) = (self.timeouts[book.pool], answer.unhindered) else {
            return;
        };
        let arrived = book.entries[number].arrived.unwrap_or(answer.emitted);
        let took = answer.begun.since(arrived);
        // What is held has all of its time from the moment that it can be sent; it may be held
        // again, once, when that connection breaks.
        let held = self.holds[book.pool].map_or(Duration::ZERO, |hold| (hold + timeout) * 2);
        // Or for as long again behind younger ones, where a reload has put it there.
        let again = match self.reloaded.contains(&book.pool) {
            true => timeout,
            false => Duration::ZERO,
        };
        let most = timeout + again + held + TIMER_SLACK;
        assert!(
            took <= most,
            "client {client} waited {took:?} for reply {number}, the timeout is {timeout:?}"
        );
    }
}

/// What a server says when it cannot serve now: a failure, for the process to hear of.
fn is_transient(reply: &[u8]) -> bool {
    let texts = [&b"-LOADING "[..], b"-OOM ", b"-BUSY "];
    texts.iter().any(|text| reply.starts_with(text))
}
