//! When a worker sleeps: on which of its rings, for how many completions, and for how long.
//!
//! Owns: the rule, a state machine that is told what happens. Never: sleeps, reads a clock.
//!
//! What it knows it sees for nothing: which connections have received within a millisecond, which
//! servers owe a reply, and how long these usually take.

use std::time::Duration;

use crate::base::Time;

/// From so many connections on, active within a window, completions are gathered. With fewer, each
/// waits for one completion without a timer: arming one at every wait doubles a lone client's
/// latency, and so nearly does a second ring (0.063 to 0.095 ms).
const BUSY_CONNECTIONS: u32 = 16;

/// Log2 of the window in microseconds: about a millisecond.
const WINDOW_BITS: u32 = 10;

/// Servers are near if a reply usually comes within this time. Loopback takes 30 to 80 µs under
/// load, a switched network 100 and more; beyond it too much would be sent to a server meanwhile.
const NEAR: u32 = 150;

/// The part of the active connections whose requests are gathered for one batch. Measured with 50
/// clients on one machine (2 shared EPYC cores): with a fourth the proxy spends 0.73 of
/// nutcracker's CPU at 0.74 of its p50, with a half 0.66 at 0.84.
const GATHERED: u32 = 4;

/// A client's receive of so many bytes brings many requests (16 `GET`s have 600), or a large one:
/// there is work enough in it, and nothing is gained by gathering more.
const HEAVY_BYTES: u64 = 256;

/// A hold shorter than this, in microseconds, is not worth its timer.
const HOLD_MIN: u32 = 5;

/// The part of a far server's round trip for which requests may be held: it may not be felt.
const FAR_PART: u32 = 32;

/// Of each new round trip so much goes into the usual one, 1 of 16.
const TRIP_BITS: u32 = 4;

/// One round trip that took longer than this says nothing about the network.
const TRIP_MAX: u32 = 8 << WINDOW_BITS;

/// How to sleep until the next pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sleep {
    /// On the clients' ring, which is also the servers' unless they are apart: for so many
    /// completions, but not longer than this.
    Clients {
        completions: usize,
        at_most: Option<Duration>,
    },
    /// On the servers' ring, for one completion, while clients' requests gather on the other.
    Servers { at_most: Duration },
}

/// What a connection remembers of the rule: a server owes a reply since then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owed {
    since: Time,
    // It counts as long as no later patience has run out.
    patience: u32,
}

/// Counts active connections and owed replies, and says how to sleep.
#[derive(Debug, Default)]
pub(super) struct Wait {
    window: u32,
    active: u32,
    // Of the window before.
    were_active: u32,
    // What clients have sent in this window, and in how many receives.
    bytes: u64,
    receives: u64,
    // Servers that were sent something, have sent nothing since, and are not late.
    awaited: u32,
    // How often those that were awaited have let a whole sleep pass.
    patience: u32,
    // How long a reply usually takes, in microseconds; 0 is not known.
    trip: u32,
    apart: bool,
    // There is no second ring to be had.
    one_ring: bool,
}

impl Wait {
    /// A pass begins.
    pub(super) fn turn(&mut self, now: Time) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a number to compare with the last"
        )]
        let window = (now.as_micros() >> WINDOW_BITS) as u32;
        if window != self.window {
            let adjacent = window.wrapping_sub(self.window) == 1;
            self.were_active = if adjacent { self.active } else { 0 };
            self.active = 0;
            self.window = window;
            let is_heavy = self.bytes >= HEAVY_BYTES * self.receives.max(1);
            (self.bytes, self.receives) = (0, 0);
            let too_few = self.active() < BUSY_CONNECTIONS;
            // What lies between is left as it is: to and fro would cost more than either.
            if too_few || is_heavy || self.trip > 2 * NEAR || self.one_ring {
                self.apart = false;
            } else if (1..=NEAR).contains(&self.trip) {
                self.apart = true;
            }
        }
    }

    /// A connection has received; `seen` remembers in which window it did so before.
    #[inline]
    pub(super) fn received(&mut self, seen: &mut u32) {
        if *seen != self.window {
            *seen = self.window;
            self.active += 1;
        }
    }

    /// It is a client's, and has sent so many bytes.
    #[inline]
    pub(super) fn asked_for(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.receives += 1;
    }

    /// A server was sent something.
    #[inline]
    pub(super) fn asked(&mut self, owed: &mut Option<Owed>, now: Time) {
        if owed.is_none() {
            self.awaited += 1;
            *owed = Some(Owed {
                since: now,
                patience: self.patience,
            });
        }
    }

    /// It has sent something.
    #[inline]
    pub(super) fn heard(&mut self, owed: &mut Option<Owed>, now: Time) {
        let Some(Owed { since, .. }) = *owed else {
            return;
        };
        self.forget(owed);
        #[expect(clippy::cast_possible_truncation, reason = "at most TRIP_MAX")]
        let trip = (now.since(since).as_micros().min(u128::from(TRIP_MAX)) as u32).max(1);
        self.trip = match self.trip {
            0 => trip,
            usual => usual - (usual >> TRIP_BITS) + (trip >> TRIP_BITS).max(1),
        };
    }

    /// Its connection is gone.
    pub(super) fn forget(&mut self, owed: &mut Option<Owed>) {
        let counts = owed.is_some_and(|owed| owed.patience == self.patience);
        self.awaited -= u32::from(counts);
        *owed = None;
    }

    /// A sleep on the servers' ring is over. Those of which none was heard are late, and are
    /// awaited no more: others' requests would wait with every one of theirs.
    pub(super) fn slept(&mut self, heard: bool) {
        if !heard {
            self.patience = self.patience.wrapping_add(1);
            self.awaited = 0;
        }
    }

    /// Whether servers are to have a ring of their own.
    pub(super) fn apart(&self) -> bool {
        self.apart
    }

    /// They cannot have one.
    pub(super) fn stay_on_one_ring(&mut self) {
        self.one_ring = true;
        self.apart = false;
    }

    /// Whether a reply is awaited.
    pub(super) fn awaits(&self) -> bool {
        self.awaited > 0
    }

    /// How to sleep until the next pass.
    pub(super) fn plan(&self) -> Sleep {
        let (active, trip) = (self.active(), self.trip);
        let micros = |micros: u32| Duration::from_micros(micros.into());
        if self.apart && self.awaits() {
            return Sleep::Servers {
                at_most: micros(2 * trip),
            };
        }
        // Half of a near server's round trip costs less than it saves: the server that gets fewer
        // batches is done with each of them earlier.
        let hold = if self.apart {
            trip / 2
        } else {
            trip / FAR_PART
        };
        // On one ring the replies would wait, too.
        let gathers = active >= BUSY_CONNECTIONS && hold >= HOLD_MIN && !self.awaits();
        if !self.apart && !gathers {
            return Sleep::Clients {
                completions: 1,
                at_most: None,
            };
        }
        Sleep::Clients {
            completions: (active / GATHERED).max(1) as usize,
            at_most: Some(micros(hold.clamp(1, NEAR))),
        }
    }

    fn active(&self) -> u32 {
        self.active.max(self.were_active)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Sleep = Sleep::Clients {
        completions: 1,
        at_most: None,
    };

    /// A worker's rule and its servers, at a time.
    struct Trace {
        wait: Wait,
        servers: [Option<Owed>; 2],
        seen: Vec<u32>,
        bytes: usize,
        now: u64,
    }

    impl Trace {
        fn start() -> Trace {
            Trace {
                wait: Wait::default(),
                servers: [None; 2],
                seen: vec![0; 48],
                bytes: 40,
                now: 1 << 20,
            }
        }

        fn pass(&mut self, micros: u64) {
            self.now += micros;
            self.wait.turn(Time::from_micros(self.now));
        }

        fn receive(&mut self, connections: usize) {
            // Each may receive several times, and counts once.
            for seen in &mut self.seen[..connections] {
                self.wait.received(seen);
                self.wait.asked_for(self.bytes);
            }
        }

        fn ask(&mut self, server: usize) {
            let now = Time::from_micros(self.now);
            self.wait.asked(&mut self.servers[server], now);
        }

        fn hear(&mut self, server: usize) {
            let now = Time::from_micros(self.now);
            self.wait.heard(&mut self.servers[server], now);
        }

        /// For some windows `clients` ask a server that answers after `trip`.
        fn run(clients: usize, trip: u64) -> Trace {
            let mut trace = Trace::start();
            for _ in 0..200 {
                trace.pass(100);
                trace.receive(clients);
                trace.ask(0);
                trace.pass(trip);
                trace.hear(0);
            }
            trace.receive(clients);
            trace
        }
    }

    #[test]
    fn few_connections_wait_for_one_completion_without_a_timer() {
        let mut trace = Trace::run(8, 40);
        assert!(!trace.wait.apart());
        assert_eq!(trace.wait.plan(), ONE);
        trace.ask(0);
        assert_eq!(trace.wait.plan(), ONE);
    }

    #[test]
    fn while_near_servers_owe_a_reply_only_they_wake() {
        let mut trace = Trace::run(48, 40);
        assert!(trace.wait.apart());
        trace.ask(0);
        let Sleep::Servers { at_most } = trace.wait.plan() else {
            panic!("{:?}", trace.wait.plan());
        };
        let micros = at_most.as_micros();
        assert!((60..=100).contains(&micros), "two round trips: {micros}");
    }

    #[test]
    fn while_nobody_owes_a_part_of_the_active_is_gathered_for_half_a_round_trip() {
        let trace = Trace::run(48, 40);
        let Sleep::Clients {
            completions: 12,
            at_most: Some(at_most),
        } = trace.wait.plan()
        else {
            panic!("{:?}", trace.wait.plan());
        };
        let micros = at_most.as_micros();
        assert!((15..=25).contains(&micros), "{micros}");
    }

    #[test]
    fn a_reply_that_is_owed_on_one_ring_is_waited_for_without_company() {
        let mut trace = Trace::run(48, 2_000);
        trace.ask(0);
        trace.ask(0);
        trace.ask(1);
        trace.hear(0);
        assert_eq!(trace.wait.plan(), ONE);
        trace.hear(1);
        trace.hear(1);
        assert_ne!(trace.wait.plan(), ONE);
    }

    #[test]
    fn far_servers_share_a_ring_and_their_requests_are_hardly_held() {
        for trip in [400, 2_000] {
            let trace = Trace::run(48, trip);
            assert!(!trace.wait.apart());
            let Sleep::Clients {
                at_most: Some(at_most),
                ..
            } = trace.wait.plan()
            else {
                panic!("{:?}", trace.wait.plan());
            };
            let micros = u64::try_from(at_most.as_micros()).expect("short");
            assert!(micros <= trip / 31, "{micros} of {trip}");
        }
    }

    #[test]
    fn pipelines_and_large_values_are_not_gathered() {
        let mut trace = Trace::run(48, 40);
        assert!(trace.wait.apart());
        trace.pass(1 << WINDOW_BITS);
        trace.bytes = 16 * 40;
        trace.receive(48);
        trace.pass(1 << WINDOW_BITS);
        assert!(!trace.wait.apart());
        assert_eq!(trace.wait.plan(), ONE);
    }

    #[test]
    fn a_server_that_has_fallen_silent_is_not_waited_for_twice() {
        let mut trace = Trace::run(48, 40);
        trace.ask(1);
        trace.wait.slept(false);
        assert!(matches!(trace.wait.plan(), Sleep::Clients { .. }));
        // Another one is asked, and answers; the silent one is forgotten, or answers late.
        trace.ask(0);
        assert!(matches!(trace.wait.plan(), Sleep::Servers { .. }));
        trace.hear(1);
        assert!(trace.wait.awaits());
        trace.hear(0);
        assert!(!trace.wait.awaits());
    }

    #[test]
    fn a_connection_that_is_gone_owes_nothing() {
        let mut trace = Trace::run(48, 40);
        trace.ask(0);
        trace.wait.forget(&mut trace.servers[0]);
        trace.wait.forget(&mut trace.servers[0]);
        assert!(!trace.wait.awaits());
    }

    #[test]
    fn activity_is_forgotten_after_two_windows() {
        let mut trace = Trace::run(48, 40);
        trace.pass(1 << WINDOW_BITS);
        assert!(trace.wait.apart());
        trace.pass(2 << WINDOW_BITS);
        assert!(!trace.wait.apart());
        assert_eq!(trace.wait.plan(), ONE);
    }

    #[test]
    fn servers_that_become_slow_for_long_come_back_to_the_one_ring() {
        let mut trace = Trace::run(48, 40);
        trace.ask(0);
        trace.pass(1_000);
        trace.hear(0);
        trace.receive(48);
        trace.pass(1 << WINDOW_BITS);
        assert!(trace.wait.apart(), "one slow reply is none");
        for _ in 0..20 {
            trace.ask(0);
            trace.pass(1_000);
            trace.receive(48);
            trace.hear(0);
        }
        assert!(!trace.wait.apart());
    }

    #[test]
    fn without_a_second_ring_there_is_one() {
        let mut trace = Trace::run(48, 40);
        trace.wait.stay_on_one_ring();
        trace.pass(1 << WINDOW_BITS);
        trace.receive(48);
        trace.pass(1 << WINDOW_BITS);
        assert!(!trace.wait.apart());
    }
}
