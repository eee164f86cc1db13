//! twemproxy's twelve key hashes, one table.
//!
//! Owns: the names a configuration file may use and which function each stands for. Never: knows
//! what the 32 bits are used for. twemproxy: `src/hashkit/`.
//!
//! twemproxy hashes `const char *`, and `char` is signed on x86-64: in `one_at_a_time`, the FNV
//! family and the last byte of `hsieh` a byte from 0x80 up enters as a negative number. The same
//! twemproxy on ARM64 maps such keys elsewhere; these functions give x86-64's results everywhere.

mod crc;
mod fnv;
mod hsieh;
mod jenkins;
mod md5;
mod murmur;
mod one_at_a_time;

/// Makes the enum, its names and its dispatch from one table, so that they cannot disagree.
macro_rules! hashes {
    ($($(#[$doc:meta])* $variant:ident, $name:literal, $function:path;)+) => {
        /// One of twemproxy's key hashes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Hash {
            $($(#[$doc])* $variant,)+
        }

        impl Hash {
            /// Every hash, in the order of twemproxy's own table.
            pub const ALL: &'static [Hash] = &[$(Hash::$variant,)+];

            /// The name in the configuration file.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Hash::$variant => $name,)+
                }
            }

            /// The function alone, also for an empty key.
            fn apply(self, key: &[u8]) -> u32 {
                match self {
                    $(Hash::$variant => $function(key),)+
                }
            }
        }
    };
}

hashes! {
    /// Bob Jenkins's one-at-a-time, over signed bytes.
    OneAtATime, "one_at_a_time", one_at_a_time::one_at_a_time;
    /// The first four bytes of the MD5 digest, little-endian.
    Md5, "md5", md5::md5;
    /// A CRC-16 whose running value is kept in 32 bits.
    Crc16, "crc16", crc::crc16;
    /// libmemcached's: 15 bits out of the CRC-32. A ring is nearly unused by so few values.
    Crc32, "crc32", crc::crc32;
    /// The CRC-32 of zlib and Ethernet.
    Crc32a, "crc32a", crc::crc32a;
    /// FNV-1, 64 bits wide, of which the low 32 are used; over signed bytes.
    Fnv1_64, "fnv1_64", fnv::fnv1_64;
    /// The default. FNV-1a with the 64-bit constants cut to 32 bits; over signed bytes.
    Fnv1a64, "fnv1a_64", fnv::fnv1a_64;
    /// FNV-1, 32 bits wide; over signed bytes.
    Fnv1_32, "fnv1_32", fnv::fnv1_32;
    /// FNV-1a, 32 bits wide; over signed bytes.
    Fnv1a32, "fnv1a_32", fnv::fnv1a_32;
    /// Paul Hsieh's SuperFastHash.
    Hsieh, "hsieh", hsieh::hsieh;
    /// MurmurHash2 with a seed made from the key's length.
    Murmur, "murmur", murmur::murmur;
    /// Bob Jenkins's lookup3.
    Jenkins, "jenkins", jenkins::jenkins;
}

impl Hash {
    /// The hash that a configuration file means by `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Hash> {
        Hash::ALL.iter().copied().find(|hash| hash.name() == name)
    }

    /// The key's 32 bits; 0 for an empty key whatever the function (twemproxy:
    /// `server_pool_hash` in `src/nc_server.c`).
    #[must_use]
    #[inline]
    pub fn hash(self, key: &[u8]) -> u32 {
        if key.is_empty() {
            return 0;
        }
        self.apply(key)
    }
}

/// What C on x86-64 makes of a `char` that becomes a `uint32_t`: the sign bit is copied upwards.
#[inline]
fn signed(byte: u8) -> u32 {
    i32::from(i8::from_ne_bytes([byte])) as u32
}

/// A key's length as twemproxy's functions take it.
#[inline]
fn length(key: &[u8]) -> u32 {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the definition: a length of 2^32 or more enters cut to 32 bits"
    )]
    let length = key.len() as u32;
    length
}

/// The four bytes at the start of `bytes`, little-endian.
#[inline]
fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
mod tests;
