//! `SLOWLOG GET`, `LEN`, `RESET`: the slow requests of the pool, which may have been any worker's.
//!
//! Owns: what these requests mean, and how what the workers have found becomes a reply. Texts are Redis's
//! (redis: src/slowlog.c). Never: decides what is kept of a request.

use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::Time;
use crate::messages::ClientsRequest;
use crate::protocol::Request;
use crate::protocol::Version;
use crate::protocol::command::Args;
use crate::protocol::command::Local;
use crate::protocol::resp::Writer;
use crate::proxy::Proxy;
use crate::proxy::client::local::clients::Asked;
use crate::proxy::client::local::clients::Refused;
use crate::proxy::client::local::clients::counted;
use crate::proxy::client::local::clients::ok;
use crate::proxy::client::local::integer;
use crate::proxy::inquiry::Conclusion;
use crate::proxy::inquiry::Found;
use crate::telemetry::slow::SlowRequest;

/// How many are told unless asked otherwise.
const TOLD: usize = 10;

const WRONG_NUMBER: &str =
    "ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.";
const NO_COUNT: &str = "ERR count should be greater than or equal to -1";

impl Proxy {
    /// Asks all workers, or says what is wrong.
    pub(super) fn ask_about_slow_log(
        &mut self,
        key: Key,
        local: Local,
        request: &Request<'_>,
        now: Time,
    ) {
        let asked = match local {
            Local::SlowlogGet => get(request),
            Local::SlowlogLen => Ok((ClientsRequest::SlowLogLen, counted as Conclusion)),
            _ => Ok((ClientsRequest::SlowLogReset, ok as Conclusion)),
        };
        self.ask_or_refuse(key, asked, now);
    }

    /// Tells a client what is kept of its pool's slow requests, the latest so many.
    pub(in crate::proxy) fn tell_slow_log(&self, pool: PoolIdx, most: usize, found: &mut Found) {
        let pool = &self.pools[pool.index()];
        for slow in pool.slow_log.iter().take(most) {
            found.line(slow.id, told(slow), pool.limits.bytes);
        }
    }
}

/// `GET [count]`.
fn get<A: Args + ?Sized>(request: &A) -> Result<Asked, Refused> {
    let most = match request.len() {
        2 => TOLD,
        3 => match integer(request.arg(2)).ok_or(NO_COUNT)? {
            -1 => usize::MAX,
            count => usize::try_from(count).map_err(|_| NO_COUNT)?,
        },
        _ => return Err(WRONG_NUMBER.to_owned()),
    };
    Ok((ClientsRequest::SlowLog { most }, latest))
}

/// The latest of all workers, the latest first.
fn latest(request: &ClientsRequest, found: &mut Found, version: Version) -> Vec<u8> {
    found.lines.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
    if let ClientsRequest::SlowLog { most } = request {
        found.lines.truncate(*most);
    }
    let mut reply = Vec::new();
    Writer::new(version, &mut reply).array(found.lines.len());
    for (_, entry) in &found.lines {
        reply.extend_from_slice(entry);
    }
    reply
}

/// An entry as Redis writes it (redis: src/slowlog.c, slowlogCommand), the same in both versions. Instead
/// of the values it has the size of the request.
fn told(slow: &SlowRequest) -> Vec<u8> {
    let mut entry = Vec::new();
    let mut writer = Writer::new(Version::V2, &mut entry);
    let words: Vec<&str> = slow.command.split('|').collect();
    let has_key = !slow.key.is_empty();
    writer.array(6);
    writer.count(slow.id);
    writer.count(slow.at / 1_000_000);
    writer.count(slow.took());
    writer.array(words.len() + usize::from(has_key) + 1);
    words.iter().for_each(|word| writer.bulk(word));
    if has_key {
        writer.bulk(&slow.key);
    }
    writer.bulk(format!("... ({} bytes)", slow.request_bytes));
    let client = slow.client.map(|peer| peer.to_string());
    writer.bulk(client.unwrap_or_default());
    writer.bulk(&slow.name);
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ServerIdx;

    #[test]
    fn an_entry_is_redis_s_and_has_no_value() {
        let slow = SlowRequest {
            id: 7,
            number: 0,
            at: 1_700_000_000_500_000,
            client: "10.0.0.7:4000".parse().ok(),
            name: "jobs".to_owned(),
            command: "object|encoding",
            key: "user:1".to_owned(),
            request_bytes: 40,
            reply_bytes: 5,
            server: ServerIdx(0),
            held: 1,
            queued: 2,
            at_server: 30_000,
            timed_out: false,
        };
        let text = String::from_utf8(told(&slow)).unwrap();
        let expected = "*6\r\n:7\r\n:1700000000\r\n:30003\r\n*4\r\n$6\r\nobject\r\n$8\r\nencoding\r\n\
                        $6\r\nuser:1\r\n$14\r\n... (40 bytes)\r\n$13\r\n10.0.0.7:4000\r\n$4\r\njobs\r\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_count_is_redis_s() {
        let asked = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            get(&words).map(|(request, _)| request)
        };
        let most = |most| Ok(ClientsRequest::SlowLog { most });
        assert_eq!(asked("SLOWLOG GET"), most(10));
        assert_eq!(asked("SLOWLOG GET 3"), most(3));
        assert_eq!(asked("SLOWLOG GET 0"), most(0));
        assert_eq!(asked("SLOWLOG GET -1"), most(usize::MAX));
        assert_eq!(asked("SLOWLOG GET -2"), Err(NO_COUNT.to_owned()));
        assert_eq!(asked("SLOWLOG GET x"), Err(NO_COUNT.to_owned()));
        assert_eq!(asked("SLOWLOG GET 1 2"), Err(WRONG_NUMBER.to_owned()));
    }

    #[test]
    fn the_latest_of_all_workers_come_first() {
        let mut found = Found::default();
        for id in [3, 9, 5] {
            found.line(id, format!(":{id}\r\n").into_bytes(), 100);
        }
        let request = ClientsRequest::SlowLog { most: 2 };
        let reply = latest(&request, &mut found, Version::V3);
        assert_eq!(reply, b"*2\r\n:9\r\n:5\r\n");
    }
}
