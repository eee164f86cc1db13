//! What a row of the table of keys is, and what it makes.
//!
//! Owns: the macros that turn rows into fields and into [`Row`]s. Never: a row, which is `keys`'s.

use std::fmt;

use crate::config::findings::Entry;
use crate::config::findings::Findings;

/// One key of what is described by a `P`.
pub struct Row<P: 'static> {
    /// As in the file.
    pub name: &'static str,
    /// What its value may be, in words.
    pub takes: &'static str,
    /// What the file could say to the same effect as saying nothing; empty if there is no such
    /// text.
    pub default: &'static str,
    /// Who had it first.
    pub origin: Origin,
    /// What a reload does where its value is another than before.
    pub effect: Effect,
    /// Its meaning.
    pub doc: &'static str,
    /// Reads its value into the field; whether nothing was wrong.
    pub(super) read: fn(&mut P, &Entry<'_>, &mut Findings) -> bool,
    /// Whether two say the same.
    pub(super) same: fn(&P, &P) -> bool,
    /// Its value as the file would have it; nothing if it is a secret.
    pub(super) show: fn(&P) -> Option<String>,
}

impl<P> fmt::Debug for Row<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Who had a key first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// twemproxy 0.5.0 has it, too.
    Twemproxy,
    /// Only this program has it.
    Ours,
}

/// What a reload does where a key has another value than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The new value counts from then on, for everybody.
    AtOnce,
    /// It counts for clients that come from then on.
    Accepted,
    /// It counts for sockets that are opened from then on.
    Opened,
    /// Another socket is opened, and clients of the old one stay.
    Listener,
    /// Clients that are idle are given the new time from when they were last heard.
    IdleClients,
    /// Keys move to other servers: a client's next request waits until those in flight are answered.
    Mapping,
    /// There are more or fewer connections to each server, in the same order for each client.
    Connections,
    /// Server connections are made anew, in the same order for each client.
    Greeting,
    /// Reads go to other servers, in the same order for each client.
    Readers,
    /// The Sentinels are asked anew.
    Sentinels,
    /// Each server is compared by itself.
    Servers,
    /// It has no effect at all.
    Nothing,
}

/// From when on, in the words of the documents.
impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Effect::AtOnce | Effect::IdleClients => "at once",
            Effect::Accepted => "for new clients",
            Effect::Opened => "for new sockets",
            Effect::Listener => "on a new socket; clients of the old one stay",
            Effect::Mapping | Effect::Connections | Effect::Readers => "in order",
            Effect::Greeting => "in order, on new connections",
            Effect::Sentinels => "the Sentinels are asked anew",
            Effect::Servers => "server by server",
            Effect::Nothing => "",
        })
    }
}

/// What a field is where the file says nothing: what the row says instead, or its default, read as a
/// file's text is.
macro_rules! unsaid {
    ($takes:ident, $default:literal) => {
        forms::$takes.of_default($default)
    };
    ($takes:ident, $default:literal, $unsaid:expr) => {
        $unsaid
    };
}

/// A row for whoever goes through all keys.
macro_rules! key {
    ($key:literal, $takes:ident, $default:literal, $from:ident, $reload:ident, $doc:literal,
     $($field:ident).+) => {
        Row {
            name: $key,
            takes: forms::$takes.takes,
            default: $default,
            origin: Origin::$from,
            effect: Effect::$reload,
            doc: $doc,
            read: |pool: &mut PoolConfig, entry: &Entry<'_>, findings: &mut Findings| {
                forms::$takes.read(&mut pool.$($field).+, entry, findings)
            },
            same: |a: &PoolConfig, b: &PoolConfig| a.$($field).+ == b.$($field).+,
            show: |pool: &PoolConfig| forms::$takes.show(&pool.$($field).+),
        }
    };
}

macro_rules! keys {
    (
        $(#[$pool_doc:meta])*
        pool {
            $( $(#[$note:meta])* $field:ident: $ty:ty {
                key: $key:literal, takes: $takes:ident, default: $default:literal
                $(, unsaid: $unsaid:expr)?;
                from: $from:ident, reload: $reload:ident; doc: $doc:literal
            } )+
        }
        $( $(#[$part_doc:meta])+ $part:ident: $Part:ident {
            $( $(#[$part_note:meta])* $vis:vis $part_field:ident: $part_ty:ty {
                key: $part_key:literal, takes: $part_takes:ident, default: $part_default:literal
                $(, unsaid: $part_unsaid:expr)?;
                from: $part_from:ident, reload: $part_reload:ident; doc: $row_doc:literal
            } )+
        } )+
    ) => {
        $(#[$pool_doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct PoolConfig {
            /// The top-level key in the file.
            pub name: Arc<str>,
            $( #[doc = concat!("`", $key, "`: ", $doc, ".")] $(#[$note])* pub $field: $ty, )+
            $( $(#[$part_doc])+ pub $part: $Part, )+
        }

        $(
            $(#[$part_doc])+
            #[derive(Clone, Debug, PartialEq, Eq)]
            pub struct $Part {
                $(
                    #[doc = concat!("`", $part_key, "`: ", $row_doc, ".")]
                    $(#[$part_note])*
                    $vis $part_field: $part_ty,
                )+
            }
        )+

        impl PoolConfig {
            /// A pool whose file has said nothing so far.
            pub(super) fn unsaid(name: &str) -> PoolConfig {
                PoolConfig {
                    name: Arc::from(name),
                    $( $field: unsaid!($takes, $default $(, $unsaid)?), )+
                    $( $part: $Part {
                        $( $part_field: unsaid!($part_takes, $part_default $(, $part_unsaid)?), )+
                    }, )+
                }
            }
        }

        /// Every key, in the order of the documents.
        pub const KEYS: &[Key] = &[
            $( key!($key, $takes, $default, $from, $reload, $doc, $field), )+
            $( $( key!(
                $part_key, $part_takes, $part_default, $part_from, $part_reload, $row_doc,
                $part.$part_field
            ), )+ )+
        ];
    };
}

pub(super) use key;
pub(super) use keys;
pub(super) use unsaid;
