//! The new process's side.

use std::time::Duration;

use tracing::info;
use tracing::warn;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::control::Ending;
use crate::control::event::Event;
use crate::control::main_loop::Control;
use crate::control::supervisor::Phase;
use crate::control::supervisor::Step;
use crate::reactor::ToWorker;
use crate::reactor::hand_over::FromNewSide;
use crate::reactor::hand_over::NewSide;
use crate::reactor::hand_over::NewSideSetup;
use crate::reactor::mailbox;

use super::State;

/// How long a new process waits for its Sentinels to say where the masters are, before it takes
/// clients all the same: the old one may not know more.
const MASTERS_WITHIN: Duration = Duration::from_secs(5);

impl Control {
    /// Begins to take over, if another process hands over to this one.
    pub(in crate::control) fn take_over(&mut self) -> std::io::Result<()> {
        let Some(mut predecessor) = self.upgrade.setup.predecessor.take() else {
            return Ok(());
        };
        self.inherit(predecessor.known());
        let (tell, inbox) = mailbox()?;
        self.events
            .when_woken(inbox.wake_socket()?, || Event::NewSide);
        let setup = NewSideSetup {
            workers: self.workers.to.clone(),
            addresses: self.addresses(),
        };
        let new_side = NewSide::start(predecessor, setup, tell)?;
        self.upgrade.state = State::Taking {
            new_side,
            inbox,
            serves: false,
        };
        Ok(())
    }

    /// Where each pool listens, as `PoolIdx` counts them; nowhere if it is served no longer.
    pub(super) fn addresses(&self) -> Vec<String> {
        let places = (0..).map(PoolIdx).zip(self.table.places());
        let listens = places.map(|(idx, _)| {
            self.table
                .pool(idx)
                .map(|pool| pool.listen.address.to_string())
        });
        listens.map(Option::unwrap_or_default).collect()
    }

    /// Every worker of this process, which stands by, could serve.
    pub(in crate::control) fn workers_stand_by(&mut self) {
        self.upgrade.workers_ready = true;
        self.events.after(MASTERS_WITHIN, Event::MastersOverdue);
        self.be_ready();
    }

    /// The Sentinels have told where a master is.
    pub(in crate::control) fn master_known(&mut self, pool: PoolIdx, server: ServerIdx) {
        if self.upgrade.masters.remove(&(pool, server)) {
            self.be_ready();
        }
    }

    /// They have had their time.
    pub(in crate::control) fn masters_overdue(&mut self) {
        let unknown = std::mem::take(&mut self.upgrade.masters).len();
        if unknown > 0 && self.upgrade.stands_by() {
            warn!(
                unknown,
                "masters are not known yet, taking over all the same"
            );
        }
        self.be_ready();
    }

    fn be_ready(&mut self) {
        if let State::Taking {
            new_side,
            serves: false,
            ..
        } = &self.upgrade.state
        {
            if self.upgrade.workers_ready && self.upgrade.masters.is_empty() {
                self.upgrade.workers_ready = false;
                new_side.ready();
            }
        }
    }

    /// What the taking thread tells.
    pub(in crate::control) fn hear_new_side(&mut self) -> Vec<Step> {
        let mut messages = Vec::new();
        if let State::Taking { inbox, .. } = &mut self.upgrade.state {
            inbox.take(&mut messages);
        }
        let mut steps = Vec::new();
        for message in messages {
            match message {
                FromNewSide::Commit(known) => {
                    self.inherit(known);
                    self.serve_from_now_on();
                }
                FromNewSide::Alone => {
                    warn!("the running process is dead, this one serves");
                    self.serve_from_now_on();
                    self.all_have_come("took over from a process that had died".to_owned());
                }
                FromNewSide::CalledOff(why) => {
                    warn!(why, "the running process goes on, this one ends");
                    steps.push(Step::End(Ending::CalledOff));
                }
                FromNewSide::Done { clients } => {
                    info!(count = clients, "client connections taken over");
                    self.all_have_come(format!("took over {clients} client connections"));
                }
                FromNewSide::Lost { clients, why } => {
                    warn!(count = clients, why, "not all clients were taken over");
                    self.all_have_come(format!("took over {clients} client connections: {why}"));
                }
            }
        }
        steps
    }

    fn serve_from_now_on(&mut self) {
        if let State::Taking { serves, .. } = &mut self.upgrade.state {
            *serves = true;
        }
        // Somebody has perhaps told it to end in that very moment: then it is drained.
        if self.supervisor.phase() == Phase::Serving {
            self.tell_all(&ToWorker::Accept);
            self.serve();
        }
        if let State::Taking { new_side, .. } = &self.upgrade.state {
            new_side.ready();
        }
    }

    /// No client comes any more from the process that this one has taken over from.
    fn all_have_come(&mut self, story: String) {
        self.upgrade.story = Some(story);
        self.upgrade.state = State::None;
        if self.supervisor.phase() == Phase::Serving {
            self.go_on_departing();
            self.go_on_after_upgrade();
        }
    }

    /// Does what had to wait for the end of an upgrade or a reload.
    pub(in crate::control) fn go_on_after_upgrade(&mut self) {
        self.reload_next();
        if !self.is_reloading() {
            if let Some(reply) = self.upgrade.wanted.take() {
                self.start_upgrade(reply);
            }
        }
    }
}
