//! The words by which Redis describes a command in `COMMAND`: flags, ACL categories, key uses.
//!
//! Each is a set of bits with Redis's names. The bits themselves are ours.

/// Builds a set of bits: constants, names in Redis's order, and an iterator over the names.
macro_rules! bit_set {
    ($(#[$doc:meta])* $set:ident { $($bit:ident = $name:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $set(u32);

        bit_set!(@bits $set, 0, $($bit = $name,)+);

        impl $set {
            /// The empty set.
            pub const NONE: $set = $set(0);

            const NAMES: &[($set, &'static str)] = &[$(($set::$bit, $name),)+];

            /// What is in either.
            #[must_use]
            pub const fn and(self, other: $set) -> $set {
                $set(self.0 | other.0)
            }

            /// What is in this and not in `other`.
            #[must_use]
            pub const fn without(self, other: $set) -> $set {
                $set(self.0 & !other.0)
            }

            /// Whether all of `other` is in it.
            #[must_use]
            pub const fn has(self, other: $set) -> bool {
                self.0 & other.0 == other.0
            }

            /// How many are in it.
            #[must_use]
            pub const fn len(self) -> usize {
                self.0.count_ones() as usize
            }

            /// Whether nothing is in it.
            #[must_use]
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// The names that `COMMAND` gives.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                Self::NAMES.iter().filter(move |(bit, _)| self.has(*bit)).map(|(_, name)| *name)
            }

            /// The one with this name, in any case.
            #[must_use]
            pub fn named(name: &[u8]) -> Option<$set> {
                let mut all = Self::NAMES.iter();
                all.find(|(_, n)| n.as_bytes().eq_ignore_ascii_case(name)).map(|(bit, _)| *bit)
            }
        }
    };
    (@bits $set:ident, $n:expr, $bit:ident = $name:literal, $($rest:tt)*) => {
        impl $set {
            #[doc = concat!("`", $name, "`.")]
            pub const $bit: $set = $set(1 << ($n));
        }
        bit_set!(@bits $set, $n + 1, $($rest)*);
    };
    (@bits $set:ident, $n:expr,) => {};
}

bit_set! {
    /// Redis's command flags. `write`, `readonly` and `movablekeys` are not here: they follow from
    /// a row's access and keys.
    Flags {
        DENYOOM = "denyoom",
        MODULE = "module",
        ADMIN = "admin",
        PUBSUB = "pubsub",
        NOSCRIPT = "noscript",
        BLOCKING = "blocking",
        LOADING = "loading",
        STALE = "stale",
        SKIP_MONITOR = "skip_monitor",
        SKIP_SLOWLOG = "skip_slowlog",
        ASKING = "asking",
        FAST = "fast",
        NO_AUTH = "no_auth",
        NO_MANDATORY_KEYS = "no_mandatory_keys",
        NO_ASYNC_LOADING = "no_async_loading",
        NO_MULTI = "no_multi",
        ALLOW_BUSY = "allow_busy",
    }
}

bit_set! {
    /// What a proxy has to know of a command, and `COMMAND` has no word for.
    ///
    /// `MASTER_ONLY`: a read that no replica may answer. `NEEDS_LEAVE`: it is refused unless the pool's
    /// configuration allows it.
    Traits {
        MASTER_ONLY = "master_only",
        NEEDS_LEAVE = "needs_leave",
    }
}

bit_set! {
    /// Redis's ACL categories.
    Categories {
        KEYSPACE = "keyspace",
        READ = "read",
        WRITE = "write",
        SET = "set",
        SORTEDSET = "sortedset",
        LIST = "list",
        HASH = "hash",
        STRING = "string",
        BITMAP = "bitmap",
        HYPERLOGLOG = "hyperloglog",
        GEO = "geo",
        STREAM = "stream",
        PUBSUB = "pubsub",
        ADMIN = "admin",
        FAST = "fast",
        SLOW = "slow",
        BLOCKING = "blocking",
        DANGEROUS = "dangerous",
        CONNECTION = "connection",
        TRANSACTION = "transaction",
        SCRIPTING = "scripting",
    }
}

bit_set! {
    /// What a command does with the keys of one key specification (Redis 7.0, `key-specs`).
    KeyUse {
        RO = "RO",
        RW = "RW",
        OW = "OW",
        RM = "RM",
        ACCESS = "access",
        UPDATE = "update",
        INSERT = "insert",
        DELETE = "delete",
        NOT_KEY = "not_key",
        INCOMPLETE = "incomplete",
        VARIABLE_FLAGS = "variable_flags",
    }
}

/// The groups by which Redis's documentation sorts commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is Redis's group of that name")]
pub enum Group {
    Array,
    Bitmap,
    Cluster,
    Connection,
    Generic,
    Geo,
    Hash,
    HyperLogLog,
    List,
    /// Commands of the modules that Redis 8 includes.
    Module,
    PubSub,
    Scripting,
    Server,
    Set,
    SortedSet,
    Stream,
    String,
    Transactions,
    VectorSet,
}

impl Group {
    /// As `COMMAND DOCS` names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Group::Array => "array",
            Group::Bitmap => "bitmap",
            Group::Cluster => "cluster",
            Group::Connection => "connection",
            Group::Generic => "generic",
            Group::Geo => "geo",
            Group::Hash => "hash",
            Group::HyperLogLog => "hyperloglog",
            Group::List => "list",
            Group::Module => "module",
            Group::PubSub => "pubsub",
            Group::Scripting => "scripting",
            Group::Server => "server",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Stream => "stream",
            Group::String => "string",
            Group::Transactions => "transactions",
            Group::VectorSet => "vector_set",
        }
    }

    /// The ACL category that the group's commands are in, unless a row says otherwise.
    #[must_use]
    pub(super) const fn category(self) -> Categories {
        match self {
            Group::Bitmap => Categories::BITMAP,
            Group::Connection => Categories::CONNECTION,
            Group::Generic => Categories::KEYSPACE,
            Group::Geo => Categories::GEO,
            Group::Hash => Categories::HASH,
            Group::HyperLogLog => Categories::HYPERLOGLOG,
            Group::List => Categories::LIST,
            Group::PubSub => Categories::PUBSUB,
            Group::Scripting => Categories::SCRIPTING,
            Group::Set => Categories::SET,
            Group::SortedSet => Categories::SORTEDSET,
            Group::Stream => Categories::STREAM,
            Group::String => Categories::STRING,
            Group::Transactions => Categories::TRANSACTION,
            Group::Array | Group::Cluster | Group::Module | Group::Server | Group::VectorSet => {
                Categories::NONE
            }
        }
    }
}
