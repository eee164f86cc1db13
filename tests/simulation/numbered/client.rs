//! A client, and whether what it has got can be the replies to what it has asked.

use std::collections::BTreeSet;

use crate::second;
use crate::second::Pipe;
use crate::second::places_behind;

/// One request.
pub struct Ask {
    pub number: u64,
    pub name: &'static str,
    pub keys: Vec<String>,
}

impl Ask {
    pub fn line(&self) -> String {
        format!("{} {} {}\n", self.number, self.name, self.keys.join(" "))
    }

    /// Whether nothing may come for it.
    fn may_be_silent(&self) -> bool {
        self.name == "put" || (self.name == "find" && self.keys[0].starts_with("none"))
    }

    /// Whether this is its reply.
    fn is_answered_by(&self, reply: &[String], errors: bool) -> bool {
        if reply[0].starts_with("- ") {
            return errors && self.name != "put";
        }
        let number = self.number;
        match self.name {
            "echo" => *reply == [format!("{number} echo {}", self.keys[0])],
            "get" => {
                let mut lines: Vec<String> = self
                    .keys
                    .iter()
                    .map(|key| format!("{number} {key} {}", value(key)))
                    .collect();
                lines.push(format!("{number} ."));
                *reply == lines
            }
            "find" if self.may_be_silent() => false,
            "find" => *reply == [format!("{number} {}", value(&self.keys[0]))],
            "put" => false,
            // `add` and `batch`.
            _ => {
                let count = reply[0].strip_prefix(&format!("{number} "));
                reply.len() == 1 && count.is_some_and(|count| count.parse::<u64>().is_ok())
            }
        }
    }
}

pub fn value(key: &str) -> String {
    format!("value-of-{key}")
}

#[derive(Default)]
pub struct Client {
    pub asked: Vec<Ask>,
    pipe: Pipe,
    lines: Vec<String>,
    // How many of the requests may be behind it: an error does not say whose it is.
    done: BTreeSet<usize>,
}

impl Client {
    pub fn ask(&mut self, ask: Ask) {
        self.pipe.wire.extend(ask.line().bytes());
        self.asked.push(ask);
    }

    /// Whether the lines that have come are a reply: those of a `get` end with a line of its own.
    fn is_whole(&self) -> bool {
        let Some((number, _)) = self.lines[0].split_once(' ') else {
            panic!("{:?}", self.lines);
        };
        let ask = self.asked.iter().rev();
        let mut ask = ask.filter(|ask| ask.number.to_string() == number);
        match ask.next() {
            Some(ask) if ask.name == "get" => self.lines.last().unwrap().ends_with(" ."),
            _ => true,
        }
    }

    fn take(&mut self, reply: &[String], errors: bool) {
        if self.done.is_empty() {
            self.done.insert(0);
        }
        let answered = |ask: &Ask| ask.is_answered_by(reply, errors);
        let next = places_behind(&self.done, &self.asked, answered, Ask::may_be_silent);
        let first = self.done.first().copied().unwrap_or(0);
        assert!(!next.is_empty(), "no reply to {:?}: {reply:?}", {
            let asked = self.asked[first..].iter().take(3);
            asked.map(Ask::line).collect::<Vec<_>>()
        });
        self.done = next;
    }
}

impl second::Client for Client {
    fn pipe(&mut self) -> &mut Pipe {
        &mut self.pipe
    }

    fn check(&mut self, errors: bool) -> (usize, usize) {
        let (mut replies, mut failed) = (0, 0);
        while let Some(end) = self.pipe.got.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.pipe.got.drain(..=end).collect();
            let line = String::from_utf8(line).unwrap();
            assert!(!line.starts_with('!'), "what nobody has asked for: {line}");
            self.lines.push(line.trim_end().to_owned());
            if self.is_whole() {
                let reply = std::mem::take(&mut self.lines);
                replies += 1;
                failed += usize::from(reply[0].starts_with('-'));
                self.take(&reply, errors);
            }
        }
        (replies, failed)
    }

    fn due(&self) -> String {
        let from = self.done.last().copied().unwrap_or(0);
        let asks: Vec<String> = self.asked[from..].iter().map(Ask::line).collect();
        let wire = String::from_utf8_lossy(&self.pipe.wire);
        format!(
            "{asks:?}, not received: {wire:?}, {:?} {:?}",
            self.lines, self.pipe.got
        )
    }

    fn has_all(&self) -> bool {
        let from = self.done.last().copied().unwrap_or(0);
        let nothing_begun =
            self.pipe.got.is_empty() && self.lines.is_empty() && self.pipe.wire.is_empty();
        nothing_begun && self.asked[from..].iter().all(Ask::may_be_silent)
    }
}
