//! What a client agrees with its server about what follows: the database, the protocol's version.
//!
//! ```text
//!   SET a ──► │ connection of database 0 │     answered first
//!   SELECT 1                                   then this is read, and what is behind it
//!   GET a ──► │ connection of database 1 │
//! ```
//!
//! A client that agrees on something else has other server connections from then on. What it asks next
//! waits until all that it has asked before is answered, as it would overtake that otherwise.
//!
//! Owns: the requests by which it agrees, and that order. Never: opens a connection.

use crate::base::Key;
use crate::protocol::Request;
use crate::protocol::Version;
use crate::protocol::command;
use crate::protocol::command::Args;
use crate::protocol::resp::Writer;
use crate::proxy::Proxy;
use crate::proxy::client::Session;
use crate::proxy::client::local::NO_INTEGER;
use crate::proxy::client::local::UNTOLD;
use crate::proxy::client::local::WRONG_PASSWORD;
use crate::proxy::client::local::integer;

const NO_VERSION: &str = "ERR Protocol version is not an integer or out of range";
const NO_PROTO: &str = "NOPROTO unsupported protocol version";
const NO_NAME: &str = "ERR Client names cannot contain spaces, newlines or special characters.";
const NO_LOGIN: &str = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time";

impl Proxy {
    /// Changes a client's session, on which the kind of its server connections may depend.
    pub(in crate::proxy) fn agree(&mut self, key: Key, change: impl FnOnce(&mut Session)) {
        let client = &mut self.clients.slab[key];
        let pool = &self.pools[client.pool.index()];
        let before = pool.kind_of(client);
        change(&mut client.session);
        if pool.kind_of(client) != before {
            client.raise_order_barrier();
            self.stop_late_writer(key);
        }
    }

    /// `HELLO [2|3 [AUTH user password] [SETNAME name]]`: all of it, or nothing (redis:
    /// src/networking.c, helloCommand). What was asked before is still answered in the old version.
    pub(in crate::proxy) fn hello(
        &mut self,
        key: Key,
        request: &Request<'_>,
        reply: &mut Writer<'_>,
    ) {
        let version = match self.asked_version(key, request) {
            Ok(version) => version,
            Err(error) => return reply.error(error),
        };
        let (mut at, mut login, mut name) = (2, None, None);
        while at < request.len() {
            let option = request.arg(at);
            if option.eq_ignore_ascii_case(b"AUTH") && at + 2 < request.len() {
                login = Some((request.arg(at + 1), request.arg(at + 2)));
                at += 3;
            } else if option.eq_ignore_ascii_case(b"SETNAME") && at + 1 < request.len() {
                name = Some(request.arg(at + 1));
                if !command::is_client_name(request.arg(at + 1)) {
                    return reply.error(NO_NAME);
                }
                at += 2;
            } else {
                let option = String::from_utf8_lossy(option);
                return reply.error_echo(&format!("ERR Syntax error in HELLO option '{option}'"));
            }
        }
        if login.is_some_and(|(user, password)| !self.credentials_hold(key, user, password)) {
            return reply.error(WRONG_PASSWORD);
        }
        let session = &mut self.clients.slab[key].session;
        session.set_authenticated(session.is_authenticated() || login.is_some());
        if !session.is_authenticated() {
            return reply.error(NO_LOGIN);
        }
        self.agree(key, |session| {
            if let Some(name) = name {
                session.set_name(name);
            }
            session.set_version(version);
        });
        reply.set_version(version);
        self.write_hello(key, version, reply);
    }

    /// Which version a client asks for; its own, if it says none.
    fn asked_version(&self, key: Key, request: &Request<'_>) -> Result<Version, &'static str> {
        let client = &self.clients.slab[key];
        if request.len() == 1 {
            return Ok(client.session.version());
        }
        let asked = integer(request.arg(1)).ok_or(NO_VERSION)?;
        match Version::of_number(asked) {
            Some(Version::V3) if !self.pools[client.pool.index()].speaks_resp3() => Err(NO_PROTO),
            Some(version) => Ok(version),
            None => Err(NO_PROTO),
        }
    }

    fn write_hello(&self, key: Key, version: Version, reply: &mut Writer<'_>) {
        let client = &self.clients.slab[key];
        let release = self.pools[client.pool.index()].release().unwrap_or(UNTOLD);
        reply.map(7);
        reply.bulk("server");
        reply.bulk("redis");
        reply.bulk("version");
        reply.bulk(release.to_string());
        reply.bulk("proto");
        reply.integer(i64::from(version.number()));
        reply.bulk("id");
        reply.count(client.session.id());
        reply.bulk("mode");
        reply.bulk("standalone");
        reply.bulk("role");
        reply.bulk("master");
        reply.bulk("modules");
        reply.array(0);
    }

    /// `SELECT`, in Redis's words (redis: src/db.c, selectCommand).
    pub(in crate::proxy) fn select(
        &mut self,
        key: Key,
        request: &Request<'_>,
        reply: &mut Writer<'_>,
    ) {
        let Some(asked) = integer(request.arg(1)) else {
            return reply.error(NO_INTEGER);
        };
        if i32::try_from(asked).is_err() {
            let (least, most) = (i32::MIN, i32::MAX);
            return reply.error(&format!(
                "ERR value is out of range, value must between {least} and {most}"
            ));
        }
        let pool = &self.pools[self.clients.slab[key].pool.index()];
        let database = u32::try_from(asked).ok();
        match database.filter(|database| pool.has_database(*database)) {
            None => reply.error("ERR DB index is out of range"),
            Some(database) => {
                self.agree(key, |session| session.set_database(database));
                reply.ok();
            }
        }
    }
}
