//! Replies of the proxy's own, in either version of the protocol.

/// The version of the protocol that a client reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resp {
    /// RESP2: maps and sets are arrays.
    #[default]
    V2,
    /// RESP3.
    V3,
}

impl Resp {
    /// As `HELLO` numbers them.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Resp::V2 => 2,
            Resp::V3 => 3,
        }
    }

    /// What has this number.
    #[must_use]
    pub fn of_number(number: i64) -> Option<Resp> {
        match number {
            2 => Some(Resp::V2),
            3 => Some(Resp::V3),
            _ => None,
        }
    }
}

/// Appends values to a buffer.
#[derive(Debug)]
pub struct Writer<'a> {
    resp: Resp,
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// Appends to `out`.
    #[must_use]
    pub fn new(resp: Resp, out: &'a mut Vec<u8>) -> Writer<'a> {
        Writer { resp, out }
    }

    /// What follows is in this version.
    pub fn set_version(&mut self, resp: Resp) {
        self.resp = resp;
    }

    /// A text for people.
    pub fn verbatim(&mut self, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        match self.resp {
            Resp::V2 => self.bulk(text),
            Resp::V3 => {
                self.line(b'=', 4 + text.len());
                self.out.extend_from_slice(b"txt:");
                self.out.extend_from_slice(text);
                self.out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// The head of an array of `len` values.
    pub fn array(&mut self, len: usize) {
        self.line(b'*', len);
    }

    /// The head of a set of `len` values.
    pub fn set(&mut self, len: usize) {
        match self.resp {
            Resp::V2 => self.line(b'*', len),
            Resp::V3 => self.line(b'~', len),
        }
    }

    /// The head of a map of `len` pairs.
    pub fn map(&mut self, len: usize) {
        match self.resp {
            Resp::V2 => self.line(b'*', 2 * len),
            Resp::V3 => self.line(b'%', len),
        }
    }

    /// The head of a push of `len` values.
    pub fn push(&mut self, len: usize) {
        match self.resp {
            Resp::V2 => self.line(b'*', len),
            Resp::V3 => self.line(b'>', len),
        }
    }

    /// An integer.
    pub fn integer(&mut self, value: i64) {
        self.line(b':', value);
    }

    /// An integer that counts something.
    pub fn length(&mut self, value: usize) {
        self.line(b':', value);
    }

    /// An integer that numbers something.
    pub fn count(&mut self, value: u64) {
        self.line(b':', value);
    }

    /// A bulk string.
    pub fn bulk(&mut self, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        self.line(b'$', text.len());
        self.out.extend_from_slice(text);
        self.out.extend_from_slice(b"\r\n");
    }

    /// What says that something was done.
    pub fn ok(&mut self) {
        self.status("OK");
    }

    /// A simple string; it must not have a line end in it.
    pub fn status(&mut self, text: &str) {
        self.text(b'+', text);
    }

    /// An error, `ERR` included in the text; it must not have a line end in it.
    pub fn error(&mut self, text: &str) {
        self.text(b'-', text);
    }

    /// An error that repeats what a client has sent: a line end in it becomes a blank.
    pub fn error_echo(&mut self, text: &str) {
        self.error(&text.replace(['\r', '\n'], " "));
    }

    /// Nothing where a bulk string might be.
    pub fn nil_array(&mut self) {
        match self.resp {
            Resp::V2 => self.out.extend_from_slice(b"*-1\r\n"),
            Resp::V3 => self.nil(),
        }
    }

    /// No value.
    pub fn nil(&mut self) {
        let nil: &[u8] = match self.resp {
            Resp::V2 => b"$-1\r\n",
            Resp::V3 => b"_\r\n",
        };
        self.out.extend_from_slice(nil);
    }

    fn line(&mut self, kind: u8, number: impl itoa::Integer) {
        self.text(kind, itoa::Buffer::new().format(number));
    }

    fn text(&mut self, kind: u8, text: &str) {
        debug_assert!(
            !text.contains(['\r', '\n']),
            "a line end would break the protocol"
        );
        self.out.push(kind);
        self.out.extend_from_slice(text.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }
}
