//! What a seed decides beforehand: the configuration, who comes when, and what goes wrong.

use std::time::Duration;

use coremux::base::Time;

use crate::dice::Dice;
use crate::interludes;
use crate::interludes::Interlude;
use crate::tally::Happening;
use crate::workload::Facts;

/// One fault of one server.
#[derive(Clone, Debug)]
pub struct FaultPlan {
    pub at: Time,
    pub pool: usize,
    pub server: usize,
    pub fault: Happening,
    /// How long, if it lasts.
    pub lasts: Duration,
}

/// One pool.
#[derive(Clone, Debug)]
pub struct PoolPlan {
    pub facts: Facts,
    pub servers: usize,
    pub named: bool,
    pub idle_timeout: Option<Duration>,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The configuration file.
    pub config: String,
    pub pools: Vec<PoolPlan>,
    pub workers: u16,
    pub clients: usize,
    pub faults: Vec<FaultPlan>,
    /// When all clients are told to go, if that happens while they work.
    pub drain_at: Option<Time>,
    /// What the process does meanwhile.
    pub interludes: Vec<(Time, Interlude)>,
}

/// Clients connect until then.
pub const ARRIVALS_END: usize = 2_000_000;
/// No fault begins or lasts after this.
pub const FAULTS_END: Duration = Duration::from_millis(4000);
/// So long after the last fault nothing of it may be felt: the longest of connect_timeout, name
/// lookups (which have a gap of a second between them), server_retry_timeout and what follows.
pub const RECOVERY: Duration = Duration::from_millis(3500);

/// What may go wrong with every server, and how often.
const FAULTS: [(Happening, usize); 15] = [
    (Happening::ConnectRefused, 8),
    (Happening::ConnectSilent, 6),
    (Happening::ConnectUnreachable, 5),
    (Happening::ConnectFailsAtOnce, 5),
    (Happening::Killed, 8),
    (Happening::Stalled, 20),
    (Happening::SlowReplies, 8),
    (Happening::SlowReads, 6),
    (Happening::ClosedMidReply, 6),
    (Happening::ClosedBeforeReply, 6),
    (Happening::ClosedIdle, 4),
    (Happening::Reset, 8),
    (Happening::Garbage, 5),
    (Happening::Unasked, 5),
    (Happening::Refuses, 8),
];

impl Scenario {
    pub fn new(dice: &mut Dice) -> Scenario {
        let mut config = String::new();
        let count = dice.between(1, 2);
        let pools: Vec<PoolPlan> = (0..count).map(|n| pool(n, dice, &mut config)).collect();
        // A run in which nothing goes wrong has no error to excuse.
        let faults = if dice.percent(10) {
            0
        } else {
            dice.between(1, 14)
        };
        let mut plans: Vec<FaultPlan> = (0..faults).map(|_| fault(&pools, dice)).collect();
        if faults > 0 {
            plans.extend(names_unknown_at_first(&pools, dice));
        }
        plans.sort_by_key(|plan| plan.at);
        Scenario {
            config,
            pools,
            workers: if dice.percent(70) { 1 } else { 2 },
            clients: dice.between(3, 10),
            faults: plans,
            drain_at: dice
                .percent(12)
                .then(|| Time::ZERO + dice.micros(300_000, 3_000_000)),
            interludes: interludes::plan(dice),
        }
    }

    /// A run that has not ended by then does not end: fifteen replies of 2 MB to a client far away,
    /// behind a wire that holds 200 bytes, take their time.
    pub fn deadline(&self) -> Time {
        Time::ZERO + FAULTS_END + RECOVERY + Duration::from_secs(900)
    }
}

/// The text of a pool's section.
struct Section(String);

impl Section {
    fn put(&mut self, key: &str, value: impl std::fmt::Display) {
        self.0.push_str(&format!("  {key}: {value}\n"));
    }

    /// A key of limits and times, in so many runs of a hundred.
    fn sometimes(&mut self, chance: usize, key: &str, values: &[usize], dice: &mut Dice) {
        if dice.percent(chance) {
            let value = *dice.pick(values);
            self.put(key, value);
        }
    }
}

fn pool(number: usize, dice: &mut Dice, config: &mut String) -> PoolPlan {
    let plan = PoolPlan {
        facts: Facts {
            tagged: dice.percent(60),
            password: dice.percent(25).then(|| "open sesame".to_owned()),
            database: if dice.percent(25) { 3 } else { 0 },
            forwards_unknown: dice.percent(20),
        },
        servers: dice.between(1, 4),
        named: dice.percent(30),
        idle_timeout: dice
            .percent(20)
            .then(|| Duration::from_millis(dice.between(300, 900) as u64)),
    };
    let mut section = Section(format!("pool{number}:\n"));
    section.put("listen", format!("127.0.0.1:{}", 7000 + number));
    section.put("redis", true);
    section.put("hash", *dice.pick(&["fnv1a_64", "murmur", "crc16", "md5"]));
    let distributions = ["ketama", "ketama", "ketama", "modula", "modula", "random"];
    section.put("distribution", *dice.pick(&distributions));
    say_facts(&plan, &mut section);
    say_times(&mut section, dice);
    section.put("preconnect", dice.percent(30));
    section.sometimes(50, "server_connections", &[2, 3], dice);
    section.sometimes(12, "client_connections", &[1, 2, 3, 4], dice);
    let limits = [1, 2, 1000, 20_000, 100_000, 1_000_000];
    section.sometimes(40, "client_output_limit", &limits, dice);
    section.sometimes(30, "client_requests_in_flight", &[1, 2, 5, 40], dice);
    section.sometimes(30, "server_queue_bytes", &[1, 1000, 20_000], dice);
    section.put("servers", "");
    config.push_str(&section.0);
    for server in 0..plan.servers {
        let host = match plan.named {
            true => format!("s{server}.p{number}.test"),
            false => format!("10.{number}.{server}.0"),
        };
        let weight = dice.between(1, 3);
        config.push_str(&format!("    - {host}:6379:{weight} server{server}\n"));
    }
    plan
}

fn say_facts(plan: &PoolPlan, section: &mut Section) {
    if plan.facts.tagged {
        section.put("hash_tag", "\"{}\"");
    }
    if let Some(password) = &plan.facts.password {
        section.put("redis_auth", password);
    }
    if plan.facts.database > 0 {
        section.put("redis_db", plan.facts.database);
    }
    if plan.facts.forwards_unknown {
        section.put("unknown_commands", "forward");
    }
    if let Some(timeout) = plan.idle_timeout {
        section.put("client_idle_timeout", timeout.as_millis());
    }
}

fn say_times(section: &mut Section, dice: &mut Dice) {
    if dice.percent(60) {
        section.put("timeout", dice.between(200, 600));
    }
    if dice.percent(70) {
        section.put("connect_timeout", dice.between(50, 900));
    }
    if dice.percent(40) {
        section.put("auto_eject_hosts", true);
        section.put("server_failure_limit", dice.between(1, 4));
        section.put("server_retry_timeout", dice.between(100, 1000));
    } else if dice.percent(40) {
        section.put("on_server_failure", "hold");
        section.put("hold_ms", dice.between(50, 900));
        section.sometimes(30, "hold_bytes", &[1, 1000, 20_000], dice);
    }
}

/// A process may start before its name server knows anything.
fn names_unknown_at_first(pools: &[PoolPlan], dice: &mut Dice) -> Vec<FaultPlan> {
    let mut plans = Vec::new();
    for (pool, plan) in pools.iter().enumerate().filter(|(_, plan)| plan.named) {
        for server in 0..plan.servers {
            if dice.percent(25) {
                plans.push(FaultPlan {
                    at: Time::ZERO,
                    pool,
                    server,
                    fault: Happening::NameUnknown,
                    lasts: dice.millis(200, 2000),
                });
            }
        }
    }
    plans
}

fn fault(pools: &[PoolPlan], dice: &mut Dice) -> FaultPlan {
    let place = dice.below(pools.len());
    let pool = &pools[place];
    let mut possible = FAULTS.to_vec();
    possible.extend([(Happening::Transient, 6), (Happening::WireFrozen, 6)]);
    possible.push((Happening::WritesHeld, 8));
    if pool.servers > 1 {
        possible.push((Happening::BadFragment, 5));
    }
    if pool.facts.password.is_some() {
        possible.push((Happening::AuthRefused, 12));
    }
    if pool.facts.database > 0 {
        possible.push((Happening::SelectRefused, 12));
    }
    if pool.named {
        possible.extend([
            (Happening::NameUnknown, 12),
            (Happening::NameSlow, 12),
            (Happening::Moved, 12),
            (Happening::DeadAddress, 12),
            (Happening::Renamed, 16),
        ]);
    }
    let total: usize = possible.iter().map(|(_, weight)| weight).sum();
    let mut drawn = dice.below(total);
    let chosen = possible.iter().find(|(_, weight)| {
        let found = drawn < *weight;
        drawn = drawn.saturating_sub(*weight);
        found
    });
    let from = if dice.percent(15) { 0 } else { 50_000 };
    FaultPlan {
        at: Time::ZERO + dice.micros(from, 3_000_000),
        pool: place,
        server: dice.below(pool.servers),
        fault: chosen.map_or(Happening::Reset, |(fault, _)| *fault),
        lasts: dice.millis(20, 1000),
    }
}
