//! Bytes as clients and servers send them, and as they should not.

mod memcached;
mod resp;

use crate::dice::Dice;

pub use memcached::Memcached;
pub use resp::Resp;

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

/// A whole request: its words, and how many bytes it has.
pub type Whole = (Vec<Vec<u8>>, usize);

/// What peers of one protocol say, and how they understand what they hear. What they hear must be right.
pub trait Material: Default {
    /// Whether pools of it follow Sentinels, have passwords and databases.
    const REDIS: bool;

    /// Appends what a client asks.
    fn request(&self, dice: &mut Dice, out: &mut Vec<u8>);

    /// Appends any reply.
    fn reply(&self, dice: &mut Dice, out: &mut Vec<u8>);

    /// Appends what a server says to this.
    fn answer(&self, request: &[Vec<u8>], is_replica: bool, dice: &mut Dice, out: &mut Vec<u8>);

    /// What a server has been asked first; `None` before it is whole. What no server may be asked is an
    /// error.
    fn cut_request(buf: &[u8]) -> Result<Option<Whole>, String>;

    /// How many bytes the first reply has that a client has got; `None` before it is whole.
    fn cut_reply(buf: &[u8]) -> Result<Option<usize>, String>;

    /// Whether it is an error.
    fn is_error(reply: &[u8]) -> bool;

    /// What a client sends at once: some requests, mostly spoilt somewhere if `spoil`.
    fn requests(&self, dice: &mut Dice, spoil: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..dice.between(1, 6) {
            self.request(dice, &mut bytes);
        }
        if spoil {
            spoilt(dice, &mut bytes);
        }
        bytes
    }

    /// Replies, spoilt somewhere.
    fn spoilt_replies(&self, dice: &mut Dice) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..dice.between(1, 4) {
            self.reply(dice, &mut bytes);
        }
        spoilt(dice, &mut bytes);
        bytes
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
