//! What the proxy answers by itself, in place.
//!
//! Owns: the texts of these answers. Client libraries send most of these commands when they
//! connect, and are unusable without an answer; nothing here reaches a server.

use crate::base::Key;
use crate::base::Time;
use crate::protocol::command;
use crate::protocol::command::Args;
use crate::protocol::command::Local;
use crate::protocol::command::Resp;
use crate::protocol::resp::Request;
use crate::proxy::Proxy;
use crate::proxy::client::Session;
use crate::proxy::client::ending::End;
use crate::proxy::client::unmet::Unmet;

/// The version of Redis whose commands the table knows: clients look at it to choose what they
/// send.
const REDIS_VERSION: &str = "7.0.15";

const OK: &[u8] = b"+OK\r\n";
const SYNTAX_ERROR: &[u8] = b"-ERR syntax error\r\n";

impl Proxy {
    /// Answers a command from the table that no server is needed for.
    pub(in crate::proxy) fn answer(
        &mut self,
        key: Key,
        local: Local,
        request: &Request<'_>,
        now: Time,
    ) {
        let mut reply = Vec::new();
        match local {
            Local::Auth => self.authenticate(key, request, &mut reply),
            Local::Hello => self.hello(key, request, &mut reply),
            Local::Quit => {
                self.reply(key, OK);
                self.count_end(key, End::Eof);
                self.end_client(key, true, now);
                return;
            }
            Local::Reset => self.reset(key, &mut reply),
            Local::Ping => match request.len() {
                1 => reply.extend_from_slice(b"+PONG\r\n"),
                2 => push_bulk(request.arg(1), &mut reply),
                _ => reply
                    .extend_from_slice(b"-ERR wrong number of arguments for 'ping' command\r\n"),
            },
            Local::Echo => push_bulk(request.arg(1), &mut reply),
            Local::Select => self.select(key, request, &mut reply),
            Local::Time => self.push_time(now, &mut reply),
            Local::Command => command::command_reply(request, Resp::V2, &mut reply),
            Local::Help => command::help_reply(request, &mut reply),
            Local::Info => self.info(key, request, now, &mut reply),
            Local::ConfigGet => self.config_get(key, request, &mut reply),
            Local::ClientId => {
                let id = self.clients.slab[key].session.id();
                reply.extend_from_slice(format!(":{id}\r\n").as_bytes());
            }
            Local::ClientGetname => match self.clients.slab[key].session.name() {
                [] => reply.extend_from_slice(b"$-1\r\n"),
                name => push_bulk(name, &mut reply),
            },
            Local::ClientSetname => self.set_name(key, request.arg(2), &mut reply),
            Local::ClientSetinfo => self.set_info(key, request, &mut reply),
            Local::ClientInfo => {
                let client = &self.clients.slab[key];
                let database = self.pools[client.pool.index()].config.greeting.redis_db;
                push_bulk(&client.session.line(database, now), &mut reply);
            }
            Local::ClientNoEvict | Local::ClientNoTouch => {
                let on_or_off = [&b"ON"[..], b"OFF"];
                let known = on_or_off
                    .iter()
                    .any(|word| request.arg(2).eq_ignore_ascii_case(word));
                reply.extend_from_slice(if known { OK } else { SYNTAX_ERROR });
            }
        }
        self.reply(key, &reply);
    }

    /// twemproxy's texts for a password alone, Redis's where a user is named.
    fn authenticate(&mut self, key: Key, request: &Request<'_>, reply: &mut Vec<u8>) {
        let (user, password) = match request.len() {
            2 => (&b"default"[..], request.arg(1)),
            3 => (request.arg(1), request.arg(2)),
            _ => return reply.extend_from_slice(SYNTAX_ERROR),
        };
        let client = &mut self.clients.slab[key];
        let Some(secret) = &self.pools[client.pool.index()].config.greeting.redis_auth else {
            let text = b"-ERR Client sent AUTH, but no password is set\r\n";
            return reply.extend_from_slice(text);
        };
        let is_right = user == b"default" && equal_in_constant_time(password, secret.expose());
        client.session.set_authenticated(is_right);
        reply.extend_from_slice(match (is_right, request.len()) {
            (true, _) => OK,
            (false, 2) => b"-ERR invalid password\r\n",
            (false, _) => b"-WRONGPASS invalid username-password pair or user is disabled.\r\n",
        });
    }

    /// `HELLO [2 [AUTH user password] [SETNAME name]]`.
    fn hello(&mut self, key: Key, request: &Request<'_>, reply: &mut Vec<u8>) {
        if request.len() > 1 && request.arg(1) != b"2" {
            let number =
                std::str::from_utf8(request.arg(1)).is_ok_and(|n| n.parse::<i64>().is_ok());
            return reply.extend_from_slice(if number {
                b"-NOPROTO unsupported protocol version\r\n"
            } else {
                b"-ERR Protocol version is not an integer or out of range\r\n"
            });
        }
        let (mut at, mut name) = (2, None);
        while at < request.len() {
            let option = request.arg(at);
            if option.eq_ignore_ascii_case(b"AUTH") && at + 2 < request.len() {
                let credentials: [&[u8]; 3] = [b"AUTH", request.arg(at + 1), request.arg(at + 2)];
                if !self.credentials_hold(key, credentials[1], credentials[2]) {
                    let text =
                        b"-WRONGPASS invalid username-password pair or user is disabled.\r\n";
                    return reply.extend_from_slice(text);
                }
                self.clients.slab[key].session.set_authenticated(true);
                at += 3;
            } else if option.eq_ignore_ascii_case(b"SETNAME") && at + 1 < request.len() {
                name = Some(request.arg(at + 1));
                at += 2;
            } else {
                let option = String::from_utf8_lossy(option).replace(['\r', '\n'], " ");
                let text = format!("-ERR Syntax error in HELLO option '{option}'\r\n");
                return reply.extend_from_slice(text.as_bytes());
            }
        }
        if !self.clients.slab[key].session.is_authenticated() {
            return reply.extend_from_slice(
                b"-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time\r\n",
            );
        }
        if let Some(name) = name {
            self.set_name(key, name, reply);
            if reply != OK {
                return;
            }
            reply.clear();
        }
        let id = self.clients.slab[key].session.id();
        reply.extend_from_slice(b"*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n");
        push_bulk(REDIS_VERSION.as_bytes(), reply);
        reply.extend_from_slice(b"$5\r\nproto\r\n:2\r\n$2\r\nid\r\n");
        reply.extend_from_slice(format!(":{id}\r\n").as_bytes());
        reply.extend_from_slice(b"$4\r\nmode\r\n$10\r\nstandalone\r\n");
        reply.extend_from_slice(b"$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n");
    }

    fn credentials_hold(&self, key: Key, user: &[u8], password: &[u8]) -> bool {
        let pool = &self.pools[self.clients.slab[key].pool.index()];
        let secret = pool.config.greeting.redis_auth.as_ref();
        // Without a password any will do, as for Redis's own default user.
        user == b"default"
            && secret.is_none_or(|secret| equal_in_constant_time(password, secret.expose()))
    }

    fn reset(&mut self, key: Key, reply: &mut Vec<u8>) {
        let client = &mut self.clients.slab[key];
        let needs_password = self.pools[client.pool.index()].needs_password();
        client.session.reset(needs_password);
        reply.extend_from_slice(b"+RESET\r\n");
    }

    fn select(&mut self, key: Key, request: &Request<'_>, reply: &mut Vec<u8>) {
        let pool = &self.pools[self.clients.slab[key].pool.index()];
        let own = pool.config.greeting.redis_db;
        let asked = std::str::from_utf8(request.arg(1))
            .ok()
            .and_then(|n| n.parse::<i64>().ok());
        let is_own = asked == Some(i64::from(own));
        match asked {
            Some(_) if is_own => reply.extend_from_slice(OK),
            Some(_) => {
                let text = format!("-ERR this pool serves database {own} only (redis_db)\r\n");
                reply.extend_from_slice(text.as_bytes());
            }
            None => reply.extend_from_slice(b"-ERR value is not an integer or out of range\r\n"),
        }
        let session = &mut self.clients.slab[key].session;
        session.set_unmet(Unmet {
            database: !is_own,
            ..session.unmet()
        });
    }

    fn push_time(&self, now: Time, reply: &mut Vec<u8>) {
        let time = self.epoch + now.since(Time::ZERO);
        reply.extend_from_slice(b"*2\r\n");
        push_bulk(time.as_secs().to_string().as_bytes(), reply);
        push_bulk(time.subsec_micros().to_string().as_bytes(), reply);
    }

    fn set_name(&mut self, key: Key, name: &[u8], reply: &mut Vec<u8>) {
        if name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
            self.clients.slab[key].session.set_name(name);
            reply.extend_from_slice(OK);
        } else {
            reply.extend_from_slice(
                b"-ERR Client names cannot contain spaces, newlines or special characters.\r\n",
            );
        }
    }

    fn set_info(&mut self, key: Key, request: &Request<'_>, reply: &mut Vec<u8>) {
        let (attribute, value) = (request.arg(2), request.arg(3));
        let set = if attribute.eq_ignore_ascii_case(b"LIB-NAME") {
            Session::set_library_name
        } else if attribute.eq_ignore_ascii_case(b"LIB-VER") {
            Session::set_library_version
        } else {
            let attribute = String::from_utf8_lossy(attribute).replace(['\r', '\n'], " ");
            let text = format!("-ERR Unrecognized option '{attribute}'\r\n");
            return reply.extend_from_slice(text.as_bytes());
        };
        if value.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
            set(&mut self.clients.slab[key].session, value);
            reply.extend_from_slice(OK);
        } else {
            let attribute = String::from_utf8_lossy(attribute).to_lowercase();
            let text = format!(
                "-ERR {attribute} cannot contain spaces, newlines or special characters.\r\n"
            );
            reply.extend_from_slice(text.as_bytes());
        }
    }

    /// The fields that clients look at: ioredis waits while `loading` is not 0.
    fn info(&self, key: Key, request: &Request<'_>, now: Time, reply: &mut Vec<u8>) {
        let pool = self.clients.slab[key].pool;
        let config = &self.pools[pool.index()].config;
        let counters = &self.stats.pools[pool.index()].counters;
        let uptime = now.since(Time::ZERO).as_secs();
        let sections = [
            (
                "Server",
                format!(
                    "redis_version:{REDIS_VERSION}\r\nredis_mode:standalone\r\ncoremux_version:{}\r\nos:Linux\r\narch_bits:64\r\nprocess_id:{}\r\nuptime_in_seconds:{uptime}\r\nuptime_in_days:{}\r\n",
                    env!("CARGO_PKG_VERSION"),
                    self.process,
                    uptime / 86_400,
                ),
            ),
            (
                "Clients",
                format!(
                    "connected_clients:{}\r\n",
                    counters.client_connections.value()
                ),
            ),
            ("Persistence", "loading:0\r\nasync_loading:0\r\n".to_owned()),
            (
                "Replication",
                "role:master\r\nconnected_slaves:0\r\n".to_owned(),
            ),
            (
                "Coremux",
                format!(
                    "pool:{}\r\nservers:{}\r\nworkers:{}\r\n",
                    config.name,
                    config.servers.len(),
                    self.client_id_step,
                ),
            ),
        ];
        let wanted = |section: &str| {
            let everything = [&b"default"[..], b"all", b"everything"];
            request.len() == 1
                || (1..request.len()).any(|index| {
                    let word = request.arg(index);
                    word.eq_ignore_ascii_case(section.as_bytes())
                        || everything.iter().any(|all| word.eq_ignore_ascii_case(all))
                })
        };
        let chosen: Vec<String> = sections
            .iter()
            .filter(|(name, _)| wanted(name))
            .map(|(name, fields)| format!("# {name}\r\n{fields}"))
            .collect();
        push_bulk(chosen.join("\r\n").as_bytes(), reply);
    }

    /// The few parameters that tools ask for when they connect; others are not found, as Redis
    /// answers for parameters that it does not have.
    fn config_get(&self, key: Key, request: &Request<'_>, reply: &mut Vec<u8>) {
        let config = &self.pools[self.clients.slab[key].pool.index()].config;
        let clients = config
            .limits
            .client_connections
            .map_or(0, std::num::NonZeroU32::get);
        let known = [
            ("appendonly", "no".to_owned()),
            ("databases", (config.greeting.redis_db + 1).to_string()),
            ("maxclients", clients.to_string()),
            (
                "proto-max-bulk-len",
                crate::protocol::resp::BULK_BYTES_MAX.to_string(),
            ),
            ("save", String::new()),
            (
                "timeout",
                config
                    .timeouts
                    .client_idle
                    .map_or(0, |t| t.as_secs())
                    .to_string(),
            ),
        ];
        let found: Vec<_> = known
            .iter()
            .filter(|(name, _)| {
                (2..request.len()).any(|index| {
                    glob_matches(&request.arg(index).to_ascii_lowercase(), name.as_bytes())
                })
            })
            .collect();
        reply.extend_from_slice(format!("*{}\r\n", found.len() * 2).as_bytes());
        for (name, value) in found {
            push_bulk(name.as_bytes(), reply);
            push_bulk(value.as_bytes(), reply);
        }
    }
}

fn push_bulk(bytes: &[u8], reply: &mut Vec<u8>) {
    reply.extend_from_slice(format!("${}\r\n", bytes.len()).as_bytes());
    reply.extend_from_slice(bytes);
    reply.extend_from_slice(b"\r\n");
}

/// Tells nothing about where two passwords differ by how long it takes.
fn equal_in_constant_time(given: &[u8], secret: &[u8]) -> bool {
    let differences = given
        .iter()
        .zip(secret)
        .fold(0, |sum, (a, b)| sum | (a ^ b));
    given.len() == secret.len() && differences == 0
}

/// `*` and `?` of Redis's patterns, which is all that anybody asks parameters with. Linear in the
/// pattern for each byte of the text: a client chooses the pattern.
fn glob_matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on when a star has to take one byte more.
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => (p, t) = (p + 1, t + 1),
            _ => {
                let Some((behind, taken)) = star else {
                    return false;
                };
                star = Some((behind, taken + 1));
                (p, t) = (behind, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_redis() {
        assert!(glob_matches(b"*", b"save"));
        assert!(glob_matches(b"s?v*", b"save"));
        assert!(!glob_matches(b"s?v", b"save"));
        assert!(!glob_matches(b"", b"save"));
    }

    #[test]
    fn passwords_are_equal_only_when_all_of_them_is() {
        assert!(equal_in_constant_time(b"secret", b"secret"));
        assert!(!equal_in_constant_time(b"secre", b"secret"));
        assert!(!equal_in_constant_time(b"secreT", b"secret"));
    }
}
