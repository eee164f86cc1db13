//! Key → server, bit for bit as twemproxy maps on x86-64.
//!
//! Owns: the hash functions, the distributions, hash tags. Never: a socket, a protocol.
//! This is a stand-in with the names of the real floor; the merge takes the real one.

/// One of twemproxy's key hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "thrown away at the merge")]
pub enum Hash {
    OneAtATime,
    Md5,
    Crc16,
    Crc32,
    Crc32a,
    Fnv1_64,
    Fnv1a64,
    Fnv1_32,
    Fnv1a32,
    Hsieh,
    Murmur,
    Jenkins,
}

#[allow(missing_docs, reason = "thrown away at the merge")]
impl Hash {
    pub const ALL: &'static [Hash] = &[
        Hash::OneAtATime,
        Hash::Md5,
        Hash::Crc16,
        Hash::Crc32,
        Hash::Crc32a,
        Hash::Fnv1_64,
        Hash::Fnv1a64,
        Hash::Fnv1_32,
        Hash::Fnv1a32,
        Hash::Hsieh,
        Hash::Murmur,
        Hash::Jenkins,
    ];

    #[must_use]
    pub fn from_name(name: &str) -> Option<Hash> {
        Hash::ALL.iter().copied().find(|hash| hash.name() == name)
    }

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Hash::OneAtATime => "one_at_a_time",
            Hash::Md5 => "md5",
            Hash::Crc16 => "crc16",
            Hash::Crc32 => "crc32",
            Hash::Crc32a => "crc32a",
            Hash::Fnv1_64 => "fnv1_64",
            Hash::Fnv1a64 => "fnv1a_64",
            Hash::Fnv1_32 => "fnv1_32",
            Hash::Fnv1a32 => "fnv1a_32",
            Hash::Hsieh => "hsieh",
            Hash::Murmur => "murmur",
            Hash::Jenkins => "jenkins",
        }
    }
}

/// How hashes are laid over servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "thrown away at the merge")]
pub enum Distribution {
    Ketama,
    Modula,
    Random,
}

#[allow(missing_docs, reason = "thrown away at the merge")]
impl Distribution {
    pub const ALL: &'static [Distribution] = &[
        Distribution::Ketama,
        Distribution::Modula,
        Distribution::Random,
    ];

    #[must_use]
    pub fn from_name(name: &str) -> Option<Distribution> {
        Distribution::ALL
            .iter()
            .copied()
            .find(|distribution| distribution.name() == name)
    }

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Distribution::Ketama => "ketama",
            Distribution::Modula => "modula",
            Distribution::Random => "random",
        }
    }
}

/// The two bytes around the part of a key that is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HashTag {
    #[doc = "First byte."]
    pub open: u8,
    #[doc = "Second byte."]
    pub close: u8,
}
