//! What the servers do, all of whose connections share what was done.

use std::collections::BTreeMap;

use super::client::value;
use crate::second::Count;
use crate::second::Link;

/// The servers of one run.
#[derive(Default)]
pub struct Servers {
    // By key: flags, which are the number of who stored it.
    stored: BTreeMap<String, u64>,
    counters: BTreeMap<String, u64>,
    // Writes that were done, by their number: how often.
    pub done: BTreeMap<u64, usize>,
}

impl Servers {
    /// Does what was asked on a connection; one that is `odd` refuses it, or answers another.
    pub fn serve(&mut self, link: &mut Link, odd: bool, count: &mut Count) {
        if link.stalled > 0 {
            link.stalled -= 1;
            return;
        }
        while let Some((line, data, len)) = next(&link.asked) {
            link.asked.drain(..len);
            assert!(
                !link.older || !is_meta(&line),
                "an older server got {line:?}"
            );
            let reply = match (line.as_str(), link.older) {
                ("version", true) => {
                    count.older += 1;
                    "VERSION 1.4.39\r\n".to_owned()
                }
                _ => self.reply(&line, data.as_deref(), odd, count),
            };
            link.replies.extend(reply.bytes());
        }
    }

    fn reply(&mut self, line: &str, data: Option<&str>, odd: bool, count: &mut Count) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        match words[0] {
            "version" => "VERSION 1.6.18\r\n".to_owned(),
            "get" | "gets" => {
                let cas = words[0] == "gets";
                let mut values: Vec<String> =
                    words[1..].iter().map(|key| self.value(key, cas)).collect();
                if odd {
                    count.lies += 1;
                    let cas = if cas { " 1" } else { "" };
                    // In the place of any of them.
                    let place = count.lies % values.len();
                    values[place] = format!("VALUE another 0 3{cas}\r\nlie\r\n");
                }
                values.concat() + "END\r\n"
            }
            "set" | "ms" if odd => "SERVER_ERROR out of memory storing object\r\n".to_owned(),
            "set" => {
                count.silent += 1;
                self.store(words[1], words[2].parse().unwrap(), data);
                "STORED\r\n".to_owned()
            }
            "ms" => {
                let number = words[3].strip_prefix('F').unwrap().parse().unwrap();
                self.store(words[1], number, data);
                "HD\r\n".to_owned()
            }
            "delete" => match self.stored.remove(words[1]) {
                Some(_) => "DELETED\r\n".to_owned(),
                None => "NOT_FOUND\r\n".to_owned(),
            },
            "incr" => {
                let counter = self.counters.entry(words[1].to_owned()).or_default();
                *counter += 1;
                format!("{counter}\r\n")
            }
            "mg" => {
                assert_eq!(words[2..4], ["k", "v"], "{line}");
                let own = format!("k{} {}", words[1], words[4]);
                match self.stored.get(words[1]) {
                    Some(number) => {
                        let data = value(words[1], *number);
                        format!("VA {} {own}\r\n{data}\r\n", data.len())
                    }
                    None => {
                        count.missed += 1;
                        format!("EN {own}\r\n")
                    }
                }
            }
            other => panic!("{other} of {line}"),
        }
    }

    fn value(&self, key: &str, cas: bool) -> String {
        let Some(number) = self.stored.get(key) else {
            return String::new();
        };
        let data = value(key, *number);
        let cas = if cas {
            format!(" {number}")
        } else {
            String::new()
        };
        format!("VALUE {key} {number} {}{cas}\r\n{data}\r\n", data.len())
    }

    fn store(&mut self, key: &str, number: u64, data: Option<&str>) {
        assert_eq!(data, Some(value(key, number).as_str()), "of {key}");
        *self.done.entry(number).or_default() += 1;
        self.stored.insert(key.to_owned(), number);
    }
}

/// Whether an older server has no such command.
fn is_meta(line: &str) -> bool {
    ["mg ", "ms ", "md ", "ma ", "me "]
        .iter()
        .any(|name| line.starts_with(name))
}

/// The next command, if it has come whole: its line, its data, and how many bytes both have. What is
/// not canonical fails the test.
fn next(asked: &[u8]) -> Option<(String, Option<String>, usize)> {
    let end = asked.iter().position(|byte| *byte == b'\n')? + 1;
    let line = std::str::from_utf8(&asked[..end]).unwrap();
    let line = line.strip_suffix("\r\n").expect("CR LF");
    let words: Vec<&str> = line.split(' ').collect();
    let is_word =
        |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic());
    assert!(words.iter().all(is_word), "{line:?}");
    assert!(
        !words.contains(&"noreply") && !words.contains(&"q"),
        "{line:?}"
    );
    let size = match (words[0], words.len()) {
        ("set", 5) => words[4],
        ("ms", 4) => words[2],
        ("set" | "ms", _) => panic!("{line:?}"),
        _ => return Some((line.to_owned(), None, end)),
    };
    let size: usize = size.parse().unwrap();
    let data = asked.get(end..end + size + 2)?;
    let data = std::str::from_utf8(data).unwrap();
    let data = data.strip_suffix("\r\n").expect("CR LF behind the data");
    Some((line.to_owned(), Some(data.to_owned()), end + size + 2))
}
