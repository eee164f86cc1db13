//! What a Redis server, or a proxy, says.

use std::io;
use std::io::BufRead;
use std::io::ErrorKind;

/// One RESP2 or RESP3 value.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// `+OK`
    Simple(String),
    /// `-ERR …`, without the dash; bytes that are not UTF-8 are replaced.
    Error(String),
    /// `:1`
    Integer(i64),
    /// `$3`
    Bulk(Vec<u8>),
    /// `$-1`, and RESP3's `_`
    Null,
    /// `*-1`
    NullArray,
    /// `*2`
    Array(Vec<Reply>),
    /// RESP3 `%1`, in the order sent.
    Map(Vec<(Reply, Reply)>),
    /// RESP3 `~1`, in the order sent.
    Set(Vec<Reply>),
    /// RESP3 `>1`
    Push(Vec<Reply>),
    /// RESP3 `#t`
    Bool(bool),
    /// RESP3 `,1.5`, as sent.
    Double(String),
    /// RESP3 `(123`, as sent.
    BigNumber(String),
    /// RESP3 `=7`, with its format.
    Verbatim(Vec<u8>),
}

impl Reply {
    /// `+OK`
    pub fn ok() -> Reply {
        Reply::Simple("OK".to_owned())
    }

    /// A bulk string.
    pub fn bulk(bytes: impl AsRef<[u8]>) -> Reply {
        Reply::Bulk(bytes.as_ref().to_vec())
    }

    /// The error's text, or a failed test.
    pub fn error(&self) -> &str {
        match self {
            Reply::Error(text) => text,
            other => panic!("not an error: {other:?}"),
        }
    }

    /// Reads one.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the peer closed before or within it, `InvalidData` when it is no RESP.
    pub fn read(from: &mut impl BufRead) -> io::Result<Reply> {
        let line = line(from)?;
        let Some((kind, rest)) = line.split_at_checked(1) else {
            return Err(io::Error::new(ErrorKind::InvalidData, "an empty line"));
        };
        let text = || rest.to_owned();
        Ok(match kind {
            "+" => Reply::Simple(text()),
            "-" => Reply::Error(text()),
            ":" => Reply::Integer(number(rest)?),
            "$" if rest == "-1" => Reply::Null,
            "*" if rest == "-1" => Reply::NullArray,
            "_" => Reply::Null,
            "$" => Reply::Bulk(bulk(from, rest)?),
            "=" => Reply::Verbatim(bulk(from, rest)?),
            "*" => Reply::Array(items(from, rest)?),
            "~" => Reply::Set(items(from, rest)?),
            ">" => Reply::Push(items(from, rest)?),
            "%" => Reply::Map(
                (0..number(rest)?)
                    .map(|_| Ok((Reply::read(from)?, Reply::read(from)?)))
                    .collect::<io::Result<_>>()?,
            ),
            "#" => Reply::Bool(rest == "t"),
            "," => Reply::Double(text()),
            "(" => Reply::BigNumber(text()),
            _ => return Err(io::Error::new(ErrorKind::InvalidData, line)),
        })
    }
}

/// A line without its end.
fn line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    if line.pop() != Some(b'\r') {
        return Err(io::Error::new(
            ErrorKind::InvalidData,
            "a line without \\r\\n",
        ));
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn number(text: &str) -> io::Result<i64> {
    text.parse()
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, format!("no number: {text:?}")))
}

fn bulk(from: &mut impl BufRead, length: &str) -> io::Result<Vec<u8>> {
    let length = usize::try_from(number(length)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "a negative length"))?;
    let mut bytes = vec![0; length + 2];
    from.read_exact(&mut bytes)?;
    if !bytes.ends_with(b"\r\n") {
        return Err(io::Error::new(
            ErrorKind::InvalidData,
            "a bulk without \\r\\n",
        ));
    }
    bytes.truncate(length);
    Ok(bytes)
}

fn items(from: &mut impl BufRead, count: &str) -> io::Result<Vec<Reply>> {
    (0..number(count)?).map(|_| Reply::read(from)).collect()
}
