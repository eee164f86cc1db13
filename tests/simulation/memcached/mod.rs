//! memcached: no command, however broken, makes a server do what nobody has asked, each request is done
//! at most once, each reply is its own client's and in order, whatever fails, moves, is reloaded or
//! handed over meanwhile. A server that has no meta commands gets none, also where one that has them was
//! before.
//!
//! A server here takes only what is canonical, and fails the test for anything else.

mod client;
mod server;

use coremux::config::Protocol;

use crate::dice::Dice;
use crate::second::Count;
use crate::second::Link;
use crate::second::Spoken;
use crate::second::World;

use client::Ask;
use client::Client;
use server::Servers;

const SEEDS: u64 = 200;

/// memcached's text protocol.
struct Memcached;

impl Spoken for Memcached {
    const PROTOCOL: Protocol = Protocol::Memcached;
    type Client = Client;
    type Servers = Servers;

    fn ask(client: &mut Client, number: u64, dice: &mut Dice, count: &mut Count) {
        let ask = Ask::any(number, dice);
        count.splits += usize::from(ask.keys.len() > 3);
        count.faulty += usize::from(ask.is_faulty());
        client.ask(ask);
    }

    fn serve(servers: &mut Servers, link: &mut Link, odd: bool, count: &mut Count) {
        servers.serve(link, odd, count);
    }

    fn settled(client: &Client, servers: &Servers, faults: bool) {
        for ask in &client.asked {
            let done = servers.done.get(&ask.number).copied().unwrap_or(0);
            assert!(done <= 1, "{} is done {done} times", ask.text());
            assert!(
                !ask.writes() || faults || done == 1,
                "{} is lost",
                ask.text()
            );
        }
    }
}

#[test]
fn memcached_goes_through_the_same_proxy() {
    let count = World::<Memcached>::run_all(SEEDS);
    let runs = usize::try_from(SEEDS).unwrap();
    for (what, happened, least) in [
        ("replies", count.replies, 100 * runs),
        ("errors", count.errors, runs),
        ("requests that were split", count.splits, 5 * runs),
        ("writes of which nothing is heard", count.silent, 5 * runs),
        ("quiet misses", count.missed, runs),
        ("requests that are none", count.faulty, 10 * runs),
        ("values of keys that were not asked", count.lies, runs / 10),
        ("greetings of older servers", count.older, runs),
        ("resets", count.resets, runs),
        ("connections refused", count.refused, runs / 10),
        ("servers that stall", count.stalls, runs / 2),
        ("servers that move", count.moves, runs / 2),
        ("reloads", count.reloads, runs / 2),
        ("clients handed over", count.handed_over, runs),
    ] {
        assert!(happened >= least, "{what}: {happened} in {count:?}");
    }
}
