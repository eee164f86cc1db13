//! What servers say of themselves, told as if they were one: `INFO`, `CONFIG GET`.
//!
//! A server that says nothing, since it cannot or may not, is left out: clients ask when they connect, and
//! give up if that is an error.
//!
//! Owns: reading these replies. Never: how values join, which is `command/sections`'s.

use crate::protocol::Version;
use crate::protocol::command::Section;
use crate::protocol::command::alike;
use crate::protocol::command::join_sections;
use crate::protocol::command::parse_sections;
use crate::protocol::command::write_sections;
use crate::protocol::resp::Writer;

/// What is asked.
#[derive(Debug)]
pub(super) enum What {
    /// `INFO`: what the proxy says of itself, and of which sections nothing else counts.
    Info(Vec<Section>, &'static [&'static str]),
    /// `CONFIG GET`: what the proxy has itself.
    Settings(Vec<(String, String)>),
}

/// What has come.
#[derive(Debug)]
pub(super) struct Told {
    what: What,
    version: Version,
    // By part, so that the order is always the same.
    replies: Vec<(u32, Vec<u8>)>,
}

/// Clients may know less than the proxy has to.
const SECRETS: [&str; 3] = ["pass", "auth", "user"];

impl Told {
    pub(super) fn new(what: What, version: Version) -> Told {
        Told {
            what,
            version,
            replies: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, part: u32, reply: Vec<u8>) {
        self.replies.push((part, reply));
    }

    pub(super) fn finish(mut self, out: &mut Vec<u8>) {
        self.replies.sort_by_key(|(part, _)| *part);
        let replies = self.replies.iter().map(|(_, reply)| &reply[..]);
        let mut writer = Writer::new(self.version, out);
        match self.what {
            What::Info(own, whole) => {
                let texts = replies.filter_map(|reply| strings(reply)?.pop());
                let servers: Vec<Vec<Section>> = texts.map(|text| parse_sections(&text)).collect();
                let joined = join_sections(&servers, own, whole);
                writer.verbatim(write_sections(&joined));
            }
            What::Settings(own) => {
                let servers: Vec<Vec<String>> = replies.filter_map(strings).collect();
                let all = settings(&servers, own);
                writer.map(all.len());
                for (name, value) in all {
                    writer.bulk(name);
                    writer.bulk(value);
                }
            }
        }
    }
}

/// The proxy's own, and what all servers have, each value once.
fn settings(servers: &[Vec<String>], own: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut all = own;
    let count = all.len();
    for pair in servers.iter().flat_map(|said| said.chunks_exact(2)) {
        let name = &pair[0];
        let is_secret = SECRETS.iter().any(|secret| name.contains(secret));
        if is_secret || all.iter().any(|(other, _)| other == name) {
            continue;
        }
        all.push((name.clone(), String::new()));
    }
    for (name, value) in &mut all[count..] {
        let of = |said: &'_ Vec<String>| {
            let mut pairs = said.chunks_exact(2);
            pairs
                .find(|pair| pair[0] == *name)
                .map(|pair| pair[1].clone())
        };
        let values: Vec<String> = servers.iter().filter_map(of).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        *value = alike(&values);
    }
    all
}

/// The strings of a reply that is one, or has nothing else in it; `None` of any other.
fn strings(reply: &[u8]) -> Option<Vec<String>> {
    let (mut rest, mut strings) = (reply, Vec::new());
    while !rest.is_empty() {
        let end = memchr::memmem::find(rest, b"\r\n")?;
        let (mark, digits) = rest[..end].split_first()?;
        let digits = std::str::from_utf8(digits).ok()?;
        rest = &rest[end + 2..];
        let text = match mark {
            b'*' | b'%' => continue,
            b'+' => digits.as_bytes(),
            b'$' | b'=' => {
                let bytes = rest.get(..digits.parse().ok()?)?;
                rest = rest.get(bytes.len() + 2..)?;
                match mark {
                    b'=' => bytes.get(4..)?,
                    _ => bytes,
                }
            }
            _ => return None,
        };
        strings.push(String::from_utf8_lossy(text).into_owned());
    }
    Some(strings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_told_once_and_differences_one_by_one_but_no_secret() {
        let mut told = Told::new(
            What::Settings(vec![("timeout".into(), "7".into())]),
            Version::V3,
        );
        // In another order, in either version, and one that may not say anything.
        told.add(1, b"%3\r\n$4\r\nsave\r\n$0\r\n\r\n$7\r\ntimeout\r\n$1\r\n0\r\n$16\r\nmaxmemory-policy\r\n$11\r\nallkeys-lru\r\n".to_vec());
        told.add(0, b"*6\r\n$16\r\nmaxmemory-policy\r\n$10\r\nnoeviction\r\n$4\r\nsave\r\n$0\r\n\r\n$11\r\nrequirepass\r\n$6\r\nsecret\r\n".to_vec());
        told.add(2, b"-NOPERM no\r\n".to_vec());
        let mut out = Vec::new();
        told.finish(&mut out);
        let expected = b"%3\r\n$7\r\ntimeout\r\n$1\r\n7\r\n$16\r\nmaxmemory-policy\r\n$22\r\nnoeviction,allkeys-lru\r\n$4\r\nsave\r\n$0\r\n\r\n";
        assert_eq!(
            out.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }

    #[test]
    fn info_is_told_without_those_who_say_nothing() {
        let mut told = Told::new(What::Info(Vec::new(), &[]), Version::V2);
        let text = "# Stats\r\nx:1\r\n";
        told.add(
            0,
            format!("={}\r\ntxt:{text}\r\n", text.len() + 4).into_bytes(),
        );
        told.add(1, b"-LOADING wait\r\n".to_vec());
        told.add(2, format!("${}\r\n{text}\r\n", text.len()).into_bytes());
        let mut out = Vec::new();
        told.finish(&mut out);
        assert_eq!(out, b"$14\r\n# Stats\r\nx:2\r\n\r\n");
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_server_says_is_read_or_left_out(reply in "[*%$=+:0-9a-f\r\n]{0,80}") {
            let _ = strings(reply.as_bytes());
        }
    }
}
