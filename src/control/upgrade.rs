//! An upgrade without a dropped client, as the control plane sees it, from both sides.
//!
//! Owns: when it may begin, when the new process serves, and who shows the world how things are
//! meanwhile. Never: a client, a socket of one; `reactor::hand_over` moves them.
//!
//! ```text
//!   old: serving ─ told to ─► starting another ─ it is ready ─► letting clients go ─► draining, end
//!                                  └── it fails: serving on        └── it is lost: serving on
//!   new: standing by ─ workers and masters are there ─► ready ─ told to ─► serving
//! ```

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

use tracing::error;
use tracing::info;
use tracing::warn;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::reactor::Receiver;
use crate::reactor::ToWorker;
use crate::reactor::hand_over::FromGiver;
use crate::reactor::hand_over::FromTaker;
use crate::reactor::hand_over::Giver;
use crate::reactor::hand_over::GiverSetup;
use crate::reactor::hand_over::Predecessor;
use crate::reactor::hand_over::Taker;
use crate::reactor::hand_over::TakerSetup;
use crate::reactor::mailbox;

use super::Ending;
use super::conduct::Control;
use super::ctl::Reply;
use super::event::Event;
use super::notify;
use super::supervisor::Phase;
use super::supervisor::Step;

/// Names take five seconds at most, masters five; the rest takes milliseconds.
const START_WITHIN: Duration = Duration::from_secs(30);

/// Requests in flight take milliseconds. Who does not read its replies for so long, or waits for a
/// server that is down, is drained.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(10);

/// How long a new process waits for its Sentinels to say where the masters are, before it takes
/// clients all the same: the old one may not know more.
const MASTERS_WITHIN: Duration = Duration::from_secs(5);

/// Until an answer has left through the control socket.
const ANSWERED_WITHIN: Duration = Duration::from_millis(100);

/// What an upgrade needs of the process.
pub struct UpgradeSetup {
    /// Starts this program again, as it was started.
    pub command: Box<dyn Fn() -> Command>,
    /// Takes the pid file again, after a new process was lost.
    pub reclaim: Box<dyn Fn()>,
    /// The process that hands over to this one.
    pub predecessor: Option<Predecessor>,
    /// The servers of which only the Sentinels know where they are.
    pub masters: BTreeSet<(PoolIdx, ServerIdx)>,
}

/// Where it is.
enum State {
    /// Nothing of it.
    None,
    /// A new process is being started, or takes clients.
    Giving {
        giver: Giver,
        inbox: Receiver<FromGiver>,
        began: Instant,
        pid: Option<u32>,
        reply: Option<Reply>,
    },
    /// A new process serves, and has what it could have.
    Gone,
    /// We are the new process.
    Taking {
        taker: Taker,
        inbox: Receiver<FromTaker>,
        serves: bool,
    },
}

/// The upgrade of this process.
pub(super) struct Upgrade {
    setup: UpgradeSetup,
    state: State,
    masters: BTreeSet<(PoolIdx, ServerIdx)>,
    workers_ready: bool,
    story: Option<String>,
}

impl Upgrade {
    pub(super) fn new(mut setup: UpgradeSetup) -> Upgrade {
        Upgrade {
            masters: std::mem::take(&mut setup.masters),
            setup,
            state: State::None,
            workers_ready: false,
            story: None,
        }
    }

    /// Whether another process serves meanwhile: nothing is to be shown to the world.
    pub(super) fn stands_by(&self) -> bool {
        match &self.state {
            State::None => self.setup.predecessor.is_some(),
            State::Taking { serves, .. } => !serves,
            State::Giving { .. } | State::Gone => false,
        }
    }

    /// Whether another process serves from now on.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone)
    }

    /// Whether clients are on their way to another process, or from one.
    pub(super) fn is_under_way(&self) -> bool {
        !matches!(self.state, State::None) || self.stands_by()
    }

    /// How this process ends, when it would end so without an upgrade.
    pub(super) fn ending(&self, ending: Ending) -> Ending {
        match &self.state {
            State::Gone => Ending::HandedOver,
            _ if self.stands_by() => Ending::CalledOff,
            _ => ending,
        }
    }

    /// What became of the last one, for people.
    pub(super) fn story(&self) -> Option<&str> {
        self.story.as_deref()
    }
}

fn now() -> Instant {
    #[allow(
        clippy::disallowed_methods,
        reason = "an upgrade is not on a request's way"
    )]
    Instant::now()
}

impl Control {
    /// Begins to take over, if another process hands over to this one.
    pub(super) fn take_over(&mut self) -> std::io::Result<()> {
        let Some(mut predecessor) = self.upgrade.setup.predecessor.take() else {
            return Ok(());
        };
        self.inherit(predecessor.known());
        let (tell, inbox) = mailbox()?;
        self.events
            .when_woken(inbox.wake_socket()?, || Event::Taker);
        let setup = TakerSetup {
            workers: self.workers.clone(),
            addresses: self.addresses(),
        };
        let taker = Taker::start(predecessor, setup, tell)?;
        self.upgrade.state = State::Taking {
            taker,
            inbox,
            serves: false,
        };
        Ok(())
    }

    /// Where each pool listens, as `PoolIdx` counts them; nowhere if it is served no longer.
    fn addresses(&self) -> Vec<String> {
        let places = (0..).map(PoolIdx).zip(self.table.places());
        let listens =
            places.map(|(idx, _)| self.table.pool(idx).map(|pool| pool.listen.to_string()));
        listens.map(Option::unwrap_or_default).collect()
    }

    /// Every worker of this process, which stands by, could serve.
    pub(super) fn workers_stand_by(&mut self) {
        self.upgrade.workers_ready = true;
        self.events.after(MASTERS_WITHIN, Event::MastersOverdue);
        self.be_ready();
    }

    /// The Sentinels have told where a master is.
    pub(super) fn master_known(&mut self, pool: PoolIdx, server: ServerIdx) {
        if self.upgrade.masters.remove(&(pool, server)) {
            self.be_ready();
        }
    }

    /// They have had their time.
    pub(super) fn masters_overdue(&mut self) {
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
            taker,
            serves: false,
            ..
        } = &self.upgrade.state
        {
            if self.upgrade.workers_ready && self.upgrade.masters.is_empty() {
                self.upgrade.workers_ready = false;
                taker.ready();
            }
        }
    }

    /// What the taking thread tells.
    pub(super) fn hear_taker(&mut self) -> Vec<Step> {
        let mut messages = Vec::new();
        if let State::Taking { inbox, .. } = &mut self.upgrade.state {
            inbox.take(&mut messages);
        }
        let mut steps = Vec::new();
        for message in messages {
            match message {
                FromTaker::Commit(known) => {
                    self.inherit(known);
                    if let State::Taking { serves, .. } = &mut self.upgrade.state {
                        *serves = true;
                    }
                    self.tell_all(&ToWorker::Accept);
                    self.serve();
                    if let State::Taking { taker, .. } = &self.upgrade.state {
                        taker.ready();
                    }
                }
                FromTaker::CalledOff(why) => {
                    warn!(why, "the running process goes on, this one ends");
                    steps.push(Step::End(Ending::CalledOff));
                }
                FromTaker::Done { clients } => {
                    info!(count = clients, "client connections taken over");
                    self.upgrade.story = Some(format!("took over {clients} client connections"));
                    self.all_have_come();
                }
                FromTaker::Lost { clients, why } => {
                    warn!(count = clients, why, "the old process ended too early");
                    self.all_have_come();
                }
            }
        }
        steps
    }

    /// No client comes any more from the process that this one has taken over from.
    fn all_have_come(&mut self) {
        self.upgrade.state = State::None;
        self.go_on_departing();
    }

    /// Begins to hand over to a new process of this program. `reply` hears what became of it.
    pub(super) fn start_upgrade(&mut self, reply: Option<Reply>) {
        match self.try_start_upgrade() {
            Ok(begun) => {
                let program = (self.upgrade.setup.command)();
                let program = program.get_program().display().to_string();
                info!(program, "upgrade begins");
                notify::status("starting a new process");
                self.upgrade.state = begun;
                if let State::Giving { reply: kept, .. } = &mut self.upgrade.state {
                    *kept = reply;
                }
            }
            Err(why) => {
                warn!(why, "no upgrade");
                if let Some(reply) = reply {
                    reply.refused(format!("no upgrade: {why}\n"));
                }
            }
        }
    }

    fn try_start_upgrade(&mut self) -> Result<State, String> {
        match &self.upgrade.state {
            State::None if self.is_reloading() => return Err("a reload is under way".to_owned()),
            State::None if self.supervisor.phase() == Phase::Serving => {}
            State::None => return Err("this process does not serve".to_owned()),
            State::Giving { .. } | State::Gone => {
                return Err("an upgrade is under way".to_owned());
            }
            State::Taking { .. } => return Err("clients are being taken over yet".to_owned()),
        }
        // With the first process of a container all others end.
        if std::process::id() == 1 {
            return Err(
                "process 1 cannot be replaced: use an init (`docker run --init`)".to_owned(),
            );
        }
        let no_descriptor = |error: std::io::Error| error.to_string();
        let (tell, inbox) = mailbox().map_err(no_descriptor)?;
        let wake = inbox.wake_socket().map_err(no_descriptor)?;
        self.events.when_woken(wake, || Event::Giver);
        let mut doors = self.doors.shared();
        doors.extend(self.signs.shared());
        let setup = GiverSetup {
            command: (self.upgrade.setup.command)(),
            workers: self.workers.clone(),
            addresses: self.addresses(),
            doors,
            known: self.bequest(),
            start_within: START_WITHIN,
            hand_over_within: HAND_OVER_WITHIN,
        };
        let giver = Giver::start(setup, tell).map_err(no_descriptor)?;
        Ok(State::Giving {
            giver,
            inbox,
            began: now(),
            pid: None,
            reply: None,
        })
    }

    /// What the giving thread tells.
    pub(super) fn hear_giver(&mut self) {
        let mut messages = Vec::new();
        if let State::Giving { inbox, .. } = &mut self.upgrade.state {
            inbox.take(&mut messages);
        }
        for message in messages {
            match message {
                FromGiver::Ready { pid: ready } => {
                    let known = self.bequest();
                    let State::Giving {
                        giver, pid, began, ..
                    } = &mut self.upgrade.state
                    else {
                        continue;
                    };
                    let in_ms = began.elapsed().as_millis();
                    info!(pid = ready, in_ms, "the new process is ready");
                    *pid = Some(ready);
                    // From here on the world sees the new process.
                    self.doors.leave();
                    self.signs.leave();
                    notify::main_process(ready);
                    giver.commit(known);
                }
                FromGiver::Failed(why) => {
                    warn!(why, "upgrade failed, serving on");
                    self.serve_on(&why);
                }
                FromGiver::Lost(why) => {
                    error!(why, "the new process is lost, serving on");
                    self.tell_all(&ToWorker::KeepClients);
                    (self.upgrade.setup.reclaim)();
                    self.serve_on(&why);
                }
                FromGiver::Done { clients, within } => self.gone(clients, within),
            }
        }
    }

    fn serve_on(&mut self, why: &str) {
        let state = std::mem::replace(&mut self.upgrade.state, State::None);
        let State::Giving { pid, reply, .. } = state else {
            return;
        };
        // What it had left, it takes again.
        if pid.is_some() {
            notify::main_process(std::process::id());
            self.doors.open();
            self.signs.own();
            self.show_health();
        }
        notify::status("serving");
        self.upgrade.story = Some(format!("upgrade failed: {why}"));
        if let Some(reply) = reply {
            reply.refused(format!("upgrade failed, serving on: {why}\n"));
        }
    }

    fn gone(&mut self, clients: u64, within: Duration) {
        let state = std::mem::replace(&mut self.upgrade.state, State::Gone);
        let State::Giving { pid, reply, .. } = state else {
            return;
        };
        let pid = pid.unwrap_or_default();
        let in_ms = within.as_millis();
        info!(
            count = clients,
            in_ms, pid, "client connections handed over"
        );
        if let Some(reply) = reply {
            reply.done(format!(
                "process {pid} serves; {clients} client connections handed over in {in_ms} ms\n"
            ));
        }
        self.events.after(ANSWERED_WITHIN, Event::HandedOver);
    }
}
