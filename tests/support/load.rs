//! Clients that go on in the background and check that every reply is their own.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use coremux::base::Random;

use super::Client;
use super::Reply;
use super::eventually;
use super::value;

/// Clients with keys of their own, who send pipelines of random depth until they are told to end.
#[derive(Debug)]
pub struct Load {
    end: Arc<AtomicBool>,
    checked: Arc<AtomicU64>,
    clients: Vec<JoinHandle<()>>,
}

/// What a load's clients do.
#[derive(Clone, Copy, Debug)]
struct Plan {
    // Errors are replies, too, and leave open whether a command was executed.
    errors: bool,
    keys: u64,
}

impl Load {
    /// Starts `clients` of them. An error reply fails the test, as does a reply that is not the
    /// one that is due.
    pub fn start(address: SocketAddr, clients: usize, seed: u64) -> Load {
        let errors = false;
        Load::start_as(address, clients, seed, Plan { errors, keys: 8 })
    }

    /// The same where a server may fail: errors are taken, and a value may be any that its key
    /// was ever given; never one of another key.
    pub fn start_with_errors(address: SocketAddr, clients: usize, seed: u64) -> Load {
        let errors = true;
        Load::start_as(address, clients, seed, Plan { errors, keys: 8 })
    }

    fn start_as(address: SocketAddr, clients: usize, seed: u64, plan: Plan) -> Load {
        let end = Arc::new(AtomicBool::new(false));
        let checked = Arc::new(AtomicU64::new(0));
        let clients = (0..clients)
            .map(|number| {
                let (end, checked) = (Arc::clone(&end), Arc::clone(&checked));
                std::thread::spawn(move || {
                    let mut actor = Actor::new(address, seed, number, plan);
                    while !end.load(Ordering::Relaxed) {
                        let replies = actor.pipeline();
                        checked.fetch_add(replies, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        Load {
            end,
            checked,
            clients,
        }
    }

    /// How many replies were checked.
    pub fn checked(&self) -> u64 {
        self.checked.load(Ordering::Relaxed)
    }

    /// Waits until `replies` more were checked: all is well at this moment, too.
    pub fn goes_on(&self, replies: u64) {
        let until = self.checked() + replies;
        eventually("the other clients are answered", || {
            let died = self.clients.iter().any(JoinHandle::is_finished);
            assert!(!died, "another client was not answered rightly");
            (self.checked() >= until).then_some(())
        });
    }

    /// Ends it, and fails if any reply was wrong; how many were checked.
    pub fn end(self) -> u64 {
        self.end.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("every reply is the client's own");
        }
        let checked = self.checked.load(Ordering::Relaxed);
        assert!(checked > 0, "nothing was checked");
        checked
    }
}

/// What may come for one request.
enum Due {
    Exactly(Reply),
    /// The value of a key.
    Value(String),
    /// The values of some keys, in order.
    Values(Vec<String>),
    Integer,
}

/// One client.
struct Actor {
    client: Client,
    name: String,
    random: Random,
    plan: Plan,
    // By key: how often it was given a value, and the value's length.
    given: HashMap<String, Vec<usize>>,
    counter: i64,
    seed: u64,
}

impl Actor {
    fn new(address: SocketAddr, seed: u64, number: usize, plan: Plan) -> Actor {
        Actor {
            client: Client::connect(address),
            // Another run on the same servers must not see these keys.
            name: format!("load:{seed}:{number}"),
            random: Random::new(seed.wrapping_mul(1009).wrapping_add(number as u64)),
            plan,
            given: HashMap::new(),
            counter: 0,
            seed,
        }
    }

    /// Sends some requests at once and checks their replies: how many.
    fn pipeline(&mut self) -> u64 {
        let depth = match self.random.below(4) {
            0 => 1,
            1 => 1 + self.random.below(4),
            _ => 1 + self.random.below(48),
        };
        let (requests, due): (Vec<_>, Vec<_>) = (0..depth).map(|_| self.request()).unzip();
        let replies = self.client.pipeline(&requests);
        for ((reply, due), request) in replies.into_iter().zip(due).zip(&requests) {
            self.check(reply, due, request);
        }
        depth
    }

    fn key(&mut self) -> String {
        // Far apart: keys that differ in a digit would live on one server, and never be split.
        let number = self.random.below(self.plan.keys);
        let spread = Random::new(number).next_u64();
        format!("{}:{spread:x}", self.name)
    }

    fn next_value(&mut self, key: &str) -> Vec<u8> {
        let bytes = match self.random.below(64) {
            0 => 20_000 + self.random.below(60_000),
            1..8 => 1_500 + self.random.below(4_000),
            _ => self.random.below(100),
        };
        let bytes = usize::try_from(bytes).unwrap();
        let given = self.given.entry(key.to_owned()).or_default();
        given.push(bytes);
        value(key, given.len() as u64, bytes)
    }

    fn request(&mut self) -> (Vec<Vec<u8>>, Due) {
        let key = self.key();
        let of = |words: &[&[u8]]| words.iter().map(|word| word.to_vec()).collect();
        match self.random.below(10) {
            0..3 => {
                let value = self.next_value(&key);
                (
                    of(&[b"SET", key.as_bytes(), &value]),
                    Due::Exactly(Reply::ok()),
                )
            }
            3..6 => {
                let request = of(&[b"GET", key.as_bytes()]);
                let due = self.value_now(&key);
                (request, due.map_or(Due::Value(key), Due::Exactly))
            }
            6 => {
                let keys: Vec<String> =
                    (0..1 + self.random.below(12)).map(|_| self.key()).collect();
                let mut request: Vec<Vec<u8>> = of(&[b"MGET"]);
                request.extend(keys.iter().map(|key| key.as_bytes().to_vec()));
                let due: Option<Vec<Reply>> = keys.iter().map(|key| self.value_now(key)).collect();
                let due = due.map_or(Due::Values(keys), |due| Due::Exactly(Reply::Array(due)));
                (request, due)
            }
            7 => {
                let mut request: Vec<Vec<u8>> = of(&[b"mset"]);
                for _ in 0..1 + self.random.below(5) {
                    let key = self.key();
                    let value = self.next_value(&key);
                    request.extend([key.into_bytes(), value]);
                }
                (request, Due::Exactly(Reply::ok()))
            }
            8 => {
                self.counter += 1;
                let key = format!("{}:counter", self.name);
                let due = match self.plan.errors {
                    true => Due::Integer,
                    false => Due::Exactly(Reply::Integer(self.counter)),
                };
                (of(&[b"INCR", key.as_bytes()]), due)
            }
            _ => {
                let own = format!("{}:{}", self.name, self.random.next_u64());
                let due = Due::Exactly(Reply::bulk(&own));
                (of(&[b"ECHO", own.as_bytes()]), due)
            }
        }
    }

    /// What a key holds when all that was sent before is executed, if that is certain.
    fn value_now(&self, key: &str) -> Option<Reply> {
        if self.plan.errors {
            return None;
        }
        Some(match self.given.get(key).map(Vec::as_slice) {
            None | Some([]) => Reply::Null,
            Some(given @ [.., bytes]) => Reply::Bulk(value(key, given.len() as u64, *bytes)),
        })
    }

    fn check(&self, reply: Reply, due: Due, request: &[Vec<u8>]) {
        if self.plan.errors && matches!(reply, Reply::Error(_)) {
            return;
        }
        let right = match (due, &reply) {
            (Due::Exactly(due), reply) => due == *reply,
            (Due::Value(key), reply) => self.was_given(&key, reply),
            (Due::Values(keys), Reply::Array(values)) => {
                keys.len() == values.len()
                    && keys
                        .iter()
                        .zip(values)
                        .all(|(key, value)| self.was_given(key, value))
            }
            (Due::Values(_), _) => false,
            (Due::Integer, reply) => matches!(reply, Reply::Integer(_)),
        };
        assert!(
            right,
            "seed {}: {} asked {} and got {}",
            self.seed,
            self.name,
            abridged(&request.concat()),
            abridged(format!("{reply:?}").as_bytes()),
        );
    }

    fn was_given(&self, key: &str, reply: &Reply) -> bool {
        match reply {
            // A server that was restarted is empty.
            Reply::Null => true,
            Reply::Bulk(bytes) => {
                let given = self.given.get(key).map_or(&[][..], Vec::as_slice);
                let is_it = |n: u64, length: &usize| value(key, n, *length) == *bytes;
                match stamp_of(bytes) {
                    Some(n @ 1..) => given
                        .get(usize::try_from(n).unwrap() - 1)
                        .is_some_and(|length| is_it(n, length)),
                    _ => false,
                }
            }
            _ => false,
        }
    }
}

/// How often the key of a value had been given one: `key=12;…`.
fn stamp_of(value: &[u8]) -> Option<u64> {
    let number = value.split(|byte| matches!(byte, b'=' | b';')).nth(1)?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

fn abridged(bytes: &[u8]) -> String {
    let text = bytes[..bytes.len().min(300)].escape_ascii().to_string();
    format!("{text} ({} bytes)", bytes.len())
}
