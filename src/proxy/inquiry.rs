//! What one client asks about the clients of all workers (`CLIENT LIST`, `KILL`, `PAUSE`, `UNBLOCK`).
//!
//! ```text
//!   its worker does it ──► Ask ──► control ──► every other worker does it ──► Answer ──► its worker
//!   the client reads on when all have answered, or gets an error: at the latest after a second
//! ```
//!
//! A worker asks one thing at a time, and its clients wait for their turn; each of them has one
//! inquiry, because what it asks next waits. So what is kept is bounded by one answer.
//!
//! Owns: who waits, and for how many answers. Never: what is done about clients, which is
//! `client/others`'s.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::base::Key;
use crate::base::Time;
use crate::messages::ClientsRequest;
use crate::messages::Finding;
use crate::messages::Inquiry;
use crate::protocol::Version;
use crate::proxy::Proxy;
use crate::proxy::client::Awaiter;
use crate::proxy::client::Due;
use crate::proxy::client::Reply;
use crate::proxy::effects::Output;
use crate::proxy::failure::Answer;
use crate::proxy::failure::RequestError;

/// A worker answers within a pass, which takes milliseconds; one that does not is stuck, and what it
/// might answer is not waited for.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);

/// What waits for answers, first come first served: the first of them was asked.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Inquiries {
    open: VecDeque<Open>,
    last: u64,
}

/// Writes a client's reply from what all workers have found.
pub(in crate::proxy) type Conclusion = fn(&ClientsRequest, &mut Found, Version) -> Vec<u8>;

/// What all have found that have answered.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Found {
    /// How many clients it concerned.
    pub(in crate::proxy) count: u64,
    /// The lines of clients, by their ids.
    pub(in crate::proxy) lines: Vec<(u64, Vec<u8>)>,
    is_cut: bool,
    bytes: usize,
}

impl Found {
    /// Takes a line, unless there are more than `most` bytes of them then.
    pub(in crate::proxy) fn line(&mut self, id: u64, line: Vec<u8>, most: usize) {
        self.bytes += line.len();
        match self.bytes <= most {
            true => self.lines.push((id, line)),
            false => (self.is_cut, self.lines) = (true, Vec::new()),
        }
    }

    fn add(&mut self, finding: &Finding, most: usize) {
        self.count += finding.count;
        self.is_cut |= finding.is_cut;
        for (id, line) in &finding.lines {
            self.line(*id, line.clone(), most);
        }
    }
}

#[derive(Debug)]
struct Open {
    inquiry: Inquiry,
    awaiter: Awaiter,
    version: Version,
    conclude: Conclusion,
    until: Time,
    // How many workers have not answered.
    missing: u16,
    found: Found,
}

impl Inquiries {
    /// When the first of them has waited as long as it may.
    pub(in crate::proxy) fn next(&self) -> Option<Time> {
        self.open.front().map(|open| open.until)
    }

    /// How many answers this client waits for, of none or one.
    #[cfg(debug_assertions)]
    pub(in crate::proxy) fn count_of(&self, client: Key) -> usize {
        let mut open = self.open.iter();
        usize::from(open.any(|open| open.awaiter.client == client))
    }
}

impl Proxy {
    /// Does something about the clients of a pool with every worker; `client`, which has asked, is
    /// answered when that is done, and reads no further before.
    pub(in crate::proxy) fn inquire(
        &mut self,
        client: Key,
        request: ClientsRequest,
        conclude: Conclusion,
        now: Time,
    ) {
        let of_client = &mut self.clients.slab[client];
        let (pool, version) = (of_client.pool, of_client.session.version());
        let awaiter = of_client.expect(Due::One);
        of_client.raise_order_barrier();
        self.inquiries.last += 1;
        self.inquiries.open.push_back(Open {
            inquiry: Inquiry {
                asker: self.worker.idx,
                number: self.inquiries.last,
                pool,
                request,
            },
            awaiter,
            version,
            conclude,
            until: now + ANSWERED_WITHIN,
            missing: self.worker.workers - 1,
            found: Found::default(),
        });
        if self.inquiries.open.len() == 1 {
            self.ask_next(now);
        }
    }

    /// Asks what is to be asked first, and whatever follows as long as nobody else is asked.
    fn ask_next(&mut self, now: Time) {
        while let Some(open) = self.inquiries.open.front() {
            let (inquiry, asker) = (open.inquiry.clone(), open.awaiter.client);
            let mut found = self.attend_to(&inquiry, Some(asker), now);
            let Some(open) = self.inquiries.open.front_mut() else {
                return;
            };
            std::mem::swap(&mut open.found, &mut found);
            if open.missing > 0 {
                return self.wire.put(Output::Ask(inquiry));
            }
            self.conclude();
        }
    }

    /// All have answered what was asked first.
    fn conclude(&mut self) {
        let Some(mut open) = self.inquiries.open.pop_front() else {
            return;
        };
        if open.found.is_cut {
            return self.deny(&open, RequestError::TooManyLines);
        }
        let reply = (open.conclude)(&open.inquiry.request, &mut open.found, open.version);
        self.deliver_own(open.awaiter, &reply);
    }

    fn deny(&mut self, open: &Open, error: RequestError) {
        let (pool, answer) = (open.inquiry.pool, Answer::Request(error));
        self.record_failure(pool, answer);
        let reply = answer.encode(self.pools[pool.index()].protocol);
        self.deliver_own(open.awaiter, &reply);
    }

    fn deliver_own(&mut self, awaiter: Awaiter, reply: &[u8]) {
        let reply = Reply::<Bytes>::Own(reply);
        self.clients.deliver(awaiter, reply, 0, &mut self.wire);
    }

    /// Another worker asks about the clients of this one.
    pub fn asked(&mut self, inquiry: &Inquiry, now: Time) {
        if inquiry.pool.index() >= self.pools.len() {
            return;
        }
        let found = self.attend_to(inquiry, None, now);
        self.wire.put(Output::Answer(Finding {
            asker: inquiry.asker,
            number: inquiry.number,
            count: found.count,
            lines: found.lines,
            is_cut: found.is_cut,
        }));
        self.check_invariants();
    }

    /// Another worker has answered; what comes too late is of no use.
    pub fn answered(&mut self, finding: &Finding, now: Time) {
        let Some(open) = self.inquiries.open.front_mut() else {
            return;
        };
        if open.inquiry.number != finding.number {
            return;
        }
        let most = self.pools[open.inquiry.pool.index()].limits.bytes;
        open.found.add(finding, most);
        open.missing = open.missing.saturating_sub(1);
        if open.missing == 0 {
            self.conclude();
            self.ask_next(now);
        }
        self.check_invariants();
    }

    /// Those that have waited as long as they may get an error.
    pub(in crate::proxy) fn expire_inquiries(&mut self, now: Time) {
        let before = self.inquiries.last_asked();
        while self.inquiries.next().is_some_and(|until| until <= now) {
            if let Some(open) = self.inquiries.open.pop_front() {
                self.deny(&open, RequestError::WorkerSilent);
            }
        }
        if self.inquiries.last_asked() != before {
            self.ask_next(now);
        }
    }
}

impl Inquiries {
    /// The number of what was asked first and is not answered.
    fn last_asked(&self) -> Option<u64> {
        self.open.front().map(|open| open.inquiry.number)
    }
}
