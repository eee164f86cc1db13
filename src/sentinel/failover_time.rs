//! How long a failover takes, by the Sentinels' own settings.
//!
//! Owns: for how long clients' requests are held, where the file does not say. A master is replaced
//! when a majority has not heard it for as long as each of them is configured to wait
//! (`down-after-milliseconds`). So the longest wait among the quickest majority counts: a minority
//! that lies cannot make it too short, and too long only while others are silent, within bounds.
//! Never: the word of a Sentinel without a vote.

use std::time::Duration;

use crate::base::ServerIdx;
use crate::config::FAILOVER_BESIDES;
use crate::config::HoldTime;
use crate::config::OnServerFailure;
use crate::config::PoolConfig;
use crate::sentinel::decision::Voters;
use crate::sentinel::output::Fact;
use crate::sentinel::watcher::Watcher;

/// No less than their tick, no more than most clients would wait for anything: a Sentinel that lies
/// makes no client wait for ever.
const DOWN_AFTER_MIN: Duration = Duration::from_millis(100);
const DOWN_AFTER_MAX: Duration = Duration::from_secs(60);

/// How long a failover takes.
#[derive(Debug)]
pub(super) struct FailoverTime {
    /// Requests are held, and the file does not say for how long.
    is_asked: bool,
    /// For how long they are held while, or where, nobody is asked.
    otherwise: Duration,
    /// By server: what most Sentinels said last.
    down_after: Vec<Option<Duration>>,
    told: Option<Duration>,
}

impl FailoverTime {
    pub(super) fn new(pool: &PoolConfig) -> FailoverTime {
        let holds = pool.failure.policy == OnServerFailure::Hold;
        FailoverTime {
            is_asked: holds && pool.failure.hold_time == HoldTime::BySentinels,
            otherwise: match holds {
                true => pool.failure.hold_time.with(None),
                false => Duration::ZERO,
            },
            down_after: vec![None; pool.servers.len()],
            told: None,
        }
    }

    /// The silence that is death to the slowest of the servers; `None` while nobody has said.
    pub(super) fn down_after(&self) -> Option<Duration> {
        self.told
    }

    /// What a failover takes; `None` while nobody has said.
    pub(super) fn needed(&self) -> Option<Duration> {
        self.told.map(|down_after| down_after + FAILOVER_BESIDES)
    }

    /// The longest that requests are held.
    pub(super) fn hold_time(&self) -> Duration {
        let needed = self.needed().filter(|_| self.is_asked);
        needed.unwrap_or(self.otherwise)
    }

    /// What a majority of the Sentinels says of a server; they change nothing if they are fewer.
    fn hear(&mut self, server: usize, mut said: Vec<Duration>, majority: usize) {
        said.sort_unstable();
        let last_needed = majority.checked_sub(1).and_then(|nth| said.get(nth));
        if let Some(last_needed) = last_needed {
            self.down_after[server] = Some(bounded(*last_needed));
        }
    }

    /// Whether that is another than was told.
    fn is_news(&mut self) -> bool {
        let before = self.told;
        self.told = self.down_after.iter().copied().max().flatten();
        self.is_asked && self.told != before
    }
}

fn bounded(down_after: Duration) -> Duration {
    down_after.clamp(DOWN_AFTER_MIN, DOWN_AFTER_MAX)
}

impl Watcher {
    /// A Sentinel has said after what silence it takes a master for dead.
    pub(super) fn says_down_after(&mut self, place: usize, server: ServerIdx, millis: u64) {
        if let Some(said) = self.sentinels[place].down_after.get_mut(server.index()) {
            *said = Some(Duration::from_millis(millis));
        }
    }

    /// Tells how long requests are to be held, if that is news.
    pub(super) fn update_failover_time(&mut self, voters: &Voters) {
        let majority = voters.electors.majority;
        for server in 0..self.servers.len() {
            let said = voters.places.iter();
            let said = said.filter_map(|place| *self.sentinels[*place].down_after.get(server)?);
            self.failover_time.hear(server, said.collect(), majority);
        }
        if self.failover_time.is_news() {
            self.tell_failover_time();
        }
    }

    /// Goes on with what another watcher was told.
    pub(super) fn remember_failover_time(&mut self, down_after: Duration) {
        let told = Some(bounded(down_after));
        self.failover_time.told = told;
        self.failover_time.down_after.fill(told);
        if self.failover_time.is_asked {
            self.tell_failover_time();
        }
    }

    fn tell_failover_time(&mut self) {
        let told = (self.failover_time.down_after(), self.failover_time.needed());
        if let (Some(down_after), Some(hold)) = told {
            self.tell(Fact::Hold { down_after, hold });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const SENTINELS: &str = "  sentinels: [10.1.0.1:26379]\n";

    fn failover_time(keys: &str) -> FailoverTime {
        let text = format!(
            "alpha:\n  listen: 127.0.0.1:1\n  redis: true\n{SENTINELS}{keys}  servers:\n    \
             - 10.0.0.1:6379:1 m1\n    - 10.0.0.2:6379:1 m2\n"
        );
        let config = Config::parse(&text, "a.yml").unwrap();
        FailoverTime::new(&config.pools[0])
    }

    /// Hears what Sentinels say of the first server, in seconds, where two are a majority: for how
    /// long requests are held then, in milliseconds.
    fn holds(failover_time: &mut FailoverTime, said: &[u64]) -> u128 {
        let said = said.iter().copied().map(Duration::from_secs);
        failover_time.hear(0, said.collect(), 2);
        failover_time.is_news();
        failover_time.hold_time().as_millis()
    }

    #[test]
    fn requests_are_held_until_a_majority_can_have_found_the_master_dead() {
        let mut failover_time = failover_time("");
        assert_eq!(holds(&mut failover_time, &[2, 10, 2]), 4500);
        assert_eq!(
            holds(&mut failover_time, &[10, 2]),
            12_500,
            "both are needed"
        );
        assert_eq!(holds(&mut failover_time, &[3]), 12_500, "a minority");
        assert_eq!(holds(&mut failover_time, &[]), 12_500, "they are silent");
    }

    #[test]
    fn one_that_lies_makes_clients_wait_neither_too_short_nor_for_ever() {
        let mut failover_time = failover_time("");
        assert_eq!(holds(&mut failover_time, &[0, 2, 2]), 4500);
        assert_eq!(holds(&mut failover_time, &[0, 2]), 4500);
        assert_eq!(holds(&mut failover_time, &[u64::MAX, 2, 2]), 4500);
        assert_eq!(holds(&mut failover_time, &[u64::MAX, 2]), 62_500);
        assert_eq!(holds(&mut failover_time, &[0, 0]), 2600);
    }

    #[test]
    fn the_slowest_of_the_servers_counts_and_the_same_is_told_once() {
        let mut failover_time = failover_time("");
        assert_eq!(holds(&mut failover_time, &[2, 2]), 4500);
        assert!(!failover_time.is_news());
        failover_time.hear(1, vec![Duration::from_secs(5); 2], 2);
        assert!(failover_time.is_news() && !failover_time.is_news());
        assert_eq!(holds(&mut failover_time, &[3, 3]), 7500);
    }

    #[test]
    fn nobody_is_asked_where_the_file_says_or_nothing_is_held() {
        for (keys, hold) in [
            ("  hold_ms: 700\n", 700),
            ("  on_server_failure: fail\n", 0),
        ] {
            let mut failover_time = failover_time(keys);
            failover_time.hear(0, vec![Duration::from_secs(2); 2], 2);
            assert!(!failover_time.is_news(), "{keys}");
            assert_eq!(failover_time.hold_time().as_millis(), hold, "{keys}");
        }
    }
}
