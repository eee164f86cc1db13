//! A model client: asks, reads, and goes, each in its own manner, and shows every reply to the
//! oracle.

mod farewell;

use std::collections::VecDeque;

use bytes::Bytes;
use coremux::base::Time;

use crate::dice::Dice;
use crate::frame::parse_reply;
use crate::oracle::Answer;
use crate::plan::BROKEN;
use crate::plan::Ending;
use crate::plan::Plan;
use crate::plan::Taste;
use crate::request::Expect;
use crate::request::Request;
use crate::tally::Happening;
use crate::trace::head;
use crate::trace::trace;
use crate::workload::Asker;
use crate::world::Event;
use crate::world::LinkId;
use crate::world::World;

/// Requests that a client makes before it has written them.
const UNWRITTEN_MAX: usize = 50;

/// How far a client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not yet connected.
    Waiting,
    Connected,
    /// It has sent all that it will ever send.
    Finished,
    Gone,
}

/// One client.
#[derive(Debug)]
pub struct Client {
    pub pool: usize,
    pub worker: usize,
    pub state: State,
    pub plan: Plan,
    link: Option<LinkId>,
    asker: Asker,
    dice: Dice,
    /// Asked before anything else, in order.
    prepared: VecDeque<Request>,
    /// Requests asked so far, those of `prepared` included.
    asked: usize,
    outgoing: VecDeque<Bytes>,
    /// Bytes of its stream, those in `outgoing` included.
    stream: u64,
    written: u64,
    incoming: Vec<u8>,
    /// Bytes of replies that it has understood.
    taken: u64,
    burst_at: Time,
    reads_again_at: Time,
    rests_left: usize,
    /// It stopped asking only because so much is not written yet.
    goes_on: bool,
    last_word: bool,
    refused: bool,
    told_no_memory: bool,
}

const NO_MEMORY: &[u8] = b"-ERR The proxy is short of memory\r\n";

impl Client {
    pub fn new(pool: usize, worker: usize, plan: Plan, asker: Asker, dice: Dice) -> Client {
        Client {
            pool,
            worker,
            state: State::Waiting,
            link: None,
            asker,
            dice,
            prepared: VecDeque::new(),
            asked: 0,
            outgoing: VecDeque::new(),
            stream: 0,
            written: 0,
            incoming: Vec::new(),
            taken: 0,
            burst_at: Time::ZERO,
            reads_again_at: Time::ZERO,
            rests_left: plan.rests,
            goes_on: false,
            last_word: false,
            refused: false,
            told_no_memory: false,
            plan,
        }
    }

    /// What it asks first.
    pub fn prepare(&mut self, requests: impl IntoIterator<Item = Request>) {
        self.prepared.extend(requests);
        self.plan.requests += self.prepared.len();
    }
}

impl World {
    /// Lets a client do what it can do now.
    pub fn client_acts(&mut self, number: usize) {
        match self.clients[number].state {
            State::Gone => return,
            State::Waiting => self.client_connects(number),
            State::Connected | State::Finished => {}
        }
        self.client_reads(number);
        self.client_asks(number);
        self.client_writes(number);
        self.client_ends(number);
    }

    fn client_connects(&mut self, number: usize) {
        let (worker, pool) = (self.clients[number].worker, self.clients[number].pool);
        let (link, admitted) = self.accept(worker, pool, number);
        trace!(
            self.now,
            "client {number} connects by {link:?}: {:?}", self.clients[number].plan
        );
        let client = &mut self.clients[number];
        client.link = Some(link);
        client.state = State::Connected;
        if !admitted {
            self.tally.count(Happening::ClientRefused);
            client.refused = true;
            let reply = b"-ERR max number of clients reached\r\n".to_vec();
            let request = Request::local(&[b"connect"], Expect::Exact(reply));
            self.oracle.sent(number, request, 0);
            self.oracle.arrived(number, 0, self.now);
        }
    }

    // --- reading ---

    fn client_reads(&mut self, number: usize) {
        let client = &mut self.clients[number];
        let Some(id) = client.link else {
            return;
        };
        if client.state == State::Gone || self.now < client.reads_again_at {
            return;
        }
        let link = &mut self.links[id.0];
        let most = if client.plan.sips {
            client.dice.between(1, 300)
        } else {
            64 << 10
        };
        let bytes = link.to_peer.read(most);
        client.incoming.extend_from_slice(&bytes);
        let left = link.to_peer.arrived();
        if left > 0 {
            let next = self.now + client.dice.micros(1, 100);
            self.schedule(next, Event::ClientActs(number));
        }
        self.proxy_has_room(id);
        self.take_replies(number, id);
        if self.now < self.clients[number].reads_again_at {
            return;
        }
        if self.links[id.0].to_peer.is_at_end() {
            self.client_sees_the_end(number, id);
        }
    }

    fn take_replies(&mut self, number: usize, id: LinkId) {
        let mut incoming = std::mem::take(&mut self.clients[number].incoming);
        let mut at = 0;
        loop {
            let first = self.clients[number].taken + 1;
            let reply = match parse_reply(&incoming[at..]) {
                Ok(Some(len)) => &incoming[at..at + len],
                Ok(None) => break,
                Err(why) => panic!(
                    "client {number} got no reply: {why}: {}",
                    head(&incoming[at..])
                ),
            };
            at += reply.len();
            // Its last word, which nobody has asked for.
            if reply == NO_MEMORY && self.done.was_short {
                self.tally.count(Happening::Shed);
                self.clients[number].told_no_memory = true;
                continue;
            }
            self.clients[number].taken += reply.len() as u64;
            let link = &self.links[id.0];
            let answer = Answer {
                bytes: reply,
                begun: link.emitted_at(first),
                emitted: link.emitted_at(self.clients[number].taken),
                unhindered: !link.was_paused && !link.was_parked,
            };
            self.oracle
                .replied(number, answer, self.now, &mut self.tally);
            let client = &mut self.clients[number];
            if client.rests_left > 0 && client.dice.percent(20) {
                self.rest(number);
                break;
            }
        }
        incoming.drain(..at);
        self.clients[number].incoming = incoming;
    }

    /// A client does not read for a while.
    fn rest(&mut self, number: usize) {
        let client = &mut self.clients[number];
        client.rests_left -= 1;
        client.reads_again_at = self.now + client.dice.millis(50, 900);
        self.tally.count(Happening::ClientStopsReading);
        let again = client.reads_again_at;
        self.schedule(again, Event::ClientActs(number));
    }

    // --- asking ---

    fn client_asks(&mut self, number: usize) {
        if self.clients[number].state != State::Connected {
            return;
        }
        if self.now < self.clients[number].burst_at {
            return;
        }
        let mut asked = 0;
        loop {
            let client = &mut self.clients[number];
            if client.asked >= client.plan.requests || asked >= client.plan.depth {
                break;
            }
            if !client.refused && self.oracle.unanswered(number) >= client.plan.depth {
                break;
            }
            if client.outgoing.len() > UNWRITTEN_MAX {
                client.goes_on = true;
                break;
            }
            let prepared = client.prepared.pop_front();
            let request = match prepared {
                Some(request) => request,
                None => match client.plan.taste {
                    Taste::Mixed => client.asker.ask(client.asked, &mut client.dice),
                    Taste::Greedy => client.asker.crave(client.asked),
                    Taste::Voracious => client.asker.gorge(client.asked, &mut client.dice),
                    Taste::Stubborn => client.asker.insist(client.asked),
                    Taste::Generous => client.asker.give(client.asked, &mut client.dice),
                },
            };
            client.asked += 1;
            asked += 1;
            self.say(number, request);
            let plan = &self.clients[number].plan;
            if plan.taste == Taste::Greedy && self.clients[number].rests_left > 0 {
                self.rest(number);
            }
        }
        let client = &mut self.clients[number];
        if asked > 0 && client.plan.pause.1 > 0 {
            let (least, most) = client.plan.pause;
            client.burst_at = self.now + client.dice.micros(least, most);
            let next = client.burst_at;
            self.schedule(next, Event::ClientActs(number));
        }
        if self.clients[number].asked >= self.clients[number].plan.requests {
            self.say_last_words(number);
        }
    }

    fn say(&mut self, number: usize, mut request: Request) {
        let client = &mut self.clients[number];
        let sent = Bytes::from(std::mem::take(&mut request.sent));
        // What is broken is answered as soon as that is certain, maybe at its first byte.
        let first_byte = client.stream + 1;
        client.stream += sent.len() as u64;
        client.outgoing.push_back(sent);
        let end = match request.expect {
            Expect::Broken(_) => first_byte,
            _ => client.stream,
        };
        if !client.refused {
            trace!(
                self.now,
                "client {number} asks {}",
                head(&request.args.join(&b' '))
            );
            if request.expect == Expect::Exact(crate::workload::NOAUTH.to_vec()) {
                self.tally.count(Happening::ClientWithoutPassword);
            }
            self.oracle.sent(number, request, end);
        }
    }

    fn say_last_words(&mut self, number: usize) {
        let client = &mut self.clients[number];
        if std::mem::replace(&mut client.last_word, true) || client.refused {
            return;
        }
        match client.plan.ending {
            Ending::Quit => {
                self.tally.count(Happening::ClientQuit);
                let expect = Expect::Exact(b"+OK\r\n".to_vec());
                self.say(number, Request::local(&[b"QUIT"], expect));
            }
            Ending::Broken => {
                self.tally.count(Happening::ClientBroken);
                let (bytes, told) = client.dice.pick(&BROKEN);
                let reply = format!("-ERR Protocol error: {told}\r\n").into_bytes();
                let request = Request {
                    sent: bytes.to_vec(),
                    ..Request::local(&[b"broken"], Expect::Broken(reply))
                };
                self.say(number, request);
            }
            _ => return,
        }
        // What comes behind is not looked at.
        let client = &mut self.clients[number];
        if client.dice.percent(50) {
            let junk = b"j".repeat(client.dice.between(1, 100_000));
            client.stream += junk.len() as u64;
            client.outgoing.push_back(Bytes::from(junk));
        }
    }

    // --- writing ---

    fn client_writes(&mut self, number: usize) {
        let client = &mut self.clients[number];
        let Some(id) = client.link else {
            return;
        };
        if client.state != State::Connected {
            return;
        }
        let wire = &mut self.links[id.0].to_proxy;
        let mut arrivals = Vec::new();
        while let Some(next) = client.outgoing.front_mut() {
            if wire.ended || wire.room() == 0 {
                break;
            }
            let slow = client.plan.byte_by_byte && client.written < 600;
            let step = if slow { 1 } else { wire.room().min(next.len()) };
            client.written += step as u64;
            arrivals.extend(wire.write(next.split_to(step), self.now, &mut self.dice));
            if next.is_empty() {
                client.outgoing.pop_front();
            }
            if slow {
                self.tally.count(Happening::ClientByteByByte);
                let next = self.now + client.dice.micros(1, 50);
                self.schedule(next, Event::ClientActs(number));
                break;
            }
        }
        let client = &mut self.clients[number];
        if client.outgoing.is_empty() && std::mem::take(&mut client.goes_on) {
            self.schedule(self.now, Event::ClientActs(number));
        }
        self.land_at(id, true, arrivals);
    }
}
