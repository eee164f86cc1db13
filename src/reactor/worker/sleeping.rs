//! When the worker sleeps, and what has come meanwhile.
//!
//! Owns: the second ring, to which servers are moved while `Wait` says that it pays. On it are
//! receives and sends that complete at once, nothing that could stay there for long.

use std::time::Duration;

use crate::base::Time;
use crate::reactor::ring::Ring;
use crate::reactor::token::Place;
use crate::reactor::token::Token;
use crate::reactor::wait::Sleep;

use super::Worker;

/// How long a sleep may be while the last receives leave the second ring.
const LEAVING: Duration = Duration::from_micros(50);

impl Worker {
    /// Sleeps, and takes in what has come.
    pub(super) fn sleep(&mut self) -> std::io::Result<Time> {
        self.move_servers();
        match self.wait.plan() {
            Sleep::Clients {
                completions,
                at_most,
            } => self.sleep_for_clients(completions, at_most),
            Sleep::Servers { at_most } => self.sleep_for_servers(at_most),
        }
    }

    fn sleep_for_clients(
        &mut self,
        completions: usize,
        at_most: Option<Duration>,
    ) -> std::io::Result<Time> {
        let mut at_most = at_most;
        if let Some(ring) = &mut self.servers_ring {
            ring.look()?;
            if !self.apart && !ring.is_idle() {
                at_most = Some(LEAVING);
            }
        }
        self.ring.submit_and_wait(completions, at_most)?;
        let now = self.clock.now();
        self.wait.turn(now);
        if let Some(ring) = &mut self.servers_ring {
            ring.look()?;
            self.take_in(true, now)?;
        }
        self.take_in(false, now)?;
        Ok(now)
    }

    /// Nothing but a reply ends it early. Then there is one look at what clients have asked
    /// meanwhile, unless they are to be waited for.
    fn sleep_for_servers(&mut self, at_most: Duration) -> std::io::Result<Time> {
        self.ring.submit()?;
        self.ring_of(true).submit_and_wait(1, Some(at_most))?;
        let now = self.clock.now();
        self.wait.turn(now);
        let heard = self.take_in(true, now)?;
        self.wait.slept(heard);
        if heard && !self.wait.awaits() {
            return Ok(now);
        }
        self.act(now);
        self.transmit(now);
        self.ring.look()?;
        self.take_in(false, now)?;
        Ok(now)
    }

    /// Takes in what has completed on a ring. Whether anything was received.
    fn take_in(&mut self, apart: bool, now: Time) -> std::io::Result<bool> {
        let mut completions = std::mem::take(&mut self.completions);
        self.ring_of(apart).reap(&mut completions);
        let mut heard = false;
        for completion in completions.drain(..) {
            heard |= completion.buffer.is_some();
            self.complete(completion, apart, now)?;
        }
        self.completions = completions;
        Ok(heard)
    }

    /// The servers' ring while they are apart, or the one for everything.
    pub(super) fn ring_of(&mut self, apart: bool) -> &mut Ring {
        match &mut self.servers_ring {
            Some(ring) if apart => ring,
            _ => &mut self.ring,
        }
    }

    /// Ends the servers' receives on one ring; they begin on the other as soon as they have ended.
    fn move_servers(&mut self) {
        let apart = self.wait.apart();
        if apart == self.apart {
            return;
        }
        if apart && self.servers_ring.is_none() {
            match Ring::beside(&self.ring) {
                Ok(ring) => self.servers_ring = Some(ring),
                Err(error) => {
                    tracing::warn!(worker = self.idx.0, %error, "no second ring");
                    self.wait.stay_on_one_ring();
                    return;
                }
            }
        }
        self.apart = apart;
        for index in 0..self.servers.len() {
            let Some(socket) = &self.servers[index] else {
                continue;
            };
            if socket.receiving && socket.apart != apart {
                let receive = Token::Receive(Place::of(socket.conn)).pack();
                let was = socket.apart;
                self.ring_of(was).cancel(receive, Token::Nothing.pack());
            }
        }
    }
}
