//! What model clients ask: a mix of everything that a client library or a person may send.

use bytes::Bytes;

use crate::dice::Dice;
use crate::frame::write_bulk;
use crate::mark::Mark;
use crate::request::Expect;
use crate::request::Request;
use crate::request::Split;

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
#[derive(Clone, Debug)]
pub struct Asker {
    pub client: usize,
    pub facts: Facts,
    /// It has given the password, or none is needed.
    pub authenticated: bool,
    /// `CLIENT SETNAME`.
    pub name: Vec<u8>,
    /// Values larger than 256 KiB that it may still send.
    pub large_left: usize,
}

pub const NOAUTH: &[u8] = b"-NOAUTH Authentication required\r\n";

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
                value.resize(30_000, b'v');
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
        value.resize(dice.between(500, 12_000), b'g');
        let key = own(self.client, 2 + dice.below(3));
        let request = self.put(vec![b"SET".to_vec(), key, value]);
        self.or_refused(request)
    }

    fn or_refused(&self, request: Request) -> Request {
        if self.authenticated {
            request
        } else {
            self.refused(request)
        }
    }

    fn refused(&self, request: Request) -> Request {
        Request {
            expect: Expect::Exact(NOAUTH.to_vec()),
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
        let filler = *dice.pick(b"abcdefgh\n");
        value.resize(value.len() + len, filler);
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

    fn set(&mut self, mark: Mark, dice: &mut Dice) -> Request {
        let key = if dice.percent(2) {
            Vec::new()
        } else {
            self.key(mark, dice)
        };
        let value = self.value(mark, dice);
        let name = *dice.pick(&[&b"SET"[..], b"set", b"SeT"]);
        self.put(vec![name.to_vec(), key, value])
    }

    fn get(&mut self, mark: Mark, dice: &mut Dice) -> Request {
        let args = match dice.below(10) {
            0..6 => vec![b"GET".to_vec(), self.marked(mark, dice)],
            6..9 => {
                let key = self.key(mark, dice);
                vec![
                    b"getrange".to_vec(),
                    base(&key),
                    b"0".to_vec(),
                    mark.decimal(),
                ]
            }
            _ => vec![
                b"GETRANGE".to_vec(),
                Vec::new(),
                b"0".to_vec(),
                mark.decimal(),
            ],
        };
        self.read(args)
    }

    fn read(&self, args: Vec<Vec<u8>>) -> Request {
        let reads = match self.is_followed(&args[1]) {
            true => vec![base(&args[1])],
            false => Vec::new(),
        };
        Request {
            reads,
            ..Request::forwarded(args, vec![1])
        }
    }

    fn mget(&mut self, mark: Mark, dice: &mut Dice) -> Request {
        let name = *dice.pick(&[&b"MGET"[..], b"mget"]);
        let mut args = vec![name.to_vec()];
        for _ in 0..dice.between(1, 12) {
            args.push(self.marked(mark, dice));
        }
        let keys = args[1..].iter();
        // An element that is not followed is read all the same; it is not compared.
        let reads = keys
            .map(|key| {
                if self.is_followed(key) {
                    base(key)
                } else {
                    Vec::new()
                }
            })
            .collect();
        Request {
            reads,
            ..Request::split(args, 1, Split::Elements)
        }
    }

    fn mset(&mut self, mark: Mark, dice: &mut Dice) -> Request {
        let mut args = vec![b"MSET".to_vec()];
        let mut puts = Vec::new();
        for _ in 0..dice.between(1, 8) {
            let (key, value) = (self.marked(mark, dice), self.value(mark, dice));
            if self.is_followed(&key) {
                puts.push((base(&key), Some(Bytes::copy_from_slice(&value))));
            }
            args.extend([key, value]);
        }
        Request {
            puts,
            ..Request::split(args, 2, Split::AllOk)
        }
    }

    fn count_keys(&mut self, mark: Mark, dice: &mut Dice) -> Request {
        let name = *dice.pick(&["DEL", "UNLINK", "EXISTS", "TOUCH", "exists"]);
        let mut args = vec![name.as_bytes().to_vec()];
        for _ in 0..dice.between(1, 8) {
            args.push(self.marked(mark, dice));
        }
        let removes = matches!(name, "DEL" | "UNLINK");
        let followed = args[1..]
            .iter()
            .filter(|key| removes && self.is_followed(key));
        let puts = followed.map(|key| (base(key), None)).collect();
        Request {
            puts,
            ..Request::split(args, 1, Split::Sum)
        }
    }

    fn change(&mut self, mark: Mark, dice: &mut Dice) -> Request {
        let client = self.client;
        match dice.below(4) {
            0 | 1 => {
                let key = match dice.percent(70) {
                    true => format!("{{n{client}.{}}}", dice.below(3)),
                    false => "{n}".to_owned(),
                };
                let args = vec![b"INCRBY".to_vec(), key.into_bytes(), mark.decimal()];
                Request::forwarded(args, vec![1])
            }
            2 => {
                let key = format!("{{a{client}.{}}}", dice.below(3)).into_bytes();
                let args = vec![b"append".to_vec(), key, mark.text()];
                Request::forwarded(args, vec![1])
            }
            _ => {
                let (key, value) = (self.key(mark, dice), self.value(mark, dice));
                self.put(vec![b"GETSET".to_vec(), key, value])
            }
        }
    }

    fn set_of_members(&mut self, mark: Mark, dice: &mut Dice) -> Request {
        // One tag for all sets of a client, so that a pool with tags keeps them together; and
        // another now and then, which is refused there too.
        let client = self.client;
        let members = |dice: &mut Dice| {
            let tag = if dice.percent(10) {
                "elsewhere"
            } else {
                "members"
            };
            format!("{{{tag}{client}}}{}", dice.below(4)).into_bytes()
        };
        if dice.percent(50) {
            let key = if dice.percent(10) {
                self.key(mark, dice)
            } else {
                members(dice)
            };
            let args = vec![
                b"SADD".to_vec(),
                key,
                mark.text(),
                dice.below(5).to_string().into(),
            ];
            return Request::forwarded(args, vec![1]);
        }
        let mut args = vec![b"SINTERSTORE".to_vec()];
        args.push([mark.text(), members(dice)].concat());
        for _ in 0..dice.between(1, 3) {
            args.push(members(dice));
        }
        let keys = (1..args.len()).collect();
        Request::forwarded(args, keys)
    }

    fn script(&mut self, mark: Mark, dice: &mut Dice) -> Request {
        let (key, script) = (self.key(mark, dice), *dice.pick(&["set", "nest", "fail"]));
        let argument = match script {
            "fail" => mark.text(),
            _ => self.value(mark, dice),
        };
        let mut puts = Vec::new();
        if script == "set" && self.is_followed(&key) {
            puts.push((base(&key), Some(Bytes::copy_from_slice(&argument))));
        }
        let args = vec![
            b"EVAL".to_vec(),
            script.into(),
            b"1".to_vec(),
            key,
            argument,
        ];
        Request {
            puts,
            ..Request::forwarded(args, vec![3])
        }
    }

    fn local(&mut self, mark: Mark, dice: &mut Dice) -> Request {
        let text = mark.text();
        let exact = |reply: &str| Expect::Exact(reply.as_bytes().to_vec());
        let bulk = |bytes: &[u8]| {
            let mut reply = Vec::new();
            write_bulk(bytes, &mut reply);
            Expect::Exact(reply)
        };
        let database = self.facts.database.to_string();
        match dice.below(17) {
            0 => Request::local(&[b"PING"], exact("+PONG\r\n")),
            1 => Request::local(&[b"ping"], exact("+PONG\r\n")).typed(),
            2 => Request::local(&[b"PING", &text], bulk(&text)),
            3 => Request::local(&[b"ECHO", &text], bulk(&text)),
            4 => Request::local(&[b"SELECT", database.as_bytes()], exact("+OK\r\n")),
            5 => {
                let reply =
                    format!("-ERR this pool serves database {database} only (redis_db)\r\n");
                Request::local(&[b"SELECT", b"13"], exact(&reply))
            }
            6 => Request::local(&[b"CLIENT", b"ID"], Expect::ClientId),
            7 => {
                // A client without the password has no name.
                if self.authenticated {
                    self.name.clone_from(&text);
                }
                Request::local(&[b"CLIENT", b"SETNAME", &text], exact("+OK\r\n"))
            }
            8 if self.name.is_empty() => Request::local(&[b"CLIENT", b"GETNAME"], exact("$-1\r\n")),
            8 => Request::local(&[b"CLIENT", b"GETNAME"], bulk(&self.name)),
            9 => Request::local(&[b"TIME"], Expect::Time),
            10 => self.unknown(mark),
            11 => Request::local(
                &[b"MULTI"],
                exact("-ERR 'multi' is refused: transactions are not offered here\r\n"),
            ),
            12 => Request::local(
                &[b"SUBSCRIBE", &text],
                exact("-ERR 'subscribe' is refused: messages are not passed on here\r\n"),
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
                exact("-ERR 'keys' is refused: it concerns the keys of every server\r\n"),
            ),
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

/// What must hold when all faults are over: everything that was written is there, and every
/// server answers.
pub fn verification(asker: &Asker, logged_in: bool, known: &[Vec<u8>]) -> Vec<Request> {
    let first = usize::from(logged_in);
    let mark = |number| Mark {
        client: asker.client,
        number,
    };
    let mut requests = Vec::new();
    for key in known {
        let mark = mark(first + requests.len());
        let args = vec![
            b"GETRANGE".to_vec(),
            key.clone(),
            b"0".to_vec(),
            mark.decimal(),
        ];
        requests.push(Request {
            reads: vec![key.clone()],
            ..Request::forwarded(args, vec![1])
        });
    }
    let spread = |number: usize| format!("{{c{}verify{number}}}", asker.client).into_bytes();
    for number in 0..24 {
        let value = mark(first + requests.len()).text();
        requests.push(asker.put(vec![b"SET".to_vec(), spread(number), value]));
    }
    for number in 0..24 {
        let mark = mark(first + requests.len());
        let args = vec![
            b"GETRANGE".to_vec(),
            spread(number),
            b"0".to_vec(),
            mark.decimal(),
        ];
        requests.push(asker.read(args));
    }
    requests
}

fn base(key: &[u8]) -> Vec<u8> {
    crate::mark::without_mark(key).to_vec()
}
