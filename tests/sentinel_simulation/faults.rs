//! Everything that goes wrong.

use super::model::INSTANCES;
use super::world::World;

/// What can go wrong, and come right.
pub const ALL: &[&str] = &[
    "master killed",
    "server killed",
    "server started",
    "server unreachable",
    "server reachable",
    "planned failover",
    "double failover",
    "leader of a failover killed",
    "sentinel killed",
    "sentinel started",
    "sentinel cut off",
    "sentinel reachable",
    "sentinel asleep",
    "sentinel awake",
    "sentinel lies",
    "sentinel honest",
    "connection reset",
    "garbage",
    "hint",
    "reload",
];

impl World {
    /// Lets things go wrong for so many seconds.
    pub fn suffer(&mut self, seconds: u64) {
        let until = self.now + seconds * 1_000_000;
        while self.now < until {
            let pause = 20 + self.below(2500);
            self.run_for_ms(pause);
            // What cannot happen now gives way to something that can, such as a recovery.
            for _ in 0..4 {
                let fault = ALL[self.index(ALL.len())];
                if self.strike(fault) {
                    self.count(fault);
                    break;
                }
            }
        }
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }

    /// Lets one thing go wrong or come right; false if there was nothing to do.
    fn strike(&mut self, fault: &str) -> bool {
        let server = self.index(self.masters.len());
        let instance = self.index(INSTANCES);
        let place = self.index(self.sentinels.len());
        let minority = (self.sentinels.len() - 1) / 2;
        match fault {
            "master killed" => {
                self.kill_master(server);
                true
            }
            "planned failover" => {
                let before = self.masters[server].last_epoch;
                self.fail_over(server);
                self.masters[server].last_epoch != before
            }
            "double failover" => {
                self.kill_master(server);
                let pause = 2000 + self.below(2000);
                self.run_for_ms(pause);
                self.kill_master(server);
                true
            }
            "leader of a failover killed" => {
                self.fail_over(server);
                let pause = 50 + self.below(700);
                self.run_for_ms(pause);
                let Some(failover) = self.masters[server].failover.clone() else {
                    return false;
                };
                self.kill_sentinel(failover.leader)
            }
            "sentinel killed" => self.kill_sentinel(place),
            "sentinel reachable" => {
                let was = self.sentinels[place].cut;
                self.mend(place);
                was
            }
            "sentinel lies" => {
                let liars = self.sentinels.iter().filter(|s| s.lies).count();
                liars < minority && !std::mem::replace(&mut self.sentinels[place].lies, true)
            }
            "connection reset" => {
                let link = self.sentinels[place].links.keys().next_back().copied();
                link.inspect(|link| self.reset(place, *link)).is_some()
            }
            "garbage" => {
                let channel = ["+switch-master", "+odown", "x"][self.index(3)];
                let payload = ["m1 \r\n", "", "master m1", "slave x y z @ m1 10.0.0.0 6379"];
                let payload = payload[self.index(4)];
                self.publish(place, channel, payload);
                true
            }
            "hint" => {
                self.hint(server);
                true
            }
            "reload" => {
                self.begin_anew();
                true
            }
            _ => {
                let server = &mut self.masters[server].instances[instance];
                let sentinel = &mut self.sentinels[place];
                let (what, to) = match fault {
                    "server killed" => (&mut server.up, false),
                    "server started" => (&mut server.up, true),
                    "server unreachable" => (&mut server.reachable, false),
                    "server reachable" => (&mut server.reachable, true),
                    "sentinel started" => (&mut sentinel.up, true),
                    "sentinel cut off" => (&mut sentinel.cut, true),
                    "sentinel asleep" => (&mut sentinel.asleep, true),
                    "sentinel awake" => (&mut sentinel.asleep, false),
                    "sentinel honest" => (&mut sentinel.lies, false),
                    other => panic!("no such fault: {other}"),
                };
                std::mem::replace(what, to) != to
            }
        }
    }

    fn kill_sentinel(&mut self, place: usize) -> bool {
        let links: Vec<_> = self.sentinels[place].links.keys().copied().collect();
        for link in links {
            self.reset(place, link);
        }
        std::mem::replace(&mut self.sentinels[place].up, false)
    }
}
