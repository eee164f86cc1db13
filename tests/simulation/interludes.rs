//! What the process does to its workers now and then, without any fault: it lets clients go, takes
//! memory back, and looks names up that nobody has asked for.

use std::time::Duration;

use coremux::base::Time;
use coremux::proxy::Pressure;

use crate::dice::Dice;
use crate::scenario::FAULTS_END;
use crate::tally::Happening;
use crate::trace::trace;
use crate::world::Event;
use crate::world::World;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interlude {
    /// Clients go, spread over so long.
    LetGo(Duration),
    /// Those who have not gone stay.
    Keep,
    /// Clients with more than so many bytes are stopped, and so many are given up.
    Short { most: usize, shed: usize },
    /// There is memory enough again.
    Relieved,
    /// Every name is looked up, and again after so long.
    LookUpAll(Duration),
}

/// What has been done so far.
#[derive(Debug, Default)]
pub struct Done {
    /// When clients were last told to go.
    pub let_go_at: Option<Time>,
    /// Clients were closed because memory was short, or may have been.
    pub was_short: bool,
}

/// What a run has of them, and when.
pub fn plan(dice: &mut Dice) -> Vec<(Time, Interlude)> {
    let mut plans = Vec::new();
    let at = |dice: &mut Dice| Time::ZERO + dice.micros(100_000, 2_500_000);
    if dice.percent(10) {
        let begin = at(dice);
        plans.push((begin, Interlude::LetGo(dice.millis(0, 800))));
        if dice.percent(40) {
            plans.push((begin + dice.millis(0, 600), Interlude::Keep));
        }
    }
    if dice.percent(16) {
        let begin = at(dice);
        let short = Interlude::Short {
            most: *dice.pick(&[1, 2000, 50_000]),
            shed: *dice.pick(&[0, 1000, 100_000, 1_000_000]),
        };
        plans.push((begin, short));
        plans.push((begin + dice.millis(1, 700), Interlude::Relieved));
    }
    if dice.percent(50) {
        plans.push((at(dice), Interlude::LookUpAll(dice.millis(100, 700))));
    }
    plans
}

impl World {
    pub fn interlude(&mut self, interlude: Interlude) {
        trace!(self.now, "{interlude:?}");
        for worker in 0..self.workers.len() {
            self.wake(worker);
            let proxy = &mut self.workers[worker].proxy;
            match interlude {
                Interlude::LetGo(within) => proxy.let_go(within, self.now),
                Interlude::Keep => proxy.keep(),
                Interlude::Short { most, shed } => {
                    let pressure = Pressure {
                        client_bytes_max: most,
                        shed_bytes: shed,
                        spared_bytes: 0,
                    };
                    proxy.relieve(pressure, self.now);
                }
                Interlude::Relieved => proxy.relieve(Pressure::NONE, self.now),
                Interlude::LookUpAll(_) => {}
            }
        }
        match interlude {
            Interlude::LetGo(_) => self.done.let_go_at = Some(self.now),
            Interlude::Short { .. } => {
                self.tally.count(Happening::MemoryShort);
                self.done.was_short = true;
                self.oracle.was_short = true;
            }
            Interlude::LookUpAll(period) => self.look_up_all(period),
            Interlude::Keep | Interlude::Relieved => {}
        }
    }

    fn look_up_all(&mut self, period: Duration) {
        for (pool, server) in self.all_servers() {
            if self.control.has_name(pool, server) {
                self.tally.count(Happening::LookedUpAgain);
            }
            self.look_up_anyway(pool, server);
        }
        if self.now + period < Time::ZERO + FAULTS_END {
            let again = Event::Interlude(Interlude::LookUpAll(period));
            self.schedule(self.now + period, again);
        }
    }
}
