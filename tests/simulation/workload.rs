//! What model clients ask: a mix of everything that a client library or a person may send.

mod forwarded;
mod local;
mod transaction;

pub use transaction::ABORTED;

use std::collections::VecDeque;

use bytes::Bytes;

use crate::dice::Dice;
use crate::mark::Mark;
use crate::request::Expect;
use crate::request::Request;

/// What a client knows of its pool.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The pool hashes what is between braces only, so that several requests with different marks
    /// meet at one server.
    pub tagged: bool,
    pub password: Option<String>,
    pub database: u32,
    pub forwards_unknown: bool,
}

/// Who asks.
#[derive(Debug)]
pub struct Asker {
    pub client: usize,
    pub facts: Facts,
    /// It has given the password, or none is needed.
    pub authenticated: bool,
    /// The rest of its transaction.
    pub planned: VecDeque<Request>,
    /// `SELECT`.
    pub database: u32,
    /// `HELLO 3`.
    pub resp3: bool,
    /// `CLIENT SETNAME`.
    pub name: Vec<u8>,
    /// Values larger than 256 KiB that it may still send.
    pub large_left: usize,
}

pub const NOAUTH: &[u8] = b"-NOAUTH Authentication required\r\n";

const NO_LOGIN: &[u8] = b"-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time\r\n";

/// A name for a value of the client's own; nobody else writes it.
fn own(client: usize, which: usize) -> Vec<u8> {
    match which {
        0 => format!("{{c{client}\r\n\0")
            .into_bytes()
            .into_iter()
            .chain(*b"\xff}")
            .collect(),
        1 => format!("{{c{client}{}}}", "k".repeat(5000)).into_bytes(),
        which => format!("{{c{client}k{which}}}").into_bytes(),
    }
}

const OWN: usize = 8;

impl Asker {
    /// The next request.
    pub fn ask(&mut self, number: usize, dice: &mut Dice) -> Request {
        let mark = Mark {
            client: self.client,
            number,
        };
        if let Some(request) = self.planned.pop_front() {
            return self.in_database(request);
        }
        if self.authenticated && dice.percent(6) {
            return self.transaction(number, dice);
        }
        let mut request = match dice.below(100) {
            0..19 => self.set(mark, dice),
            19..42 => self.get(mark, dice),
            42..51 => self.mget(mark, dice),
            51..58 => self.mset(mark, dice),
            58..63 => self.count_keys(mark, dice),
            63..71 => self.change(mark, dice),
            71..79 => self.set_of_members(mark, dice),
            79..83 => self.script(mark, dice),
            83..85 => {
                let args = vec![b"LOLWUT".to_vec(), mark.text()];
                Request::forwarded(args, Vec::new())
            }
            85..97 => self.local(mark, dice),
            _ => {
                let request = if dice.percent(50) {
                    let (key, value) = (self.key(mark, dice), mark.text());
                    self.put(vec![b"SET".to_vec(), key, value])
                } else {
                    self.get(mark, dice)
                };
                request.typed()
            }
        };
        if dice.percent(3) {
            let nothing: [&[u8]; 5] = [b"*0\r\n", b"*-1\r\n", b"\r\n", b"\n", b"  \r\n"];
            request
                .sent
                .splice(0..0, dice.pick(&nothing).iter().copied());
        }
        self.or_refused(request)
    }

    /// What a client says first when there is a password: the right one, a wrong one, or nothing.
    pub fn authenticate(&mut self, dice: &mut Dice) -> Option<Request> {
        self.facts.password.as_ref()?;
        match dice.below(10) {
            0 => None,
            1 => {
                let expect = Expect::Exact(b"-ERR invalid password\r\n".to_vec());
                Some(Request::local(&[b"AUTH", b"sesame"], expect))
            }
            _ => self.log_in(),
        }
    }

    /// The right password.
    pub fn log_in(&mut self) -> Option<Request> {
        let password = self.facts.password.clone()?;
        self.authenticated = true;
        let expect = Expect::Exact(b"+OK\r\n".to_vec());
        Some(Request::local(&[b"AUTH", password.as_bytes()], expect))
    }

    /// A large value, again and again.
    pub fn crave(&mut self, number: usize) -> Request {
        let mark = Mark {
            client: self.client,
            number,
        };
        let key = own(self.client, 2);
        let request = match number {
            0 | 1 => {
                let mut value = mark.text();
                value.extend(b"v".repeat(30_000));
                self.put(vec![b"SET".to_vec(), key, value])
            }
            _ => self.read(vec![
                b"GETRANGE".to_vec(),
                key,
                b"0".to_vec(),
                mark.decimal(),
            ]),
        };
        self.or_refused(request)
    }

    /// A value that is passed on in parts, after it was set.
    pub fn gorge(&mut self, number: usize, dice: &mut Dice) -> Request {
        let mark = Mark {
            client: self.client,
            number,
        };
        let key = own(self.client, 2);
        let request = match number % 6 {
            0 | 1 => {
                let mut value = mark.text();
                value.extend(b"x".repeat(*dice.pick(&[300 << 10, 1600 << 10, 1900 << 10])));
                self.put(vec![b"SET".to_vec(), key, value])
            }
            _ => self.read(vec![
                b"GETRANGE".to_vec(),
                key,
                b"0".to_vec(),
                mark.decimal(),
            ]),
        };
        self.or_refused(request)
    }

    /// One large value after the other.
    pub fn give(&mut self, number: usize, dice: &mut Dice) -> Request {
        let mark = Mark {
            client: self.client,
            number,
        };
        let mut value = mark.text();
        value.extend(b"g".repeat(dice.between(500, 12_000)));
        let key = own(self.client, 2 + dice.below(3));
        let request = self.put(vec![b"SET".to_vec(), key, value]);
        self.or_refused(request)
    }

    /// One value after the other for one key.
    pub fn insist(&mut self, number: usize) -> Request {
        let mark = Mark {
            client: self.client,
            number,
        };
        let key = own(self.client, 2);
        let request = self.put(vec![b"SET".to_vec(), key, mark.text()]);
        self.or_refused(request)
    }

    fn or_refused(&mut self, request: Request) -> Request {
        let request = match self.authenticated {
            true => {
                self.learn(&request);
                request
            }
            false if request.args[0] == "HELLO" => self.refused(request, NO_LOGIN),
            false => self.refused(request, NOAUTH),
        };
        self.in_database(request)
    }

    /// Where it is after a `SELECT` or a `HELLO`.
    fn learn(&mut self, request: &Request) {
        if let Expect::Hello(resp3) = request.expect {
            self.resp3 = resp3;
        }
        let taken = request.expect == Expect::Exact(b"+OK\r\n".to_vec());
        if taken && request.args[0].eq_ignore_ascii_case(b"select") {
            let number = std::str::from_utf8(&request.args[1]).expect("a number");
            self.database = number.parse().expect("a database that there is");
        }
    }

    /// Which servers it is meant for, in its database and its version of the protocol.
    fn in_database(&self, request: Request) -> Request {
        Request {
            database: self.database,
            resp3: self.resp3,
            ..request
        }
    }

    fn refused(&self, request: Request, reply: &[u8]) -> Request {
        Request {
            expect: Expect::Exact(reply.to_vec()),
            keys: Vec::new(),
            split: None,
            puts: Vec::new(),
            reads: Vec::new(),
            ..request
        }
    }

    /// A key of its own or a shared one, with the request's mark if `mark` is given.
    fn key(&self, mark: Mark, dice: &mut Dice) -> Vec<u8> {
        let base = match dice.below(100) {
            0..75 => own(self.client, 2 + dice.below(OWN - 2)),
            75..80 => own(self.client, 0),
            80..81 => own(self.client, 1),
            _ => format!("{{shared{}}}", dice.below(4)).into_bytes(),
        };
        if dice.percent(50) {
            [mark.text(), base].concat()
        } else {
            base
        }
    }

    fn marked(&self, mark: Mark, dice: &mut Dice) -> Vec<u8> {
        let key = self.key(mark, dice);
        match Mark::of(&key) {
            Some(_) => key,
            None => [mark.text(), key].concat(),
        }
    }

    /// Whether a later request, whatever its mark, finds what was written to `key`, which nobody
    /// else writes.
    fn is_followed(&self, key: &[u8]) -> bool {
        self.facts.tagged && crate::mark::without_mark(key).starts_with(b"{c")
    }

    /// A value of any size, as seldom as it is large.
    fn value(&mut self, mark: Mark, dice: &mut Dice) -> Vec<u8> {
        let len = match dice.below(100) {
            0..60 => dice.below(60),
            60..80 => dice.below(1500),
            80..92 => dice.between(4050, 4150),
            92..98 => dice.between(4000, 20_000),
            98 => dice.between(20_000, 70_000),
            _ if self.large_left > 0 => {
                self.large_left -= 1;
                300 << 10
            }
            _ => 1,
        };
        let mut value = mark.text();
        // What looks like a protocol is not one inside a value.
        let opening: [&[u8]; 4] = [b"", b"\r\n$-1\r\n", b"\0\xff", b"*1\r\n"];
        let opening = *dice.pick(&opening);
        value.extend_from_slice(opening);
        let filler = [*dice.pick(b"abcdefgh\n")];
        value.extend(filler.repeat(len));
        value
    }

    fn put(&self, args: Vec<Vec<u8>>) -> Request {
        let puts = match self.is_followed(&args[1]) {
            true => vec![(base(&args[1]), Some(Bytes::copy_from_slice(&args[2])))],
            false => Vec::new(),
        };
        Request {
            puts,
            ..Request::forwarded(args, vec![1])
        }
    }
}

/// What must hold when all faults are over: everything that was written is there, and every
/// server answers.
pub fn verification(asker: &mut Asker, logged_in: bool, known: &[(u32, Vec<u8>)]) -> Vec<Request> {
    let first = usize::from(logged_in);
    let client = asker.client;
    let mark = |number| Mark { client, number };
    let mut requests = Vec::new();
    for (database, key) in known {
        if *database != asker.database {
            asker.database = *database;
            let expect = Expect::Exact(b"+OK\r\n".to_vec());
            let database = database.to_string();
            requests.push(Request::local(&[b"SELECT", database.as_bytes()], expect));
        }
        let mark = mark(first + requests.len());
        let args = vec![
            b"GETRANGE".to_vec(),
            key.clone(),
            b"0".to_vec(),
            mark.decimal(),
        ];
        requests.push(Request {
            reads: vec![key.clone()],
            ..asker.in_database(Request::forwarded(args, vec![1]))
        });
    }
    let spread = |number: usize| format!("{{c{client}verify{number}}}").into_bytes();
    for number in 0..24 {
        let value = mark(first + requests.len()).text();
        let request = asker.put(vec![b"SET".to_vec(), spread(number), value]);
        requests.push(asker.in_database(request));
    }
    for number in 0..24 {
        let mark = mark(first + requests.len());
        let args = vec![
            b"GETRANGE".to_vec(),
            spread(number),
            b"0".to_vec(),
            mark.decimal(),
        ];
        requests.push(asker.in_database(asker.read(args)));
    }
    requests
}

pub fn base(key: &[u8]) -> Vec<u8> {
    crate::mark::without_mark(key).to_vec()
}
