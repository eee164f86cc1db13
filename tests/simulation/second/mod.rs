//! A world of clients, a proxy and servers that speak another protocol than Redis's, with faults.
//!
//! Owns: who does what when, what fails, moves, is reloaded or handed over. What is asked, what a server
//! does, and whether a client's replies can be right is the protocol's: [`Spoken`].

mod side;
mod world;

use std::collections::BTreeSet;

use coremux::config::Protocol;

use crate::dice::Dice;

pub use world::World;

/// What has happened in some runs.
#[derive(Debug, Default)]
pub struct Count {
    pub replies: usize,
    pub errors: usize,
    pub splits: usize,
    pub silent: usize,
    pub missed: usize,
    pub swallowed: usize,
    pub unasked: usize,
    pub faulty: usize,
    pub lies: usize,
    pub older: usize,
    pub resets: usize,
    pub refused: usize,
    pub stalls: usize,
    pub moves: usize,
    pub reloads: usize,
    pub handed_over: usize,
}

/// What is on its way between a client and the proxy.
#[derive(Default)]
pub struct Pipe {
    /// Sent, and not received by the proxy.
    pub wire: Vec<u8>,
    /// Received from the proxy, and not looked at.
    pub got: Vec<u8>,
}

/// A connection to a server.
#[derive(Default)]
pub struct Link {
    pub server: usize,
    pub asked: Vec<u8>,
    pub replies: Vec<u8>,
    /// It leads to a release that lacks some commands, whatever the one before led to.
    pub older: bool,
    /// Does nothing for so many of its turns.
    pub stalled: usize,
}

/// A client of some protocol.
pub trait Client: Default {
    fn pipe(&mut self) -> &mut Pipe;
    /// Takes what has come, where there may be errors of servers or not: how many replies, and how
    /// many of them are errors.
    fn check(&mut self, errors: bool) -> (usize, usize);
    /// Whether nothing more is due.
    fn has_all(&self) -> bool;
    /// What is due, for whoever looks for the reason.
    fn due(&self) -> String;
}

/// A protocol, as its clients and servers do it.
pub trait Spoken {
    const PROTOCOL: Protocol;
    type Client: Client;
    /// What all servers have done.
    type Servers: Default;

    /// A client asks something.
    fn ask(client: &mut Self::Client, number: u64, dice: &mut Dice, count: &mut Count);
    /// A server does what was asked on a connection; one that is `odd` is busy, or worse.
    fn serve(servers: &mut Self::Servers, link: &mut Link, odd: bool, count: &mut Count);
    /// Whether what was asked is done as often as it should: at most once and, where nothing fails,
    /// once.
    fn settled(client: &Self::Client, servers: &Self::Servers, faults: bool);
}

/// Behind which of its asks a client may be after a reply, if it was behind any of `before`: those that
/// may be silent can have been passed over.
pub fn places_behind<A>(
    before: &BTreeSet<usize>,
    asked: &[A],
    is_answered: impl Fn(&A) -> bool,
    may_be_silent: impl Fn(&A) -> bool,
) -> BTreeSet<usize> {
    let mut behind = BTreeSet::new();
    for from in before {
        for (place, ask) in (*from..).zip(&asked[*from..]) {
            if is_answered(ask) {
                behind.insert(place + 1);
            }
            if !may_be_silent(ask) {
                break;
            }
        }
    }
    behind
}
