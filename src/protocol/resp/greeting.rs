//! What a Redis is told and asked first, and what it says of itself.

use crate::protocol::Greeting;
use crate::protocol::Login;
use crate::protocol::Question;
use crate::protocol::Release;
use crate::protocol::Role;
use crate::protocol::Told;
use crate::protocol::Version;
use crate::protocol::resp::error_text;
use crate::protocol::resp::write_request;

/// How the answer of a master to `ROLE` begins.
const MASTER: &[u8] = b"*3\r\n$6\r\nmaster\r\n";

/// How that of a replica begins, and what it has further on if it hears its master.
const REPLICA: &[u8] = b"*5\r\n$5\r\nslave\r\n";
const LINK_IS_UP: &[u8] = b"\r\n$9\r\nconnected\r\n";

impl Greeting {
    fn ask(&mut self, words: &[&[u8]]) {
        write_request(&mut self.bytes, words);
        self.replies += 1;
    }
}

/// `AUTH` before `SELECT`: the other way round, which is twemproxy's, the database is refused and
/// all keys go to database 0.
#[must_use]
pub fn greeting(login: &Login<'_>, question: Option<Question>) -> Greeting {
    let mut greeting = Greeting::default();
    if let Some(password) = login.password {
        greeting.ask(&[b"AUTH", password]);
    }
    let logged_in = greeting.replies;
    // Behind AUTH, which a server before Redis 6 knows, too.
    if login.version == Version::V3 {
        greeting.ask(&[b"HELLO", b"3"]);
    }
    if login.database != 0 {
        greeting.ask(&[b"SELECT", login.database.to_string().as_bytes()]);
    }
    greeting.by_clients = greeting.replies - logged_in;
    match question {
        Some(Question::Serves) => greeting.ask(&[b"PING"]),
        Some(Question::Role) => greeting.ask(&[b"ROLE"]),
        None => {}
    }
    greeting
}

/// What a reply to one of these says.
#[must_use]
pub fn told(head: &[u8]) -> Told {
    match head.first() {
        Some(b'+') => Told::Well,
        Some(b'-') if is_unknown_version(head) => Told::NoSuchVersion(error_text(head)),
        Some(b'-') => Told::Refused(error_text(head)),
        Some(b'%') => Told::Version(release(head)),
        Some(b'*') => Told::Role(role(head)),
        _ => Told::Unexpected,
    }
}

/// What says so is younger than `HELLO` itself.
fn is_unknown_version(error: &[u8]) -> bool {
    error.starts_with(b"-NOPROTO ") || error.starts_with(b"-ERR unknown command")
}

/// Of the answer to `HELLO`.
fn release(answer: &[u8]) -> Option<Release> {
    let key = b"$7\r\nversion\r\n$";
    let at = memchr::memmem::find(answer, key)? + key.len();
    let mut lines = answer[at..].split(|byte| *byte == b'\r');
    Release::parse(lines.nth(1)?.strip_prefix(b"\n")?)
}

fn role(answer: &[u8]) -> Role {
    if answer.starts_with(MASTER) {
        Role::Master
    } else if answer.starts_with(REPLICA) && memchr::memmem::find(answer, LINK_IS_UP).is_some() {
        Role::ReplicaInStep
    } else {
        Role::Other
    }
}

/// Whether all of so many replies are statuses; `None` while more are to come.
#[must_use]
pub fn all_well(answer: &[u8], replies: u8) -> Option<bool> {
    let lines = answer.split_inclusive(|byte| *byte == b'\n');
    let whole = lines.filter(|line| line.ends_with(b"\r\n"));
    let (good, all) = whole.fold((0, 0), |(good, all), line| {
        (good + usize::from(line.starts_with(b"+")), all + 1)
    });
    let replies = usize::from(replies);
    (all >= replies || good < all).then_some(good == replies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_comes_before_the_database_and_the_question_last() {
        let login = Login {
            password: Some(b"x y"),
            database: 12,
            version: Version::V3,
        };
        let all = greeting(&login, Some(Question::Role));
        assert_eq!(
            all.bytes,
            b"*2\r\n$4\r\nAUTH\r\n$3\r\nx y\r\n*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n*1\r\n$4\r\nROLE\r\n"
        );
        assert_eq!((all.replies, all.by_clients), (4, 2));
        assert_eq!(greeting(&Login::default(), None), Greeting::default());
    }

    #[test]
    fn a_server_says_what_it_is() {
        let master = b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n";
        assert_eq!(told(master), Told::Role(Role::Master));
        let replica = |link: &str| {
            let answer = format!(
                "*5\r\n$5\r\nslave\r\n$1\r\na\r\n:1\r\n${}\r\n{link}\r\n:9\r\n",
                link.len()
            );
            told(answer.as_bytes())
        };
        assert_eq!(replica("connected"), Told::Role(Role::ReplicaInStep));
        assert_eq!(replica("connecting"), Told::Role(Role::Other));
        assert_eq!(told(b"+PONG\r\n"), Told::Well);
        let refused = Told::Refused("WRONGPASS no".to_owned());
        assert_eq!(told(b"-WRONGPASS no\r\n"), refused);
        assert_eq!(told(b":1\r\n"), Told::Unexpected);
        let hello = b"%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n";
        assert_eq!(told(hello), Told::Version(Some(Release(7, 0, 15))));
        assert_eq!(told(b"%0\r\n"), Told::Version(None));
        let unknown = "ERR unknown command `HELLO`, with args beginning with: `3`,";
        let told = told(format!("-{unknown}\r\n").as_bytes());
        assert_eq!(told, Told::NoSuchVersion(unknown.to_owned()));
    }

    #[test]
    fn a_probe_ends_with_the_last_reply_or_the_first_bad_one() {
        assert_eq!(all_well(b"+OK\r\n+PON", 2), None);
        assert_eq!(all_well(b"+OK\r\n+PONG\r\n", 2), Some(true));
        assert_eq!(all_well(b"-NOAUTH\r\n", 2), Some(false));
        assert_eq!(all_well(b"+OK\r\n-LOADING\r\n", 2), Some(false));
    }
}
