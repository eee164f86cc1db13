//! One request of a model client: what it sends, and what is known beforehand of the reply.

use bytes::Bytes;
use coremux::protocol::command::ErrorsBy;

use crate::frame::write_request;

/// What the reply must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// What the server that executes it answers, or an error that a fault explains.
    Forwarded,
    /// `+QUEUED`, if the transaction has room for so many bytes.
    Queued { bytes: usize },
    /// These bytes.
    Exact(Vec<u8>),
    /// It is none: these bytes, then the end.
    Broken(Vec<u8>),
    /// The client's id: a number that is always the same, and nobody else's.
    ClientId,
    /// The time of day: an array of two.
    Time,
    /// What `HELLO` says, in RESP3 or in RESP2.
    Hello(bool),
}

/// How the replies to the parts of a split request become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// An element for each key, in their order.
    Elements,
    /// `+OK`.
    AllOk,
    /// The sum.
    Sum,
}

/// One request.
#[derive(Debug)]
pub struct Request {
    /// What the client sends; not always a canonical frame.
    pub sent: Vec<u8>,
    /// What it means.
    pub args: Vec<Bytes>,
    pub expect: Expect,
    /// Indexes of its keys, and how many arguments belong to each.
    pub keys: Vec<usize>,
    pub step: usize,
    pub split: Option<Split>,
    /// Keys (without marks) whose value is known once it has succeeded.
    pub puts: Vec<(Vec<u8>, Option<Bytes>)>,
    /// Keys (without marks) whose values the reply shows, one for each element.
    pub reads: Vec<Vec<u8>>,
    /// The database that its client is in.
    pub database: u32,
    /// It ends a transaction, all of which it stands for; whether that may change something.
    pub transaction: Option<bool>,
    /// Its client reads RESP3.
    pub resp3: bool,
}

impl Request {
    /// A request for servers, as a client library sends it.
    pub fn forwarded(args: Vec<Vec<u8>>, keys: Vec<usize>) -> Request {
        Request {
            sent: write_request(&args),
            args: args.into_iter().map(Bytes::from).collect(),
            expect: Expect::Forwarded,
            keys,
            step: 1,
            split: None,
            puts: Vec::new(),
            reads: Vec::new(),
            database: 0,
            transaction: None,
            resp3: false,
        }
    }

    /// Whether it changes nothing, so that it may be executed once more.
    pub fn is_read(&self) -> bool {
        if let Some(writes) = self.transaction {
            return !writes;
        }
        coremux::protocol::command::resolve(&self.args).is_ok_and(|row| row.safe_to_retry())
    }

    /// Whether anybody may have written what it answers.
    pub fn is_script(&self) -> bool {
        if self.transaction.is_some() {
            return false;
        }
        coremux::protocol::command::resolve(&self.args)
            .map_or(true, |row| row.errors == ErrorsBy::Anybody)
    }

    /// A request whose keys may live on several servers.
    pub fn split(args: Vec<Vec<u8>>, step: usize, split: Split) -> Request {
        let keys = (1..args.len()).step_by(step).collect();
        Request {
            step,
            split: Some(split),
            ..Request::forwarded(args, keys)
        }
    }

    /// A request that the proxy answers.
    pub fn local(args: &[&[u8]], expect: Expect) -> Request {
        let args = args.iter().map(|arg| arg.to_vec()).collect();
        Request {
            expect,
            ..Request::forwarded(args, Vec::new())
        }
    }

    /// The same, typed into a terminal. Arguments must have no quotes in them.
    pub fn typed(mut self) -> Request {
        let words: Vec<Vec<u8>> = self.args.iter().map(|arg| word(arg)).collect();
        self.sent = words.join(&b' ');
        self.sent.extend_from_slice(b"\r\n");
        self
    }

    /// The key that `index` is in, without the other arguments.
    pub fn key(&self, index: usize) -> &[u8] {
        &self.args[self.keys[index]]
    }

    /// The arguments that belong to a key, itself included.
    pub fn with_key(&self, index: usize) -> &[Bytes] {
        let at = self.keys[index];
        &self.args[at..at + self.step]
    }
}

fn word(arg: &[u8]) -> Vec<u8> {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"'\\".contains(byte);
    if !arg.is_empty() && arg.iter().all(plain) {
        return arg.to_vec();
    }
    let mut quoted = b"\"".to_vec();
    for byte in arg {
        match byte {
            b'\n' => quoted.extend_from_slice(b"\\n"),
            byte if plain(byte) || *byte == b' ' => quoted.push(*byte),
            byte => quoted.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
    quoted.push(b'"');
    quoted
}
