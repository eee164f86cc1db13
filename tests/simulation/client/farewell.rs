//! How a client goes, and whether it may be sent away.

use std::time::Duration;

use crate::client::State;
use crate::plan::Ending;
use crate::tally::Happening;
use crate::trace::trace;
use crate::wire::End;
use crate::world::Event;
use crate::world::LinkId;
use crate::world::World;

/// As in the proxy: how long a client that was told its last word has to read it.
const LINGER: Duration = Duration::from_secs(1);

impl World {
    pub(super) fn client_ends(&mut self, number: usize) {
        let client = &self.clients[number];
        let Some(id) = client.link else {
            return;
        };
        if client.state != State::Connected {
            return;
        }
        let waits = self.oracle.unanswered(number);
        let (after, end, happening) = match client.plan.ending {
            Ending::Reset(after) => (Some(after), End::Reset, Happening::ClientReset),
            // Its kernel resets what it has not read all of.
            Ending::Vanish(after) => match self.links[id.0].to_peer.arrived() {
                0 => (Some(after), End::Fin, Happening::ClientVanished),
                _ => (Some(after), End::Reset, Happening::ClientReset),
            },
            _ => (None, End::Fin, Happening::ClientVanished),
        };
        if let Some(after) = after {
            let written = end == End::Reset || client.outgoing.is_empty();
            if client.asked >= after.min(client.plan.requests) && written {
                if waits > 0 {
                    self.tally.count(happening);
                    self.somebody_else_comes(number);
                }
                trace!(self.now, "client {number} closes by {end:?}");
                let wire = &mut self.links[id.0].to_proxy;
                let arrival = wire.finish(end, self.now, &mut self.dice);
                self.land_at(id, true, arrival);
                self.client_is_gone(number, id);
                return;
            }
        }
        let silent = client.last_word && client.outgoing.is_empty();
        let closes = match client.plan.ending {
            Ending::HalfClose => silent,
            Ending::Close => silent && waits == 0,
            _ => false,
        };
        if closes {
            if waits > 0 {
                self.tally.count(Happening::ClientHalfClose);
            }
            trace!(self.now, "client {number} closes its sending half");
            self.clients[number].state = State::Finished;
            let wire = &mut self.links[id.0].to_proxy;
            let arrival = wire.finish(End::Fin, self.now, &mut self.dice);
            self.land_at(id, true, arrival);
        }
    }

    /// The proxy has closed, or reset, the connection, and everything before that was read.
    pub(super) fn client_sees_the_end(&mut self, number: usize, id: LinkId) {
        let client = &self.clients[number];
        let link = &self.links[id.0];
        trace!(
            self.now,
            "client {number} sees the end: {:?}", link.to_peer.end
        );
        let is_shed = link.is_shed || client.told_no_memory;
        let ended = link
            .ended_by_proxy
            .expect("only the proxy ends a client's connection");
        // Who goes on sending and does not read loses what it has not read.
        let is_late = link.to_peer.end == Some(End::Reset) && self.now.since(ended) >= LINGER;
        let is_cut = !client.incoming.is_empty() && !is_shed && !is_late;
        if is_cut {
            self.oracle
                .cut_short(number, &client.incoming, self.now, &mut self.tally);
        }
        let idle_timeout = self.scenario.pools[client.pool].idle_timeout;
        let was_idle = idle_timeout.is_some_and(|timeout| {
            let last = link.last_received.unwrap_or(client.plan.start);
            ended.since(last) >= timeout
        });
        // One that was idle may have been told its last word before all were.
        let drained = self.workers[client.worker]
            .drained_at
            .filter(|drained| ended >= *drained);
        let let_go = self
            .done
            .let_go_at
            .filter(|at| client.plan.start <= *at && ended >= *at);
        let asked_for_it = client.state == State::Finished
            || client.refused
            || (client.last_word && matches!(client.plan.ending, Ending::Quit | Ending::Broken));
        let may_leave_out = if let (Some(drained), false) = (drained, is_cut || is_shed) {
            // What the proxy had put aside because of the client's limits it never reads.
            link.was_paused || self.oracle.answered_all_before(number, drained)
        } else if is_cut || is_shed || is_late {
            true
        } else if let Some(at) = let_go {
            self.tally.count(Happening::LetGo);
            link.was_paused || self.oracle.answered_all_before(number, at)
        } else if was_idle {
            self.tally.count(Happening::ClientIdle);
            self.oracle.answered_all_before(number, ended)
        } else {
            assert!(asked_for_it, "client {number} was closed without a reason");
            false
        };
        let waits = self.oracle.unanswered(number);
        assert!(
            waits == 0 || may_leave_out,
            "client {number} was closed ({:?}) with {waits} replies due, the first of them {}",
            link.to_peer.end,
            self.oracle.first_unanswered(number)
        );
        if self.clients[number].plan.closes_late && self.clients[number].state != State::Finished {
            // It comes again when it has closed.
            self.clients[number].state = State::Finished;
            self.clients[number].plan.closes_late = false;
            let late = self.now + self.dice.millis(1, 1500);
            self.clients[number].reads_again_at = late;
            self.schedule(late, Event::ClientActs(number));
            return;
        }
        let wire = &mut self.links[id.0].to_proxy;
        if wire.end.is_none() {
            let arrival = wire.finish(End::Fin, self.now, &mut self.dice);
            self.land_at(id, true, arrival);
        }
        self.client_is_gone(number, id);
    }

    fn client_is_gone(&mut self, number: usize, id: LinkId) {
        self.clients[number].state = State::Gone;
        self.clients[number].outgoing.clear();
        self.links[id.0].peer_gone = true;
        self.oracle.gone(number);
        // A proxy that waits for room hears of the end when it sends on.
        self.proxy_has_room(id);
    }
}
