//! Other configurations while everything goes on: servers that move and are reweighted, more and
//! fewer connections, another hash. None of it excuses an error.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use coremux::base::PoolIdx;
use coremux::base::ServerIdx;
use coremux::base::Time;
use coremux::config::Config;
use coremux::config::HostPort;
use coremux::config::PoolConfig;
use coremux::config::ServerAddress;
use coremux::proxy::Reload;
use coremux::route::Hash;

use crate::tally::Happening;
use crate::trace::trace;
use crate::world::Event;
use crate::world::World;

/// Addresses from here on are further ones of servers that have others as well.
const MOVED_HOMES: std::ops::Range<u8> = 100..200;

/// What is different in one pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    Connections,
    Address,
    Weights,
    Hash,
}

/// Whether a server that is at `home` is at this address, too.
pub fn is_home(home: u8, address: u8) -> bool {
    address == home || MOVED_HOMES.contains(&address)
}

impl World {
    /// Decides what is reloaded when.
    pub fn plan_reloads(&mut self) {
        let mut dice = self.dice.fork();
        for pool in 0..self.scenario.pools.len() {
            if !dice.percent(40) {
                continue;
            }
            self.reloads[pool] = true;
            self.oracle.queues_move(pool);
            let kinds = [
                Difference::Connections,
                Difference::Address,
                Difference::Weights,
                Difference::Hash,
            ];
            // Where keys move, their values are elsewhere.
            let moves_keys = dice.percent(50);
            for _ in 0..dice.between(1, 4) {
                let kind = kinds[dice.below(if moves_keys { 4 } else { 2 })];
                let at = Time::ZERO + dice.micros(100_000, 3_500_000);
                self.schedule(at, Event::Reload(pool, kind));
            }
            if moves_keys {
                self.oracle.keys_move(pool);
            }
        }
    }

    /// The file of one pool says something else.
    pub fn reload(&mut self, pool: usize, kind: Difference) {
        let mut dice = self.dice.fork();
        let mut pools = self.control.table.config().pools.clone();
        let mut moved = BTreeSet::new();
        let config = &mut pools[pool];
        let before = config.clone();
        match kind {
            Difference::Connections => config.connections.per_server = up_to(4, &mut dice),
            Difference::Address => {
                let server = dice.below(config.servers.len());
                let home = MOVED_HOMES.start + u8::try_from(dice.below(100)).expect("below 100");
                let narrow = |index: usize| u8::try_from(index).expect("few");
                let ip = [10, narrow(pool), narrow(server), home];
                let address = &mut config.servers[server].address;
                // A name says where a server is, and no reload.
                if matches!(address, ServerAddress::Tcp(HostPort::Ip(_))) {
                    *address = ServerAddress::Tcp(HostPort::Ip(SocketAddr::from((ip, 6379))));
                    let idx = |index: usize| u16::try_from(index).expect("few");
                    moved.insert((PoolIdx(idx(pool)), ServerIdx(idx(server))));
                }
            }
            Difference::Weights => {
                for server in &mut config.servers {
                    server.weight = up_to(3, &mut dice);
                }
            }
            Difference::Hash => config.mapping.hash = *dice.pick(&[Hash::Fnv1a32, Hash::Murmur]),
        }
        if *config == before {
            return;
        }
        trace!(self.now, "reload of pool {pool}: {kind:?}");
        self.tally.count(match kind {
            Difference::Connections => Happening::ReloadedConnections,
            Difference::Address => Happening::ReloadedAddress,
            Difference::Weights | Difference::Hash => Happening::ReloadedKeys,
        });
        let next = self.control.table.next(Arc::new(Config::from_pools(pools)));
        let table = Arc::new(next.expect("places are left"));
        let difference = coremux::config::Difference::between(&self.control.table, &table);
        self.control.table = Arc::clone(&table);
        for worker in 0..self.workers.len() {
            let arrival = self.mail_arrives(worker);
            self.schedule(
                arrival,
                Event::Reloads {
                    worker,
                    pool,
                    number: self.control.reloads.len(),
                },
            );
        }
        self.control.reloads.push(Reload {
            table,
            difference: Arc::new(difference),
            moved,
        });
    }

    /// A worker hears of it.
    pub fn reloads(&mut self, worker: usize, pool: usize, number: usize) {
        let reload = self.control.reloads[number].clone();
        trace!(self.now, "worker {worker} reloads");
        self.wake(worker);
        let config: &PoolConfig = &reload.table.config().pools[pool];
        self.oracle.routes[worker][pool].set_pool(config, self.now);
        let stats = self.workers[worker].stats.grown(reload.table.places());
        let stats = Arc::new(stats);
        self.workers[worker].stats = Arc::clone(&stats);
        self.workers[worker].proxy.reload(&reload, stats, self.now);
    }
}

fn up_to(most: usize, dice: &mut crate::dice::Dice) -> NonZeroU32 {
    let number = u32::try_from(dice.between(1, most)).expect("few");
    NonZeroU32::new(number).expect("at least one")
}

#[cfg(test)]
mod by_hand {
    use std::time::Duration;

    use super::*;
    use crate::by_hand::Bench;
    use coremux::messages::Change;
    use coremux::proxy::ConnId;
    use coremux::proxy::Output;

    const GET: &[u8] = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
    const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n";
    const VALUE: &[u8] = b"$1\r\nv\r\n";

    fn config(keys: &str, servers: &[&str]) -> Arc<Config> {
        let servers: String = servers.iter().map(|s| format!("    - {s}\n")).collect();
        let text =
            format!("alpha:\n  listen: 127.0.0.1:1\n  redis: true\n{keys}  servers:\n{servers}");
        Arc::new(Config::parse(&text, "test.yml").expect("a good configuration"))
    }

    /// Serves these servers in place of the bench's; the first is elsewhere if it has `moved`.
    fn reload(bench: &mut Bench, servers: &[&str], moved: bool) {
        reload_with(bench, "", servers, moved);
    }

    fn reload_with(bench: &mut Bench, keys: &str, servers: &[&str], moved: bool) {
        let table = bench.table.next(config(keys, servers));
        let table = table.expect("places are left");
        let difference = coremux::config::Difference::between(&bench.table, &table);
        let first = (PoolIdx(0), ServerIdx(0));
        let stats = Arc::new(bench.stats.grown(table.places()));
        let reload = Reload {
            table: Arc::new(table.clone()),
            difference: Arc::new(difference),
            moved: moved.then_some(first).into_iter().collect(),
        };
        bench.table = table;
        bench.proxy.reload(&reload, stats, bench.now);
        bench.turn();
    }

    const SENTINELS: &str = "  sentinels: [10.0.0.9:26379]\n";
    const UNAVAILABLE: &[u8] = b"-ERR Server unavailable";

    /// Sentinels need so long, and the first server is refused to whoever asks it.
    fn needing(bench: &mut Bench, millis: u64) -> ConnId {
        let within = Duration::from_millis(millis);
        let pool = PoolIdx(0);
        let client = bench.client();
        bench.receives(client, SET);
        bench.passes(4000);
        bench.proxy.apply(&Change::Hold { pool, within }, bench.now);
        bench.turn();
        client
    }

    #[test]
    fn what_is_held_already_waits_as_long_as_the_sentinels_need_now() {
        let mut bench = Bench::new(SENTINELS);
        let client = needing(&mut bench, 9000);
        bench.passes(4999);
        assert_eq!(bench.sends(client), b"");
        bench.passes(1);
        assert!(bench.sends(client).starts_with(UNAVAILABLE));
        let mut bench = Bench::new(SENTINELS);
        let client = needing(&mut bench, 4500);
        bench.passes(499);
        assert_eq!(bench.sends(client), b"");
        bench.passes(1);
        assert!(bench.sends(client).starts_with(UNAVAILABLE));
    }

    #[test]
    fn until_the_sentinels_are_heard_there_is_a_default_and_the_file_outdoes_both() {
        let mut bench = Bench::new(SENTINELS);
        let client = bench.client();
        bench.receives(client, SET);
        bench.passes(4999);
        assert_eq!(bench.sends(client), b"");
        bench.passes(1);
        assert!(bench.sends(client).starts_with(UNAVAILABLE));
        let mut bench = Bench::new(&format!("{SENTINELS}  hold_ms: 4200\n"));
        let client = needing(&mut bench, 9000);
        bench.passes(199);
        assert_eq!(bench.sends(client), b"");
        bench.passes(1);
        assert!(bench.sends(client).starts_with(UNAVAILABLE));
    }

    #[test]
    fn what_the_sentinels_need_is_known_after_another_file() {
        let mut bench = Bench::new(SENTINELS);
        let client = needing(&mut bench, 9000);
        let keys = format!("{SENTINELS}  backlog: 7\n");
        reload_with(&mut bench, &keys, &["10.0.0.1:6379:1 one"], false);
        bench.passes(4999);
        assert_eq!(bench.sends(client), b"");
        bench.passes(1);
        assert!(bench.sends(client).starts_with(UNAVAILABLE));
        // Where nobody is asked any more it is the default without them.
        let keys = "  on_server_failure: hold\n";
        reload_with(&mut bench, keys, &["10.0.0.1:6379:1 one"], false);
        let client = bench.client();
        bench.receives(client, SET);
        bench.passes(799);
        assert_eq!(bench.sends(client), b"");
        bench.passes(1);
        assert!(bench.sends(client).starts_with(UNAVAILABLE));
    }

    fn is_closed(bench: &Bench, conn: ConnId) -> bool {
        bench.outputs.contains(&Output::Close(conn))
    }

    #[test]
    fn a_request_waits_until_those_before_it_are_answered_where_the_server_was() {
        let mut bench = Bench::new("");
        let client = bench.client();
        bench.receives(client, GET);
        let before = bench.connected();
        bench.sent(before);
        reload(&mut bench, &["10.0.0.2:6379:1 one"], true);
        bench.receives(client, SET);
        assert_eq!(
            bench.server(),
            before,
            "nobody asks anything of the new one"
        );
        bench.receives(before, VALUE);
        assert_eq!(bench.sends(client), VALUE);
        assert!(is_closed(&bench, before), "it owes nothing any more");
        let after = bench.connected();
        assert_ne!(after, before);
        assert_eq!(bench.sends(after), SET);
    }

    #[test]
    fn a_client_whose_write_has_timed_out_waits_for_its_end_where_the_server_was() {
        let mut bench = Bench::new("  timeout: 300\n");
        let (late, other) = (bench.client(), bench.client());
        bench.receives(late, SET);
        let before = bench.connected();
        bench.sent(before);
        bench.passes(200);
        bench.receives(other, GET);
        bench.sent(before);
        bench.passes(150);
        assert!(bench.sends(late).starts_with(b"-ERR Connection timed out"));
        bench.sent(late);
        reload_with(
            &mut bench,
            "  timeout: 300\n",
            &["10.0.0.2:6379:1 one"],
            true,
        );
        bench.receives(late, SET);
        assert_eq!(bench.server(), before, "it would be done before");
        // When nobody awaits anything there any more, it is given up.
        bench.passes(149);
        assert!(!is_closed(&bench, before));
        bench.passes(1);
        assert!(is_closed(&bench, before));
        let after = bench.connected();
        bench.sent(after);
        bench.receives(after, b"+PONG\r\n");
        assert_eq!(bench.sends(after), SET);
    }

    #[test]
    fn who_has_nothing_under_way_does_not_wait_for_who_has() {
        let mut bench = Bench::new("");
        let (busy, other) = (bench.client(), bench.client());
        bench.receives(busy, GET);
        let before = bench.connected();
        // Not sent before the batch that is being sent has gone.
        bench.receives(busy, SET);
        bench.receives(other, GET);
        reload(&mut bench, &["10.0.0.2:6379:1 one"], true);
        let after = bench.connected();
        assert_ne!(after, before);
        assert_eq!(
            bench.sends(after),
            GET,
            "the other's, and not the one behind"
        );
        bench.receives(after, VALUE);
        assert_eq!(bench.sends(other), VALUE);
        bench.sent(after);
        bench.sent(before);
        bench.receives(before, VALUE);
        assert_eq!(bench.sends(busy), VALUE);
        assert_eq!(bench.sends(after), SET);
        bench.receives(after, b"+OK\r\n");
        assert!(is_closed(&bench, before));
    }

    #[test]
    fn a_server_that_is_removed_answers_what_was_queued_and_is_left() {
        let mut bench = Bench::new("");
        let (first, second) = (bench.client(), bench.client());
        bench.receives(first, GET);
        let before = bench.connected();
        bench.receives(second, SET);
        reload(&mut bench, &["10.0.0.3:6379:1 two"], false);
        assert!(!is_closed(&bench, before));
        bench.sent(before);
        assert_eq!(bench.sends(before), SET, "it was queued there");
        bench.sent(before);
        bench.receives(before, VALUE);
        assert!(!is_closed(&bench, before));
        bench.receives(before, b"+OK\r\n");
        assert!(is_closed(&bench, before));
        assert_eq!(bench.sends(first), VALUE);
        assert_eq!(bench.sends(second), b"+OK\r\n");
        bench.receives(first, SET);
        assert_ne!(bench.server(), before, "keys live on the other one");
    }
}
