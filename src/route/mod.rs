//! Key → server, bit for bit as twemproxy maps on x86-64.
//!
//! Owns: the hash functions, the distributions, hash tags. Never: a socket, a protocol.

/// One of twemproxy's key hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    #[doc = "twemproxy's default."]
    Fnv1a64,
}

/// How hashes are laid over servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Distribution {
    #[doc = "Consistent hashing."]
    Ketama,
    #[doc = "hash mod servers."]
    Modula,
    #[doc = "Any server."]
    Random,
}

/// The two bytes around the part of a key that is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HashTag {
    #[doc = "First byte."]
    pub open: u8,
    #[doc = "Second byte."]
    pub close: u8,
}
