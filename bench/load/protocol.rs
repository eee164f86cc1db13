//! What is spoken: the requests, and how a reply is told from the next one.

use crate::memcached;
use crate::reply;
use crate::reply::NotAReply;
use crate::reply::Reply;

/// A protocol whose servers know keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Redis,
    Memcached,
}

impl Protocol {
    pub(crate) fn write_get(self, key: &[u8], out: &mut Vec<u8>) {
        match self {
            Protocol::Redis => {
                out.extend_from_slice(b"*2\r\n$3\r\nGET\r\n");
                bulk(out, key);
            }
            Protocol::Memcached => {
                for part in [b"get ", key, b"\r\n"] {
                    out.extend_from_slice(part);
                }
            }
        }
    }

    /// A `get` of many keys. Only memcached's protocol: [`Options`](crate::options::Options) say so.
    pub(crate) fn write_get_many<'a>(
        self,
        keys: impl Iterator<Item = &'a [u8]>,
        out: &mut Vec<u8>,
    ) {
        debug_assert_eq!(self, Protocol::Memcached);
        out.extend_from_slice(b"get");
        for key in keys {
            out.push(b' ');
            out.extend_from_slice(key);
        }
        out.extend_from_slice(b"\r\n");
    }

    pub(crate) fn write_set(self, key: &[u8], value: &[u8], out: &mut Vec<u8>) {
        match self {
            Protocol::Redis => {
                out.extend_from_slice(b"*3\r\n$3\r\nSET\r\n");
                bulk(out, key);
                bulk(out, value);
            }
            Protocol::Memcached => {
                let mut number = itoa::Buffer::new();
                let length = number.format(value.len()).as_bytes();
                for part in [b"set ", key, b" 0 0 ", length, b"\r\n", value, b"\r\n"] {
                    out.extend_from_slice(part);
                }
            }
        }
    }

    /// The first reply of `bytes` and its length; `None` while it is not whole.
    ///
    /// # Errors
    ///
    /// What is none, and never will be.
    pub(crate) fn cut(self, bytes: &[u8]) -> Result<Option<(Reply<'_>, usize)>, NotAReply> {
        match self {
            Protocol::Redis => reply::cut(bytes),
            Protocol::Memcached => memcached::cut(bytes),
        }
    }
}

fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'$');
    out.extend_from_slice(itoa::Buffer::new().format(bytes.len()).as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}
