//! What the proxy answers by itself, in place.
//!
//! Owns: the texts of these answers. Client libraries send most of these commands when they
//! connect, and are unusable without an answer; nothing here reaches a server.

mod agreement;
mod client;
mod clients;
mod slowlog;
mod told;

pub(in crate::proxy) use clients::unblocked;

use crate::base::Key;
use crate::base::Time;
use crate::protocol::Protocol;
use crate::protocol::Release;
use crate::protocol::Request;
use crate::protocol::Version;
use crate::protocol::command;
use crate::protocol::command::Args;
use crate::protocol::command::Local;
use crate::protocol::memcached;
use crate::protocol::resp::Writer;
use crate::proxy::Proxy;
use crate::proxy::client::ending::End;

/// The release of Redis whose commands the table knows: what clients are told while no server has said
/// which one it is.
const UNTOLD: Release = Release(7, 0, 15);

const NO_INTEGER: &str = "ERR value is not an integer or out of range";
const SYNTAX_ERROR: &str = "ERR syntax error";
const WRONG_PASSWORD: &str = "WRONGPASS invalid username-password pair or user is disabled.";

impl Proxy {
    /// Answers a command from the table that no server is needed for.
    pub(in crate::proxy) fn answer(
        &mut self,
        key: Key,
        local: Local,
        request: &Request<'_>,
        now: Time,
    ) {
        if local.is_of_slow_log() {
            return self.ask_about_slow_log(key, local, request, now);
        }
        if local.is_of_all_clients() {
            return self.ask_about_clients(key, local, request, now);
        }
        if matches!(local, Local::Info | Local::ConfigGet) {
            return self.tell_of_servers(key, local, request, now);
        }
        if local == Local::ClientReply && self.set_mute(key, request) {
            return;
        }
        let mut reply = Vec::new();
        let protocol = self.pools[self.clients.slab[key].pool.index()].protocol;
        let version = self.clients.slab[key].session.version();
        match local {
            local if protocol == Protocol::Memcached => memcached::local_reply(local, &mut reply),
            Local::Command => command::command_reply(request, version, &mut reply),
            Local::Help => command::help_reply(request, &mut reply),
            local => {
                let mut writer = Writer::new(version, &mut reply);
                self.write_answer(key, local, request, &mut writer, now);
            }
        }
        self.reply(key, &reply);
        if local == Local::Quit {
            self.count_end(key, End::Eof);
            self.end_client(key, true, now);
        }
    }

    /// A command waits for its `EXEC`.
    pub(in crate::proxy) fn answer_queued(&mut self, key: Key) {
        let mut reply = Vec::new();
        Writer::new(Version::V2, &mut reply).status("QUEUED");
        self.reply(key, &reply);
    }

    /// `EXEC` has nothing to do.
    pub(in crate::proxy) fn answer_void_exec(&mut self, key: Key) {
        let mut reply = Vec::new();
        let version = self.clients.slab[key].session.version();
        Writer::new(version, &mut reply).nil_array();
        self.reply(key, &reply);
    }

    /// Nothing was asked within a transaction.
    pub(in crate::proxy) fn answer_empty_exec(&mut self, key: Key) {
        let mut reply = Vec::new();
        Writer::new(Version::V2, &mut reply).array(0);
        self.reply(key, &reply);
    }

    fn write_answer(
        &mut self,
        key: Key,
        local: Local,
        request: &Request<'_>,
        reply: &mut Writer<'_>,
        now: Time,
    ) {
        match local {
            Local::Auth => self.authenticate(key, request, reply),
            Local::Hello => self.hello(key, request, reply),
            Local::Quit => reply.ok(),
            Local::Multi => {
                self.begin_transaction(key);
                reply.ok();
            }
            Local::Exec => reply.error("ERR EXEC without MULTI"),
            Local::Discard if self.clients.slab[key].transaction.is_some() => {
                self.end_transaction(key);
                self.unwatch(key);
                reply.ok();
            }
            Local::Unwatch => {
                self.end_transaction(key);
                self.unwatch(key);
                reply.ok();
            }
            Local::Discard => reply.error("ERR DISCARD without MULTI"),
            Local::Reset => {
                self.unwatch(key);
                self.end_subscriptions(key);
                self.reset(key, reply);
            }
            Local::Ping if self.clients.slab[key].session.only_listens() => {
                let text: &[u8] = if request.len() > 1 {
                    request.arg(1)
                } else {
                    b""
                };
                match request.len() {
                    0..=2 => {
                        reply.array(2);
                        reply.bulk("pong");
                        reply.bulk(text);
                    }
                    _ => reply.error("ERR wrong number of arguments for 'ping' command"),
                }
            }
            Local::Ping => match request.len() {
                1 => reply.status("PONG"),
                2 => reply.bulk(request.arg(1)),
                _ => reply.error("ERR wrong number of arguments for 'ping' command"),
            },
            Local::Echo => reply.bulk(request.arg(1)),
            Local::Select => self.select(key, request, reply),
            Local::Time => self.write_time(now, reply),
            // Of a pool, which replicates nothing: its replicas are the proxy's to know.
            Local::Role => {
                reply.array(3);
                reply.bulk("master");
                reply.integer(0);
                reply.array(0);
            }
            local if local.is_of_client() => self.client_command(key, local, request, reply, now),
            _ => debug_assert!(false, "answered by the table, workers or servers"),
        }
    }

    /// twemproxy's texts for a password alone, Redis's where a user is named.
    fn authenticate(&mut self, key: Key, request: &Request<'_>, reply: &mut Writer<'_>) {
        let (user, password) = match request.len() {
            2 => (&b"default"[..], request.arg(1)),
            3 => (request.arg(1), request.arg(2)),
            _ => return reply.error(SYNTAX_ERROR),
        };
        let client = &mut self.clients.slab[key];
        let Some(secret) = &self.pools[client.pool.index()].config.greeting.redis_auth else {
            return reply.error("ERR Client sent AUTH, but no password is set");
        };
        let is_right = user == b"default" && equal_in_constant_time(password, secret.expose());
        client.session.set_authenticated(is_right);
        match (is_right, request.len()) {
            (true, _) => reply.ok(),
            (false, 2) => reply.error("ERR invalid password"),
            (false, _) => reply.error(WRONG_PASSWORD),
        }
    }

    fn credentials_hold(&self, key: Key, user: &[u8], password: &[u8]) -> bool {
        let pool = &self.pools[self.clients.slab[key].pool.index()];
        let secret = pool.config.greeting.redis_auth.as_ref();
        // Without a password any will do, as for Redis's own default user.
        user == b"default"
            && secret.is_none_or(|secret| equal_in_constant_time(password, secret.expose()))
    }

    fn reset(&mut self, key: Key, reply: &mut Writer<'_>) {
        let client = &mut self.clients.slab[key];
        client.transaction = None;
        let needs_password = self.pools[client.pool.index()].needs_password();
        self.agree(key, |session| session.reset(needs_password));
        reply.status("RESET");
    }

    fn write_time(&mut self, now: Time, reply: &mut Writer<'_>) {
        let time = self.worker.since_1970(now);
        reply.array(2);
        reply.bulk(time.as_secs().to_string());
        reply.bulk(time.subsec_micros().to_string());
    }
}

/// A number as Redis reads one: in its one canonical form.
fn integer(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// Tells nothing about where two passwords differ by how long it takes.
fn equal_in_constant_time(given: &[u8], secret: &[u8]) -> bool {
    let differences = given
        .iter()
        .zip(secret)
        .fold(0, |sum, (a, b)| sum | (a ^ b));
    given.len() == secret.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_equal_only_when_all_of_them_is() {
        assert!(equal_in_constant_time(b"secret", b"secret"));
        assert!(!equal_in_constant_time(b"secre", b"secret"));
        assert!(!equal_in_constant_time(b"secreT", b"secret"));
    }

    #[test]
    fn only_what_redis_takes_for_a_number_is_one() {
        for (text, number) in [
            ("0", 0),
            ("-1", -1),
            ("15", 15),
            ("99999999999", 99_999_999_999),
        ] {
            assert_eq!(integer(text.as_bytes()), Some(number));
        }
        for text in [
            "",
            "+1",
            "01",
            "-0",
            "1 ",
            "x",
            "1.0",
            "99999999999999999999",
        ] {
            assert_eq!(integer(text.as_bytes()), None, "{text}");
        }
        assert_eq!(integer(b"\xff"), None);
    }
}
