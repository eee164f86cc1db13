//! Bytes as clients and servers send them, and as they should not.

use coremux::protocol::command::Arity;
use coremux::protocol::command::Command;
use coremux::protocol::command::commands;

use crate::dice::Dice;
use crate::frame::write_bulk;
use crate::frame::write_request;

/// Where parsers decide: around nothing, the limits, and where numbers end.
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "-1",
    "-2",
    "1",
    "01",
    "+1",
    "2",
    "1048576",
    "1048577",
    "536870912",
    "536870913",
    "2147483647",
    "2147483648",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "99999999999999999999999999",
    "",
    " 1",
    "1 ",
    "x",
];

/// More than is held of one thing at once, less than a run takes.
const LARGE: usize = 40_000;

/// What is passed on before it has come whole.
const STREAMED: usize = 700_000;

/// Makes bytes.
#[derive(Debug)]
pub struct Material {
    commands: Vec<&'static Command>,
}

impl Material {
    pub fn new() -> Material {
        let commands = commands().collect();
        Material { commands }
    }

    /// What a client sends at once: some requests, mostly spoilt somewhere if `spoil`.
    pub fn requests(&self, dice: &mut Dice, spoil: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..dice.between(1, 6) {
            self.request(dice, &mut bytes);
        }
        if spoil {
            spoilt(dice, &mut bytes);
        }
        bytes
    }

    fn request(&self, dice: &mut Dice, out: &mut Vec<u8>) {
        match dice.below(20) {
            0 => out.extend_from_slice(b"PING\r\n"),
            1 => out.extend_from_slice(b"GET \"a\\x00b\" 'c'\n"),
            2 => out.extend(format!("*{}\r\n", dice.pick(NUMBERS)).bytes()),
            3 => out.extend(format!("*2\r\n$3\r\nGET\r\n${}\r\n", dice.pick(NUMBERS)).bytes()),
            4..16 => {
                let name = *dice.pick(&["get", "set", "mget", "del", "mset", "incr"]);
                let command = self.commands.iter().find(|command| command.name == name);
                self.call(command.expect("it is in the table"), dice, out);
            }
            _ => {
                let command = *dice.pick(&self.commands);
                self.call(command, dice, out);
            }
        }
    }

    fn call(&self, command: &Command, dice: &mut Dice, out: &mut Vec<u8>) {
        let count = match command.arity {
            _ if dice.percent(10) => dice.between(1, 10),
            Arity::Exactly(count) => usize::from(count),
            Arity::AtLeast(count) => usize::from(count) + 2 * dice.below(3),
        };
        let mut args = vec![command.name.as_bytes().to_vec()];
        args.extend((1..count).map(|_| self.argument(dice)));
        out.extend(write_request(&args));
    }

    fn argument(&self, dice: &mut Dice) -> Vec<u8> {
        match dice.below(12) {
            0 => Vec::new(),
            1 => dice.pick(NUMBERS).as_bytes().to_vec(),
            2 => dice.pick(&self.commands).own_name().as_bytes().to_vec(),
            3 => (0..dice.below(40)).map(|_| dice.below(256) as u8).collect(),
            4 => b"STREAMS".to_vec(),
            5 if dice.percent(20) => vec![b'v'; dice.below(LARGE)],
            _ => format!("key{}", dice.below(30)).into_bytes(),
        }
    }

    /// A reply to `request`, or one to nothing.
    pub fn reply(&self, dice: &mut Dice, out: &mut Vec<u8>) {
        reply(dice, 0, out);
    }

    /// Replies, spoilt somewhere.
    pub fn spoilt_replies(&self, dice: &mut Dice) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..dice.between(1, 4) {
            reply(dice, 0, &mut bytes);
        }
        spoilt(dice, &mut bytes);
        bytes
    }
}

/// What a replica that hears its master answers to `ROLE`.
pub const REPLICA: &[u8] = b"*5\r\n$5\r\nslave\r\n$1\r\na\r\n:1\r\n$9\r\nconnected\r\n:0\r\n";

fn reply(dice: &mut Dice, depth: usize, out: &mut Vec<u8>) {
    match dice.below(24) {
        0..5 => out.extend_from_slice(b"+OK\r\n"),
        5..8 => out.extend(format!(":{}\r\n", dice.below(1000)).bytes()),
        8 => out.extend_from_slice(b"$-1\r\n"),
        9 => out.extend_from_slice(b"*-1\r\n"),
        10 => {
            let errors = [
                "ERR no",
                "LOADING 1",
                "OOM 1",
                "READONLY 1",
                "NOREPLICAS 1",
                "",
            ];
            out.extend(format!("-{}\r\n", dice.pick(&errors)).bytes());
        }
        11 => {
            let most = if dice.percent(4) { STREAMED } else { LARGE };
            write_bulk(&vec![b'r'; dice.below(most)], out);
        }
        12 => out.extend_from_slice(b"*3\r\n$6\r\nmaster\r\n:1\r\n*0\r\n"),
        17 => out.extend_from_slice(REPLICA),
        13..17 if depth < 4 => {
            let count = dice.below(6);
            out.extend(format!("*{count}\r\n").bytes());
            for _ in 0..count {
                reply(dice, depth + 1, out);
            }
        }
        _ => write_bulk(&vec![b'r'; dice.below(100)], out),
    }
}

/// Does to bytes what a bad program, or a bad line, does.
pub fn spoilt(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..dice.between(1, 3) {
        if bytes.is_empty() {
            return;
        }
        let at = dice.below(bytes.len());
        let end = dice.between(at, bytes.len().min(at + 20));
        match dice.below(7) {
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => bytes[at] = *dice.pick(b"\r\n*$+-:0 9\"'_#,(%~>|!=\0\xff"),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            4 => {
                let number = dice.pick(NUMBERS).bytes();
                bytes.splice(at..end.min(at + 3), number);
            }
            5 => bytes.truncate(at),
            _ => {
                let noise: Vec<u8> = (0..dice.below(12)).map(|_| dice.below(256) as u8).collect();
                bytes.splice(at..at, noise);
            }
        }
    }
}
