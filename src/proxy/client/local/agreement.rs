//! What a client agrees with its server about what follows: the database.
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
use crate::protocol::command::Args;
use crate::protocol::resp::Writer;
use crate::proxy::Proxy;
use crate::proxy::client::Session;

const NO_INTEGER: &str = "ERR value is not an integer or out of range";

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

/// A number as Redis reads one: in its one canonical form.
fn integer(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

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
