//! The connection on which a Sentinel is asked.
//!
//! Owns: what was asked and not yet answered, and how answers are read. Never: compares what two
//! Sentinels say.
//!
//! A round of questions asks for each master where it is (`SENTINEL GET-MASTER-ADDR-BY-NAME`), for
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
use crate::sentinel::line::Line;
use crate::sentinel::line::jittered;
use crate::sentinel::reply::Value;

/// Sentinels answer in a fraction of a millisecond.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Sentinels hear of each other every 2 s; the others seldom change.
const OTHERS_EVERY: Duration = Duration::from_secs(10);

/// More Sentinels than anybody has; a number beyond is not believed.
const OTHERS_MAX: usize = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Auth,
    Id,
    Before(ServerIdx),
    Epoch,
    After(ServerIdx),
    Others,
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
    /// Who it is.
    Id(Vec<u8>),
    /// Where it takes a master to be; `None` when it knows no master of that name.
    Said(ServerIdx, Option<Claim>),
    /// How many Sentinels it knows, itself included.
    Sentinels(usize),
    /// Another Sentinel.
    Other { id: Vec<u8>, address: HostPort },
    /// The replicas of a master.
    Replicas(ServerIdx, Vec<Named>),
    /// All questions are answered.
    RoundEnd,
    /// It does not answer questions: its words. The connection is of no use.
    Refused(String),
}

/// The connection for questions.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) line: Line,
    expected: VecDeque<Expected>,
    /// While a master's questions are being answered: the address before, and the epoch.
    before: Option<HostPort>,
    epoch: Option<u64>,
    /// Ask another round after this one.
    again: bool,
    /// When to ask the next round.
    pub(super) next_round: Time,
    next_others: Time,
    /// Whether masters' replicas are asked for, too.
    wants_replicas: bool,
    // Whom to ask the others about: each master may have its own.
    others_of: usize,
}

impl Asking {
    pub(super) fn new(wants_replicas: bool, now: Time) -> Asking {
        Asking {
            wants_replicas,
            line: Line::new(now),
            expected: VecDeque::new(),
            before: None,
            epoch: None,
            again: false,
            next_round: now,
            next_others: now,
            others_of: 0,
        }
    }

    /// Begins; the bytes to send. The first round is asked as soon as the Sentinel is listened to,
    /// or at the next poll.
    pub(super) fn connected(&mut self, auth: Option<&[u8]>, poll: Duration, now: Time) -> Vec<u8> {
        self.line.connected();
        self.expected.clear();
        (self.before, self.epoch, self.again) = (None, None, false);
        let mut bytes = Vec::new();
        if let Some(auth) = auth {
            bytes.extend_from_slice(auth);
            self.expected.push_back(Expected::Auth);
        }
        write_request(&mut bytes, &[b"SENTINEL", b"MYID"]);
        self.expected.push_back(Expected::Id);
        self.line.patience = Some(now + ANSWER_WITHIN);
        self.next_round = now + poll;
        self.next_others = now;
        bytes
    }

    /// Asks a round, now or as soon as the one before is answered; the bytes to send.
    pub(super) fn ask(
        &mut self,
        masters: &[Arc<str>],
        poll: Duration,
        random: &mut Random,
        now: Time,
    ) -> Option<Vec<u8>> {
        self.line.open_link()?;
        if !self.expected.is_empty() {
            self.again = true;
            return None;
        }
        self.again = false;
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
                Expected::Epoch,
                Expected::After(server),
            ];
            self.expected.extend(questions);
            if self.wants_replicas {
                write_request(&mut bytes, &[b"SENTINEL", b"REPLICAS", name.as_bytes()]);
                self.expected.push_back(Expected::Replicas(server));
            }
        }
        if self.next_others <= now && !masters.is_empty() {
            self.next_others = now + OTHERS_EVERY;
            let name = &masters[self.others_of % masters.len()];
            self.others_of = self.others_of.wrapping_add(1);
            write_request(&mut bytes, &[b"SENTINEL", b"SENTINELS", name.as_bytes()]);
            self.expected.push_back(Expected::Others);
        }
        self.line.patience = Some(now + ANSWER_WITHIN);
        Some(bytes)
    }

    /// Whether a round is due, by time or because one was wanted during the last.
    pub(super) fn wants_round(&self, now: Time) -> bool {
        let idle = self.line.open_link().is_some() && self.expected.is_empty();
        idle && (self.again || self.next_round <= now)
    }

    /// When to look at it next.
    pub(super) fn due(&self) -> Option<Time> {
        let idle = self.line.open_link().is_some() && self.expected.is_empty();
        let round = idle.then_some(self.next_round);
        [self.line.due(), round].into_iter().flatten().min()
    }

    /// Takes what the Sentinel has sent; an error text when it is no reply.
    pub(super) fn received(
        &mut self,
        bytes: &[u8],
        heard: &mut Vec<Heard>,
        now: Time,
    ) -> Result<(), String> {
        let mut values = Vec::new();
        self.line
            .received(bytes, |value| {
                values.push(value);
                true
            })
            .map_err(|fault| fault.to_string())?;
        for value in values {
            let Some(expected) = self.expected.pop_front() else {
                return Err("a reply without a question".to_owned());
            };
            self.answered(expected, &value, heard);
            if matches!(heard.last(), Some(Heard::Refused(_))) {
                return Ok(());
            }
            // Each answer buys time for the next.
            self.line.patience = Some(now + ANSWER_WITHIN);
        }
        if self.expected.is_empty() {
            self.line.patience = None;
        }
        Ok(())
    }

    fn answered(&mut self, expected: Expected, value: &Value, heard: &mut Vec<Heard>) {
        match (expected, value) {
            (Expected::Auth, Value::Error(words)) if wants_no_password(words) => {}
            // Since Redis 6.2; before, it is told from others by its address.
            (Expected::Id, Value::Error(words)) if !is_refusal(words) => {}
            // No such master.
            (Expected::Epoch | Expected::Others, Value::Error(words)) if !is_refusal(words) => {
                self.epoch = None;
            }
            (Expected::Replicas(server), Value::Error(words)) if !is_refusal(words) => {
                heard.push(Heard::Replicas(server, Vec::new()));
            }
            (_, Value::Error(words)) => {
                heard.push(Heard::Refused(String::from_utf8_lossy(words).into_owned()));
            }
            (Expected::Auth, _) => {}
            (Expected::Id, id) => {
                heard.extend(id.text().map(|id| Heard::Id(id.to_vec())));
            }
            (Expected::Before(_), value) => self.before = address_of(value),
            (Expected::Epoch, value) => {
                self.epoch = value.field("config-epoch").and_then(address::number);
                let others = value.field("num-other-sentinels").and_then(address::number);
                let others = others.and_then(|others| usize::try_from(others).ok());
                let known = others.filter(|others| *others < OTHERS_MAX);
                heard.extend(known.map(|others| Heard::Sentinels(others + 1)));
            }
            (Expected::After(server), value) => self.place(server, value, heard),
            (Expected::Others, value) => others(value, heard),
            (Expected::Replicas(server), value) => {
                heard.push(Heard::Replicas(server, replicas(value)));
            }
        }
        let in_round = !matches!(expected, Expected::Auth | Expected::Id);
        if in_round && self.expected.is_empty() {
            heard.push(Heard::RoundEnd);
        }
    }

    fn place(&mut self, server: ServerIdx, value: &Value, heard: &mut Vec<Heard>) {
        let (before, epoch) = (self.before.take(), self.epoch.take());
        match (before, epoch, address_of(value)) {
            (Some(before), Some(epoch), Some(address)) if before == address => {
                heard.push(Heard::Said(server, Some(Claim { address, epoch })));
            }
            (None, None, None) if *value == Value::Null => heard.push(Heard::Said(server, None)),
            // It changed between the questions.
            _ => self.again = true,
        }
    }
}

fn address_of(value: &Value) -> Option<HostPort> {
    match value.array()? {
        [host, port] => address::parse(host.text()?, port.text()?),
        _ => None,
    }
}

fn others(value: &Value, heard: &mut Vec<Heard>) {
    for other in value.array().unwrap_or_default() {
        let text = |name| other.field(name);
        let flags = text("flags").unwrap_or_default();
        let gone = [b"s_down".as_slice(), b"disconnected"]
            .iter()
            .any(|flag| memchr::memmem::find(flags, flag).is_some());
        let parts = (text("runid"), text("ip"), text("port"));
        if let (Some(id), Some(host), Some(port)) = parts {
            let address = address::parse(host, port).filter(|_| !gone);
            heard.extend(address.map(|address| Heard::Other {
                id: id.to_vec(),
                address,
            }));
        }
    }
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
