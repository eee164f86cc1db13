//! `CLIENT …` about the client itself.
//!
//! Owns: what a client says of itself, and what it may hear of that. Texts are Redis's. Never: another
//! client, which is `clients`'s.

use crate::base::Key;
use crate::base::Time;
use crate::protocol::Request;
use crate::protocol::command;
use crate::protocol::command::Args;
use crate::protocol::command::Local;
use crate::protocol::resp::Writer;
use crate::proxy::Proxy;
use crate::proxy::client::Session;
use crate::proxy::client::local::SYNTAX_ERROR;
use crate::proxy::client::mute::Mute;

const NO_TRACKING: &str = "ERR CLIENT TRACKING is not supported: which keys a client has read is known to no server, for clients share the connections";
const NO_CACHING: &str = "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled";

impl Proxy {
    /// Answers one of them.
    pub(super) fn client_command(
        &mut self,
        key: Key,
        local: Local,
        request: &Request<'_>,
        reply: &mut Writer<'_>,
        now: Time,
    ) {
        let is = |word: &str| request.arg(2).eq_ignore_ascii_case(word.as_bytes());
        let client = &self.clients.slab[key];
        match local {
            Local::ClientId => reply.count(client.session.id()),
            Local::ClientGetname => match client.session.name() {
                [] => reply.nil(),
                name => reply.bulk(name),
            },
            Local::ClientSetname => {
                if self.set_name(key, request.arg(2), reply) {
                    reply.ok();
                }
            }
            Local::ClientSetinfo => self.set_info(key, request, reply),
            Local::ClientInfo => {
                let database = self.pools[client.pool.index()].kind_of(client).database;
                reply.verbatim(client.line(database, now));
            }
            Local::ClientNoEvict | Local::ClientNoTouch if is("ON") || is("OFF") => reply.ok(),
            Local::ClientReply if is("ON") => reply.ok(),
            // None of the capabilities that Valkey knows changes what is said here.
            Local::ClientCapa => reply.ok(),
            // It never has any.
            Local::ClientTracking if is("OFF") => reply.ok(),
            Local::ClientTracking if is("ON") => reply.error(NO_TRACKING),
            Local::ClientTrackinginfo => {
                reply.map(3);
                reply.bulk("flags");
                reply.set(1);
                reply.bulk("off");
                reply.bulk("redirect");
                reply.integer(-1);
                reply.bulk("prefixes");
                reply.array(0);
            }
            Local::ClientGetredir => reply.integer(-1),
            Local::ClientCaching => reply.error(NO_CACHING),
            _ => reply.error(SYNTAX_ERROR),
        }
    }

    /// `CLIENT REPLY`: whether that is all, and nothing is to be replied.
    pub(super) fn set_mute(&mut self, key: Key, request: &Request<'_>) -> bool {
        let mute = self.clients.slab[key].session.mute();
        let mode = request.arg(2);
        if mode.eq_ignore_ascii_case(b"ON") {
            *mute = Mute::Heard;
            return false;
        }
        if mode.eq_ignore_ascii_case(b"OFF") {
            *mute = Mute::Off;
            return true;
        }
        let skips = mode.eq_ignore_ascii_case(b"SKIP");
        if skips {
            mute.skip_next();
        }
        skips
    }

    /// Whether the name is one; if not, the reply says so.
    fn set_name(&mut self, key: Key, name: &[u8], reply: &mut Writer<'_>) -> bool {
        let is_name = command::is_client_name(name);
        if is_name {
            self.clients.slab[key].session.set_name(name);
        } else {
            reply.error("ERR Client names cannot contain spaces, newlines or special characters.");
        }
        is_name
    }

    fn set_info(&mut self, key: Key, request: &Request<'_>, reply: &mut Writer<'_>) {
        let (attribute, value) = (request.arg(2), request.arg(3));
        let set = if attribute.eq_ignore_ascii_case(b"LIB-NAME") {
            Session::set_library_name
        } else if attribute.eq_ignore_ascii_case(b"LIB-VER") {
            Session::set_library_version
        } else {
            let attribute = String::from_utf8_lossy(attribute);
            return reply.error_echo(&format!("ERR Unrecognized option '{attribute}'"));
        };
        if command::is_client_name(value) {
            set(&mut self.clients.slab[key].session, value);
            reply.ok();
        } else {
            let attribute = String::from_utf8_lossy(attribute).to_lowercase();
            reply.error(&format!(
                "ERR {attribute} cannot contain spaces, newlines or special characters."
            ));
        }
    }
}
