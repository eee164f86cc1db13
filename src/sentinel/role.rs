//! Asks a server for its role.
//!
//! Owns: the bytes of `AUTH` and `ROLE`, and their replies. Never: the socket, or how long it may
//! take.

use crate::config::Secret;
use crate::protocol::resp::write_request;
use crate::sentinel::reply::Replies;
use crate::sentinel::reply::Value;

/// What a server takes itself for, or why that is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleAnswer {
    /// It is a master.
    Master,
    /// It is something else: a replica, a Sentinel.
    NotMaster,
    /// It does not say: its own words, or what is wrong with them.
    Refused(String),
}

/// One question on one connection.
#[derive(Debug)]
pub struct RoleQuestion {
    replies: Replies,
    // Those to AUTH still to come.
    greetings: usize,
}

impl RoleQuestion {
    /// A question and the bytes that ask it: `AUTH`, where there is a password, and `ROLE`.
    #[must_use]
    pub fn new(password: Option<&Secret>) -> (RoleQuestion, Vec<u8>) {
        let mut bytes = Vec::new();
        if let Some(password) = password {
            write_request(&mut bytes, &[b"AUTH", password.expose()]);
        }
        write_request(&mut bytes, &[b"ROLE"]);
        let question = RoleQuestion {
            replies: Replies::default(),
            greetings: usize::from(password.is_some()),
        };
        (question, bytes)
    }

    /// Takes what the server has sent; the answer once it is there.
    pub fn received(&mut self, bytes: &[u8]) -> Option<RoleAnswer> {
        let mut answer = None;
        let greetings = &mut self.greetings;
        let fed = self.replies.feed(bytes, |value| {
            if *greetings > 0 {
                *greetings -= 1;
                // A server without a password answers ROLE all the same.
                return true;
            }
            answer = Some(role(&value));
            false
        });
        match fed {
            Ok(()) => answer,
            Err(fault) => Some(RoleAnswer::Refused(fault.to_string())),
        }
    }
}

fn role(value: &Value) -> RoleAnswer {
    if let Value::Error(words) = value {
        return RoleAnswer::Refused(String::from_utf8_lossy(words).into_owned());
    }
    match value.array().and_then(|fields| fields.first()?.text()) {
        Some(b"master") => RoleAnswer::Master,
        Some(_) => RoleAnswer::NotMaster,
        None => RoleAnswer::Refused("no role".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(password: Option<&str>, bytes: &[u8]) -> Option<RoleAnswer> {
        let password = password.map(Secret::new);
        let (mut question, _) = RoleQuestion::new(password.as_ref());
        bytes.iter().find_map(|byte| question.received(&[*byte]))
    }

    #[test]
    fn a_server_says_what_it_is() {
        let master = b"*3\r\n$6\r\nmaster\r\n:0\r\n*1\r\n*3\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\n0\r\n";
        assert_eq!(answer(None, master), Some(RoleAnswer::Master));
        let slave = b"*5\r\n$5\r\nslave\r\n$1\r\na\r\n:1\r\n$9\r\nconnected\r\n:0\r\n";
        assert_eq!(answer(None, slave), Some(RoleAnswer::NotMaster));
        let sentinel = b"*2\r\n$8\r\nsentinel\r\n*0\r\n";
        assert_eq!(answer(None, sentinel), Some(RoleAnswer::NotMaster));
        assert_eq!(answer(None, &master[..20]), None);
    }

    #[test]
    fn a_password_goes_first_and_its_reply_is_not_the_role() {
        let (_, bytes) = RoleQuestion::new(Some(&Secret::new("x y")));
        assert_eq!(
            bytes,
            b"*2\r\n$4\r\nAUTH\r\n$3\r\nx y\r\n*1\r\n$4\r\nROLE\r\n"
        );
        let master = b"+OK\r\n*1\r\n$6\r\nmaster\r\n";
        assert_eq!(answer(Some("x"), master), Some(RoleAnswer::Master));
        let refused = b"-WRONGPASS no\r\n-NOAUTH Authentication required.\r\n";
        let words = "NOAUTH Authentication required.".to_owned();
        assert_eq!(answer(Some("x"), refused), Some(RoleAnswer::Refused(words)));
    }

    #[test]
    fn what_is_no_reply_is_no_role() {
        for bytes in [
            b"HTTP/1.1 400\r\n".as_slice(),
            b"+PONG\r\n",
            b"*0\r\n",
            b":1\r\n",
        ] {
            assert!(matches!(answer(None, bytes), Some(RoleAnswer::Refused(_))));
        }
    }
}
