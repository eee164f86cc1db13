//! RESP by the letter, written once more and independently of the proxy: what the model clients and
//! servers speak and accept, which of RESP3 is nulls and maps.

use std::ops::Range;

/// Writes a request as an array of bulk strings.
pub fn write_request<A: AsRef<[u8]>>(args: &[A]) -> Vec<u8> {
    let bytes: usize = args.iter().map(|arg| arg.as_ref().len() + 16).sum();
    let mut frame = Vec::with_capacity(bytes + 16);
    frame.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        write_bulk(arg.as_ref(), &mut frame);
    }
    frame
}

pub fn write_bulk(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("${}\r\n", bytes.len()).as_bytes());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// Where a request's arguments lie, and how many bytes it has in all.
pub type Cut = (Vec<Range<usize>>, usize);

/// One request and how many bytes it has; `None` while more bytes are to come.
///
/// # Errors
/// Anything that is not a canonical frame with at least one argument.
pub fn parse_request(buf: &[u8]) -> Result<Option<Cut>, String> {
    let Some((count, mut at)) = header(buf, 0, b'*')? else {
        return Ok(None);
    };
    if count == 0 {
        return Err("a request without arguments".to_owned());
    }
    let mut args = Vec::with_capacity(count);
    for _ in 0..count {
        let Some((len, start)) = header(buf, at, b'$')? else {
            return Ok(None);
        };
        if buf.len() < start + len + 2 {
            return Ok(None);
        }
        if &buf[start + len..start + len + 2] != b"\r\n" {
            return Err(format!("no line end behind argument {}", args.len()));
        }
        args.push(start..start + len);
        at = start + len + 2;
    }
    Ok(Some((args, at)))
}

/// How many bytes the reply at the beginning of `buf` has; `None` while more are to come.
///
/// # Errors
/// Anything that is not a reply of RESP2.
pub fn parse_reply(buf: &[u8]) -> Result<Option<usize>, String> {
    value(buf, 0)
}

/// The elements of an array reply, or `None` if it is none.
pub fn elements(reply: &[u8]) -> Option<Vec<&[u8]>> {
    let (count, mut at) = header(reply, 0, b'*').ok()??;
    let mut elements = Vec::with_capacity(count);
    for _ in 0..count {
        let end = value(reply, at).ok()??;
        elements.push(&reply[at..end]);
        at = end;
    }
    (at == reply.len()).then_some(elements)
}

/// The number of an integer reply.
pub fn integer(reply: &[u8]) -> Option<i64> {
    let digits = reply.strip_prefix(b":")?.strip_suffix(b"\r\n")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn value(buf: &[u8], at: usize) -> Result<Option<usize>, String> {
    let Some(&mark) = buf.get(at) else {
        return Ok(None);
    };
    match mark {
        b'+' | b'-' | b':' => Ok(line(buf, at)?.map(|(_, end)| end)),
        b'_' if buf[at..].starts_with(b"_\r\n") => Ok(Some(at + 3)),
        b'_' if b"_\r\n".starts_with(&buf[at..]) => Ok(None),
        b'$' | b'*' if buf[at..].starts_with(&[mark, b'-', b'1', b'\r', b'\n']) => Ok(Some(at + 5)),
        b'$' | b'*' if [mark, b'-', b'1', b'\r', b'\n'].starts_with(&buf[at..]) => Ok(None),
        b'$' | b'=' => {
            let Some((len, start)) = header(buf, at, mark)? else {
                return Ok(None);
            };
            match buf.get(start + len..start + len + 2) {
                None => Ok(None),
                Some(b"\r\n") => Ok(Some(start + len + 2)),
                Some(other) => Err(format!("{other:?} behind a bulk string")),
            }
        }
        b'*' | b'%' | b'>' => {
            let Some((count, mut at)) = header(buf, at, mark)? else {
                return Ok(None);
            };
            let each = if mark == b'%' { 2 } else { 1 };
            for _ in 0..count * each {
                match value(buf, at)? {
                    Some(end) => at = end,
                    None => return Ok(None),
                }
            }
            Ok(Some(at))
        }
        other => Err(format!("a reply of type {:?}", char::from(other))),
    }
}

/// The number behind a mark, and where its line ends.
fn header(buf: &[u8], at: usize, mark: u8) -> Result<Option<(usize, usize)>, String> {
    match buf.get(at) {
        None => return Ok(None),
        Some(&got) if got != mark => {
            return Err(format!(
                "{:?} instead of {:?}",
                char::from(got),
                char::from(mark)
            ));
        }
        Some(_) => {}
    }
    let Some((digits, end)) = line(buf, at)? else {
        return Ok(None);
    };
    let text = std::str::from_utf8(digits).map_err(|error| error.to_string())?;
    let number: usize = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    if number.to_string() != text {
        return Err(format!("{text:?} is not canonical"));
    }
    Ok(Some((number, end)))
}

/// What stands behind the mark at `at`, and where the line ends.
fn line(buf: &[u8], at: usize) -> Result<Option<(&[u8], usize)>, String> {
    let Some(found) = memchr::memchr2(b'\r', b'\n', &buf[at..]).map(|found| at + found) else {
        return Ok(None);
    };
    match buf[found..] {
        [b'\r', b'\n', ..] => Ok(Some((&buf[at + 1..found], found + 2))),
        [b'\r'] => Ok(None),
        _ => Err("a line without its end".to_owned()),
    }
}
