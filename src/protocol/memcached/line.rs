//! What one line asks: its words, checked one by one.

use crate::protocol::Arg;
use crate::protocol::memcached::DATA_BYTES_MAX;
use crate::protocol::memcached::KEY_BYTES_MAX;
use crate::protocol::memcached::fault::Fault;
use crate::protocol::memcached::meta;
use crate::protocol::memcached::table::lookup;
use crate::protocol::request::IN_SKELETON;

/// What a line asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// So many bytes of data follow, and a line end.
    pub(super) data: Option<usize>,
    /// Its client wants to hear nothing, or not everything.
    pub(super) quiet: bool,
    /// Its key is base64.
    pub(super) encoded: bool,
    /// Why it asks nothing.
    pub(super) fault: Option<Fault>,
    /// It is as it is sent to a server.
    pub(super) canonical: bool,
}

/// The words that a server gets, and what follows from the others.
pub(super) struct Words<'a> {
    line: &'a [u8],
    args: &'a mut Vec<Arg>,
    asks: Line,
}

/// Reads a line, without its end: into `args` where the words lie that a server gets.
#[inline]
pub(super) fn read_line(line: &[u8], args: &mut Vec<Arg>) -> Line {
    let Some(canonical) = split(line, args) else {
        return bad(line, args);
    };
    let mut words = Words {
        line,
        args,
        asks: Line {
            canonical,
            ..Line::default()
        },
    };
    if let Err(fault) = words.check() {
        words.asks.fault = Some(fault);
    }
    words.asks
}

/// Splits a line at its blanks: whether there is exactly one between two words, and none elsewhere;
/// `None` if it has a control byte.
#[inline]
fn split(line: &[u8], args: &mut Vec<Arg>) -> Option<bool> {
    args.clear();
    let (mut canonical, mut start) = (true, 0);
    for (at, &byte) in line.iter().enumerate() {
        if byte > b' ' && byte != 0x7f {
            continue;
        }
        if byte != b' ' {
            return None;
        }
        canonical &= push_word(args, start, at);
        start = at + 1;
    }
    canonical &= push_word(args, start, line.len());
    Some(canonical)
}

#[inline]
fn push_word(args: &mut Vec<Arg>, start: usize, end: usize) -> bool {
    if end > start {
        #[expect(clippy::cast_possible_truncation, reason = "at most KEYS_BYTES_MAX")]
        args.push(Arg {
            start: start as u32,
            len: (end - start) as u32,
            body: IN_SKELETON,
        });
    }
    end > start
}

/// A line with a control byte: its data block, if it seems to have one, is passed over.
#[cold]
fn bad(line: &[u8], args: &mut Vec<Arg>) -> Line {
    let clean: Vec<u8> = line
        .iter()
        .map(|&byte| match byte {
            0..b' ' | 0x7f => b'?',
            byte => byte,
        })
        .collect();
    let asks = read_line(&clean, args);
    Line {
        fault: Some(Fault::Format),
        ..asks
    }
}

impl Words<'_> {
    pub(super) fn len(&self) -> usize {
        self.args.len()
    }

    pub(super) fn word(&self, index: usize) -> &[u8] {
        let arg = self.args[index];
        &self.line[arg.start as usize..][..arg.len as usize]
    }

    /// A word that is not for a server.
    pub(super) fn drop_word(&mut self, index: usize) {
        self.args.remove(index);
        self.asks.canonical = false;
    }

    pub(super) fn set_quiet(&mut self) {
        self.asks.quiet = true;
    }

    pub(super) fn set_encoded(&mut self) {
        self.asks.encoded = true;
    }

    pub(super) fn set_data(&mut self, bytes: usize) {
        self.asks.data = Some(bytes);
    }

    #[inline]
    fn check(&mut self) -> Result<(), Fault> {
        if self.args.is_empty() {
            return Err(Fault::Command);
        }
        match self.word(0) {
            b"get" | b"gets" => self.keys(1),
            b"set" | b"add" | b"replace" | b"append" | b"prepend" => self.storage(5),
            b"delete" => self.delete(),
            b"incr" | b"decr" => self.delta(),
            b"mg" | b"md" | b"ma" | b"me" | b"ms" => meta::check(self),
            b"cas" => self.storage(6),
            b"touch" => self.touch(),
            b"gat" | b"gats" => {
                self.at_least(3)?;
                number(self.word(1), is_exptime, Fault::Exptime)?;
                self.keys(2)
            }
            b"version" | b"quit" | b"mn" => {
                self.keep(1);
                Ok(())
            }
            b"verbosity" => self.numbered(2, Fault::Format),
            b"flush_all" => self.numbered(1, Fault::Exptime),
            // What the table says of it, in all its forms.
            name => match lookup(name) {
                Some(_) => Ok(()),
                None => Err(Fault::Command),
            },
        }
    }

    pub(super) fn at_least(&self, words: usize) -> Result<(), Fault> {
        match self.len() < words {
            true => Err(Fault::Command),
            false => Ok(()),
        }
    }

    /// Leaves out what is behind so many words.
    fn keep(&mut self, words: usize) {
        while self.len() > words {
            self.drop_word(self.len() - 1);
        }
    }

    #[inline]
    pub(super) fn key(&self, index: usize) -> Result<(), Fault> {
        match self.args[index].len as usize > KEY_BYTES_MAX {
            true => Err(Fault::Format),
            false => Ok(()),
        }
    }

    #[inline]
    fn keys(&self, first: usize) -> Result<(), Fault> {
        self.at_least(first + 1)?;
        (first..self.len()).try_for_each(|index| self.key(index))
    }

    /// Takes `noreply` away, if it is the last of more than so many words.
    fn noreply(&mut self, words: usize) {
        let last = self.len() - 1;
        if last >= words && self.word(last) == b"noreply" {
            self.drop_word(last);
            self.set_quiet();
        }
    }

    /// `set key flags exptime bytes [noreply]`, and `cas`, whose sixth word is the version.
    fn storage(&mut self, words: usize) -> Result<(), Fault> {
        self.at_least(words)?;
        self.noreply(words);
        // Whatever else is wrong: what is most likely its data is not obeyed.
        let last = self.len() - 1;
        let size = match self.len() > words && is_u64(self.word(last)) {
            true => last,
            false => 4,
        };
        let bytes = size_of_data(self.word(size))?;
        self.set_data(bytes);
        if bytes > DATA_BYTES_MAX {
            return Err(Fault::TooLarge);
        }
        let numbers = is_u32(self.word(2)) && is_exptime(self.word(3));
        let version = words == 5 || is_u64(self.word(5));
        match self.len() == words && numbers && version {
            true => self.key(1),
            false => Err(Fault::Format),
        }
    }

    /// `delete key [0] [noreply]`: once there was a time, of which 0 is left.
    fn delete(&mut self) -> Result<(), Fault> {
        self.at_least(2)?;
        self.noreply(2);
        if self.len() == 3 && self.word(2) == b"0" {
            self.drop_word(2);
        }
        match self.len() {
            2 => self.key(1),
            3 => Err(Fault::Delete),
            _ => Err(Fault::Command),
        }
    }

    fn delta(&mut self) -> Result<(), Fault> {
        self.three(is_u64, Fault::Delta)
    }

    fn touch(&mut self) -> Result<(), Fault> {
        self.three(is_exptime, Fault::Exptime)
    }

    /// `name key number [noreply]`.
    fn three(&mut self, is_one: fn(&[u8]) -> bool, fault: Fault) -> Result<(), Fault> {
        self.at_least(3)?;
        self.noreply(3);
        match self.len() {
            3 => {
                self.key(1)?;
                number(self.word(2), is_one, fault)
            }
            _ => Err(Fault::Command),
        }
    }

    /// `name [number] [noreply]`, of which so many words must be there.
    fn numbered(&mut self, least: usize, fault: Fault) -> Result<(), Fault> {
        self.at_least(least)?;
        self.noreply(1);
        self.at_least(least)?;
        match self.len() {
            1 => Ok(()),
            2 => number(self.word(1), is_u31, fault),
            _ => Err(Fault::Command),
        }
    }
}

fn number(word: &[u8], is_one: fn(&[u8]) -> bool, fault: Fault) -> Result<(), Fault> {
    match is_one(word) {
        true => Ok(()),
        false => Err(fault),
    }
}

/// How many bytes of data are said to follow; more than there can be are as good as too many.
pub(super) fn size_of_data(word: &[u8]) -> Result<usize, Fault> {
    match digits(word) {
        Some(bytes) => usize::try_from(bytes).map_err(|_| Fault::Format),
        None => Err(Fault::Format),
    }
}

/// Digits alone: every server reads the same number in them.
fn digits(word: &[u8]) -> Option<u64> {
    if word.is_empty() || word.len() > 20 {
        return None;
    }
    word.iter().try_fold(0u64, |value, byte| match byte {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

pub(super) fn is_u64(word: &[u8]) -> bool {
    digits(word).is_some()
}

pub(super) fn is_u32(word: &[u8]) -> bool {
    digits(word).is_some_and(|value| u32::try_from(value).is_ok())
}

fn is_u31(word: &[u8]) -> bool {
    digits(word).is_some_and(|value| i32::try_from(value).is_ok())
}

/// Seconds from now, a time of day since 1970, or below 0: at once.
pub(super) fn is_exptime(word: &[u8]) -> bool {
    is_u31(word.strip_prefix(b"-").unwrap_or(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> (Line, String) {
        let mut args = Vec::new();
        let asks = read_line(line.as_bytes(), &mut args);
        let word = |arg: &Arg| &line[arg.start as usize..][..arg.len as usize];
        let words: Vec<&str> = args.iter().map(word).collect();
        (asks, words.join(" "))
    }

    fn fault(line: &str) -> Option<Fault> {
        read(line).0.fault
    }

    #[test]
    fn a_line_as_clients_send_it_is_canonical() {
        for line in [
            "get a",
            "gets a b c",
            "gat 0 a",
            "gats -1 a b",
            "set k 0 0 5",
            "cas k 4294967295 -1 0 18446744073709551615",
            "delete k",
            "incr k 18446744073709551615",
            "touch k 2147483647",
            "version",
            "mg k v t f c h l k Oabc",
            "ms k 2 T0 F1 MS I C5",
            "ma k N0 J13 D2 MI t c v",
            "md k I T30 C7",
            "me k",
            "mn",
        ] {
            let (asks, words) = read(line);
            assert_eq!(asks.fault, None, "{line}");
            assert!(asks.canonical && !asks.quiet, "{line}");
            assert_eq!(words, line);
        }
    }

    #[test]
    fn what_is_not_for_a_server_is_left_out() {
        for (line, sent) in [
            ("set k 0 0 5 noreply", "set k 0 0 5"),
            ("cas k 0 0 5 1 noreply", "cas k 0 0 5 1"),
            ("delete k noreply", "delete k"),
            ("delete k 0 noreply", "delete k"),
            ("incr k 1 noreply", "incr k 1"),
            ("touch k 1 noreply", "touch k 1"),
            ("verbosity 1 noreply", "verbosity 1"),
            ("flush_all noreply", "flush_all"),
            ("flush_all 10 noreply", "flush_all 10"),
            ("mg k q v", "mg k v"),
            ("ms k 2 T0 q F1", "ms k 2 T0 F1"),
        ] {
            let (asks, words) = read(line);
            assert_eq!((asks.fault, asks.quiet, words.as_str()), (None, true, sent));
            assert!(!asks.canonical, "{line}");
        }
        for (line, sent) in [
            ("  get   a  b ", "get a b"),
            ("delete k 0", "delete k"),
            ("version please", "version"),
            ("mg k Pway L1 v", "mg k v"),
        ] {
            let (asks, words) = read(line);
            assert_eq!((asks.fault, words.as_str()), (None, sent));
            assert!(!asks.canonical && !asks.quiet, "{line}");
        }
        let (asks, words) = read("get noreply");
        assert!(
            asks.canonical && !asks.quiet && words == "get noreply",
            "it is a key"
        );
    }

    #[test]
    fn what_a_server_might_read_otherwise_is_a_fault() {
        let long = "k".repeat(251);
        for (line, expected) in [
            ("", Fault::Command),
            ("get", Fault::Command),
            ("gat 1", Fault::Command),
            ("gat x k", Fault::Exptime),
            ("get a\rb", Fault::Format),
            ("get a\tb", Fault::Format),
            ("get a\0", Fault::Format),
            ("get a\u{7f}", Fault::Format),
            (&format!("get {long}"), Fault::Format),
            (&format!("set {long} 0 0 1"), Fault::Format),
            (&format!("mg {long}"), Fault::Format),
            ("set k 0 0", Fault::Command),
            ("set k 0 0 -1", Fault::Format),
            ("set k 0 0 +1", Fault::Format),
            ("set k 0 0 0x1", Fault::Format),
            ("set k 0 0 1 loud", Fault::Format),
            ("set a key 0 0 1", Fault::Format),
            ("set k 4294967296 0 1", Fault::Format),
            ("set k -1 0 1", Fault::Format),
            ("set k 0 2147483648 1", Fault::Format),
            ("set k 0 0 1073741825", Fault::TooLarge),
            ("cas k 0 0 1 x", Fault::Format),
            ("cas k 0 0 1", Fault::Command),
            ("delete k 1", Fault::Delete),
            ("incr k", Fault::Command),
            ("incr k -1", Fault::Delta),
            ("incr k 18446744073709551616", Fault::Delta),
            ("touch k x", Fault::Exptime),
            ("verbosity", Fault::Command),
            ("verbosity noreply", Fault::Command),
            ("flush_all x", Fault::Exptime),
        ] {
            assert_eq!(fault(line), Some(expected), "{line:?}");
        }
    }

    #[test]
    fn a_data_block_behind_a_fault_is_known_to_be_one() {
        for (line, data) in [
            ("set k 0 0 5", Some(5)),
            ("set k x 0 5", Some(5)),
            ("set a key with blanks 0 0 11", Some(11)),
            ("set a key 0 0 11 noreply", Some(11)),
            ("set k 0 0 11 loud", Some(11)),
            ("set k\u{1} 0 0 11", Some(11)),
            ("ms k 7 !", Some(7)),
            ("ms k 7 k k", Some(7)),
            ("set k 0 0 many", None),
            ("ms k S7", None),
        ] {
            assert_eq!(read(line).0.data, data, "{line:?}");
        }
    }
}
