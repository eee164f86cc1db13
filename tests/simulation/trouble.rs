//! Brings the scenario's faults about, and takes them back.

use std::time::Duration;

use bytes::Bytes;
use coremux::base::Time;

use crate::scenario::FAULTS_END;
use crate::scenario::FaultPlan;
use crate::tally::Happening;
use crate::trace::trace;
use crate::wire::End;
use crate::world::Event;
use crate::world::LinkId;
use crate::world::World;

/// What a fault has begun is over so long after it: replies that were held back have arrived.
const AFTERMATH: Duration = Duration::from_secs(1);

impl World {
    pub fn fault_begins(&mut self, number: usize) {
        let plan = self.scenario.faults[number].clone();
        let FaultPlan {
            pool,
            server,
            fault,
            ..
        } = plan;
        trace!(self.now, "fault {fault:?} begins at {pool}.{server}");
        match fault {
            Happening::ClosedMidReply
            | Happening::ClosedBeforeReply
            | Happening::Garbage
            | Happening::BadFragment => self.servers[pool][server].armed.push(fault),
            Happening::ConnectFailsAtOnce => {
                self.servers[pool][server].faults.push(fault);
                self.close_one(pool, server, Happening::Reset, End::Reset);
            }
            Happening::Reset => self.close_one(pool, server, fault, End::Reset),
            Happening::ClosedIdle => {
                if let Some(link) = self.quiet_link(pool, server) {
                    self.tally.count(fault);
                    self.touch_link(link, fault);
                    self.server_closes(link, End::Fin);
                }
            }
            Happening::Unasked => self.send_unasked(pool, server),
            Happening::WireFrozen => {
                let links = self.links_of(pool, server);
                self.freeze(pool, server, &links, plan.lasts);
            }
            Happening::Killed => {
                self.tally.count(fault);
                self.close_all(pool, server, fault);
                self.lasts(number, Happening::ConnectRefused);
            }
            Happening::Moved => {
                self.tally.count(fault);
                self.servers[pool][server].home += 1;
                self.close_all(pool, server, fault);
                // Until somebody asks for the name again, which a healthy connection never does.
                self.oracle.touch(pool, server, fault, self.now);
            }
            Happening::WritesHeld => {
                self.tally.count(fault);
                self.hold_writes(pool, server, plan.lasts);
            }
            Happening::Renamed => {
                self.tally.count(fault);
                self.servers[pool][server].home += 1;
            }
            Happening::Refuses => {
                self.close_all(pool, server, Happening::Killed);
                self.lasts(number, fault);
            }
            // It hangs over its work.
            Happening::Stalled if self.dice.percent(70) => {
                self.servers[pool][server].hangs_next = Some(number);
            }
            Happening::Stalled
            | Happening::SlowReplies
            | Happening::SlowReads
            | Happening::Transient => {
                self.tally.count(fault);
                self.lasts(number, fault);
            }
            // Those that are felt by new connections only.
            _ => {
                self.lasts(number, fault);
                if self.dice.percent(70) {
                    self.close_one(pool, server, Happening::Reset, End::Reset);
                }
            }
        }
    }

    /// Whether a server, which is about to read a request, hangs instead.
    pub fn hangs(&mut self, pool: usize, server: usize) -> bool {
        if let Some(number) = self.servers[pool][server].hangs_next.take() {
            self.tally.count(Happening::Stalled);
            self.lasts(number, Happening::Stalled);
        }
        self.servers[pool][server].has(Happening::Stalled)
    }

    fn lasts(&mut self, number: usize, fault: Happening) {
        let FaultPlan {
            pool,
            server,
            lasts,
            ..
        } = self.scenario.faults[number];
        self.servers[pool][server].faults.push(fault);
        let touch = self.oracle.touch(pool, server, fault, self.now);
        self.lasting.push((number, fault, touch));
        self.schedule(self.now + lasts, Event::Heal(number));
    }

    pub fn fault_ends(&mut self, number: usize) {
        let FaultPlan { pool, server, .. } = self.scenario.faults[number];
        let Some(at) = self.lasting.iter().position(|(of, ..)| *of == number) else {
            return;
        };
        let (_, fault, touch) = self.lasting.remove(at);
        trace!(self.now, "fault {fault:?} ends at {pool}.{server}");
        let aftermath = match fault {
            // A name that was not found is not looked up again before a second has passed.
            Happening::NameUnknown | Happening::NameSlow => AFTERMATH * 3,
            _ => AFTERMATH,
        };
        self.oracle.end_touch(touch, self.now + aftermath);
        if fault == Happening::Stalled && self.dice.percent(50) {
            // It was dying.
            self.tally.count(Happening::Killed);
            self.close_all(pool, server, Happening::Killed);
        }
        let faults = &mut self.servers[pool][server].faults;
        if let Some(at) = faults.iter().position(|other| *other == fault) {
            faults.remove(at);
        }
        self.wake_server(pool, server);
    }

    /// Nothing goes wrong any more.
    pub fn all_healed(&mut self) {
        trace!(self.now, "all is healed");
        let lasting: Vec<usize> = self.lasting.iter().map(|(number, ..)| *number).collect();
        for number in lasting {
            self.fault_ends(number);
        }
        self.oracle.end_all_touches(self.now + AFTERMATH * 3);
        for (pool, server) in self.all_servers() {
            let state = &mut self.servers[pool][server];
            state.faults.clear();
            state.armed.clear();
            state.hangs_next = None;
            self.wake_server(pool, server);
            self.look_up_anyway(pool, server);
        }
    }

    /// A connection on which more is to be sent than there is room for may break just then, while
    /// the rest is still unsent.
    pub fn maybe_break(&mut self, link: LinkId) {
        let Some((pool, server)) = self.server_of(link) else {
            return;
        };
        let stalled = self.servers[pool][server].has(Happening::Stalled);
        let (chance, most) = if stalled { (50, 100_000) } else { (1, 300) };
        if !self.scenario.faults.is_empty() && self.dice.percent(chance) {
            let end = self.now + self.dice.micros(0, most);
            self.schedule(end, Event::Break(link));
        }
    }

    /// A large reply, which begins to be sent at `begin`, may stand still on its way, or not come
    /// whole.
    pub fn maybe_interrupt(&mut self, link: LinkId, begin: Time) {
        if self.scenario.faults.is_empty() || !self.dice.percent(30) {
            return;
        }
        let then = begin + self.dice.micros(0, 1500);
        let event = match self.dice.percent(50) {
            true => Event::Break(link),
            false => Event::Freeze(link),
        };
        self.schedule(then, event);
    }

    /// The network carries nothing on a connection to a server for a while.
    pub fn freeze_link(&mut self, link: LinkId) {
        let Some((pool, server)) = self.server_of(link) else {
            return;
        };
        if self.servers[pool][server].conns.contains_key(&link) && self.faults_may_happen() {
            let lasts = self.dice.millis(20, 1000);
            self.freeze(pool, server, &[link], lasts);
        }
    }

    pub fn break_link(&mut self, link: LinkId) {
        let Some((pool, server)) = self.server_of(link) else {
            return;
        };
        if self.servers[pool][server].conns.contains_key(&link) && self.faults_may_happen() {
            self.tally.count(Happening::Reset);
            self.touch_link(link, Happening::Reset);
            self.server_closes(link, End::Reset);
        }
    }

    fn faults_may_happen(&self) -> bool {
        self.now < Time::ZERO + FAULTS_END
    }

    fn links_of(&self, pool: usize, server: usize) -> Vec<LinkId> {
        self.servers[pool][server].conns.keys().copied().collect()
    }

    fn close_one(&mut self, pool: usize, server: usize, fault: Happening, end: End) {
        let links = self.links_of(pool, server);
        if links.is_empty() {
            return;
        }
        let link = *self.dice.pick(&links);
        self.tally.count(fault);
        self.touch_link(link, fault);
        self.server_closes(link, end);
    }

    fn close_all(&mut self, pool: usize, server: usize, fault: Happening) {
        for link in self.links_of(pool, server) {
            self.touch_link(link, fault);
            let end = *self.dice.pick(&[End::Fin, End::Reset]);
            self.server_closes(link, end);
        }
    }

    /// A connection on which nothing is asked, and on which the greeting is over.
    fn quiet_link(&mut self, pool: usize, server: usize) -> Option<LinkId> {
        let config = &self.config.pools[pool];
        let conns = self.servers[pool][server].conns.iter();
        let quiet = conns.filter(|(link, conn)| {
            conn.is_idle() && conn.is_greeted(config) && self.links[link.0].is_quiet()
        });
        let quiet: Vec<LinkId> = quiet.map(|(link, _)| *link).collect();
        (!quiet.is_empty()).then(|| *self.dice.pick(&quiet))
    }

    /// A reply out of nowhere. It is handed over at once: on its way it could meet a request, and
    /// then nobody could tell that it is not the answer.
    fn send_unasked(&mut self, pool: usize, server: usize) {
        let Some(link) = self.quiet_link(pool, server) else {
            return;
        };
        self.tally.count(Happening::Unasked);
        self.touch_link(link, Happening::Unasked);
        let reply = *self
            .dice
            .pick(&[&b"+OK\r\n"[..], b"$5\r\nhello\r\n", b"-ERR what\r\n"]);
        self.out_of_step.push(link);
        let (worker, conn) = (self.links[link.0].worker, self.links[link.0].conn);
        self.wake(worker);
        let proxy = &mut self.workers[worker].proxy;
        proxy.received(conn, &Bytes::from_static(reply), self.now);
    }

    /// The network between the proxy and a server carries nothing for a while.
    fn freeze(&mut self, pool: usize, server: usize, links: &[LinkId], lasts: Duration) {
        if links.is_empty() {
            return;
        }
        self.tally.count(Happening::WireFrozen);
        let thaws = (self.now + lasts).min(Time::ZERO + FAULTS_END);
        let touch = self
            .oracle
            .touch(pool, server, Happening::WireFrozen, self.now);
        self.oracle.end_touch(touch, thaws + AFTERMATH);
        for link in links {
            let connection = &mut self.links[link.0];
            connection.to_proxy.delay_until(thaws);
            connection.to_peer.delay_until(thaws);
            self.land_at(*link, true, [thaws]);
            self.land_at(*link, false, [thaws]);
        }
    }
}
