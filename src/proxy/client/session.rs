//! What a client has said of itself and of what it wants: all that a request of its own depends on.
//!
//! Owns: who the client is, whether it may ask, and what it was refused and relies on. What of it
//! goes to another process is [`ClientState`]. Never: its bytes, its replies, its socket.

use std::net::SocketAddr;
use std::time::Duration;

use crate::base::Time;
use crate::protocol::Protocol;
use crate::protocol::Version;
use crate::proxy::client::mute::Mute;
use crate::proxy::client::state::ClientState;
use crate::proxy::client::unmet::Unmet;

/// What a client has said of itself and of what it wants.
#[derive(Debug)]
pub(in crate::proxy) struct Session {
    authenticated: bool,
    unmet: Unmet,
    version: Version,
    listens: bool,
    // `None` before `SELECT`: where its pool begins.
    database: Option<u32>,
    mute: Mute,
    info: Box<ClientInfo>,
}

/// What is known of a client and needed rarely.
#[derive(Debug)]
struct ClientInfo {
    // Unique in this process.
    id: u64,
    // `None` on a unix socket.
    peer: Option<SocketAddr>,
    // Which address of ours it has connected to, if that is known.
    local: Option<SocketAddr>,
    accepted: Time,
    // How long other processes have served it.
    age_before: Duration,
    name: Box<[u8]>,
    library_name: Box<[u8]>,
    library_version: Box<[u8]>,
    // The last command, from the table.
    command: &'static str,
    // How many channels, patterns and shard channels it listens to.
    subscribed: [usize; 3],
}

/// What `CLIENT INFO` says before the first command.
const NO_COMMAND: &str = "NULL";

impl Session {
    /// Of a client that has said nothing yet.
    pub(in crate::proxy) fn new(id: u64, peer: Option<SocketAddr>, now: Time) -> Session {
        Session {
            authenticated: false,
            unmet: Unmet::default(),
            version: Version::default(),
            listens: false,
            database: None,
            mute: Mute::default(),
            info: Box::new(ClientInfo {
                id,
                peer,
                local: None,
                accepted: now,
                age_before: Duration::ZERO,
                name: Box::default(),
                library_name: Box::default(),
                library_version: Box::default(),
                command: NO_COMMAND,
                subscribed: [0; 3],
            }),
        }
    }

    /// Of a client that another process has served.
    pub(in crate::proxy) fn adopted(
        state: &ClientState,
        protocol: Protocol,
        peer: Option<SocketAddr>,
        now: Time,
    ) -> Session {
        let command = protocol.command_name(&state.command);
        Session {
            authenticated: state.authenticated,
            unmet: state.unmet,
            version: state.version,
            listens: false,
            database: state.database,
            mute: state.mute,
            info: Box::new(ClientInfo {
                id: state.id,
                peer,
                local: None,
                accepted: now,
                age_before: state.age,
                name: state.name.as_slice().into(),
                library_name: state.library_name.as_slice().into(),
                library_version: state.library_version.as_slice().into(),
                command: command.unwrap_or(NO_COMMAND),
                subscribed: [0; 3],
            }),
        }
    }

    /// For another process, which is to read `input` first.
    pub(in crate::proxy) fn state(&self, input: Vec<u8>, now: Time) -> ClientState {
        let info = &self.info;
        ClientState {
            id: info.id,
            authenticated: self.authenticated,
            age: self.age(now),
            name: info.name.to_vec(),
            library_name: info.library_name.to_vec(),
            library_version: info.library_version.to_vec(),
            command: info.command.as_bytes().to_vec(),
            unmet: self.unmet,
            version: self.version,
            database: self.database,
            mute: self.mute,
            input,
            ..ClientState::default()
        }
    }

    /// Whether it may ask for more than to be let in.
    #[inline]
    pub(in crate::proxy) fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// It has given its pool's password, or a wrong one, or needs none.
    pub(in crate::proxy) fn set_authenticated(&mut self, authenticated: bool) {
        self.authenticated = authenticated;
    }

    /// `RESET`: it has said nothing, and may ask at once if its pool needs no password.
    pub(in crate::proxy) fn reset(&mut self, needs_password: bool) {
        self.set_authenticated(!needs_password);
        self.info.name = Box::default();
        self.unmet = Unmet::default();
        self.database = None;
        self.version = Version::default();
        self.mute.reset();
    }

    /// What it was refused and relies on.
    #[inline]
    pub(in crate::proxy) fn unmet(&self) -> Unmet {
        self.unmet
    }

    pub(in crate::proxy) fn set_unmet(&mut self, unmet: Unmet) {
        self.unmet = unmet;
    }

    /// Which version of the protocol it reads.
    #[inline]
    pub(in crate::proxy) fn version(&self) -> Version {
        self.version
    }

    /// `HELLO`.
    pub(in crate::proxy) fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// Which database it has chosen; `None` for where its pool begins.
    #[inline]
    pub(in crate::proxy) fn database(&self) -> Option<u32> {
        self.database
    }

    /// `SELECT`.
    pub(in crate::proxy) fn set_database(&mut self, database: u32) {
        self.database = Some(database);
        self.unmet.database = false;
    }

    /// It listens to so many channels, patterns and shard channels; to how many before.
    pub(in crate::proxy) fn set_subscribed(&mut self, counts: [usize; 3]) -> [usize; 3] {
        self.listens = counts != [0; 3];
        std::mem::replace(&mut self.info.subscribed, counts)
    }

    /// To how many of each it listens.
    pub(in crate::proxy) fn subscribed(&self) -> [usize; 3] {
        self.info.subscribed
    }

    /// Whether it listens to any.
    pub(in crate::proxy) fn listens(&self) -> bool {
        self.listens
    }

    /// Whether it may ask for little else than to listen: messages would look like replies.
    #[inline]
    pub(in crate::proxy) fn only_listens(&self) -> bool {
        self.listens && self.version == Version::V2
    }

    /// `CLIENT ID`.
    pub(in crate::proxy) fn id(&self) -> u64 {
        self.info.id
    }

    /// Where it is; `None` on a unix socket.
    pub(in crate::proxy) fn peer(&self) -> Option<SocketAddr> {
        self.info.peer
    }

    /// Where it is, as its line says.
    pub(in crate::proxy) fn address(&self) -> String {
        of_socket(self.info.peer)
    }

    /// It has connected to this address of ours.
    pub(in crate::proxy) fn set_local(&mut self, local: Option<SocketAddr>) {
        self.info.local = local;
    }

    /// Which address of ours it has connected to, as its line says.
    pub(in crate::proxy) fn local_address(&self) -> String {
        of_socket(self.info.local)
    }

    /// `CLIENT REPLY`: what it wants to hear.
    pub(in crate::proxy) fn mute(&mut self) -> &mut Mute {
        &mut self.mute
    }

    /// Whether the reply to the next request is swallowed, which has come then.
    #[inline]
    pub(in crate::proxy) fn mutes_next(&mut self) -> bool {
        self.mute.takes_next()
    }

    /// `CLIENT GETNAME`; empty without a name.
    pub(in crate::proxy) fn name(&self) -> &[u8] {
        &self.info.name
    }

    /// `CLIENT SETNAME`.
    pub(in crate::proxy) fn set_name(&mut self, name: &[u8]) {
        self.info.name = name.into();
    }

    /// `CLIENT SETINFO LIB-NAME`; empty without one.
    pub(in crate::proxy) fn library_name(&self) -> &[u8] {
        &self.info.library_name
    }

    /// `CLIENT SETINFO LIB-VER`; empty without one.
    pub(in crate::proxy) fn library_version(&self) -> &[u8] {
        &self.info.library_version
    }

    /// `CLIENT SETINFO LIB-NAME`.
    pub(in crate::proxy) fn set_library_name(&mut self, name: &[u8]) {
        self.info.library_name = name.into();
    }

    /// `CLIENT SETINFO LIB-VER`.
    pub(in crate::proxy) fn set_library_version(&mut self, version: &[u8]) {
        self.info.library_version = version.into();
    }

    /// Its last command, as the table calls it.
    pub(in crate::proxy) fn command(&self) -> &'static str {
        self.info.command
    }

    #[inline]
    pub(in crate::proxy) fn set_command(&mut self, command: &'static str) {
        self.info.command = command;
    }

    /// How long it has been connected, whoever served it.
    pub(in crate::proxy) fn age(&self, now: Time) -> Duration {
        self.info.age_before + now.since(self.info.accepted)
    }
}

/// As Redis writes an address; a unix socket has none.
fn of_socket(address: Option<SocketAddr>) -> String {
    address.map_or_else(|| "/unix:0".to_owned(), |address| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Time {
        Time::from_micros(secs * 1_000_000)
    }

    #[test]
    fn what_another_process_is_told_makes_the_same_session_there() {
        let mut session = Session::new(7, None, at(1));
        session.set_authenticated(true);
        session.set_name(b"n");
        session.set_library_name(b"lib");
        session.set_library_version(b"1.2");
        session.set_command("get");
        session.set_database(3);
        session.set_version(Version::V3);
        *session.mute() = Mute::Off;
        session.set_unmet(Unmet {
            watch: true,
            database: false,
        });
        let state = session.state(b"*1\r\n".to_vec(), at(5));
        assert_eq!(state.input, b"*1\r\n");
        let adopted = Session::adopted(&state, Protocol::Resp, None, at(100));
        let input = || b"*1\r\n".to_vec();
        assert_eq!(
            adopted.state(input(), at(103)),
            session.state(input(), at(8))
        );
        assert!(adopted.is_authenticated());
        assert_eq!(adopted.unmet(), session.unmet());
        assert_eq!(
            (adopted.database(), adopted.version()),
            (Some(3), Version::V3)
        );
        assert_eq!((adopted.id(), adopted.name()), (7, &b"n"[..]));
    }

    #[test]
    fn a_command_that_is_not_in_the_table_is_none() {
        let state = ClientState {
            command: b"of-another-release".to_vec(),
            ..ClientState::default()
        };
        let adopted = Session::adopted(&state, Protocol::Resp, None, at(0));
        assert_eq!(adopted.command(), NO_COMMAND);
    }

    #[test]
    fn a_reset_leaves_who_it_is_and_nothing_that_it_has_said() {
        let mut session = Session::new(7, None, at(0));
        session.set_authenticated(true);
        session.set_name(b"n");
        session.set_unmet(Unmet {
            watch: true,
            database: true,
        });
        session.set_database(3);
        session.set_version(Version::V3);
        *session.mute() = Mute::Off;
        session.reset(true);
        assert!(!session.is_authenticated() && session.unmet().is_nothing());
        assert_eq!((session.database(), session.version()), (None, Version::V2));
        assert!(!session.mutes_next());
        assert_eq!((session.id(), session.name()), (7, &b""[..]));
        session.reset(false);
        assert!(session.is_authenticated());
    }
}
