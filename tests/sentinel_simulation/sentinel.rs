//! A simulated Sentinel: what it believes, and what it says.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use coremux::base::Random;
use coremux::sentinel::LinkId;

use super::requests::array;
use super::requests::bulk;

/// After what silence those of the group take a master for dead.
pub const DOWN_AFTER_MS: u64 = 2000;

/// What it takes a master to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    pub at: SocketAddr,
    pub epoch: u64,
    /// At the leader of a failover: the replica that has become the master.
    pub promoted: Option<SocketAddr>,
}

impl View {
    /// Where it says that the master is.
    pub fn says(&self) -> SocketAddr {
        self.promoted.unwrap_or(self.at)
    }
}

/// One connection, as this end sees it.
#[derive(Debug, Default)]
pub struct End {
    pub received: Vec<u8>,
    pub subscribed: bool,
    /// The password was given.
    pub logged_in: bool,
    /// The other end is told nothing any more: the stream has a hole.
    pub holed: bool,
    /// Bytes arrive in order.
    pub last_arrival: u64,
    pub last_arrival_there: u64,
}

/// One Sentinel.
#[derive(Debug)]
pub struct Sentinel {
    pub at: SocketAddr,
    pub id: String,
    pub up: bool,
    /// Cut off from the proxy: nothing arrives, in either direction.
    pub cut: bool,
    /// Cut off from the other Sentinels and the servers: it sleeps.
    pub asleep: bool,
    /// It says whatever comes to its mind.
    pub lies: bool,
    /// The other Sentinels that it knows, by their ids.
    pub known: BTreeMap<String, SocketAddr>,
    /// It belongs to another installation, or to nobody: none of the others has ever asked for it.
    pub foreign: bool,
    /// It never comes back.
    pub gone: bool,
    /// It answers nobody without it.
    pub password: Option<String>,
    pub views: Vec<View>,
    /// Of which masters it leads a failover.
    pub leads: Vec<bool>,
    pub links: BTreeMap<LinkId, End>,
}

impl Sentinel {
    /// Whether it takes part in what the Sentinels decide.
    pub fn decides(&self) -> bool {
        self.up && !self.asleep && !self.foreign && !self.gone
    }

    /// It hears of another: an id is at one address, and at an address is one id.
    pub fn hear_of(&mut self, id: &str, at: SocketAddr) {
        self.known
            .retain(|other, there| other == id || *there != at);
        if self.id != id {
            self.known.insert(id.to_owned(), at);
        }
    }

    /// Whom it names.
    fn names(&self, friends: &[(SocketAddr, String)]) -> Vec<(SocketAddr, String)> {
        let known = self.known.iter().map(|(id, at)| (*at, id.clone()));
        let friends = friends.iter().filter(|_| self.lies).cloned();
        known.chain(friends).collect()
    }

    /// The reply to a request; `masters` are the names, `friends` whom it names when it lies,
    /// `replicas` every server of each master, and whether it hears one.
    pub fn reply(
        &self,
        request: &[String],
        masters: &[String],
        friends: &[(SocketAddr, String)],
        replicas: &[Vec<(SocketAddr, bool)>],
        random: &mut Random,
    ) -> String {
        let words: Vec<&str> = request.iter().map(String::as_str).collect();
        let place = |name: &str| masters.iter().position(|known| known == name);
        match words[..] {
            ["PING"] => "*2\r\n$4\r\npong\r\n$0\r\n\r\n".to_owned(),
            ["SUBSCRIBE", ..] => {
                let each = (1..).zip(&words[1..]);
                each.map(|(n, channel)| {
                    format!("*3\r\n{}{}:{n}\r\n", bulk("subscribe"), bulk(channel))
                })
                .collect()
            }
            ["SENTINEL", "MYID"] => bulk(&self.id),
            ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name] => match place(name) {
                Some(place) => {
                    let at = match self.lies {
                        true => lie(random),
                        false => self.views[place].says(),
                    };
                    array(&[&at.ip().to_string(), &at.port().to_string()])
                }
                None => "*-1\r\n".to_owned(),
            },
            ["SENTINEL", "MASTER", name] => match place(name) {
                Some(place) => {
                    let epoch = match self.lies {
                        true => random.below(1000),
                        false => self.views[place].epoch,
                    };
                    let others = self.names(friends).len().to_string();
                    let epoch = epoch.to_string();
                    let leads = match self.lies {
                        true => random.below(2) == 0,
                        false => self.leads[place],
                    };
                    let flags = match leads {
                        true => "master,failover_in_progress",
                        false => "master",
                    };
                    let down_after = match (self.lies, self.foreign) {
                        (true, _) => random.below(200_000),
                        (false, true) => 50_000,
                        (false, false) => DOWN_AFTER_MS,
                    };
                    let down_after = down_after.to_string();
                    array(&[
                        "name",
                        name,
                        "flags",
                        flags,
                        "config-epoch",
                        &epoch,
                        "num-other-sentinels",
                        &others,
                        "down-after-milliseconds",
                        &down_after,
                    ])
                }
                None => "-ERR No such master with that name\r\n".to_owned(),
            },
            ["SENTINEL", "REPLICAS", name] => match place(name) {
                Some(place) => {
                    let says = self.views[place].says();
                    let others = replicas[place].iter().filter(|(at, _)| *at != says);
                    let all: Vec<String> = others
                        .map(|(at, good)| {
                            let at = match self.lies {
                                true => lie(random),
                                false => *at,
                            };
                            let link = if *good { "ok" } else { "err" };
                            let (ip, port) = (at.ip().to_string(), at.port().to_string());
                            let flags = ["flags", "slave", "master-link-status", link];
                            array(&[&["ip", &ip, "port", &port][..], &flags].concat())
                        })
                        .collect();
                    format!("*{}\r\n{}", all.len(), all.concat())
                }
                None => "-ERR No such master with that name\r\n".to_owned(),
            },
            ["SENTINEL", "SENTINELS", _] => {
                let others: Vec<String> = self
                    .names(friends)
                    .iter()
                    .map(|(at, id)| {
                        let (ip, port) = (at.ip().to_string(), at.port().to_string());
                        array(&["runid", id, "ip", &ip, "port", &port, "flags", "sentinel"])
                    })
                    .collect();
                format!("*{}\r\n{}", others.len(), others.concat())
            }
            _ => panic!("not a request to a Sentinel: {words:?}"),
        }
    }
}

/// Where another installation has its master of that name.
pub fn foreign_master(server: usize) -> SocketAddr {
    ([10, 9, u8::try_from(server).unwrap(), 0], 6379).into()
}

/// An address of one of the pool's servers, or of a master of another installation; often enough
/// the same twice to be taken seriously.
fn lie(random: &mut Random) -> SocketAddr {
    let octet = |n: u64| u8::try_from(n).unwrap();
    let (server, number) = (octet(random.below(2)), octet(random.below(3)));
    match random.below(3) {
        0 => foreign_master(usize::from(server)),
        _ => ([10, 0, server, number], 6379).into(),
    }
}
