//! Another protocol goes through the same `Proxy`: each request is done at most once, each reply is
//! its own client's and in order, whatever fails, moves, is reloaded or handed over meanwhile.
//!
//! The protocol has what RESP2 has not: no reply, one that is not passed on, some that are
//! swallowed, a framing that depends on what was asked, and messages that nobody has asked for.

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

/// Numbered lines.
struct Numbered;

impl Spoken for Numbered {
    const PROTOCOL: Protocol = Protocol::Numbered;
    type Client = Client;
    type Servers = Servers;

    fn ask(client: &mut Client, number: u64, dice: &mut Dice, count: &mut Count) {
        let names = ["echo", "add", "get", "get", "find", "find", "put", "batch"];
        let name = *dice.pick(&names);
        let keys = if name == "get" { dice.between(1, 6) } else { 1 };
        count.splits += usize::from(keys > 3);
        let mut key = || match dice.percent(30) {
            true => format!("none{}", dice.below(40)),
            false => format!("key{}", dice.below(40)),
        };
        let keys = (0..keys).map(|_| key()).collect();
        client.ask(Ask { number, name, keys });
    }

    fn serve(servers: &mut Servers, link: &mut Link, odd: bool, count: &mut Count) {
        servers.serve(link, odd, count);
    }

    fn settled(client: &Client, servers: &Servers, faults: bool) {
        for ask in &client.asked {
            let done = servers.done.get(&ask.number).copied().unwrap_or(0);
            let writes = ["add", "put", "batch"].contains(&ask.name);
            assert!(done <= 1, "{} is done {done} times", ask.line());
            assert!(!writes || faults || done == 1, "{} is lost", ask.line());
        }
    }
}

#[test]
fn a_second_protocol_goes_through_the_same_proxy() {
    let count = World::<Numbered>::run_all(SEEDS);
    let runs = usize::try_from(SEEDS).unwrap();
    for (what, happened, least) in [
        ("replies", count.replies, 100 * runs),
        ("errors", count.errors, runs),
        ("requests that were split", count.splits, 10 * runs),
        ("requests without a reply", count.silent, 10 * runs),
        ("replies that are not passed on", count.missed, 10 * runs),
        ("replies that are swallowed", count.swallowed, 10 * runs),
        ("messages unasked", count.unasked, 10 * runs),
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
