//! Redis's requests and replies.

use coremux::protocol::command::Arity;
use coremux::protocol::command::Command;
use coremux::protocol::command::commands;

use super::LARGE;
use super::Material;
use super::NUMBERS;
use super::STREAMED;
use super::Whole;
use crate::dice::Dice;
use crate::frame;
use crate::frame::write_bulk;
use crate::frame::write_request;

/// Redis's.
#[derive(Debug)]
pub struct Resp {
    commands: Vec<&'static Command>,
}

impl Default for Resp {
    fn default() -> Resp {
        let commands = commands().collect();
        Resp { commands }
    }
}

impl Material for Resp {
    const REDIS: bool = true;

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

    fn reply(&self, dice: &mut Dice, out: &mut Vec<u8>) {
        reply(dice, 0, out);
    }

    fn answer(&self, request: &[Vec<u8>], is_replica: bool, dice: &mut Dice, out: &mut Vec<u8>) {
        match &request[0].to_ascii_uppercase()[..] {
            b"PING" => out.extend_from_slice(b"+PONG\r\n"),
            b"AUTH" | b"SELECT" => out.extend_from_slice(b"+OK\r\n"),
            b"ROLE" if is_replica => out.extend_from_slice(REPLICA),
            b"ROLE" => out.extend_from_slice(b"*3\r\n$6\r\nmaster\r\n:1\r\n*0\r\n"),
            b"MGET" => {
                out.extend(format!("*{}\r\n", request.len() - 1).bytes());
                (1..request.len()).for_each(|_| out.extend_from_slice(b"$1\r\nv\r\n"));
            }
            _ => self.reply(dice, out),
        }
    }

    fn cut_request(buf: &[u8]) -> Result<Option<Whole>, String> {
        let cut = frame::parse_request(buf)?;
        Ok(cut.map(|(args, bytes)| {
            let words = args.into_iter().map(|arg| buf[arg].to_vec());
            (words.collect(), bytes)
        }))
    }

    fn cut_reply(buf: &[u8]) -> Result<Option<usize>, String> {
        frame::parse_reply(buf)
    }

    fn is_error(reply: &[u8]) -> bool {
        reply.starts_with(b"-")
    }
}

impl Resp {
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
}

/// What a replica that hears its master answers to `ROLE`.
const REPLICA: &[u8] = b"*5\r\n$5\r\nslave\r\n$1\r\na\r\n:1\r\n$9\r\nconnected\r\n:0\r\n";

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
