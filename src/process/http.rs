//! One HTTP request to a running proxy, bounded in time whatever the other side does.
//!
//! Owns: the little of HTTP that asking our own admin side takes: no redirects, no chunks, the
//! answer ends where the connection does.

use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::ToSocketAddrs;
use std::time::Duration;
use std::time::Instant;

use socket2::Domain;
use socket2::SockAddr;
use socket2::Socket;
use socket2::Type;

/// What was answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// 200 and so on.
    pub(super) status: u16,
    /// As text, whatever it is.
    pub(super) body: String,
}

/// More than any answer; a peer that sends without end is none of ours.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    /// `GET` or `POST`.
    pub(super) method: &'a str,
    /// With its slash.
    pub(super) path: &'a str,
    /// Empty for a GET.
    pub(super) body: &'a str,
}

/// Asks whoever listens at `target`: `host:port`, or the path of a Unix socket.
///
/// # Errors
///
/// When nobody is there, or there is no whole answer `within` that time.
pub(super) fn ask(target: &str, request: Request<'_>, within: Duration) -> io::Result<Answer> {
    let until = now() + within;
    let mut socket = send(target, request, "1.1", until)?;
    let mut bytes = Vec::new();
    let mut piece = [0; 16 << 10];
    while bytes.len() < ANSWER_BYTES_MAX {
        socket.set_read_timeout(Some(left(until)?))?;
        match socket.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // The answer is whole, and what follows it is no matter.
            Err(error) => return answer(&bytes).ok_or(in_words(error)),
        }
    }
    answer(&bytes).ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "the answer is no HTTP"))
}

/// Asks the same, and gives what is answered as it comes, for as long as it does, and as long as that can
/// be given. An answer that is not 200 is returned whole.
///
/// # Errors
///
/// When nobody is there, or there is no answer `within` that time.
pub(super) fn follow(
    target: &str,
    request: Request<'_>,
    within: Duration,
    mut give: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Answer> {
    let until = now() + within;
    // Of this version, so that nothing stands between the pieces.
    let mut socket = send(target, request, "1.0", until)?;
    let mut bytes = Vec::new();
    let mut piece = [0; 16 << 10];
    let mut goes_on = false;
    while bytes.len() < ANSWER_BYTES_MAX {
        socket.set_read_timeout(if goes_on { None } else { Some(left(until)?) })?;
        let read = match socket.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => &piece[..read],
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(in_words(error)),
        };
        if goes_on {
            if give(read).is_err() {
                break;
            }
            continue;
        }
        bytes.extend_from_slice(read);
        let end = bytes.windows(4).position(|end| end == b"\r\n\r\n");
        let is_good = answer(&bytes).is_some_and(|answer| answer.status == 200);
        if let (Some(end), true) = (end, is_good) {
            goes_on = true;
            if give(&bytes[end + 4..]).is_err() {
                break;
            }
            bytes.truncate(end + 4);
        }
    }
    answer(&bytes).ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "the answer is no HTTP"))
}

fn send(target: &str, request: Request<'_>, version: &str, until: Instant) -> io::Result<Socket> {
    let mut socket = connect(target, left(until)?)?;
    socket.set_write_timeout(Some(left(until)?))?;
    let Request { method, path, body } = request;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/{version}\r\nHost: coremux\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    socket.write_all(head.as_bytes())?;
    Ok(socket)
}

fn connect(target: &str, within: Duration) -> io::Result<Socket> {
    let address = match target.starts_with('/') {
        true => SockAddr::unix(target)?,
        false => {
            let mut addresses = target.to_socket_addrs()?;
            let nowhere = || io::Error::new(ErrorKind::NotFound, "the name has no address");
            addresses.next().ok_or_else(nowhere)?.into()
        }
    };
    let domain = Domain::from(i32::from(address.family()));
    let socket = Socket::new(domain, Type::STREAM.cloexec(), None)?;
    // Also for a Unix socket: with a full backlog its connect would wait for ever.
    socket.connect_timeout(&address, within)?;
    Ok(socket)
}

#[allow(clippy::disallowed_methods, reason = "the top floor has a clock")]
fn now() -> Instant {
    Instant::now()
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(now());
    match left.is_zero() {
        true => Err(in_words(ErrorKind::WouldBlock.into())),
        false => Ok(left),
    }
}

/// A read that takes too long fails with `EAGAIN`, whose text tells nobody anything.
fn in_words(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock => io::Error::new(ErrorKind::TimedOut, "no answer in time"),
        _ => error,
    }
}

/// Takes an answer apart; `None` if it is not whole.
fn answer(bytes: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().ok())?
    });
    let body = match length {
        Some(length) => body.get(..length)?,
        None => body,
    };
    Some(Answer {
        status: status.parse().ok()?,
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::answer;

    #[test]
    fn an_answer_is_whole_or_none() {
        let whole = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nno\n";
        let parsed = answer(whole).unwrap();
        assert_eq!((parsed.status, parsed.body.as_str()), (503, "no\n"));
        for cut in 0..whole.len() {
            assert_eq!(answer(&whole[..cut]), None, "{cut}");
        }
        assert_eq!(answer(b"HTTP/1.0 200 OK\r\n\r\nall").unwrap().body, "all");
        for nonsense in [
            &b"{\"service\":\"nutcracker\"}"[..],
            b"HTTP/1.1 x y\r\n\r\n",
        ] {
            assert_eq!(answer(nonsense), None);
        }
    }
}
