//! A client, and whether what it has got can be the replies to what it has asked.

use std::collections::BTreeSet;

use crate::dice::Dice;
use crate::second;
use crate::second::Pipe;
use crate::second::places_behind;

/// What a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Get,
    Gets,
    Set,
    SetSilently,
    Incr,
    Delete,
    MetaGet,
    MetaGetQuietly,
    MetaSetQuietly,
    Noop,
    /// What no server may see.
    Faulty,
}

/// One request.
#[derive(Debug)]
pub struct Ask {
    pub number: u64,
    pub what: What,
    pub keys: Vec<String>,
    smuggled: &'static [u8],
}

/// What tries to be more than it is. Each gets one reply, and no server hears of it.
const SMUGGLED: [&[u8]; 12] = [
    b"set a key 0 0 9\r\nflush_all\r\n",
    b"set k\x01 0 0 9\r\nflush_all\r\n",
    b"set k 0 0 9 loud\r\nflush_all\r\n",
    b"set k 99999999999 0 9\r\nflush_all\r\n",
    b"set k 0 0 1\r\nflush_all\r\n",
    b"set k 0 0 4\r\nabc\r\n",
    b"ms k 9 !\r\nflush_all\r\n",
    b"ms k 1 q\r\nflush_all\r\n",
    b"get a\x01b\r\n",
    b"flush_all\r\n",
    b"get\r\n",
    b"mg k v v\r\n",
];

/// What is told where a server lacks the command.
const TOO_OLD: &str = "CLIENT_ERROR The server of this key is too old for this command\r\n";

/// What a server stores for a key.
pub fn value(key: &str, number: u64) -> String {
    let filling = "x".repeat(usize::try_from(number % 7).unwrap_or(0));
    format!("of-{key}-{number}\r\n{filling}")
}

impl Ask {
    pub fn any(number: u64, dice: &mut Dice) -> Ask {
        let what = *dice.pick(&[
            What::Get,
            What::Get,
            What::Gets,
            What::Set,
            What::Set,
            What::SetSilently,
            What::Incr,
            What::Delete,
            What::MetaGet,
            What::MetaGetQuietly,
            What::MetaSetQuietly,
            What::Noop,
            What::Faulty,
        ]);
        let keys = match what {
            What::Get | What::Gets => dice.between(1, 6),
            _ => 1,
        };
        let name = if what == What::Incr { "counter" } else { "key" };
        Ask {
            number,
            what,
            keys: (0..keys)
                .map(|_| format!("{name}{}", dice.below(40)))
                .collect(),
            smuggled: SMUGGLED[dice.below(SMUGGLED.len())],
        }
    }

    pub fn is_faulty(&self) -> bool {
        self.what == What::Faulty
    }

    /// Whether it changes something that a server counts by its number.
    pub fn writes(&self) -> bool {
        matches!(
            self.what,
            What::Set | What::SetSilently | What::MetaSetQuietly
        )
    }

    pub fn bytes(&self) -> Vec<u8> {
        let (number, key) = (self.number, &self.keys[0]);
        let data = value(key, number);
        let len = data.len();
        let text = match self.what {
            What::Get => format!("get {}\r\n", self.keys.join(" ")),
            What::Gets => format!("gets {}\r\n", self.keys.join(" ")),
            What::Set => format!("set {key} {number} 0 {len}\r\n{data}\r\n"),
            What::SetSilently => format!("set {key} {number} 0 {len} noreply\r\n{data}\r\n"),
            What::Incr => format!("incr {key} 1\r\n"),
            What::Delete => format!("delete {key} noreply\r\n"),
            What::MetaGet => format!("mg {key} k v O{number}\r\n"),
            What::MetaGetQuietly => format!("mg {key} k v O{number} q\r\n"),
            What::MetaSetQuietly => format!("ms {key} {len} F{number} q\r\n{data}\r\n"),
            What::Noop => "mn\r\n".to_owned(),
            What::Faulty => return self.smuggled.to_vec(),
        };
        text.into_bytes()
    }

    pub fn text(&self) -> String {
        self.bytes().escape_ascii().to_string()
    }

    fn is_meta(&self) -> bool {
        matches!(
            self.what,
            What::MetaGet | What::MetaGetQuietly | What::MetaSetQuietly
        )
    }

    /// Whether nothing may come for it.
    fn may_be_silent(&self) -> bool {
        matches!(
            self.what,
            What::SetSilently | What::Delete | What::MetaGetQuietly | What::MetaSetQuietly
        )
    }

    /// Whether this is its reply.
    fn is_answered_by(&self, reply: &[u8], errors: bool) -> bool {
        let is_heard = !matches!(self.what, What::SetSilently | What::Delete);
        let text = String::from_utf8_lossy(reply);
        if text.starts_with("SERVER_ERROR ") {
            return errors && is_heard && !matches!(self.what, What::Noop | What::Faulty);
        }
        if text == TOO_OLD {
            return errors && self.is_meta();
        }
        match self.what {
            What::Faulty => text.starts_with("CLIENT_ERROR ") || text == "ERROR\r\n",
            What::Get => self.are_values(&text, false),
            What::Gets => self.are_values(&text, true),
            What::Set => text == "STORED\r\n",
            What::Incr => text.trim_end().parse::<u64>().is_ok(),
            What::Noop => text == "MN\r\n",
            What::MetaGet | What::MetaGetQuietly => self.is_meta_value(&text),
            What::SetSilently | What::Delete | What::MetaSetQuietly => false,
        }
    }

    /// Values of its keys, in their order, and each what was stored for its key.
    fn are_values(&self, text: &str, cas: bool) -> bool {
        let Some(mut rest) = text.strip_suffix("END\r\n") else {
            return false;
        };
        for key in &self.keys {
            let Some(behind) = rest.strip_prefix(&format!("VALUE {key} ")) else {
                continue;
            };
            let (head, data) = behind.split_once("\r\n").unwrap();
            let words: Vec<&str> = head.split(' ').collect();
            let (flags, len) = (words[0].parse().unwrap(), words[1].parse().unwrap());
            if words.len() != 2 + usize::from(cas) || data[..len] != value(key, flags) {
                return false;
            }
            rest = data[len..].strip_prefix("\r\n").unwrap();
        }
        rest.is_empty()
    }

    fn is_meta_value(&self, text: &str) -> bool {
        let own = format!("k{} O{}", self.keys[0], self.number);
        match text.strip_prefix("VA ") {
            None => self.what == What::MetaGet && text == format!("EN {own}\r\n"),
            Some(rest) => {
                let (head, data) = rest.split_once("\r\n").unwrap();
                head.ends_with(&own) && data.starts_with(&format!("of-{}-", self.keys[0]))
            }
        }
    }
}

#[derive(Default)]
pub struct Client {
    pub asked: Vec<Ask>,
    pipe: Pipe,
    // How many of the requests may be behind it: an error does not say whose it is.
    done: BTreeSet<usize>,
}

impl Client {
    pub fn ask(&mut self, ask: Ask) {
        self.pipe.wire.extend(ask.bytes());
        self.asked.push(ask);
    }

    fn take(&mut self, reply: &[u8], errors: bool) {
        if self.done.is_empty() {
            self.done.insert(0);
        }
        let answered = |ask: &Ask| ask.is_answered_by(reply, errors);
        let next = places_behind(&self.done, &self.asked, answered, Ask::may_be_silent);
        let first = self.done.first().copied().unwrap_or(0);
        assert!(
            !next.is_empty(),
            "no reply to {:?}: {}",
            {
                let asked = self.asked[first..].iter().take(3);
                asked.map(Ask::text).collect::<Vec<_>>()
            },
            reply.escape_ascii()
        );
        self.done = next;
    }
}

/// How many bytes the reply has that has come; `None` before it is whole.
fn reply_len(got: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let end = at + got[at..].iter().position(|byte| *byte == b'\n')? + 1;
        let line = std::str::from_utf8(&got[at..end]).unwrap().trim_end();
        let words: Vec<&str> = line.split(' ').collect();
        let len = |word: usize| words[word].parse::<usize>().unwrap() + 2;
        match words[0] {
            "VALUE" => at = end + len(3),
            "VA" => {
                let whole = end + len(1);
                return (whole <= got.len()).then_some(whole);
            }
            _ => return Some(end),
        }
        if at > got.len() {
            return None;
        }
    }
}

impl second::Client for Client {
    fn pipe(&mut self) -> &mut Pipe {
        &mut self.pipe
    }

    fn check(&mut self, errors: bool) -> (usize, usize) {
        let (mut replies, mut failed) = (0, 0);
        while let Some(len) = reply_len(&self.pipe.got) {
            let reply: Vec<u8> = self.pipe.got.drain(..len).collect();
            replies += 1;
            failed += usize::from(reply.starts_with(b"SERVER_ERROR"));
            self.take(&reply, errors);
        }
        (replies, failed)
    }

    fn has_all(&self) -> bool {
        let from = self.done.last().copied().unwrap_or(0);
        let nothing_begun = self.pipe.got.is_empty() && self.pipe.wire.is_empty();
        nothing_begun && self.asked[from..].iter().all(Ask::may_be_silent)
    }

    fn due(&self) -> String {
        let from = self.done.last().copied().unwrap_or(0);
        let asks: Vec<String> = self.asked[from..].iter().map(Ask::text).collect();
        let (wire, got) = (self.pipe.wire.escape_ascii(), self.pipe.got.escape_ascii());
        format!("{asks:?}, not received: {wire}, {got}")
    }
}
