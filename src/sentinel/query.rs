//! The connection for queries to a Sentinel.
//!
//! Owns: the queries without an answer yet, and how answers are read. Never: compares the answers of
//! two Sentinels.
//!
//! A round of queries asks for each master where it is (`SENTINEL GET-MASTER-ADDR-BY-NAME`), for
//! its configuration's epoch (`SENTINEL MASTER`), and again where it is. Only if both addresses are
//! the same does the epoch belong to them. (The address in `SENTINEL MASTER` is of no use: at the
//! leader of a failover it is the old one for a second after the epoch is the new one.)

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::base::Random;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::config::HostPort;
use crate::protocol::resp::write_request;
use crate::sentinel::address;
use crate::sentinel::agreement::Claim;
use crate::sentinel::connection::Connection;
use crate::sentinel::connection::jittered;
use crate::sentinel::other_sentinels::OtherSentinel;
use crate::sentinel::other_sentinels::RunId;
use crate::sentinel::reply::Value;

/// Sentinels answer in a fraction of a millisecond.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// The others seldom change, and how many they are is in every round.
pub(super) const OTHERS_EVERY: Duration = Duration::from_secs(10);

/// While one of them is missed: Sentinels hear of each other every 2 s.
pub(super) const OTHERS_EVERY_FAST: Duration = Duration::from_secs(1);

/// More Sentinels than anybody has; what is named beyond is not looked at.
const OTHERS_MAX: usize = 64;

/// Not sooner, should the number never agree with the names.
const NAMED_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// A round that came to nothing because something changed in its midst is asked anew so soon.
const AGAIN_AFTER: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Auth,
    Id,
    Before(ServerIdx),
    Epoch(ServerIdx),
    After(ServerIdx),
    Others(ServerIdx),
    Replicas(ServerIdx),
}

/// A replica, as a Sentinel sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) address: HostPort,
    /// Whether it is up, connected to the Sentinel, and hears its master.
    pub(super) good: bool,
}

/// What was learned from a Sentinel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Who it is; `None` if it is too old to say.
    Id(Option<RunId>),
    /// It wants a password, and was given none.
    WantsPassword(String),
    /// Where it takes a master to be; `None` when it knows no master of that name.
    Said(ServerIdx, Option<Claim>),
    /// The other Sentinels of a master; `None` when it knows no master of that name.
    Others(ServerIdx, Option<Vec<OtherSentinel>>),
    /// After what silence it takes a master for dead, in milliseconds.
    DownAfter(ServerIdx, u64),
    /// It is not replacing that master, whose place it has just told.
    NoFailover(ServerIdx),
    /// The replicas of a master.
    Replicas(ServerIdx, Vec<Named>),
    /// All questions are answered.
    RoundEnd,
    /// It does not answer questions: its words. The connection is of no use.
    Refused(String),
}

/// The connection for questions.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) connection: Connection,
    expected: VecDeque<Expected>,
    /// While a master's questions are being answered: the address before, and the epoch.
    before: Option<HostPort>,
    epoch: Option<u64>,
    no_failover: bool,
    /// When the round that is being answered was asked.
    pub(super) asked: Time,
    /// Ask another round after this one, and not before then.
    again: Option<Time>,
    /// When to ask the next round.
    pub(super) next_round: Time,
    next_others: Time,
    /// By server: how many others it has named last, and whether it knows another number now.
    named: Vec<Option<(usize, Time)>>,
    others_wanted: Vec<bool>,
    may_want_password: bool,
    /// Whether masters' replicas are asked for, too.
    wants_replicas: bool,
    // Whom to ask the others about: each master may have its own.
    others_of: usize,
}

impl Query {
    pub(super) fn new(servers: usize, wants_replicas: bool, now: Time) -> Query {
        Query {
            named: vec![None; servers],
            others_wanted: vec![false; servers],
            may_want_password: false,
            wants_replicas,
            connection: Connection::new(now),
            expected: VecDeque::new(),
            before: None,
            epoch: None,
            no_failover: false,
            asked: now,
            again: None,
            next_round: now,
            next_others: now,
            others_of: 0,
        }
    }

    /// Begins; the bytes to send. The first round is asked as soon as its events are subscribed to,
    /// or at the next poll.
    pub(super) fn connected(&mut self, auth: Option<&[u8]>, poll: Duration, now: Time) -> Vec<u8> {
        self.connection.connected();
        self.expected.clear();
        (self.before, self.epoch, self.again) = (None, None, None);
        self.named.fill(None);
        self.others_wanted.fill(false);
        self.may_want_password = auth.is_none();
        let mut bytes = Vec::new();
        self.ask_who(auth, &mut bytes);
        self.connection.deadline = Some(now + ANSWER_WITHIN);
        self.next_round = now + poll;
        self.next_others = now;
        bytes
    }

    /// Logs in where a password turned out to be wanted; the bytes to send.
    pub(super) fn log_in(&mut self, auth: &[u8], now: Time) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.ask_who(Some(auth), &mut bytes);
        self.connection.deadline = Some(now + ANSWER_WITHIN);
        bytes
    }

    fn ask_who(&mut self, auth: Option<&[u8]>, bytes: &mut Vec<u8>) {
        if let Some(auth) = auth {
            bytes.extend_from_slice(auth);
            self.expected.push_back(Expected::Auth);
        }
        write_request(bytes, &[b"SENTINEL", b"MYID"]);
        self.expected.push_back(Expected::Id);
    }

    /// Asks a round, now or as soon as the one before is answered; the bytes to send.
    pub(super) fn ask(
        &mut self,
        masters: &[Arc<str>],
        (poll, others_every): (Duration, Duration),
        random: &mut Random,
        now: Time,
    ) -> Option<Vec<u8>> {
        self.connection.open_link()?;
        if !self.expected.is_empty() {
            self.again = Some(now);
            return None;
        }
        self.again = None;
        self.asked = now;
        // Half of the pause to all of it; so twice as much of it.
        self.next_round = now + jittered(poll * 4 / 3, random);
        let mut bytes = Vec::new();
        for (server, name) in (0..).map(ServerIdx).zip(masters) {
            let where_is = [
                b"SENTINEL",
                b"GET-MASTER-ADDR-BY-NAME".as_slice(),
                name.as_bytes(),
            ];
            write_request(&mut bytes, &where_is);
            write_request(&mut bytes, &[b"SENTINEL", b"MASTER", name.as_bytes()]);
            write_request(&mut bytes, &where_is);
            let questions = [
                Expected::Before(server),
                Expected::Epoch(server),
                Expected::After(server),
            ];
            self.expected.extend(questions);
            if self.wants_replicas {
                write_request(&mut bytes, &[b"SENTINEL", b"REPLICAS", name.as_bytes()]);
                self.expected.push_back(Expected::Replicas(server));
            }
        }
        self.ask_for_others(masters, others_every, &mut bytes, now);
        self.connection.deadline = Some(now + ANSWER_WITHIN);
        Some(bytes)
    }

    fn ask_for_others(
        &mut self,
        masters: &[Arc<str>],
        every: Duration,
        bytes: &mut Vec<u8>,
        now: Time,
    ) {
        self.next_others = self.next_others.min(now + every);
        if self.next_others <= now && !masters.is_empty() {
            let next = self.others_of % masters.len();
            self.others_wanted[next] = true;
            self.others_of = self.others_of.wrapping_add(1);
            // At first one master after the other, without a pause.
            let mut all = self.named.iter().enumerate();
            let is_last = all.all(|(place, named)| place == next || named.is_some());
            self.next_others = if is_last { now + every } else { now };
        }
        for (server, name) in (0..).map(ServerIdx).zip(masters) {
            if std::mem::take(&mut self.others_wanted[server.index()]) {
                write_request(bytes, &[b"SENTINEL", b"SENTINELS", name.as_bytes()]);
                self.expected.push_back(Expected::Others(server));
            }
        }
    }

    /// Whether a round is due, by time or because one was wanted during the last.
    pub(super) fn wants_round(&self, now: Time) -> bool {
        let idle = self.connection.open_link().is_some() && self.expected.is_empty();
        idle && (self.again.is_some_and(|at| at <= now) || self.next_round <= now)
    }

    /// When to look at it next.
    pub(super) fn due(&self) -> Option<Time> {
        let idle = self.connection.open_link().is_some() && self.expected.is_empty();
        let round = [Some(self.next_round), self.again];
        let round = round.into_iter().flatten().min().filter(|_| idle);
        [self.connection.due(), round].into_iter().flatten().min()
    }

    /// Takes what the Sentinel has sent; an error text when it is no reply.
    pub(super) fn received(
        &mut self,
        bytes: &[u8],
        heard: &mut Vec<Heard>,
        now: Time,
    ) -> Result<(), String> {
        for value in self.connection.received(bytes)? {
            let Some(expected) = self.expected.pop_front() else {
                return Err("a reply without a question".to_owned());
            };
            self.answered(expected, &value, heard, now);
            if matches!(heard.last(), Some(Heard::Refused(_))) {
                return Ok(());
            }
            // Each answer buys time for the next.
            self.connection.deadline = Some(now + ANSWER_WITHIN);
        }
        if self.expected.is_empty() {
            self.connection.deadline = None;
        }
        Ok(())
    }

    fn answered(&mut self, expected: Expected, value: &Value, heard: &mut Vec<Heard>, now: Time) {
        match (expected, value) {
            (Expected::Auth, Value::Error(words)) if wants_no_password(words) => {}
            // Since Redis 6.2; before, it is told from others by its address.
            (Expected::Id, Value::Error(words)) if !is_refusal(words) => {
                heard.push(Heard::Id(None));
            }
            (Expected::Id, Value::Error(words))
                if words.starts_with(b"NOAUTH") && std::mem::take(&mut self.may_want_password) =>
            {
                heard.push(Heard::WantsPassword(
                    String::from_utf8_lossy(words).into_owned(),
                ));
            }
            // No such master.
            (Expected::Epoch(_), Value::Error(words)) if !is_refusal(words) => {
                self.epoch = None;
            }
            (Expected::Others(server), Value::Error(words)) if !is_refusal(words) => {
                self.named[server.index()] = Some((0, now));
                heard.push(Heard::Others(server, None));
            }
            (Expected::Replicas(server), Value::Error(words)) if !is_refusal(words) => {
                heard.push(Heard::Replicas(server, Vec::new()));
            }
            (_, Value::Error(words)) => {
                heard.push(Heard::Refused(String::from_utf8_lossy(words).into_owned()));
            }
            (Expected::Auth, _) => {}
            (Expected::Id, id) => {
                heard.push(Heard::Id(id.text().and_then(RunId::new)));
            }
            (Expected::Before(_), value) => self.before = address_of(value),
            (Expected::Epoch(server), value) => {
                self.epoch = value.field("config-epoch").and_then(address::number);
                let flags = value.field("flags");
                let fails_over = |flags| memchr::memmem::find(flags, b"failover_in_progress");
                self.no_failover = flags.is_some_and(|flags| fails_over(flags).is_none());
                let down_after = value.field("down-after-milliseconds");
                let down_after = down_after.and_then(address::number);
                heard.extend(down_after.map(|millis| Heard::DownAfter(server, millis)));
                let others = value.field("num-other-sentinels").and_then(address::number);
                self.counted(server, others, now);
            }
            (Expected::After(server), value) => self.place(server, value, heard, now),
            (Expected::Others(server), value) => {
                let all = value.array().unwrap_or_default();
                self.named[server.index()] = Some((all.len(), now));
                let others = all.iter().take(OTHERS_MAX).filter_map(other);
                heard.push(Heard::Others(server, Some(others.collect())));
            }
            (Expected::Replicas(server), value) => {
                heard.push(Heard::Replicas(server, replicas(value)));
            }
        }
        let in_round = !matches!(expected, Expected::Auth | Expected::Id);
        if in_round && self.expected.is_empty() {
            heard.push(Heard::RoundEnd);
        }
    }

    /// How many others a Sentinel knows of a master: if they are not those that it has named, it is
    /// asked for them.
    fn counted(&mut self, server: ServerIdx, others: Option<u64>, now: Time) {
        let others = others.and_then(|others| usize::try_from(others).ok());
        let Some((named, at)) = self.named[server.index()] else {
            return;
        };
        let is_news = others.is_some_and(|others| others != named);
        if is_news && at + NAMED_AGAIN_AFTER <= now {
            self.others_wanted[server.index()] = true;
            self.again = self.again.or(Some(now + AGAIN_AFTER));
        }
    }

    fn place(&mut self, server: ServerIdx, value: &Value, heard: &mut Vec<Heard>, now: Time) {
        let (before, epoch) = (self.before.take(), self.epoch.take());
        match (before, epoch, address_of(value)) {
            (Some(before), Some(epoch), Some(address)) if before == address => {
                heard.push(Heard::Said(server, Some(Claim { address, epoch })));
                heard.extend(self.no_failover.then_some(Heard::NoFailover(server)));
            }
            (None, None, None) if *value == Value::Null => heard.push(Heard::Said(server, None)),
            // It changed between the questions.
            _ => self.again = self.again.or(Some(now + AGAIN_AFTER)),
        }
    }
}

fn address_of(value: &Value) -> Option<HostPort> {
    match value.array()? {
        [host, port] => address::parse(host.text()?, port.text()?),
        _ => None,
    }
}

/// Another Sentinel; one that has changed its id has left its old one behind without an address.
fn other(value: &Value) -> Option<OtherSentinel> {
    let address = address::parse(value.field("ip")?, value.field("port")?)?;
    let id = RunId::new(value.field("runid")?)?;
    Some(OtherSentinel { id, address })
}

fn replicas(value: &Value) -> Vec<Named> {
    let all = value.array().unwrap_or_default().iter();
    all.filter_map(|replica| {
        let address = address::parse(replica.field("ip")?, replica.field("port")?)?;
        let flags = replica.field("flags").unwrap_or_default();
        let has = |flag: &&str| memchr::memmem::find(flags, flag.as_bytes()).is_some();
        let is_bad = ["down", "disconnected", "master"].iter().any(has);
        let link_is_up = replica.field("master-link-status") == Some(b"ok");
        let good = link_is_up && !is_bad;
        Some(Named { address, good })
    })
    .collect()
}

/// Errors about who we are, which hold for every question.
fn is_refusal(words: &[u8]) -> bool {
    ["NOAUTH", "NOPERM", "WRONGPASS", "DENIED"]
        .iter()
        .any(|code| words.starts_with(code.as_bytes()))
}

/// A password is given, and none is wanted: it answers all the same.
pub(super) fn wants_no_password(words: &[u8]) -> bool {
    words.starts_with(b"ERR AUTH <password> called without any password")
        || words.starts_with(b"ERR Client sent AUTH, but no password is set")
}

#[cfg(test)]
mod tests;
