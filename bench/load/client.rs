//! One client: a connection, the requests under way on it, and the keys that are its own.
//!
//! Owns: what is sent, and the judgement of every reply. Never: waits, or looks at the clock.

use std::collections::VecDeque;
use std::io;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::time::Instant;

use coremux::base::Random;
use socket2::Domain;
use socket2::Socket;
use socket2::Type;

use crate::ledger::Form;
use crate::ledger::Key;
use crate::ledger::Seen;
use crate::memcached;
use crate::protocol::Protocol;
use crate::reply::Reply;

/// As much as is read at once.
const READ_BYTES: usize = 64 << 10;

/// GET or SET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Set,
}

/// A request that is under way.
#[derive(Clone, Copy, Debug)]
struct Pending {
    due: Instant,
    verb: Verb,
    // The first of several.
    key: usize,
    // SET: of its value. GET: of the last value that was sent before it.
    number: u64,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub due: Instant,
    pub verb: Verb,
    pub result: Result<Seen, String>,
}

/// What a client does, the same for all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub address: SocketAddr,
    pub sets: u8,
    pub form: Form,
    pub in_flight: usize,
    /// One, or more if nothing is ever set.
    pub keys_per_get: usize,
    pub protocol: Protocol,
}

/// One connection and its keys.
#[derive(Debug)]
pub(crate) struct Client {
    plan: Plan,
    /// The place of its server in the list.
    pub group: usize,
    pub keys: Vec<Key>,
    stream: TcpStream,
    out: Vec<u8>,
    input: Vec<u8>,
    pending: VecDeque<Pending>,
    waiting: VecDeque<Instant>,
    sent: u64,
    random: Random,
    /// The last reply that was not its request's own, in words.
    pub wrong: Option<String>,
}

impl Client {
    /// Connects; `seed` is where its random numbers begin. With an error when nobody listens.
    pub(crate) fn connect(
        plan: Plan,
        group: usize,
        keys: Vec<Key>,
        seed: u64,
    ) -> io::Result<Client> {
        let stream = TcpStream::connect(plan.address)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", plan.address)))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Client {
            plan,
            group,
            keys,
            stream,
            out: Vec::new(),
            input: Vec::new(),
            pending: VecDeque::new(),
            waiting: VecDeque::new(),
            sent: 0,
            random: Random::new(seed),
            wrong: None,
        })
    }

    /// The number of the run, which is in its values.
    pub(crate) fn run(&self) -> u64 {
        self.plan.form.run
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Whether bytes wait for the socket to take them.
    pub(crate) fn wants_to_write(&self) -> bool {
        !self.out.is_empty()
    }

    /// Whether nothing is under way or waits.
    pub(crate) fn is_done(&self) -> bool {
        self.pending.is_empty() && self.waiting.is_empty()
    }

    /// Requests that may be sent before the limit is reached.
    pub(crate) fn room(&self) -> usize {
        self.plan.in_flight.saturating_sub(self.pending.len())
    }

    /// A request is due: it is made now if there is room, else when replies have made some. True if
    /// now.
    pub(crate) fn request(&mut self, due: Instant) -> bool {
        if self.room() == 0 || !self.waiting.is_empty() {
            self.waiting.push_back(due);
            return false;
        }
        self.encode(due);
        true
    }

    fn send_waiting(&mut self) {
        while self.room() > 0 {
            let Some(due) = self.waiting.pop_front() else {
                return;
            };
            self.encode(due);
        }
    }

    fn encode(&mut self, due: Instant) {
        if self.plan.keys_per_get > 1 {
            return self.encode_many(due);
        }
        let place = usize::try_from(self.sent % self.keys.len() as u64).unwrap_or(0);
        self.sent += 1;
        let key = &mut self.keys[place];
        let verb = match self.random.below(100) < u64::from(self.plan.sets) {
            true => Verb::Set,
            false => Verb::Get,
        };
        match verb {
            Verb::Set => {
                key.given += 1;
                let mut value = Vec::with_capacity(self.plan.form.bytes);
                key.write_value(key.given, self.plan.form, &mut value);
                let protocol = self.plan.protocol;
                protocol.write_set(key.name.as_bytes(), &value, &mut self.out);
            }
            Verb::Get => {
                let protocol = self.plan.protocol;
                protocol.write_get(key.name.as_bytes(), &mut self.out);
            }
        }
        self.pending.push_back(Pending {
            due,
            verb,
            key: place,
            number: key.given,
        });
    }

    fn encode_many(&mut self, due: Instant) {
        let count = self.plan.keys_per_get;
        let key = usize::try_from(self.sent % self.keys.len() as u64).unwrap_or(0);
        self.sent += count as u64;
        let mut out = std::mem::take(&mut self.out);
        let names = self.asked(key).map(|key| key.name.as_bytes());
        self.plan.protocol.write_get_many(names, &mut out);
        self.out = out;
        self.pending.push_back(Pending {
            due,
            verb: Verb::Get,
            key,
            number: 0,
        });
    }

    /// The keys of a `get` of which this is the first.
    fn asked(&self, first: usize) -> impl Iterator<Item = &Key> {
        let count = self.plan.keys_per_get;
        self.keys.iter().cycle().skip(first).take(count)
    }

    /// Sends what there is, as far as the socket takes it.
    ///
    /// # Errors
    ///
    /// Those of the socket: the connection is lost.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(count) => drop(self.out.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what has come and judges it; what waited for room is made.
    ///
    /// # Errors
    ///
    /// Those of the socket, and its end: the connection is lost. What was read before is in
    /// `answers`.
    pub(crate) fn receive(&mut self, answers: &mut Vec<Answer>) -> io::Result<()> {
        let mut buffer = [0; READ_BYTES];
        let end = loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.input.extend_from_slice(&buffer[..count]);
                    if count < buffer.len() {
                        break Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        match self.plan.keys_per_get > 1 {
            true => self.judge_all_values(answers),
            false => self.judge_all(answers),
        }
        self.send_waiting();
        end
    }

    fn judge_all(&mut self, answers: &mut Vec<Answer>) {
        let input = std::mem::take(&mut self.input);
        let mut at = 0;
        loop {
            let (reply, length) = match self.plan.protocol.cut(&input[at..]) {
                Ok(None) => break,
                Ok(Some((reply, length))) => (Some(reply), length),
                // What follows cannot be told apart.
                Err(_) => (None, input.len() - at),
            };
            at += length;
            // A reply that nobody asked for is nobody's own; an error that nobody asked for says
            // why the connection is going to be closed.
            match self.pending.pop_front() {
                Some(pending) => answers.push(self.judge(pending, reply)),
                None if matches!(reply, Some(Reply::Error(_))) => {}
                None => self.wrong = Some(format!("{}, which nobody asked for", said(reply))),
            }
            if at == input.len() {
                break;
            }
        }
        self.input = input;
        self.input.drain(..at);
    }

    /// The same of replies to a `get` of many keys each. What is none of those is judged as a reply
    /// to one of a single key is: an error is that, and all else is wrong.
    fn judge_all_values(&mut self, answers: &mut Vec<Answer>) {
        let input = std::mem::take(&mut self.input);
        let (mut at, mut values) = (0, Vec::new());
        while at < input.len() && self.wrong.is_none() {
            values.clear();
            match memcached::cut_values(&input[at..], &mut values) {
                Ok(None) => break,
                Ok(Some(length)) => {
                    at += length;
                    match self.pending.pop_front() {
                        Some(pending) => answers.push(self.judge_values(pending, &values)),
                        None => self.wrong = Some("values that nobody asked for".to_owned()),
                    }
                }
                Err(_) => {
                    self.input = input;
                    self.input.drain(..at);
                    return self.judge_all(answers);
                }
            }
        }
        self.input = input;
        self.input.drain(..at);
    }

    /// Values come in the order of the keys that were asked for; those that are not there are left
    /// out.
    fn judge_values(&mut self, pending: Pending, values: &[(&[u8], &[u8])]) -> Answer {
        let mut left = values.iter().peekable();
        let mut wrong = None;
        for key in self.asked(pending.key) {
            let found = left.next_if(|(name, _)| *name == key.name.as_bytes());
            let seen = found.map(|(_, value)| key.judge(Some(value), key.given, self.plan.form));
            if seen.is_some_and(|seen| seen != Seen::Right) {
                wrong = Some(format!("get of many keys: {}: another value", key.name));
            }
        }
        if let Some((key, _)) = left.peek() {
            let key = key.escape_ascii();
            wrong = Some(format!(
                "get of many keys: {key} comes out of its order or unasked"
            ));
        }
        let result = Ok(match wrong {
            Some(_) => Seen::Wrong,
            None => Seen::Right,
        });
        self.wrong = self.wrong.take().or(wrong);
        Answer {
            due: pending.due,
            verb: pending.verb,
            result,
        }
    }

    fn judge(&mut self, pending: Pending, reply: Option<Reply<'_>>) -> Answer {
        let key = &mut self.keys[pending.key];
        let result = match (pending.verb, reply) {
            (_, Some(Reply::Error(text))) => Err(String::from_utf8_lossy(text).into_owned()),
            (Verb::Set, Some(Reply::Simple(b"OK"))) => {
                key.acked = pending.number;
                Ok(Seen::Right)
            }
            (Verb::Get, Some(Reply::Bulk(value))) => {
                Ok(key.judge(value, pending.number, self.plan.form))
            }
            _ => Ok(Seen::Wrong),
        };
        if result == Ok(Seen::Wrong) {
            self.wrong = Some(format!(
                "{:?} {} number {}, acknowledged {}: {}",
                pending.verb,
                key.name,
                pending.number,
                key.acked,
                said(reply)
            ));
        }
        Answer {
            due: pending.due,
            verb: pending.verb,
            result,
        }
    }

    /// The connection is lost: what was under way has failed, what waits goes on waiting.
    pub(crate) fn lose_connection(&mut self, why: &str, answers: &mut Vec<Answer>) {
        self.fail_pending(why, answers);
        self.out.clear();
        self.input.clear();
    }

    /// Opens the next connection, without waiting for it.
    ///
    /// # Errors
    ///
    /// There is no socket to be had.
    pub(crate) fn reconnect(&mut self) -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(self.plan.address), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        // In progress, or refused: the next read or write tells.
        let _ = socket.connect(&self.plan.address.into());
        self.stream = socket.into();
        self.send_waiting();
        Ok(())
    }

    /// All that is still under way or waits has failed.
    pub(crate) fn give_up(&mut self, why: &str, answers: &mut Vec<Answer>) {
        self.fail_pending(why, answers);
        for due in self.waiting.drain(..) {
            answers.push(Answer {
                due,
                verb: Verb::Get,
                result: Err(why.to_owned()),
            });
        }
    }

    fn fail_pending(&mut self, why: &str, answers: &mut Vec<Answer>) {
        for pending in self.pending.drain(..) {
            answers.push(Answer {
                due: pending.due,
                verb: pending.verb,
                result: Err(why.to_owned()),
            });
        }
    }
}

/// A reply in words; `None` is bytes that are none.
fn said(reply: Option<Reply<'_>>) -> String {
    match reply {
        None => "bytes that are no reply".to_owned(),
        Some(Reply::Bulk(None)) => "nil".to_owned(),
        Some(Reply::Simple(bytes) | Reply::Error(bytes) | Reply::Bulk(Some(bytes))) => {
            let shown = &bytes[..bytes.len().min(120)];
            format!("\"{}\" ({} bytes)", shown.escape_ascii(), bytes.len())
        }
    }
}
