//! Messages, and the requests by which they are asked for.
//!
//! ```text
//!   SUBSCRIBE news   *3 subscribe news 1      RESP2: an array; RESP3: a push, `>` in place of `*`
//!                    *3 message news hello
//! ```
//!
//! Owns: these frames. Never: who listens.

use bytes::Bytes;

use crate::base::ByteQueue;
use crate::base::Spare;
use crate::protocol::Heard;
use crate::protocol::TopicKind;
use crate::protocol::Version;
use crate::protocol::resp::header::Header;
use crate::protocol::resp::header::read_header;
use crate::protocol::resp::write_request;
use crate::protocol::resp::writer::Writer;

/// The requests that begin and end, and what confirms each: the same in lower case.
const fn verb(kind: TopicKind, begins: bool) -> &'static str {
    match (kind, begins) {
        (TopicKind::Channel, true) => "subscribe",
        (TopicKind::Channel, false) => "unsubscribe",
        (TopicKind::Pattern, true) => "psubscribe",
        (TopicKind::Pattern, false) => "punsubscribe",
        (TopicKind::Shard, true) => "ssubscribe",
        (TopicKind::Shard, false) => "sunsubscribe",
    }
}

/// What a message begins with.
const fn word(kind: TopicKind) -> &'static str {
    match kind {
        TopicKind::Channel => "message",
        TopicKind::Pattern => "pmessage",
        TopicKind::Shard => "smessage",
    }
}

/// What a frame says that has been cut before.
#[must_use]
pub fn heard(frame: &[u8]) -> Heard<'_> {
    match frame.first() {
        Some(b'-' | b'!') => return Heard::Refused,
        Some(b'+') if frame == b"+PONG\r\n" => return Heard::Pong,
        Some(b'*' | b'>') => {}
        _ => return Heard::Odd,
    }
    let Header::Number { value: parts, end } = read_header(frame, 0) else {
        return Heard::Odd;
    };
    let Some((first, at)) = bulk(frame, end) else {
        return Heard::Odd;
    };
    if first == b"pong" {
        return Heard::Pong;
    }
    let Some((topic, at)) = bulk(frame, at) else {
        return Heard::Odd;
    };
    for kind in TopicKind::ALL {
        let of_message = match kind {
            TopicKind::Pattern => 4,
            TopicKind::Channel | TopicKind::Shard => 3,
        };
        if first == word(kind).as_bytes() && parts == of_message {
            return Heard::Message(kind, topic);
        }
        for begins in [true, false] {
            let is_counted = parts == 3 && frame.get(at) == Some(&b':');
            if first == verb(kind, begins).as_bytes() && is_counted {
                return Heard::Confirmed(kind, begins, topic);
            }
        }
    }
    Heard::Odd
}

/// The bulk string at `at`, and where what is behind it begins.
fn bulk(frame: &[u8], at: usize) -> Option<(&[u8], usize)> {
    if frame.get(at) != Some(&b'$') {
        return None;
    }
    let Header::Number { value, end } = read_header(frame, at) else {
        return None;
    };
    let behind = end.checked_add(usize::try_from(value).ok()?)?;
    Some((frame.get(end..behind)?, behind + 2))
}

/// Appends a request about one topic: a refusal of it is about no other.
pub fn write_listen(
    (kind, begins, topic): (TopicKind, bool, &[u8]),
    queue: &mut ByteQueue,
    spare: &mut Spare,
) {
    let verb = verb(kind, begins).as_bytes();
    write_request(queue.writer(spare), &[verb, topic]);
}

/// Appends `PING`.
pub fn write_ping(queue: &mut ByteQueue, spare: &mut Spare) {
    write_request(queue.writer(spare), &[b"PING"]);
}

/// Appends what confirms a request about one topic.
pub fn write_confirmation(
    version: Version,
    (kind, begins, topic): (TopicKind, bool, Option<&[u8]>),
    count: usize,
    out: &mut Vec<u8>,
) {
    let mut writer = Writer::new(version, out);
    writer.push(3);
    writer.bulk(verb(kind, begins));
    match topic {
        Some(topic) => writer.bulk(topic),
        None => writer.nil(),
    }
    writer.length(count);
}

/// A message in this version: only its mark may be another.
#[must_use]
pub fn retell(version: Version, message: &Bytes) -> Bytes {
    let mark = match version {
        Version::V2 => b'*',
        Version::V3 => b'>',
    };
    match message.first() {
        None => message.clone(),
        Some(first) if *first == mark => message.clone(),
        Some(_) => {
            let mut bytes = message.to_vec();
            bytes[0] = mark;
            Bytes::from(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(mark: char, parts: &[&str]) -> String {
        let parts = parts.iter().map(|part| match part.strip_prefix(':') {
            Some(number) => format!(":{number}\r\n"),
            None => format!("${}\r\n{part}\r\n", part.len()),
        });
        let parts: Vec<String> = parts.collect();
        format!("{mark}{}\r\n{}", parts.len(), parts.concat())
    }

    #[test]
    fn what_a_server_says_is_told_apart_in_both_versions() {
        for mark in ['*', '>'] {
            for (parts, what) in [
                (
                    &["message", "c", "x"][..],
                    Heard::Message(TopicKind::Channel, b"c"),
                ),
                (
                    &["pmessage", "c*", "c", "x"],
                    Heard::Message(TopicKind::Pattern, b"c*"),
                ),
                (
                    &["smessage", "", "x"],
                    Heard::Message(TopicKind::Shard, b""),
                ),
                (
                    &["subscribe", "c", ":1"],
                    Heard::Confirmed(TopicKind::Channel, true, b"c"),
                ),
                (
                    &["sunsubscribe", "c", ":0"],
                    Heard::Confirmed(TopicKind::Shard, false, b"c"),
                ),
                (
                    &["punsubscribe", "message", ":0"],
                    Heard::Confirmed(TopicKind::Pattern, false, b"message"),
                ),
                (&["pong", ""], Heard::Pong),
                // Nobody's business, or cut short.
                (&["message", "c"], Heard::Odd),
                (&["pmessage", "c", "x"], Heard::Odd),
                (&["subscribe", "c", "1"], Heard::Odd),
                (&["invalidate", "c", "x"], Heard::Odd),
                (&["MESSAGE", "c", "x"], Heard::Odd),
                (&[], Heard::Odd),
            ] {
                let frame = frame(mark, parts);
                assert_eq!(heard(frame.as_bytes()), what, "{frame}");
                for end in 0..frame.len() {
                    let _ = heard(&frame.as_bytes()[..end]);
                }
            }
        }
        assert_eq!(heard(b"-NOPERM no\r\n"), Heard::Refused);
        assert_eq!(heard(b"+PONG\r\n"), Heard::Pong);
        for odd in [
            &b"+OK\r\n"[..],
            b":1\r\n",
            b"",
            b"*3\r\n$-1\r\n:1\r\n:1\r\n",
            b"*1\r\n$9999999999\r\n",
        ] {
            assert_eq!(heard(odd), Heard::Odd);
        }
    }

    #[test]
    fn what_is_asked_is_what_is_confirmed() {
        for kind in TopicKind::ALL {
            for begins in [true, false] {
                let mut told = Vec::new();
                write_confirmation(Version::V2, (kind, begins, Some(b"t")), 7, &mut told);
                assert_eq!(heard(&told), Heard::Confirmed(kind, begins, b"t"));
                let (mut queue, mut spare) = (ByteQueue::default(), Spare::default());
                write_listen((kind, begins, b"t"), &mut queue, &mut spare);
                let asked = frame('*', &[verb(kind, begins), "t"]);
                assert_eq!(queue.to_vec(), asked.as_bytes());
            }
        }
        let mut told = Vec::new();
        write_confirmation(Version::V2, (TopicKind::Channel, false, None), 0, &mut told);
        assert_eq!(told, b"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
        told.clear();
        write_confirmation(Version::V3, (TopicKind::Channel, false, None), 0, &mut told);
        assert_eq!(told, b">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n");
    }

    #[test]
    fn a_message_is_the_same_but_for_its_mark() {
        let [old, new] = ['*', '>'].map(|mark| Bytes::from(frame(mark, &["message", "c", "x"])));
        assert_eq!(retell(Version::V2, &old), old);
        assert_eq!(retell(Version::V3, &old), new);
        assert_eq!(retell(Version::V2, &new), old);
    }
}
