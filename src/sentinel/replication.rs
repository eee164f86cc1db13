//! Asks a server how far its data goes.
//!
//! Owns: the bytes of `AUTH` and `INFO replication`, and what of the answer counts. Never: the
//! socket, or how long it may take.
//!
//! Data is a history with a name (`master_replid`) and a length (the offset). A replica has its
//! master's history from the moment on that it has taken its name; lengths of histories with
//! different names cannot be compared.

use crate::config::HostPort;
use crate::config::Secret;
use crate::protocol::resp::write_request;
use crate::sentinel::address;
use crate::sentinel::address::number;
use crate::sentinel::reply::Replies;

/// What a server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replication {
    /// Whether it takes itself for a master.
    pub is_master: bool,
    /// Of a replica: whether it hears its master, and has all that it began with.
    pub link_is_up: bool,
    /// The name of its data's history.
    pub history: Vec<u8>,
    /// The name that it had before a promotion.
    pub previous: Option<Vec<u8>>,
    /// Of a master: those that replicate it, as it writes them.
    pub replicas: Vec<HostPort>,
    /// How much of it it has, in bytes of commands.
    pub offset: u64,
}

impl Replication {
    /// All names that its data has had, as far as it says.
    pub fn histories(&self) -> impl Iterator<Item = &Vec<u8>> {
        std::iter::once(&self.history).chain(&self.previous)
    }
}

/// More than anybody has.
const REPLICAS_MAX: usize = 64;

/// One question on one connection.
#[derive(Debug)]
pub struct ReplicationQuestion {
    replies: Replies,
    // Those to AUTH still to come.
    greetings: usize,
}

impl ReplicationQuestion {
    /// A question and the bytes that ask it: `AUTH`, where there is a password, and `INFO`.
    #[must_use]
    pub fn new(password: Option<&Secret>) -> (ReplicationQuestion, Vec<u8>) {
        let mut bytes = Vec::new();
        if let Some(password) = password {
            write_request(&mut bytes, &[b"AUTH", password.expose()]);
        }
        write_request(&mut bytes, &[b"INFO", b"replication"]);
        let question = ReplicationQuestion {
            replies: Replies::default(),
            greetings: usize::from(password.is_some()),
        };
        (question, bytes)
    }

    /// Takes what the server has sent; once the answer is there, what it says, or nothing if it
    /// says nothing that counts.
    pub fn received(&mut self, bytes: &[u8]) -> Option<Option<Replication>> {
        let mut answer = None;
        let greetings = &mut self.greetings;
        let fed = self.replies.feed(bytes, |value| {
            if *greetings > 0 {
                *greetings -= 1;
                return true;
            }
            answer = Some(value.text().and_then(replication));
            false
        });
        match fed {
            Ok(()) => answer,
            Err(_) => Some(None),
        }
    }
}

fn replication(info: &[u8]) -> Option<Replication> {
    let field = |name: &str| {
        let mut lines = info.split(|byte| *byte == b'\n');
        let value = |line: &'_ [u8]| -> Option<Vec<u8>> {
            let value = line.strip_prefix(name.as_bytes())?.strip_prefix(b":")?;
            Some(value.strip_suffix(b"\r").unwrap_or(value).to_vec())
        };
        lines.find_map(value)
    };
    let is = |name: &str, value: &str| field(name).is_some_and(|found| found == value.as_bytes());
    let is_master = is("role", "master");
    let offset = match is_master {
        true => field("master_repl_offset"),
        false => field("slave_repl_offset"),
    };
    Some(Replication {
        is_master,
        link_is_up: is("master_link_status", "up") && is("master_sync_in_progress", "0"),
        history: field("master_replid")?,
        // All zeros while there is none.
        previous: field("master_replid2").filter(|id| id.iter().any(|byte| *byte != b'0')),
        replicas: replicas(info),
        offset: number(&offset?)?,
    })
}

/// Those of lines such as `slave0:ip=10.0.0.2,port=6379,state=online,offset=7,lag=0`.
fn replicas(info: &[u8]) -> Vec<HostPort> {
    let lines = info.split(|byte| *byte == b'\n');
    let replica = |line: &[u8]| {
        let rest = line.strip_prefix(b"slave")?;
        let at = memchr::memchr(b':', rest)?;
        number(&rest[..at])?;
        let mut fields = rest[at + 1..].split(|byte| *byte == b',');
        let host = fields.next()?.strip_prefix(b"ip=")?;
        address::parse(host, fields.next()?.strip_prefix(b"port=")?)
    };
    lines.filter_map(replica).take(REPLICAS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASTER: &str = "# Replication\r\nrole:master\r\nconnected_slaves:1\r\n\
        slave0:ip=127.0.0.1,port=2,state=online,offset=99,lag=0\r\nmaster_replid:aa\r\n\
        master_replid2:00\r\nmaster_repl_offset:1234\r\n";
    const REPLICA: &str = "# Replication\r\nrole:slave\r\nmaster_host:10.0.0.1\r\n\
        master_link_status:up\r\nmaster_sync_in_progress:0\r\nslave_read_repl_offset:9\r\n\
        slave_repl_offset:7\r\nmaster_replid:aa\r\nmaster_repl_offset:8\r\n";

    fn answer(password: Option<&str>, text: &str) -> Option<Option<Replication>> {
        let password = password.map(Secret::new);
        let (mut question, _) = ReplicationQuestion::new(password.as_ref());
        let bytes = text.as_bytes().iter();
        bytes.into_iter().find_map(|b| question.received(&[*b]))
    }

    fn bulk(text: &str) -> String {
        format!("${}\r\n{text}\r\n", text.len())
    }

    #[test]
    fn a_master_and_a_replica_say_how_far_their_data_goes() {
        let mut expected = Replication {
            is_master: true,
            link_is_up: false,
            history: b"aa".to_vec(),
            previous: None,
            replicas: vec![HostPort::Ip(([127, 0, 0, 1], 2).into())],
            offset: 1234,
        };
        assert_eq!(answer(None, &bulk(MASTER)), Some(Some(expected.clone())));
        let promoted = MASTER.replace("replid2:00", "replid2:bb");
        let promoted = answer(None, &bulk(&promoted)).unwrap().unwrap();
        assert_eq!(promoted.previous.as_deref(), Some(b"bb".as_slice()));
        expected.replicas.clear();
        (expected.is_master, expected.link_is_up, expected.offset) = (false, true, 7);
        let with_password = "+OK\r\n".to_owned() + &bulk(REPLICA);
        assert_eq!(answer(Some("x"), &with_password), Some(Some(expected)));
        for broken in [
            "up\r\nmaster_sync_in_progress:1",
            "down\r\nmaster_sync_in_progress:0",
        ] {
            let text = REPLICA.replace("up\r\nmaster_sync_in_progress:0", broken);
            let replica = answer(None, &bulk(&text)).unwrap().unwrap();
            assert!(!replica.link_is_up);
        }
    }

    #[test]
    fn what_says_nothing_that_counts_is_an_answer_all_the_same() {
        for text in [
            "-NOAUTH Authentication required.\r\n".to_owned(),
            "HTTP/1.1 400\r\n".to_owned(),
            bulk("role:master\r\n"),
            bulk(&MASTER.replace("1234", "-1")),
            bulk(&REPLICA.replace("slave_repl_offset:7", "slave_repl_offset:")),
        ] {
            assert_eq!(answer(None, &text), Some(None), "{text}");
        }
        assert_eq!(answer(None, "$900\r\nrole:master\r\n"), None, "not yet");
    }
}
