//! What the proxy sends to a server first, and how the server describes itself in reply.

use crate::protocol::Release;
use crate::protocol::Version;

/// What is sent first on a server connection, or between requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Greeting {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How many replies that brings.
    pub replies: u8,
    /// How many of them, before the one to the question, are about what clients have asked for, such as
    /// a database. A server that refuses that is well.
    pub by_clients: u8,
}

/// Who the proxy is to a server, and what it wants there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Login<'a> {
    /// Where the server has one.
    pub password: Option<&'a [u8]>,
    /// 0 is where a connection begins.
    pub database: u32,
    /// The version of the protocol that is spoken from then on.
    pub version: Version,
}

/// What a server is asked of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether it serves.
    Serves,
    /// Whether it is a master, or a replica that hears its own.
    Role,
}

/// What a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A master.
    Master,
    /// A replica that hears its master.
    ReplicaInStep,
    /// Anything else, such as a replica that does not.
    Other,
}

/// What a server has said of itself, or of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// That all is well.
    Well,
    /// That all is well, but that it is, or may be, a release that lacks [newer] requests.
    ///
    /// [newer]: crate::protocol::Protocol::is_newer
    Older,
    /// What it is.
    Role(Role),
    /// That it speaks another version of the protocol from now on, and which release it is, if it says.
    Version(Option<Release>),
    /// That it does not know such a version, in its own words, one line.
    NoSuchVersion(String),
    /// No, in its own words, one line.
    Refused(String),
    /// Something else.
    Unexpected,
}
