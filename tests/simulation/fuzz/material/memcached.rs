//! memcached's requests and replies. A client tries to have a server do what nobody may: nothing that a
//! server gets is more or less than one canonical command.

use super::LARGE;
use super::Material;
use super::NUMBERS;
use super::STREAMED;
use super::Whole;
use crate::dice::Dice;

/// Data that would be commands if it was taken for them.
const SMUGGLED: &[&str] = &[
    "flush_all",
    "flush_all noreply",
    "shutdown",
    "get key1\r\nflush_all",
    "\r\nflush_all\r\n",
    "END\r\nVALUE key1 0 1\r\nx\r\nEND",
    "quit",
    "\r",
    "\n",
    "",
];

/// Where a line may end, or may not.
const ENDS: &[&str] = &[
    "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\n\r\n", " \r\n",
];

const STORES: [&str; 5] = ["set", "add", "replace", "append", "prepend"];

const META_FLAGS: &[&str] = &[
    "v", "q", "k", "t", "f", "c", "b", "s", "Oabc", "N30", "T0", "F7", "I", "MS", "ME", "C9", "E5",
    "D2", "J0", "x", "v v", "O\x01", "S5", "T-1", "\x00", "Pway", "Lway",
];

/// memcached's.
#[derive(Debug, Default)]
pub struct Memcached;

impl Material for Memcached {
    const REDIS: bool = false;

    fn request(&self, dice: &mut Dice, out: &mut Vec<u8>) {
        let (key, end) = (key(dice), *dice.pick(ENDS));
        let line = match dice.below(16) {
            0..5 => {
                let name = *dice.pick(&["get", "gets", "gat 5", "gats 5", "get"]);
                let more: String = (0..dice.below(6))
                    .map(|_| format!(" key{}", dice.below(30)))
                    .collect();
                format!("{name} {key}{more}")
            }
            5..9 => return store(dice, &key, end, out),
            9..11 => return meta(dice, &key, end, out),
            11 => format!("delete {key}{}", quiet(dice)),
            12 => format!(
                "{} {key} {}{}",
                dice.pick(&["incr", "decr"]),
                number(dice),
                quiet(dice)
            ),
            13 => format!("touch {key} {}{}", number(dice), quiet(dice)),
            14 => dice
                .pick(&[
                    "version",
                    "mn",
                    "stats",
                    "verbosity 1",
                    "stats items",
                    "me key1",
                ])
                .to_string(),
            _ => dice
                .pick(&[
                    "flush_all",
                    "flush_all 0 noreply",
                    "shutdown",
                    "cache_memlimit 1",
                    "lru x",
                    "GET key1",
                ])
                .to_string(),
        };
        out.extend(line.bytes());
        out.extend(end.bytes());
    }

    fn reply(&self, dice: &mut Dice, out: &mut Vec<u8>) {
        let line = *dice.pick(&[
            "STORED",
            "NOT_STORED",
            "EXISTS",
            "NOT_FOUND",
            "DELETED",
            "TOUCHED",
            "END",
            "HD",
            "EN",
            "NS",
            "EX",
            "NF",
            "7",
            "OK",
            "MN",
            "VERSION 1.6.18",
            "ERROR",
            "CLIENT_ERROR bad data chunk",
            "SERVER_ERROR out of memory storing object",
            "VA 1 k\r\nx",
            "VALUE key1 0 1\r\nx\r\nEND",
            "VALUE other 0 1\r\nx\r\nEND",
            "VALUE key1 0 1 9\r\nx\r\nVALUE key2 0 0 9\r\n\r\nEND",
            "STAT pid 1\r\nEND",
            "ME key1 exp=-1",
        ]);
        out.extend(line.bytes());
        out.extend_from_slice(b"\r\n");
    }

    fn answer(&self, request: &[Vec<u8>], _is_replica: bool, dice: &mut Dice, out: &mut Vec<u8>) {
        let name = String::from_utf8_lossy(&request[0]).into_owned();
        let line = match name.as_str() {
            "version" => *dice.pick(&[
                "VERSION 1.6.18",
                "VERSION 1.6.18",
                "VERSION 1.6.18",
                "VERSION 1.4.39",
            ]),
            "get" | "gets" => return values(&request[1..], name == "gets", dice, out),
            "gat" | "gats" => return values(&request[2..], name == "gats", dice, out),
            "delete" => *dice.pick(&["DELETED", "NOT_FOUND"]),
            "incr" | "decr" => *dice.pick(&["8", "NOT_FOUND"]),
            "touch" => *dice.pick(&["TOUCHED", "NOT_FOUND"]),
            "mg" | "ma" => *dice.pick(&["HD", "VA 3 t5\r\nabc", "VA 0\r\n", "SERVER_ERROR no"]),
            "ms" | "md" => *dice.pick(&["HD", "NF", "EX", "SERVER_ERROR no"]),
            "me" => *dice.pick(&["EN", "ME key1 exp=-1"]),
            "stats" => "STAT pid 1\r\nSTAT version 1.6.18\r\nEND",
            "verbosity" => "OK",
            _ => *dice.pick(&[
                "STORED",
                "NOT_STORED",
                "SERVER_ERROR object too large for cache",
            ]),
        };
        out.extend(line.bytes());
        out.extend_from_slice(b"\r\n");
    }

    fn cut_request(buf: &[u8]) -> Result<Option<Whole>, String> {
        let Some(end) = memchr::memchr(b'\n', buf) else {
            return Ok(None);
        };
        let line = buf[..end].strip_suffix(b"\r").ok_or("a bare LF")?;
        let words: Vec<Vec<u8>> = line
            .split(|byte| *byte == b' ')
            .map(<[u8]>::to_vec)
            .collect();
        if words
            .iter()
            .any(|word| word.is_empty() || word.iter().any(|b| *b <= b' ' || *b == 127))
        {
            return Err("a word that is none".to_owned());
        }
        let data = canonical(&words)?;
        let Some(bytes) = data else {
            return Ok(Some((words, end + 1)));
        };
        let whole = end + 1 + bytes + 2;
        match buf.get(whole - 2..whole) {
            None => Ok(None),
            Some(b"\r\n") => Ok(Some((words, whole))),
            Some(_) => Err("data of another length".to_owned()),
        }
    }

    fn cut_reply(buf: &[u8]) -> Result<Option<usize>, String> {
        let mut at = 0;
        loop {
            let Some(end) = memchr::memchr(b'\n', &buf[at..]) else {
                return Ok(None);
            };
            let line = buf[at..at + end].strip_suffix(b"\r").ok_or("a bare LF")?;
            let line = String::from_utf8_lossy(line);
            let words: Vec<&str> = line.split(' ').collect();
            at += end + 1;
            let (size, last) = match words[0] {
                "VALUE" => (words.get(3), false),
                "VA" => (words.get(1), true),
                "STAT" => continue,
                _ if is_line(&line) => return Ok(Some(at)),
                _ => return Err("a line that is none".to_owned()),
            };
            let size: usize = size
                .and_then(|size| size.parse().ok())
                .ok_or("a size that is none")?;
            let behind = at + size + 2;
            match buf.get(behind - 2..behind) {
                None => return Ok(None),
                Some(b"\r\n") if last => return Ok(Some(behind)),
                Some(b"\r\n") => at = behind,
                Some(_) => return Err("a value of another length".to_owned()),
            }
        }
    }

    fn is_error(reply: &[u8]) -> bool {
        [&b"ERROR"[..], b"CLIENT_ERROR ", b"SERVER_ERROR "]
            .iter()
            .any(|word| reply.starts_with(word))
    }
}

fn key(dice: &mut Dice) -> String {
    match dice.below(40) {
        0 => "x".repeat(250 + dice.below(2)),
        1 => "a\x01b".to_owned(),
        2 => "a\x7fb".to_owned(),
        3 => "a\nflush_all".to_owned(),
        4 => "a\rb".to_owned(),
        5 => "\u{e4}".to_owned(),
        6 => "a\tb".to_owned(),
        7 => String::new(),
        _ => format!("key{}", dice.below(30)),
    }
}

fn number(dice: &mut Dice) -> &'static str {
    match dice.percent(70) {
        true => "1",
        false => dice.pick::<&str>(NUMBERS),
    }
}

fn quiet(dice: &mut Dice) -> &'static str {
    dice.pick::<&str>(&["", "", " noreply", " noreply noreply", " loud"])
}

fn data(dice: &mut Dice) -> Vec<u8> {
    match dice.below(12) {
        0 if dice.percent(20) => vec![b'v'; dice.below(LARGE)],
        1..4 => dice.pick(SMUGGLED).as_bytes().to_vec(),
        4 => (0..dice.below(40)).map(|_| dice.below(256) as u8).collect(),
        _ => vec![b'v'; dice.below(20)],
    }
}

/// The length that is said of data, mostly the right one.
fn said(dice: &mut Dice, data: &[u8]) -> String {
    match dice.below(12) {
        0 => dice.pick(NUMBERS).to_string(),
        1 => (data.len() + 1).to_string(),
        2 => data.len().saturating_sub(1).to_string(),
        _ => data.len().to_string(),
    }
}

fn store(dice: &mut Dice, key: &str, end: &str, out: &mut Vec<u8>) {
    let data = data(dice);
    let (flags, exptime) = (number(dice), number(dice));
    let (length, quiet) = (said(dice, &data), quiet(dice));
    let line = match dice.percent(15) {
        true => format!(
            "cas {key} {flags} {exptime} {length} {}{quiet}{end}",
            number(dice)
        ),
        false => format!(
            "{} {key} {flags} {exptime} {length}{quiet}{end}",
            dice.pick(&STORES)
        ),
    };
    out.extend(line.bytes());
    out.extend(data);
    out.extend(dice.pick(ENDS).bytes());
}

fn meta(dice: &mut Dice, key: &str, end: &str, out: &mut Vec<u8>) {
    let flags: String = (0..dice.below(4))
        .map(|_| format!(" {}", dice.pick(META_FLAGS)))
        .collect();
    match dice.below(5) {
        0 => {
            let data = data(dice);
            let line = format!("ms {key} {}{flags}{end}", said(dice, &data));
            out.extend(line.bytes());
            out.extend(data);
            out.extend(dice.pick(ENDS).bytes());
        }
        nth => {
            let name = ["mg", "mg", "md", "ma"][nth - 1];
            out.extend(format!("{name} {key}{flags}{end}").bytes());
        }
    }
}

/// Hits of some of the keys.
fn values(keys: &[Vec<u8>], cas: bool, dice: &mut Dice, out: &mut Vec<u8>) {
    let large = if dice.percent(1) { STREAMED } else { 100 };
    for key in keys {
        if dice.percent(40) {
            continue;
        }
        let data = vec![b'r'; dice.below(large)];
        let cas = if cas { " 77" } else { "" };
        out.extend_from_slice(b"VALUE ");
        out.extend_from_slice(key);
        out.extend(format!(" 5 {}{cas}\r\n", data.len()).bytes());
        out.extend(data);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"END\r\n");
}

/// The length of the data behind a command; an error if no server may be asked it in these words.
fn canonical(words: &[Vec<u8>]) -> Result<Option<usize>, String> {
    let text: Vec<&str> = words
        .iter()
        .map(|word| std::str::from_utf8(word).unwrap_or("?"))
        .collect();
    let number = |nth: usize, most: u64| -> Result<u64, String> {
        let value = text[nth].parse::<u64>().ok().filter(|value| *value <= most);
        let digits = text[nth].bytes().all(|byte| byte.is_ascii_digit());
        value
            .filter(|_| digits)
            .ok_or_else(|| format!("{} is no number", text[nth]))
    };
    let (name, count) = (text[0], words.len());
    let known = match name {
        "version" | "stats" => count == 1,
        "verbosity" => count == 2,
        "get" | "gets" => count >= 2,
        "gat" | "gats" => count >= 3,
        "set" | "add" | "replace" | "append" | "prepend" => count == 5,
        "cas" => count == 6,
        "delete" => count == 2,
        "incr" | "decr" | "touch" => count == 3,
        "mg" | "md" | "ma" => count >= 2,
        "ms" => count >= 3,
        "me" => (2..=3).contains(&count),
        _ => false,
    };
    if !known {
        return Err("no command that a server may get".to_owned());
    }
    // A key may be called anything.
    let is_quiet = match name {
        "get" | "gets" | "gat" | "gats" => false,
        "mg" | "ms" | "md" | "ma" => text[2..].contains(&"q"),
        _ => count > 2 && text[count - 1] == "noreply",
    };
    if is_quiet {
        return Err("a command without a reply".to_owned());
    }
    if count > 1 && words[1].len() > 250 {
        return Err("a key that is too long".to_owned());
    }
    match name {
        "set" | "add" | "replace" | "append" | "prepend" | "cas" => {
            number(2, u32::MAX.into())?;
            text[3]
                .parse::<i32>()
                .map_err(|_| "an exptime that is none".to_owned())?;
            if name == "cas" {
                number(5, u64::MAX)?;
            }
            Ok(Some(number(4, 1 << 30)? as usize))
        }
        "ms" => Ok(Some(number(2, 1 << 30)? as usize)),
        "incr" | "decr" => number(2, u64::MAX).map(|_| None),
        _ => Ok(None),
    }
}

fn is_line(line: &str) -> bool {
    let word = line.split(' ').next().unwrap_or_default();
    let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let known = [
        "STORED",
        "NOT_STORED",
        "EXISTS",
        "NOT_FOUND",
        "DELETED",
        "TOUCHED",
        "END",
        "OK",
        "VERSION",
        "HD",
        "EN",
        "NS",
        "EX",
        "NF",
        "MN",
        "ME",
        "ERROR",
        "CLIENT_ERROR",
        "SERVER_ERROR",
    ];
    is_number || known.contains(&word)
}
