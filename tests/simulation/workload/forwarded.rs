//! Requests for servers: strings, counters, sets, scripts.

use bytes::Bytes;

use crate::dice::Dice;
use crate::mark::Mark;
use crate::request::Request;
use crate::request::Split;
use crate::store::SERVERS_WORDS;
use crate::workload::Asker;
use crate::workload::base;

impl Asker {
    pub(super) fn set(&mut self, mark: Mark, dice: &mut Dice) -> Request {
        let key = if dice.percent(2) {
            Vec::new()
        } else {
            self.key(mark, dice)
        };
        let value = self.value(mark, dice);
        let name = *dice.pick(&[&b"SET"[..], b"set", b"SeT"]);
        self.put(vec![name.to_vec(), key, value])
    }

    pub(super) fn get(&mut self, mark: Mark, dice: &mut Dice) -> Request {
        let args = match dice.below(10) {
            0..6 => vec![b"GET".to_vec(), self.marked(mark, dice)],
            6..9 => {
                let key = self.key(mark, dice);
                vec![
                    b"getrange".to_vec(),
                    base(&key),
                    b"0".to_vec(),
                    mark.decimal(),
                ]
            }
            _ => vec![
                b"GETRANGE".to_vec(),
                Vec::new(),
                b"0".to_vec(),
                mark.decimal(),
            ],
        };
        self.read(args)
    }

    pub(super) fn read(&self, args: Vec<Vec<u8>>) -> Request {
        let reads = match self.is_followed(&args[1]) {
            true => vec![base(&args[1])],
            false => Vec::new(),
        };
        Request {
            reads,
            ..Request::forwarded(args, vec![1])
        }
    }

    pub(super) fn mget(&mut self, mark: Mark, dice: &mut Dice) -> Request {
        let name = *dice.pick(&[&b"MGET"[..], b"mget"]);
        let mut args = vec![name.to_vec()];
        for _ in 0..dice.between(1, 12) {
            args.push(self.marked(mark, dice));
        }
        let keys = args[1..].iter();
        // An element that is not followed is read all the same; it is not compared.
        let reads = keys
            .map(|key| {
                if self.is_followed(key) {
                    base(key)
                } else {
                    Vec::new()
                }
            })
            .collect();
        Request {
            reads,
            ..Request::split(args, 1, Split::Elements)
        }
    }

    pub(super) fn mset(&mut self, mark: Mark, dice: &mut Dice) -> Request {
        let mut args = vec![b"MSET".to_vec()];
        let mut puts = Vec::new();
        for _ in 0..dice.between(1, 8) {
            let (key, value) = (self.marked(mark, dice), self.value(mark, dice));
            if self.is_followed(&key) {
                puts.push((base(&key), Some(Bytes::copy_from_slice(&value))));
            }
            args.extend([key, value]);
        }
        Request {
            puts,
            ..Request::split(args, 2, Split::AllOk)
        }
    }

    pub(super) fn count_keys(&mut self, mark: Mark, dice: &mut Dice) -> Request {
        let name = *dice.pick(&["DEL", "UNLINK", "EXISTS", "TOUCH", "exists"]);
        let mut args = vec![name.as_bytes().to_vec()];
        for _ in 0..dice.between(1, 8) {
            args.push(self.marked(mark, dice));
        }
        let removes = matches!(name, "DEL" | "UNLINK");
        let followed = args[1..]
            .iter()
            .filter(|key| removes && self.is_followed(key));
        let puts = followed.map(|key| (base(key), None)).collect();
        Request {
            puts,
            ..Request::split(args, 1, Split::Sum)
        }
    }

    pub(super) fn change(&mut self, mark: Mark, dice: &mut Dice) -> Request {
        let client = self.client;
        match dice.below(4) {
            0 | 1 => {
                let key = match dice.percent(70) {
                    true => format!("{{n{client}.{}}}", dice.below(3)),
                    false => "{n}".to_owned(),
                };
                let args = vec![b"INCRBY".to_vec(), key.into_bytes(), mark.decimal()];
                Request::forwarded(args, vec![1])
            }
            2 => {
                let key = format!("{{a{client}.{}}}", dice.below(3)).into_bytes();
                let args = vec![b"append".to_vec(), key, mark.text()];
                Request::forwarded(args, vec![1])
            }
            _ => {
                let (key, value) = (self.key(mark, dice), self.value(mark, dice));
                self.put(vec![b"GETSET".to_vec(), key, value])
            }
        }
    }

    pub(super) fn set_of_members(&mut self, mark: Mark, dice: &mut Dice) -> Request {
        // One tag for all sets of a client, so that a pool with tags keeps them together; and
        // another now and then, which is refused there too.
        let client = self.client;
        let members = |dice: &mut Dice| {
            let tag = if dice.percent(10) {
                "elsewhere"
            } else {
                "members"
            };
            format!("{{{tag}{client}}}{}", dice.below(4)).into_bytes()
        };
        if dice.percent(50) {
            let key = if dice.percent(10) {
                self.key(mark, dice)
            } else {
                members(dice)
            };
            let args = vec![
                b"SADD".to_vec(),
                key,
                mark.text(),
                dice.below(5).to_string().into(),
            ];
            return Request::forwarded(args, vec![1]);
        }
        let mut args = vec![b"SINTERSTORE".to_vec()];
        args.push([mark.text(), members(dice)].concat());
        for _ in 0..dice.between(1, 3) {
            args.push(members(dice));
        }
        let keys = (1..args.len()).collect();
        Request::forwarded(args, keys)
    }

    pub(super) fn script(&mut self, mark: Mark, dice: &mut Dice) -> Request {
        let key = self.key(mark, dice);
        let scripts = [
            &SERVERS_WORDS[..],
            &[&b"set"[..], b"nest", b"fail"].repeat(3),
        ]
        .concat();
        let script = *dice.pick(&scripts);
        let argument = match script {
            b"fail" => mark.text(),
            _ => self.value(mark, dice),
        };
        let mut puts = Vec::new();
        let sets = script == b"set" || SERVERS_WORDS.contains(&script);
        if sets && self.is_followed(&key) {
            puts.push((base(&key), Some(Bytes::copy_from_slice(&argument))));
        }
        let args = vec![
            b"EVAL".to_vec(),
            script.into(),
            b"1".to_vec(),
            key,
            argument,
        ];
        Request {
            puts,
            ..Request::forwarded(args, vec![3])
        }
    }
}
