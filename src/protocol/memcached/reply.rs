//! What a server's reply to a command must look like.
//!
//! The FIFO entry of a request says which form its reply has and, for values, by which key one that
//! was asked alone is known, or how many keys were asked: a reply of another form, of another key, or
//! of more values is none. Whose each of several values is, who gathers them looks at (`join`).

use thiserror::Error;

use crate::protocol::Cut;
use crate::protocol::Expect;
use crate::protocol::ReplyKind;

/// A line of `stats settings` has hundreds of bytes.
pub(super) const LINE_BYTES_MAX: usize = 8192;

/// The server's bytes are not the reply that is due. Closes that server connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReplyError {
    /// A line without an end.
    #[error("reply line too long")]
    LineTooLong,
    /// A line or a value that does not end with CR LF.
    #[error("reply without CRLF")]
    NoLineEnd,
    /// A line that does not answer what was asked.
    #[error("reply to another request")]
    OtherForm,
    /// A value of a key that was not asked.
    #[error("value of a key that was not asked")]
    OtherKey,
    /// The server has not understood a command with data: it takes the data for commands.
    #[error("server does not understand the command, and takes its data for others")]
    NotUnderstood,
}

/// The forms of replies, by the number that [`Expect`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Any line: what a server says of itself.
    Line,
    Value,
    ValueCas,
    /// Values of several keys.
    Values,
    ValuesCas,
    Stored,
    Deleted,
    Number,
    Touched,
    Version,
    MetaGet,
    MetaStored,
    MetaDeleted,
    MetaCounted,
    MetaDebug,
    Done,
    /// Lines, up to an end.
    Stats,
}

const FORMS: [Form; 17] = [
    Form::Line,
    Form::Value,
    Form::ValueCas,
    Form::Values,
    Form::ValuesCas,
    Form::Stored,
    Form::Deleted,
    Form::Number,
    Form::Touched,
    Form::Version,
    Form::MetaGet,
    Form::MetaStored,
    Form::MetaDeleted,
    Form::MetaCounted,
    Form::MetaDebug,
    Form::Done,
    Form::Stats,
];

impl Form {
    #[inline]
    pub(super) fn of(expect: Expect) -> Form {
        let form = FORMS.get(usize::from(expect.form()));
        form.copied().unwrap_or(Form::Line)
    }

    /// Of a single key.
    pub(super) fn of_one(self) -> Form {
        match self {
            Form::Values => Form::Value,
            Form::ValuesCas => Form::ValueCas,
            form => form,
        }
    }

    pub(super) fn is_meta(self) -> bool {
        matches!(
            self,
            Form::MetaGet | Form::MetaStored | Form::MetaDeleted | Form::MetaCounted
        )
    }

    /// Whether data goes to the server with it.
    fn has_data(self) -> bool {
        matches!(self, Form::Stored | Form::MetaStored)
    }
}

/// By what a key is known that was asked alone.
#[inline]
pub(super) fn tag_of(key: &[u8]) -> u16 {
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut mixed = key.len() as u64;
    for part in key.chunks(8) {
        let mut word = [0; 8];
        word[..part.len()].copy_from_slice(part);
        mixed = (mixed ^ u64::from_le_bytes(word)).wrapping_mul(SPREAD);
        mixed ^= mixed >> 32;
    }
    #[expect(clippy::cast_possible_truncation, reason = "a hash")]
    let tag = (mixed >> 16) as u16;
    tag
}

/// What follows a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: it was the last.
    End(ReplyKind),
    /// So many bytes of data, and a line end; that is all, or is not.
    Data { bytes: usize, last: bool },
    /// Another line.
    Line,
}

/// Reads a line, without its end, of a reply of which so many values have come.
#[inline]
pub(super) fn read_line(expect: Expect, line: &[u8], values: usize) -> Result<Next, ReplyError> {
    let form = Form::of(expect);
    match form {
        Form::Value | Form::ValueCas | Form::Values | Form::ValuesCas => {
            if let Some(rest) = line.strip_prefix(b"VALUE ") {
                return read_value(expect, rest, values);
            }
            if line == b"END" {
                return Ok(Next::End(ReplyKind::Value));
            }
            match is_error(line) && values == 0 {
                true => Ok(Next::End(ReplyKind::Error)),
                false => Err(ReplyError::OtherForm),
            }
        }
        Form::Stats if line.starts_with(b"STAT ") => Ok(Next::Line),
        _ if is_error(line) => match form.has_data() && !line.starts_with(b"SERVER_ERROR") {
            true => Err(ReplyError::NotUnderstood),
            false => Ok(Next::End(ReplyKind::Error)),
        },
        Form::MetaGet | Form::MetaCounted if line.starts_with(b"VA ") => {
            let size = line[3..].split(|byte| *byte == b' ').next();
            let bytes = size.and_then(number).ok_or(ReplyError::OtherForm)?;
            Ok(Next::Data { bytes, last: true })
        }
        form => match is_of(form, line) {
            true => Ok(Next::End(ReplyKind::Value)),
            false => Err(ReplyError::OtherForm),
        },
    }
}

#[inline]
fn read_value(expect: Expect, rest: &[u8], values: usize) -> Result<Next, ReplyError> {
    let mut words = rest.split(|byte| *byte == b' ');
    let key = words.next().unwrap_or_default();
    let form = Form::of(expect);
    let is_asked = match form {
        Form::Value | Form::ValueCas => values == 0 && tag_of(key) == expect.detail(),
        _ => values < usize::from(expect.detail()),
    };
    if !is_asked {
        return Err(ReplyError::OtherKey);
    }
    let flags = words.next().and_then(number);
    let bytes = words.next().and_then(number);
    let cas = words.next();
    let has_cas = matches!(form, Form::ValueCas | Form::ValuesCas);
    let cas_fits = cas.is_some() == has_cas && cas.is_none_or(|cas| number(cas).is_some());
    match (flags, bytes) {
        (Some(_), Some(bytes)) if cas_fits && words.next().is_none() => {
            Ok(Next::Data { bytes, last: false })
        }
        _ => Err(ReplyError::OtherForm),
    }
}

#[inline]
fn number(word: &[u8]) -> Option<usize> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0usize, |value, byte| match byte {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(usize::from(byte - b'0')),
        _ => None,
    })
}

pub(super) fn is_error(line: &[u8]) -> bool {
    line == b"ERROR"
        || [&b"ERROR "[..], b"CLIENT_ERROR ", b"SERVER_ERROR "]
            .iter()
            .any(|word| line.starts_with(word))
}

fn is_of(form: Form, line: &[u8]) -> bool {
    let code = line.split(|byte| *byte == b' ').next().unwrap_or_default();
    match form {
        Form::Line => true,
        Form::Stored => matches!(line, b"STORED" | b"NOT_STORED" | b"EXISTS" | b"NOT_FOUND"),
        Form::Deleted => matches!(line, b"DELETED" | b"NOT_FOUND"),
        Form::Touched => matches!(line, b"TOUCHED" | b"NOT_FOUND"),
        Form::Number => line == b"NOT_FOUND" || number(line).is_some(),
        Form::Version => code == b"VERSION",
        Form::MetaGet => matches!(code, b"HD" | b"EN"),
        Form::MetaStored => matches!(code, b"HD" | b"NS" | b"EX" | b"NF"),
        Form::MetaDeleted => matches!(code, b"HD" | b"EX" | b"NF"),
        Form::MetaCounted => matches!(code, b"HD" | b"NS" | b"EX" | b"NF"),
        Form::MetaDebug => matches!(code, b"ME" | b"EN"),
        Form::Done => line == b"OK",
        Form::Stats => line == b"END",
        Form::Value | Form::ValueCas | Form::Values | Form::ValuesCas => false,
    }
}

/// Cuts the reply that begins at `buf[0]` if it lies whole in `buf`.
///
/// # Errors
/// What makes the bytes no reply to what was asked.
#[inline]
pub fn cut_reply(expect: Expect, buf: &[u8]) -> Result<Option<Cut>, ReplyError> {
    let (mut at, mut values) = (0, 0);
    loop {
        let Some((line, end)) = line_at(buf, at)? else {
            return Ok(None);
        };
        match read_line(expect, line, values)? {
            Next::End(kind) => return Ok(Some(Cut { bytes: end, kind })),
            Next::Line => (at, values) = (end, values + 1),
            Next::Data { bytes, last } => {
                let behind = end.saturating_add(bytes).saturating_add(2);
                if behind > buf.len() {
                    // What has come of the line end is looked at, as it would be in pieces.
                    let is_wrong = behind - 1 == buf.len() && buf.last() != Some(&b'\r');
                    return match is_wrong {
                        true => Err(ReplyError::NoLineEnd),
                        false => Ok(None),
                    };
                }
                if &buf[behind - 2..behind] != b"\r\n" {
                    return Err(ReplyError::NoLineEnd);
                }
                if last {
                    let kind = ReplyKind::Value;
                    return Ok(Some(Cut {
                        bytes: behind,
                        kind,
                    }));
                }
                (at, values) = (behind, values + 1);
            }
        }
    }
}

/// The line that begins at `buf[at]`, and where the next one does.
#[inline]
fn line_at(buf: &[u8], at: usize) -> Result<Option<(&[u8], usize)>, ReplyError> {
    let within = buf.len().min(at + LINE_BYTES_MAX);
    let Some(found) = memchr::memchr(b'\n', &buf[at..within]) else {
        return match buf.len() - at >= LINE_BYTES_MAX {
            true => Err(ReplyError::LineTooLong),
            false => Ok(None),
        };
    };
    let end = at + found;
    match buf[at..end].strip_suffix(b"\r") {
        Some(line) => Ok(Some((line, end + 1))),
        None => Err(ReplyError::NoLineEnd),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(form: Form, detail: u16, bytes: &[u8]) -> Result<Option<usize>, ReplyError> {
        let expect = Expect::ONE.of_form(form as u8, detail);
        cut_reply(expect, bytes).map(|cut| cut.map(|cut| cut.bytes))
    }

    #[test]
    fn the_number_of_a_form_is_its_place() {
        for (number, form) in (0..).zip(FORMS) {
            assert_eq!(form as u8, number);
        }
    }

    #[test]
    fn values_end_with_their_end_wherever_they_are_cut() {
        let reply = b"VALUE a 0 5\r\nx\r\nEN\r\nVALUE b 7 0\r\n\r\nEND\r\nSTORED\r\n";
        assert_eq!(cut(Form::Values, 2, reply), Ok(Some(40)));
        for end in 0..40 {
            assert_eq!(cut(Form::Values, 2, &reply[..end]), Ok(None));
        }
        let more = cut(Form::Values, 1, reply);
        assert_eq!(more, Err(ReplyError::OtherKey), "more values than keys");
        let cas = b"VALUE a 0 1 99\r\nx\r\nEND\r\n";
        assert_eq!(cut(Form::ValueCas, tag_of(b"a"), cas), Ok(Some(cas.len())));
        assert_eq!(
            cut(Form::Value, tag_of(b"a"), cas),
            Err(ReplyError::OtherForm)
        );
    }

    #[test]
    fn a_value_that_was_not_asked_is_no_reply() {
        let other = b"VALUE b 0 1\r\nx\r\nEND\r\n";
        assert_eq!(
            cut(Form::Value, tag_of(b"a"), other),
            Err(ReplyError::OtherKey)
        );
        let twice = b"VALUE a 0 1\r\nx\r\nVALUE a 0 1\r\nx\r\nEND\r\n";
        assert_eq!(
            cut(Form::Value, tag_of(b"a"), twice),
            Err(ReplyError::OtherKey)
        );
        for byte in 0..=u8::MAX {
            let is_a = byte == b'a';
            assert_eq!(
                tag_of(&[byte]) == tag_of(b"a"),
                is_a,
                "a tag tells bytes apart"
            );
        }
    }

    #[test]
    fn each_form_has_its_own_replies_and_errors() {
        use Form::*;
        for (form, line) in [
            (Stored, "STORED"),
            (Stored, "NOT_STORED"),
            (Stored, "EXISTS"),
            (Deleted, "DELETED"),
            (Number, "18446744073709551615"),
            (Number, "NOT_FOUND"),
            (Touched, "TOUCHED"),
            (Version, "VERSION 1.6.18"),
            (MetaGet, "EN"),
            (MetaGet, "HD s2 t-1 Oq"),
            (MetaStored, "NS"),
            (MetaDeleted, "NF ka O9"),
            (MetaDebug, "ME a exp=-1"),
        ] {
            let bytes = format!("{line}\r\n");
            assert_eq!(
                cut(form, 0, bytes.as_bytes()),
                Ok(Some(bytes.len())),
                "{line}"
            );
            for other in [
                Value, Values, Stored, Deleted, Number, Touched, Version, MetaDebug,
            ] {
                if other != form && line != "NOT_FOUND" && line != "EN" {
                    let got = cut(other, 0, bytes.as_bytes());
                    assert_eq!(got, Err(ReplyError::OtherForm), "{line} for {other:?}");
                }
            }
            let error = b"SERVER_ERROR out of memory\r\n";
            assert_eq!(cut(form, 0, error), Ok(Some(error.len())));
        }
        let value = b"VA 2 kb f0\r\nhi\r\nHD\r\n";
        assert_eq!(cut(MetaGet, 0, value), Ok(Some(16)));
        assert_eq!(cut(MetaStored, 0, value), Err(ReplyError::OtherForm));
    }

    #[test]
    fn a_server_that_does_not_understand_data_is_left() {
        for line in [
            &b"ERROR\r\n"[..],
            b"CLIENT_ERROR bad command line format\r\n",
        ] {
            assert_eq!(cut(Form::Stored, 0, line), Err(ReplyError::NotUnderstood));
            assert_eq!(
                cut(Form::MetaStored, 0, line),
                Err(ReplyError::NotUnderstood)
            );
            assert_eq!(cut(Form::Number, 0, line), Ok(Some(line.len())));
        }
    }

    #[test]
    fn statistics_end_with_their_end() {
        let stats = b"STAT pid 1\r\nSTAT version 1.6.18 x\r\nEND\r\nOK\r\n";
        assert_eq!(cut(Form::Stats, 0, stats), Ok(Some(stats.len() - 4)));
        assert_eq!(cut(Form::Stats, 0, &stats[..20]), Ok(None));
        assert_eq!(cut(Form::Stats, 0, b"OK\r\n"), Err(ReplyError::OtherForm));
    }

    #[test]
    fn a_line_must_end_and_end_with_both() {
        assert_eq!(
            cut(Form::Stored, 0, b"STORED\n"),
            Err(ReplyError::NoLineEnd)
        );
        let endless = vec![b'x'; LINE_BYTES_MAX];
        assert_eq!(cut(Form::Line, 0, &endless), Err(ReplyError::LineTooLong));
        let bad = b"VALUE a 0 1\r\nxyz\r\nEND\r\n";
        assert_eq!(
            cut(Form::Value, tag_of(b"a"), bad),
            Err(ReplyError::NoLineEnd)
        );
    }
}
