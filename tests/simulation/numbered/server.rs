//! What the servers do, all of whose connections share what was done.

use std::collections::BTreeMap;

use super::client::value;
use crate::second::Count;
use crate::second::Link;

/// The servers of one run.
#[derive(Default)]
pub struct Servers {
    counters: BTreeMap<String, u64>,
    // Writes that were done, by their number: how often.
    pub done: BTreeMap<u64, usize>,
}

impl Servers {
    /// Does what was asked on a connection, and says something of its own in between.
    pub fn serve(&mut self, link: &mut Link, busy: bool, count: &mut Count) {
        if link.stalled > 0 {
            link.stalled -= 1;
            return;
        }
        while let Some(end) = link.asked.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = link.asked.drain(..=end).collect();
            let line = String::from_utf8(line).unwrap();
            if line.len().is_multiple_of(5) {
                count.unasked += 1;
                link.replies.extend(format!("! of {line}").bytes());
            }
            let reply = self.reply(&line, busy, count);
            link.replies.extend(reply.bytes());
        }
    }

    fn reply(&mut self, line: &str, busy: bool, count: &mut Count) -> String {
        let words: Vec<&str> = line.trim_end().split(' ').collect();
        if words == ["0", "ping"] {
            return "0 pong\n".to_owned();
        }
        let (number, name, keys) = (words[0].parse().unwrap(), words[1], &words[2..]);
        match name {
            // What a server refuses is not done.
            "add" | "echo" if busy => "- loading\n".to_owned(),
            "echo" => format!("{number} echo {}\n", keys[0]),
            "add" => format!("{number} {}\n", self.write(number, keys[0])),
            "batch" => {
                count.swallowed += 2;
                let counter = self.write(number, keys[0]);
                format!("{number} queued\n{number} queued\n{number} {counter}\n")
            }
            "put" => {
                count.silent += 1;
                self.write(number, keys[0]);
                String::new()
            }
            "find" if keys[0].starts_with("none") => {
                count.missed += 1;
                format!("{number} none\n")
            }
            "find" => format!("{number} {}\n", value(keys[0])),
            "get" => {
                let line = |key: &&str| format!("{number} {key} {}\n", value(key));
                let lines: String = keys.iter().map(line).collect();
                format!("{lines}{number} .\n")
            }
            other => panic!("{other}"),
        }
    }

    fn write(&mut self, number: u64, key: &str) -> u64 {
        *self.done.entry(number).or_default() += 1;
        let counter = self.counters.entry(key.to_owned()).or_default();
        *counter += 1;
        *counter
    }
}
