//! A small in-memory Redis: what one model server knows, and what it answers.
//!
//! A key is told apart from another by what stands behind its mark (see `mark`), so that every
//! request that a client ever sends is different from every other, and several of them still speak
//! of one key.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::frame::write_bulk;
use crate::mark::without_mark;

#[derive(Debug)]
enum Value {
    Text(Vec<u8>),
    Members(BTreeSet<Vec<u8>>),
}

/// Keys and values.
#[derive(Debug, Default)]
pub struct Store {
    values: BTreeMap<Vec<u8>, Value>,
}

/// How servers begin what they say of themselves; scripts of these names do their work and then
/// say it, too.
pub const SERVERS_WORDS: [&[u8]; 6] = [
    b"LOADING",
    b"BUSY",
    b"OOM",
    b"NOREPLICAS",
    b"READONLY",
    b"MASTERDOWN",
];

/// Behind such a word, of a script that has done its work.
pub const A_SCRIPT_SAYS: &[u8] = b" is what a script says\r\n";

const OK: &[u8] = b"+OK\r\n";
const WRONG_TYPE: &[u8] = b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
const NOT_AN_INTEGER: &[u8] = b"-ERR value is not an integer or out of range\r\n";

impl Store {
    /// Executes a request.
    ///
    /// # Panics
    /// If it is none that the model clients send: the proxy has invented it.
    pub fn execute(&mut self, args: &[&[u8]]) -> Vec<u8> {
        let name = args[0].to_ascii_lowercase();
        match name.as_slice() {
            b"set" => self.set(args[1], args[2]),
            b"mset" => {
                for pair in args[1..].chunks(2) {
                    self.set(pair[0], pair[1]);
                }
                OK.to_vec()
            }
            b"getset" => {
                let before = self.bulk(args[1]);
                if !before.starts_with(b"-") {
                    self.set(args[1], args[2]);
                }
                before
            }
            b"append" => self.append(args[1], args[2]),
            b"get" => self.bulk(args[1]),
            b"getrange" => self.bulk_or_empty(args[1]),
            b"mget" => {
                let mut reply = format!("*{}\r\n", args.len() - 1).into_bytes();
                for key in &args[1..] {
                    match self.find(key) {
                        Some(Value::Text(text)) => write_bulk(text, &mut reply),
                        _ => reply.extend_from_slice(b"$-1\r\n"),
                    }
                }
                reply
            }
            b"del" | b"unlink" => self.count(&args[1..], |store, key| {
                store.values.remove(without_mark(key)).is_some()
            }),
            b"exists" | b"touch" => self.count(&args[1..], |store, key| store.find(key).is_some()),
            b"incrby" => self.increment(args[1], args[2]),
            b"sadd" => self.add_members(args[1], &args[2..]),
            b"sinterstore" => self.intersect(args[1], &args[2..]),
            b"eval" => self.script(args),
            b"lolwut" | b"echo" => bulk(&args[1..].concat()),
            b"frob" => bulk(&[b"frobbed ".as_slice(), args[1]].concat()),
            _ => panic!("nobody sends {}", crate::trace::head(&args.concat())),
        }
    }

    fn find(&self, key: &[u8]) -> Option<&Value> {
        self.values.get(without_mark(key))
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Vec<u8> {
        let key = without_mark(key).to_vec();
        self.values.insert(key, Value::Text(value.to_vec()));
        OK.to_vec()
    }

    fn bulk(&self, key: &[u8]) -> Vec<u8> {
        match self.find(key) {
            None => b"$-1\r\n".to_vec(),
            Some(Value::Text(text)) => bulk(text),
            Some(Value::Members(_)) => WRONG_TYPE.to_vec(),
        }
    }

    fn bulk_or_empty(&self, key: &[u8]) -> Vec<u8> {
        match self.find(key) {
            None => bulk(b""),
            Some(_) => self.bulk(key),
        }
    }

    fn append(&mut self, key: &[u8], more: &[u8]) -> Vec<u8> {
        let key = without_mark(key).to_vec();
        let value = self
            .values
            .entry(key)
            .or_insert_with(|| Value::Text(Vec::new()));
        match value {
            Value::Text(text) => {
                text.extend_from_slice(more);
                format!(":{}\r\n", text.len()).into_bytes()
            }
            Value::Members(_) => WRONG_TYPE.to_vec(),
        }
    }

    fn count(
        &mut self,
        keys: &[&[u8]],
        mut test: impl FnMut(&mut Store, &[u8]) -> bool,
    ) -> Vec<u8> {
        let count = keys.iter().filter(|key| test(self, key)).count();
        format!(":{count}\r\n").into_bytes()
    }

    fn increment(&mut self, key: &[u8], by: &[u8]) -> Vec<u8> {
        let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<i64>().ok();
        let before = match self.find(key) {
            None => Some(0),
            Some(Value::Text(text)) => number(text),
            Some(Value::Members(_)) => return WRONG_TYPE.to_vec(),
        };
        match before.zip(number(by)) {
            Some((before, by)) => {
                let sum = before + by;
                self.set(key, sum.to_string().as_bytes());
                format!(":{sum}\r\n").into_bytes()
            }
            None => NOT_AN_INTEGER.to_vec(),
        }
    }

    fn add_members(&mut self, key: &[u8], members: &[&[u8]]) -> Vec<u8> {
        let key = without_mark(key).to_vec();
        let value = self
            .values
            .entry(key)
            .or_insert_with(|| Value::Members(BTreeSet::new()));
        match value {
            Value::Members(set) => {
                let added = members
                    .iter()
                    .filter(|member| set.insert(member.to_vec()))
                    .count();
                format!(":{added}\r\n").into_bytes()
            }
            Value::Text(_) => WRONG_TYPE.to_vec(),
        }
    }

    fn intersect(&mut self, to: &[u8], keys: &[&[u8]]) -> Vec<u8> {
        let mut result: Option<BTreeSet<Vec<u8>>> = None;
        for key in keys {
            let members = match self.find(key) {
                None => BTreeSet::new(),
                Some(Value::Members(members)) => members.clone(),
                Some(Value::Text(_)) => return WRONG_TYPE.to_vec(),
            };
            result = Some(match result {
                None => members,
                Some(so_far) => so_far.intersection(&members).cloned().collect(),
            });
        }
        let members = result.unwrap_or_default();
        let reply = format!(":{}\r\n", members.len()).into_bytes();
        self.values
            .insert(without_mark(to).to_vec(), Value::Members(members));
        reply
    }

    /// `EVAL script 1 key argument`: the script's text says what it returns.
    fn script(&mut self, args: &[&[u8]]) -> Vec<u8> {
        let (key, argument) = (args[3], args[4]);
        match args[1] {
            b"set" => {
                self.set(key, argument);
                bulk(argument)
            }
            b"nest" => {
                let mut reply = b"*3\r\n*2\r\n:-7\r\n*-1\r\n".to_vec();
                write_bulk(argument, &mut reply);
                reply.extend_from_slice(b"*2\r\n+fine\r\n*1\r\n$0\r\n\r\n");
                reply
            }
            b"fail" => [b"-ERR ".as_slice(), argument, b"\r\n"].concat(),
            word if SERVERS_WORDS.contains(&word) => {
                self.set(key, argument);
                [b"-", word, A_SCRIPT_SAYS].concat()
            }
            _ => panic!("nobody sends this script"),
        }
    }
}

fn bulk(bytes: &[u8]) -> Vec<u8> {
    let mut reply = Vec::with_capacity(bytes.len() + 16);
    write_bulk(bytes, &mut reply);
    reply
}
