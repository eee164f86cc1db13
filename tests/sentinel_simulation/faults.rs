//! Everything that goes wrong.

use super::model::INSTANCES;
use super::sentinel::foreign_master;
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
    "sentinel cries wolf",
    "connection reset",
    "garbage",
    "hint",
    "reload",
    "hello forged",
    "stranger promoted",
    "dead sentinels forgotten",
];

/// What changes the group, and what must not be mistaken for it, one after the other.
pub const OF_MEMBERSHIP: &[&str] = &[
    "sentinel returns elsewhere",
    "sentinel replaced",
    "address taken by a stranger",
    "dead sentinels forgotten",
    "hello forged",
    "stranger promoted",
    "sentinel lies",
    "sentinel honest",
    "planned failover",
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

    /// Changes the group so many times, each time when the last change is known.
    pub fn change_the_group(&mut self, times: usize) {
        let first = self.index(OF_MEMBERSHIP.len());
        for nth in 0..times {
            // Each in its turn, so that all of them happen; which of them can, differs.
            let fault = OF_MEMBERSHIP[(first + nth) % OF_MEMBERSHIP.len()];
            if self.strike(fault) {
                self.count(fault);
                self.run_for_ms(13_000);
            }
        }
    }

    fn liar(&self) -> Option<usize> {
        self.sentinels.iter().position(|sentinel| sentinel.lies)
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }

    /// Lets one thing go wrong or come right; false if there was nothing to do.
    fn strike(&mut self, fault: &str) -> bool {
        let server = self.index(self.masters.len());
        let instance = self.index(INSTANCES);
        let place = self.index(self.sentinels.len());
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
            "sentinel lies" => self.lie(place),
            // Of the group or not: one alone, and perhaps not even honest.
            "stranger promoted" => {
                let from = self.masters[server].instances[instance].at;
                let at = foreign_master(server);
                let name = &self.masters[server].name;
                let words = format!(
                    "slave {at} {} {} @ {name} {} {}",
                    at.ip(),
                    at.port(),
                    from.ip(),
                    from.port()
                );
                self.publish(place, "+selected-slave", &words);
                true
            }
            "hello forged" => self.forge_hello(),
            "sentinel returns elsewhere" => self.return_elsewhere(place),
            "sentinel replaced" => self.replace(place),
            "dead sentinels forgotten" => self.forget_the_dead(),
            "address taken by a stranger" => self.take_address(),
            "sentinel honest" => {
                let liar = self.liar();
                let mend = |place: usize| self.sentinels[place].lies = false;
                liar.map(mend).is_some()
            }
            "sentinel cries wolf" => {
                let liar = self.liar().or_else(|| self.lie(place).then_some(place));
                let Some(place) = liar else { return false };
                for _ in 0..20 {
                    self.tell_of_master("+elected-leader", server, place);
                    let pause = self.below(100);
                    self.run_for_ms(pause);
                }
                true
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
                if sentinel.gone || (sentinel.foreign && fault == "sentinel asleep") {
                    return false;
                }
                let (what, to) = match fault {
                    "server killed" => (&mut server.up, false),
                    "server started" => (&mut server.up, true),
                    "server unreachable" => (&mut server.reachable, false),
                    "server reachable" => (&mut server.reachable, true),
                    "sentinel started" => (&mut sentinel.up, true),
                    "sentinel cut off" => (&mut sentinel.cut, true),
                    "sentinel asleep" => (&mut sentinel.asleep, true),
                    "sentinel awake" => (&mut sentinel.asleep, false),
                    other => panic!("no such fault: {other}"),
                };
                std::mem::replace(what, to) != to
            }
        }
    }

    pub fn kill_sentinel(&mut self, place: usize) -> bool {
        let links: Vec<_> = self.sentinels[place].links.keys().copied().collect();
        for link in links {
            self.reset(place, link);
        }
        std::mem::replace(&mut self.sentinels[place].up, false)
    }
}
