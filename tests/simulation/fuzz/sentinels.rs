//! Whatever Sentinels say: nothing panics, nothing is asked for without end, and an address is a
//! master's only if the server there has said so.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::time::Duration;

use coremux::base::ServerIdx;
use coremux::base::Time;
use coremux::config::Config;
use coremux::config::HostPort;
use coremux::sentinel::Fact;
use coremux::sentinel::LinkId;
use coremux::sentinel::Output;
use coremux::sentinel::ProbeId;
use coremux::sentinel::Probed;
use coremux::sentinel::Watcher;

use crate::dice::Dice;
use crate::frame;
use crate::fuzz::material::spoilt;

/// More than anybody has; who names a thousand is not believed.
const LINKS_MAX: usize = 100;

/// Acts that may follow from one event.
const OUTPUTS_MAX: usize = 2_000;

/// Where masters are.
const HOSTS: &[&str] = &["10.0.0.1", "10.0.0.2", "10.0.0.3"];

/// What Sentinels talk of.
const WORDS: &[&str] = &[
    "name",
    "m1",
    "m2",
    "ip",
    "port",
    "runid",
    "flags",
    "config-epoch",
    "num-other-sentinels",
    "quorum",
    "master",
    "slave",
    "s_down,o_down",
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.3",
    "::1",
    "host.example",
    "6379",
    "26379",
    "0",
    "70000",
    "-1",
    "1",
    "2",
    "7",
    "18446744073709551615",
    "role-reported",
    "master-link-status",
    "ok",
    "",
];

/// Where events are told, and what they are like.
const EVENTS: &[(&str, &str)] = &[
    ("+switch-master", "m1 10.0.0.1 6379 10.0.0.2 6379"),
    (
        "+promoted-slave",
        "slave 10.0.0.2:6379 10.0.0.2 6379 @ m1 10.0.0.1 6379",
    ),
    (
        "+selected-slave",
        "slave 10.0.0.3:6379 10.0.0.3 6379 @ m1 10.0.0.1 6379",
    ),
    ("+sdown", "master m1 10.0.0.1 6379"),
    ("+odown", "master m2 10.0.0.1 6379 #quorum 2/2"),
    ("-odown", "master m2 10.0.0.1 6379"),
    ("+sentinel", "sentinel x 10.0.0.9 26379 @ m1 10.0.0.1 6379"),
    ("+reboot", "master m1 10.0.0.1 6379"),
];

/// What happened in runs.
#[derive(Debug, Default)]
pub struct Heard {
    masters: usize,
    lost: usize,
    asked: usize,
}

impl Heard {
    pub fn add(&mut self, other: &Heard) {
        self.masters += other.masters;
        self.lost += other.lost;
        self.asked += other.asked;
    }

    pub fn assert_worth_while(&self) {
        assert!(
            self.masters.min(self.lost).min(self.asked) > 200,
            "{self:?}"
        );
    }
}

#[derive(Debug, Default)]
struct Link {
    connected: bool,
    // Requests that it has not answered.
    asked: Vec<u8>,
}

pub struct World {
    watcher: Watcher,
    links: BTreeMap<LinkId, Link>,
    // Questions, and where.
    probes: Vec<(ProbeId, HostPort)>,
    masters: BTreeSet<SocketAddr>,
    // What most Sentinels say.
    home: &'static str,
    epoch: usize,
    dice: Dice,
    now: Time,
    heard: Heard,
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut dice = Dice::new(seed);
        let quorum = dice.pick(&["true", "false"]);
        let text = format!(
            "p:\n  listen: 127.0.0.1:9\n  redis: true\n  require_sentinel_quorum: {quorum}\n  \
             sentinels: [10.0.0.1:26379, 10.0.0.2:26379, 10.0.0.3:26379]\n  \
             servers: [10.0.0.1:6379:1 m1, 10.0.0.2:6379:1 m2]\n"
        );
        let config = Config::parse(&text, "fuzz.yml").expect("a good configuration");
        World {
            watcher: Watcher::new(&config.pools[0], dice.seed(), Time::ZERO),
            links: BTreeMap::new(),
            probes: Vec::new(),
            masters: BTreeSet::new(),
            home: HOSTS[0],
            epoch: 0,
            dice,
            now: Time::ZERO,
            heard: Heard::default(),
        }
    }

    pub fn run(mut self, steps: usize) -> Heard {
        self.obey();
        for _ in 0..steps {
            self.step();
            self.obey();
            assert!(self.links.len() <= LINKS_MAX, "{} links", self.links.len());
        }
        self.heard
    }

    fn step(&mut self) {
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        match self.dice.below(20) {
            0..4 if !links.is_empty() => {
                let link = *self.dice.pick(&links);
                if !self.links[&link].connected {
                    self.connect(link);
                }
            }
            4..13 if !links.is_empty() => {
                let link = *self.dice.pick(&links);
                if self.links[&link].connected {
                    self.talk(link);
                }
            }
            13..17 if !self.probes.is_empty() => self.answer_probe(),
            17 if self.dice.percent(30) => {
                let server = ServerIdx(self.dice.below(3) as u16);
                self.watcher.hint(server, self.now);
            }
            _ => {
                let most = *self.dice.pick(&[1_000, 100_000, 3_000_000]);
                self.now = self.now + self.dice.micros(0, most);
                let due = self.watcher.next_timeout(self.now);
                if due.is_some_and(|due| due <= self.now) {
                    self.watcher.handle_timeout(self.now);
                }
            }
        }
    }

    fn connect(&mut self, link: LinkId) {
        if self.dice.percent(85) {
            self.links.get_mut(&link).unwrap().connected = true;
            self.watcher.connected(link, self.now);
        } else {
            self.links.remove(&link);
            self.watcher.closed(link, "refused", self.now);
        }
    }

    fn talk(&mut self, link: LinkId) {
        if self.dice.percent(2) {
            self.links.remove(&link);
            self.watcher.closed(link, "reset", self.now);
            return;
        }
        let mut bytes = Vec::new();
        let asked = std::mem::take(&mut self.links.get_mut(&link).unwrap().asked);
        let mut at = 0;
        while let Ok(Some((args, len))) = frame::parse_request(&asked[at..]) {
            self.heard.asked += 1;
            let args: Vec<&[u8]> = args.into_iter().map(|arg| &asked[at..][arg]).collect();
            self.answer(&args, &mut bytes);
            at += len;
        }
        assert_eq!(at, asked.len(), "half a request is sent");
        if self.dice.percent(20) {
            let (channel, payload) = *self.dice.pick(EVENTS);
            bytes.extend(frame::write_request(&["message", channel, payload]));
        }
        if self.dice.percent(4) {
            spoilt(&mut self.dice, &mut bytes);
        }
        // In two pieces: any cut may be.
        let cut = self.dice.between(0, bytes.len());
        for piece in [&bytes[..cut], &bytes[cut..]] {
            self.watcher.received(link, piece, self.now);
            self.obey();
            if !self.links.contains_key(&link) {
                return;
            }
        }
    }

    /// What a Sentinel says, or nearly.
    fn answer(&mut self, args: &[&[u8]], out: &mut Vec<u8>) {
        let words = args
            .iter()
            .map(|arg| String::from_utf8_lossy(arg).to_ascii_lowercase());
        let words: Vec<String> = words.collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if self.dice.percent(3) {
            self.home = *self.dice.pick(HOSTS);
            self.epoch += self.dice.below(2);
        }
        match (self.dice.below(60), &words[..]) {
            (0, _) => out.extend_from_slice(b"-ERR No such master with that name\r\n"),
            (1, _) => out.extend_from_slice(b"*-1\r\n"),
            (2, _) => self.table(1, out),
            (_, ["ping"]) => out.extend_from_slice(b"+PONG\r\n"),
            (_, ["subscribe", channels @ ..]) => {
                for (count, channel) in (1..).zip(channels) {
                    out.extend_from_slice(b"*3\r\n$9\r\nsubscribe\r\n");
                    frame::write_bulk(channel.as_bytes(), out);
                    out.extend(format!(":{count}\r\n").bytes());
                }
            }
            (_, ["sentinel", "get-master-addr-by-name", _]) => {
                out.extend(frame::write_request(&[self.home, "6379"]));
            }
            (_, ["sentinel", "myid"]) => {
                let digit = *self.dice.pick(&["a", "b", "c"]);
                frame::write_bulk(digit.repeat(40).as_bytes(), out);
            }
            (_, ["sentinel", "master", _]) => self.fields(out),
            (_, ["sentinel", ..]) => {
                let rows = self.dice.below(5);
                out.extend(format!("*{rows}\r\n").bytes());
                (0..rows).for_each(|_| self.fields(out));
            }
            _ => out.extend_from_slice(b"+OK\r\n"),
        }
    }

    /// A row: fields and their values, most of them those of a good Sentinel.
    fn fields(&mut self, out: &mut Vec<u8>) {
        let host = *self.dice.pick(HOSTS);
        let epoch = self.epoch.to_string();
        let others = self.dice.pick(&["0", "2", "2", "999", "x"]);
        let mut row = vec![
            "name",
            "m1",
            "ip",
            host,
            "port",
            "6379",
            "runid",
            host,
            "flags",
            "master",
            "config-epoch",
            &epoch,
            "num-other-sentinels",
            others,
            "quorum",
            "2",
        ];
        if self.dice.percent(15) {
            let at = self.dice.below(row.len());
            row[at] = *self.dice.pick::<&str>(WORDS);
        }
        out.extend(frame::write_request(&row));
    }

    fn table(&mut self, depth: usize, out: &mut Vec<u8>) {
        let count = self.dice.below(7);
        out.extend(format!("*{count}\r\n").bytes());
        for _ in 0..count {
            match depth < 3 && self.dice.percent(30) {
                true => self.table(depth + 1, out),
                false => frame::write_bulk(self.dice.pick(WORDS).as_bytes(), out),
            }
        }
    }

    fn answer_probe(&mut self) {
        let (probe, address) = self.probes.swap_remove(self.dice.below(self.probes.len()));
        let at = match address {
            HostPort::Ip(at) => at,
            HostPort::Name { port, .. } => SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        };
        let answer = match self.dice.below(4) {
            0 => Probed::NotMaster,
            1 => Probed::Failed,
            _ => {
                self.masters.insert(at);
                Probed::Master { at }
            }
        };
        self.watcher.probed(probe, &answer, self.now);
    }

    fn obey(&mut self) {
        let mut outputs = 0;
        while let Some(output) = self.watcher.poll_output() {
            outputs += 1;
            assert!(outputs < OUTPUTS_MAX, "acts without end");
            match output {
                Output::Connect { link, .. } => {
                    let before = self.links.insert(link, Link::default());
                    assert!(before.is_none(), "an id is given twice");
                }
                Output::Send { link, bytes } => {
                    let link = self.links.get_mut(&link).expect("a link that is");
                    assert!(link.connected, "bytes before there is a connection");
                    link.asked.extend(bytes);
                }
                // Also of what the other end has closed.
                Output::Close(link) => _ = self.links.remove(&link),
                Output::Probe { probe, address } => self.probes.push((probe, address)),
                Output::Fact(Fact::Master { at, .. }) => {
                    self.heard.masters += 1;
                    assert!(
                        self.masters.contains(&at),
                        "{at} has not said that it is a master"
                    );
                }
                Output::Fact(Fact::Sentinel { lost: Some(_), .. }) => self.heard.lost += 1,
                _ => {}
            }
        }
        assert!(self.probes.len() < OUTPUTS_MAX, "questions without end");
        let due = self.watcher.next_timeout(self.now);
        assert!(due.is_none_or(|due| due <= self.now + Duration::from_secs(60)));
    }
}
