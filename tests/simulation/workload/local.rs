//! Requests that the proxy answers by itself, and what it must say.

use crate::dice::Dice;
use crate::frame::write_bulk;
use crate::mark::Mark;
use crate::request::Expect;
use crate::request::Request;
use crate::workload::Asker;

impl Asker {
    pub(super) fn local(&mut self, mark: Mark, dice: &mut Dice) -> Request {
        let text = mark.text();
        let exact = |reply: &str| Expect::Exact(reply.as_bytes().to_vec());
        let bulk = |bytes: &[u8]| {
            let mut reply = Vec::new();
            write_bulk(bytes, &mut reply);
            Expect::Exact(reply)
        };
        match dice.below(20) {
            0 => Request::local(&[b"PING"], exact("+PONG\r\n")),
            1 => Request::local(&[b"ping"], exact("+PONG\r\n")).typed(),
            2 => Request::local(&[b"PING", &text], bulk(&text)),
            3 => Request::local(&[b"ECHO", &text], bulk(&text)),
            4 => {
                let database = *dice.pick(&[self.facts.database, self.database, 0, 7]);
                let database = database.to_string();
                Request::local(&[b"SELECT", database.as_bytes()], exact("+OK\r\n"))
            }
            5 => {
                let there_is_none: [&[u8]; 3] = [b"16", b"-1", b"1000000"];
                Request::local(
                    &[b"SELECT", *dice.pick(&there_is_none)],
                    exact("-ERR DB index is out of range\r\n"),
                )
            }
            6 => Request::local(&[b"CLIENT", b"ID"], Expect::ClientId),
            7 => {
                // A client without the password has no name.
                if self.authenticated {
                    self.name.clone_from(&text);
                }
                Request::local(&[b"CLIENT", b"SETNAME", &text], exact("+OK\r\n"))
            }
            8 if self.name.is_empty() => {
                let nil = if self.resp3 { "_\r\n" } else { "$-1\r\n" };
                Request::local(&[b"CLIENT", b"GETNAME"], exact(nil))
            }
            8 => Request::local(&[b"CLIENT", b"GETNAME"], bulk(&self.name)),
            9 => Request::local(&[b"TIME"], Expect::Time),
            16 => {
                let resp3 = dice.percent(60);
                let number: &[u8] = if resp3 { b"3" } else { b"2" };
                Request::local(&[b"HELLO", number], Expect::Hello(resp3))
            }
            10 => self.unknown(mark),
            11 => Request::local(&[b"EXEC"], exact("-ERR EXEC without MULTI\r\n")),
            12 => Request::local(
                &[b"MONITOR"],
                exact("-ERR 'monitor' is refused: servers are to be administered directly\r\n"),
            ),
            13 => Request::local(
                &[b"GET"],
                exact("-ERR wrong number of arguments for 'get' command\r\n"),
            ),
            14 => Request::local(
                &[b"MSET", &text, b"1", &text],
                exact("-ERR wrong number of arguments for 'mset' command\r\n"),
            ),
            15 => Request::local(
                &[b"KEYS", b"*"],
                exact("-NOPERM 'keys' is refused unless the pool's `allow:` names it\r\n"),
            ),
            // All workers are asked; nobody is so.
            18 => {
                let none = if self.resp3 {
                    "=4\r\ntxt:\r\n"
                } else {
                    "$0\r\n\r\n"
                };
                Request::local(&[b"CLIENT", b"LIST", b"ID", b"0"], exact(none))
            }
            19 => Request::local(&[b"CLIENT", b"UNBLOCK", b"99999999"], exact(":0\r\n")),
            _ => Request::local(
                &[b"OBJECT", b"WRONG\r\nWRONG", &text],
                exact("-ERR unknown subcommand 'WRONG  WRONG'. Try OBJECT HELP.\r\n"),
            ),
        }
    }

    fn unknown(&self, mark: Mark) -> Request {
        let text = mark.text();
        if self.facts.forwards_unknown {
            return Request::forwarded(vec![b"FROB".to_vec(), text], vec![1]);
        }
        let reply = format!(
            "-ERR unknown command 'FROB', with args beginning with: '{}' \r\n",
            String::from_utf8_lossy(&text)
        );
        Request::local(&[b"FROB", &text], Expect::Exact(reply.into_bytes()))
    }
}
