//! `CLIENT …` about the other clients of the pool, who are with all workers: `LIST`, `KILL`, `PAUSE`,
//! `UNPAUSE`, `UNBLOCK`.
//!
//! Owns: what these requests mean, and how what the workers have found becomes a reply. Texts are Redis's
//! (redis: src/networking.c, clientCommand). Never: does anything to a client.

use std::time::Duration;

use crate::base::Key;
use crate::base::Time;
use crate::messages::ClientKind;
use crate::messages::ClientsRequest;
use crate::messages::Which;
use crate::protocol::Request;
use crate::protocol::Version;
use crate::protocol::command::Args;
use crate::protocol::command::Local;
use crate::protocol::resp::Writer;
use crate::proxy::Proxy;
use crate::proxy::client::local::NO_INTEGER;
use crate::proxy::client::local::SYNTAX_ERROR;
use crate::proxy::client::local::integer;
use crate::proxy::inquiry::Conclusion;
use crate::proxy::inquiry::Found;

const NO_ID: &str = "ERR Invalid client ID";
const NO_ID_TO_KILL: &str = "ERR client-id should be greater than 0";
const NO_AGE: &str = "ERR maxage is not an integer or out of range";
const NO_AGE_YET: &str = "ERR maxage should be greater than 0";
const NO_REASON: &str = "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR";
const NO_MODE: &str = "ERR CLIENT PAUSE mode must be WRITE or ALL";
const NO_TIMEOUT: &str = "ERR timeout is not an integer or out of range";
const NEGATIVE_TIMEOUT: &str = "ERR timeout is negative";
const NO_CLIENT: &str = "ERR No such client";

/// Clients are paused for a year at the most: times beyond are no times.
const PAUSE_MAX: Duration = Duration::from_secs(365 * 86_400);

/// What is asked of the workers, and what is made of it.
pub(super) type Asked = (ClientsRequest, Conclusion);

/// Why nobody is asked: the error.
pub(super) type Refused = String;

impl Proxy {
    /// Asks all workers, or says what is wrong.
    pub(super) fn ask_about_clients(
        &mut self,
        key: Key,
        local: Local,
        request: &Request<'_>,
        now: Time,
    ) {
        let id = self.clients.slab[key].session.id();
        let asked = match local {
            Local::ClientList => list(request),
            Local::ClientKill => kill(request, id),
            Local::ClientPause => pause(request),
            Local::ClientUnblock => unblock(request),
            _ => Ok((ClientsRequest::Unpause, ok as Conclusion)),
        };
        self.ask_or_refuse(key, asked, now);
    }

    /// Asks all workers, or tells the client why nobody is asked.
    pub(super) fn ask_or_refuse(&mut self, key: Key, asked: Result<Asked, Refused>, now: Time) {
        match asked {
            Ok((request, conclude)) => self.inquire(key, request, conclude, now),
            Err(error) => {
                let version = self.clients.slab[key].session.version();
                let mut reply = Vec::new();
                Writer::new(version, &mut reply).error_echo(&error);
                self.reply(key, &reply);
            }
        }
    }
}

/// `LIST [TYPE type | ID id…]`.
fn list<A: Args + ?Sized>(request: &A) -> Result<Asked, Refused> {
    let is = |index: usize, word: &str| request.arg(index).eq_ignore_ascii_case(word.as_bytes());
    let which = match request.len() {
        2 => Which::default(),
        4.. if is(2, "ID") => {
            let ids = (3..request.len()).map(|index| client_id(request.arg(index)));
            let ids: Option<Vec<u64>> = ids.collect();
            Which {
                ids: ids.ok_or(NO_ID)?,
                ..Which::default()
            }
        }
        4 if is(2, "TYPE") => Which {
            of_kind: Some(kind(request.arg(3))?),
            ..Which::default()
        },
        _ => return Err(SYNTAX_ERROR.to_owned()),
    };
    Ok((ClientsRequest::List(which), lines))
}

/// `KILL address`, or `KILL condition value [condition value …]`.
fn kill<A: Args + ?Sized>(request: &A, own: u64) -> Result<Asked, Refused> {
    if request.len() == 3 {
        let which = Which {
            address: Some(request.arg(2).to_vec()),
            ..Which::default()
        };
        return Ok((ClientsRequest::Kill(which), killed_one));
    }
    let mut which = Which {
        not: Some(own),
        ..Which::default()
    };
    if request.len() % 2 == 1 {
        return Err(SYNTAX_ERROR.to_owned());
    }
    for at in (2..request.len()).step_by(2) {
        let (condition, value) = (request.arg(at).to_ascii_uppercase(), request.arg(at + 1));
        match &condition[..] {
            b"ID" => {
                let id = client_id(value).filter(|id| *id > 0).ok_or(NO_ID_TO_KILL)?;
                which.ids = vec![id];
            }
            b"TYPE" => which.of_kind = Some(kind(value)?),
            b"ADDR" => which.address = Some(value.to_vec()),
            b"LADDR" => which.local_address = Some(value.to_vec()),
            // All clients of a pool are of the one user that there is.
            b"USER" if value == b"default" => {}
            b"USER" => {
                let user = String::from_utf8_lossy(value);
                return Err(format!("ERR No such user '{user}'"));
            }
            b"SKIPME" if value.eq_ignore_ascii_case(b"yes") => which.not = Some(own),
            b"SKIPME" if value.eq_ignore_ascii_case(b"no") => which.not = None,
            b"MAXAGE" => {
                let age = integer(value).ok_or(NO_AGE)?;
                let age = u64::try_from(age).ok().filter(|age| *age > 0);
                which.age_min = Some(Duration::from_secs(age.ok_or(NO_AGE_YET)?));
            }
            _ => return Err(SYNTAX_ERROR.to_owned()),
        }
    }
    Ok((ClientsRequest::Kill(which), counted))
}

/// `PAUSE milliseconds [WRITE | ALL]`.
fn pause<A: Args + ?Sized>(request: &A) -> Result<Asked, Refused> {
    let only_writes = match request.len() {
        3 => false,
        4 if request.arg(3).eq_ignore_ascii_case(b"ALL") => false,
        4 if request.arg(3).eq_ignore_ascii_case(b"WRITE") => true,
        4 => return Err(NO_MODE.to_owned()),
        _ => return Err(wrong_number(request.arg(1))),
    };
    let millis = integer(request.arg(2)).ok_or(NO_TIMEOUT)?;
    let millis = u64::try_from(millis).map_err(|_| NEGATIVE_TIMEOUT)?;
    let within = Duration::from_millis(millis).min(PAUSE_MAX);
    let paused = ClientsRequest::Pause {
        within,
        only_writes,
    };
    Ok((paused, ok))
}

/// `UNBLOCK id [TIMEOUT | ERROR]`.
fn unblock<A: Args + ?Sized>(request: &A) -> Result<Asked, Refused> {
    let with_error = match request.len() {
        3 => false,
        4 if request.arg(3).eq_ignore_ascii_case(b"TIMEOUT") => false,
        4 if request.arg(3).eq_ignore_ascii_case(b"ERROR") => true,
        4 => return Err(NO_REASON.to_owned()),
        _ => return Err(wrong_number(request.arg(1))),
    };
    let id = integer(request.arg(2)).ok_or(NO_INTEGER)?;
    // Nobody has one below 1.
    let id = u64::try_from(id).unwrap_or(0);
    Ok((ClientsRequest::Unblock { id, with_error }, counted))
}

fn wrong_number(subcommand: &[u8]) -> String {
    let subcommand = String::from_utf8_lossy(subcommand);
    format!(
        "ERR unknown subcommand or wrong number of arguments for '{subcommand}'. Try CLIENT HELP."
    )
}

fn client_id(text: &[u8]) -> Option<u64> {
    u64::try_from(integer(text)?).ok()
}

fn kind(name: &[u8]) -> Result<ClientKind, Refused> {
    let name = String::from_utf8_lossy(name);
    match &name.to_ascii_lowercase()[..] {
        "normal" => Ok(ClientKind::Normal),
        "pubsub" => Ok(ClientKind::PubSub),
        "master" | "replica" | "slave" => Ok(ClientKind::Replication),
        _ => Err(format!("ERR Unknown client type '{name}'")),
    }
}

/// The lines, in the order in which clients were named, or have connected.
fn lines(request: &ClientsRequest, found: &mut Found, version: Version) -> Vec<u8> {
    found.lines.sort_by_key(|(id, _)| *id);
    let mut text = Vec::new();
    match request {
        ClientsRequest::List(which) if !which.ids.is_empty() => {
            for id in &which.ids {
                if let Ok(place) = found.lines.binary_search_by_key(id, |(id, _)| *id) {
                    text.extend_from_slice(&found.lines[place].1);
                }
            }
        }
        _ => found
            .lines
            .iter()
            .for_each(|(_, line)| text.extend_from_slice(line)),
    }
    let mut reply = Vec::new();
    Writer::new(version, &mut reply).verbatim(text);
    reply
}

pub(super) fn counted(_: &ClientsRequest, found: &mut Found, version: Version) -> Vec<u8> {
    let mut reply = Vec::new();
    Writer::new(version, &mut reply).count(found.count);
    reply
}

fn killed_one(request: &ClientsRequest, found: &mut Found, version: Version) -> Vec<u8> {
    if found.count > 0 {
        return ok(request, found, version);
    }
    let mut reply = Vec::new();
    Writer::new(version, &mut reply).error(NO_CLIENT);
    reply
}

pub(super) fn ok(_: &ClientsRequest, _: &mut Found, version: Version) -> Vec<u8> {
    let mut reply = Vec::new();
    Writer::new(version, &mut reply).ok();
    reply
}

/// What a client gets that waits no longer: as if its time were over, or an error.
pub(in crate::proxy) fn unblocked(version: Version, with_error: bool) -> Vec<u8> {
    let mut reply = Vec::new();
    let mut writer = Writer::new(version, &mut reply);
    match with_error {
        true => writer.error("UNBLOCKED client unblocked via CLIENT UNBLOCK"),
        false => writer.nil_array(),
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<&str> {
        line.split(' ').collect()
    }

    fn request(asked: Result<Asked, Refused>) -> Result<ClientsRequest, Refused> {
        asked.map(|(request, _)| request)
    }

    #[test]
    fn every_condition_of_kill_is_one_of_those_that_must_hold() {
        let line = "CLIENT KILL type PubSub addr 1:2 LADDR 3:4 user default id 5 maxage 6";
        let all = Which {
            ids: vec![5],
            not: Some(9),
            address: Some(b"1:2".to_vec()),
            local_address: Some(b"3:4".to_vec()),
            of_kind: Some(ClientKind::PubSub),
            age_min: Some(Duration::from_secs(6)),
        };
        assert_eq!(
            request(kill(&words(line), 9)),
            Ok(ClientsRequest::Kill(all))
        );
        for (line, not) in [
            ("CLIENT KILL ID 5 SKIPME no", None),
            ("CLIENT KILL SKIPME no SKIPME yes ID 5", Some(9)),
        ] {
            let which = Which {
                ids: vec![5],
                not,
                ..Which::default()
            };
            assert_eq!(
                request(kill(&words(line), 9)),
                Ok(ClientsRequest::Kill(which))
            );
        }
        let own = request(kill(&words("CLIENT KILL 127.0.0.1:5"), 9));
        let which = Which {
            address: Some(b"127.0.0.1:5".to_vec()),
            ..Which::default()
        };
        assert_eq!(
            own,
            Ok(ClientsRequest::Kill(which)),
            "by its address, also itself"
        );
    }

    #[test]
    fn no_pause_is_longer_than_time_goes() {
        let paused = |text: &str| request(pause(&["CLIENT", "PAUSE", text]));
        assert_eq!(
            paused("9223372036854775807"),
            Ok(ClientsRequest::Pause {
                within: PAUSE_MAX,
                only_writes: false
            })
        );
        assert_eq!(paused("9223372036854775808"), Err(NO_TIMEOUT.to_owned()));
        assert_eq!(paused("-1"), Err(NEGATIVE_TIMEOUT.to_owned()));
    }

    #[test]
    fn lines_stand_in_the_order_that_was_asked_for() {
        let found = || {
            let mut found = Found::default();
            found.line(7, b"seven\n".to_vec(), 100);
            found.line(3, b"three\n".to_vec(), 100);
            found
        };
        let told = |line: &str| {
            let (request, conclude) = list(&words(line)).unwrap();
            String::from_utf8(conclude(&request, &mut found(), Version::V2)).unwrap()
        };
        assert_eq!(told("CLIENT LIST"), "$12\r\nthree\nseven\n\r\n");
        assert_eq!(told("CLIENT LIST ID 7 4 3"), "$12\r\nseven\nthree\n\r\n");
        assert_eq!(told("CLIENT LIST ID 7 7"), "$12\r\nseven\nseven\n\r\n");
    }

    #[test]
    fn who_waits_no_longer_is_told_in_its_own_version() {
        assert_eq!(unblocked(Version::V2, false), b"*-1\r\n");
        assert_eq!(unblocked(Version::V3, false), b"_\r\n");
        assert!(unblocked(Version::V3, true).starts_with(b"-UNBLOCKED client"));
    }
}
