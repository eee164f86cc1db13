//! An upgrade without a dropped client, as the control plane sees it, from both sides.
//!
//! Owns: when it may begin, when the new process serves, who shows the world how things are
//! meanwhile, and what becomes of signals and commands that come in the middle. Never: a client, a
//! socket of one; `reactor::hand_over` moves them.
//!
//! ```text
//!   old: serving ─ told to ─► starting another ─ it is ready ─► it serves ─► letting clients go ─► draining, end
//!                                  └── it fails: serving on        └── it is dead: serving on
//!   new: standing by ─ workers and masters are there ─► ready ─ told to ─► serving
//! ```
//!
//! | comes meanwhile | before the new process serves | after it |
//! |---|---|---|
//! | SIGTERM to the old one | called off, the new one is dead, the old one ends | both end |
//! | SIGTERM to the new one | called off, the old one serves on | both end |
//! | SIGHUP, `ctl reload`, a changed file | done by whoever serves at the end | |
//! | SIGTTIN, SIGTTOU | done, and what is true then is handed over | passed on to the new one |
//! | SIGUSR2, `ctl upgrade` | one is under way; the new one does another when it has all clients | |

mod giving;
mod taking;

use std::collections::BTreeSet;
use std::time::Instant;

use rustix::process::Signal;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::reactor::Receiver;
use crate::reactor::hand_over::FromNewSide;
use crate::reactor::hand_over::FromOldSide;
use crate::reactor::hand_over::NewProcess;
use crate::reactor::hand_over::NewSide;
use crate::reactor::hand_over::OldSide;

use crate::control::Ending;
use crate::control::asked::Reply;
use crate::control::setup::UpgradeSetup;

/// Where it is.
enum State {
    /// Nothing of it.
    None,
    /// A new process is being started, or takes clients.
    Giving(Giving),
    /// Another process serves, and has what it could have; or none does, because somebody wants both
    /// to end.
    Gone {
        process: Option<NewProcess>,
        both_end: bool,
    },
    /// We are the new process.
    Taking {
        new_side: NewSide,
        inbox: Receiver<FromNewSide>,
        serves: bool,
    },
}

/// A new process takes over, or is to.
struct Giving {
    old_side: OldSide,
    inbox: Receiver<FromOldSide>,
    began: Instant,
    // From the moment on that it is ready.
    process: Option<NewProcess>,
    serves: bool,
    // Somebody wants this process to end.
    ends: bool,
    // What is to be passed on when it serves.
    signals: Vec<Signal>,
    reply: Option<Reply>,
}

/// The upgrade of this process.
pub(super) struct Upgrade {
    setup: UpgradeSetup,
    state: State,
    masters: BTreeSet<(PoolIdx, ServerIdx)>,
    workers_ready: bool,
    // Another is wanted as soon as one can begin, and who waits for it.
    wanted: Option<Option<Reply>>,
    story: Option<String>,
}

impl Upgrade {
    pub(super) fn new(mut setup: UpgradeSetup) -> Upgrade {
        Upgrade {
            masters: std::mem::take(&mut setup.masters),
            setup,
            state: State::None,
            workers_ready: false,
            wanted: None,
            story: None,
        }
    }

    /// Whether another process serves meanwhile: nothing is to be shown to the world.
    pub(super) fn stands_by(&self) -> bool {
        match &self.state {
            State::None => self.setup.predecessor.is_some(),
            State::Taking { serves, .. } => !serves,
            State::Giving(_) | State::Gone { .. } => false,
        }
    }

    /// Whether what the world sees is another process's from now on.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone { .. })
    }

    /// Whether another process answers at the endpoints: what this one is told would be lost.
    pub(super) fn has_left_the_endpoints(&self) -> bool {
        match &self.state {
            State::Giving(giving) => giving.process.is_some(),
            State::Gone { .. } => true,
            State::None | State::Taking { .. } => false,
        }
    }

    /// Whether clients are on their way to another process, or from one.
    pub(super) fn is_under_way(&self) -> bool {
        !matches!(self.state, State::None) || self.stands_by()
    }

    /// Whether another process serves: what this one is told would be lost.
    pub(super) fn other_serves(&self) -> bool {
        match &self.state {
            State::Giving(giving) => giving.serves,
            State::Gone { .. } => true,
            State::None | State::Taking { .. } => false,
        }
    }

    /// Sends a signal to the process that takes over, as soon as it serves.
    pub(super) fn pass_on(&mut self, signal: Signal) {
        let process = match &mut self.state {
            State::Giving(giving) if !giving.serves => return giving.signals.push(signal),
            State::Giving(giving) => &giving.process,
            State::Gone { process, .. } => process,
            State::None | State::Taking { .. } => return,
        };
        if let Some(process) = process {
            process.signal(signal);
        }
    }

    /// How this process ends, when it would end so without an upgrade. A new process that does not
    /// serve is dead by then.
    pub(super) fn ending(&mut self, ending: Ending) -> Ending {
        let stands_by = self.stands_by();
        match std::mem::replace(&mut self.state, State::None) {
            State::Giving(giving) => giving.old_side.end(),
            State::Taking { new_side, .. } => new_side.finish(),
            State::Gone { both_end, .. } if !both_end => return Ending::HandedOver,
            State::Gone { .. } | State::None => {}
        }
        match stands_by {
            true => Ending::CalledOff,
            false => ending,
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
