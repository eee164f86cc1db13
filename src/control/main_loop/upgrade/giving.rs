//! The old process's side.

use std::time::Duration;

use rustix::process::Signal;
use tracing::error;
use tracing::info;
use tracing::warn;

use crate::control::asked::Reply;
use crate::control::event::Event;
use crate::control::main_loop::Control;
use crate::control::notify;
use crate::control::supervisor::Phase;
use crate::control::supervisor::Step;
use crate::reactor::hand_over::FromOldSide;
use crate::reactor::hand_over::NewProcess;
use crate::reactor::hand_over::OldSide;
use crate::reactor::hand_over::OldSideSetup;
use crate::reactor::mailbox;

use super::Giving;
use super::State;
use super::now;

/// Names take five seconds at most, masters five; the rest takes milliseconds.
const START_WITHIN: Duration = Duration::from_secs(30);

/// Requests in flight take milliseconds. Who does not read its replies for so long, or waits for a
/// server that is down, is drained.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(10);

/// Until an answer has left through the control socket.
const ANSWERED_WITHIN: Duration = Duration::from_millis(100);

impl Control {
    /// Begins to hand over to a new process of this program. `reply` hears what became of it.
    pub(in crate::control) fn start_upgrade(&mut self, reply: Option<Reply>) {
        let waits = matches!(&self.upgrade.state, State::Taking { serves: true, .. });
        if (waits || self.is_reloading()) && self.upgrade.wanted.is_none() {
            info!("an upgrade is wanted, and begins as soon as it can");
            self.upgrade.wanted = Some(reply);
            return;
        }
        match self.try_start_upgrade() {
            Ok(mut begun) => {
                let program = (self.upgrade.setup.command)();
                let program = program.get_program().display().to_string();
                info!(program, "upgrade begins");
                notify::status("starting a new process");
                begun.reply = reply;
                self.upgrade.state = State::Giving(begun);
            }
            Err(why) => {
                warn!(why, "no upgrade");
                if let Some(reply) = reply {
                    reply.refused(format!("no upgrade: {why}\n"));
                }
            }
        }
    }

    fn try_start_upgrade(&mut self) -> Result<Giving, String> {
        match &self.upgrade.state {
            State::None if self.is_reloading() => return Err("a reload is under way".to_owned()),
            State::None if self.supervisor.phase() == Phase::Serving => {}
            State::None => return Err("this process does not serve".to_owned()),
            State::Giving(_) | State::Gone { .. } => {
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
        self.events.when_woken(wake, || Event::OldSide);
        let mut endpoints = self.endpoints.shared();
        endpoints.extend(self.standing.outputs.shared());
        let setup = OldSideSetup {
            command: (self.upgrade.setup.command)(),
            workers: self.workers.to.clone(),
            addresses: self.addresses(),
            endpoints,
            known: self.bequest(),
            start_within: START_WITHIN,
            hand_over_within: HAND_OVER_WITHIN,
        };
        Ok(Giving {
            old_side: OldSide::start(setup, tell).map_err(no_descriptor)?,
            inbox,
            began: now(),
            process: None,
            serves: false,
            ends: false,
            signals: Vec::new(),
            reply: None,
        })
    }

    /// What the giving thread tells.
    pub(in crate::control) fn hear_old_side(&mut self) -> Vec<Step> {
        let mut messages = Vec::new();
        if let State::Giving(giving) = &mut self.upgrade.state {
            giving.inbox.take(&mut messages);
        }
        let mut steps = Vec::new();
        for message in messages {
            match message {
                FromOldSide::Ready(process) => self.other_is_ready(process),
                FromOldSide::Serving => self.other_serves(),
                FromOldSide::Failed(why) => {
                    warn!(why, "upgrade failed, serving on");
                    steps.push(self.serve_on(&why));
                }
                FromOldSide::Lost(why) => {
                    error!(why, "the new process is lost and dead, serving on");
                    (self.upgrade.setup.reclaim)();
                    steps.push(self.serve_on(&why));
                }
                FromOldSide::LeftBehind(why) => {
                    error!(
                        why,
                        "the new process serves, and clients that are here are drained"
                    );
                    self.other_has_it(&format!("the new process serves alone: {why}"), false);
                    steps.push(self.supervisor.told_to_end());
                }
                FromOldSide::BothEnd(why) => {
                    warn!(why, "upgrade called off, both processes end");
                    self.other_has_it(&format!("upgrade called off: {why}"), true);
                    steps.push(self.supervisor.told_to_end());
                }
                FromOldSide::Done { clients, within } => self.gone(clients, within),
            }
        }
        steps
    }

    fn other_is_ready(&mut self, ready: NewProcess) {
        let known = self.bequest();
        let State::Giving(giving) = &mut self.upgrade.state else {
            return;
        };
        let in_ms = giving.began.elapsed().as_millis();
        info!(pid = ready.pid, in_ms, "the new process is ready");
        // What was called off is told to have failed.
        if giving.ends {
            return;
        }
        giving.process = Some(ready);
        giving.old_side.commit(known);
        // From here on the world sees the new process.
        self.endpoints.leave();
        self.standing.outputs.leave();
    }

    fn other_serves(&mut self) {
        let State::Giving(giving) = &mut self.upgrade.state else {
            return;
        };
        giving.serves = true;
        let Some(process) = &giving.process else {
            return;
        };
        info!(pid = process.pid, "the new process serves");
        for signal in giving.signals.drain(..) {
            process.signal(signal);
        }
        if giving.ends {
            process.signal(Signal::TERM);
        }
        self.leave_reload_to_another();
    }

    /// This process is to end. `true` if the upgrade is to be seen to first; it is told then.
    pub(in crate::control) fn call_off(&mut self) -> bool {
        match &mut self.upgrade.state {
            State::Giving(giving) if !giving.ends => {
                info!("told to end: the upgrade is called off");
                giving.ends = true;
                match (&giving.process, giving.serves) {
                    // It has clients: it drains, and says so.
                    (Some(process), true) => process.signal(Signal::TERM),
                    _ => giving.old_side.call_off(),
                }
                true
            }
            State::Taking { new_side, .. } => {
                new_side.end("told to end");
                false
            }
            _ => false,
        }
    }

    /// The new process is dead; this one goes on, or ends if that was asked for meanwhile.
    fn serve_on(&mut self, why: &str) -> Step {
        let state = std::mem::replace(&mut self.upgrade.state, State::None);
        let State::Giving(giving) = state else {
            return Step::Nothing;
        };
        // What it had left, it takes again.
        if giving.process.is_some() {
            self.endpoints.open();
            self.standing.outputs.own();
            self.show_health();
        }
        self.upgrade.story = Some(format!("upgrade failed: {why}"));
        if let Some(reply) = giving.reply {
            reply.refused(format!("upgrade failed, serving on: {why}\n"));
        }
        if giving.ends {
            return self.supervisor.told_to_end();
        }
        notify::status("serving");
        if let Some(departing) = self.departures.now() {
            if !departing.is_over(self.clock.now()) {
                self.go_on_departing();
            }
        }
        self.go_on_after_upgrade();
        Step::Nothing
    }

    /// The new process has all that it will ever have.
    fn other_has_it(&mut self, story: &str, both_end: bool) {
        let state = std::mem::replace(&mut self.upgrade.state, State::None);
        self.upgrade.story = Some(story.to_owned());
        let State::Giving(giving) = state else {
            return;
        };
        if let Some(reply) = giving.reply {
            reply.refused(format!("{story}\n"));
        }
        if let (Some(process), false) = (&giving.process, both_end) {
            notify::main_process(process.pid);
        }
        let process = giving.process;
        self.upgrade.state = State::Gone { process, both_end };
    }

    fn gone(&mut self, clients: u64, within: Duration) {
        let state = std::mem::replace(&mut self.upgrade.state, State::None);
        let State::Giving(giving) = state else {
            return;
        };
        let pid = giving.process.as_ref().map_or(0, |process| process.pid);
        self.upgrade.state = State::Gone {
            process: giving.process,
            both_end: false,
        };
        let in_ms = within.as_millis();
        info!(
            count = clients,
            in_ms, pid, "client connections handed over"
        );
        // Not earlier: systemd takes the death of whoever is the main process for the service's.
        notify::main_process(pid);
        if let Some(reply) = giving.reply {
            reply.done(format!(
                "process {pid} serves; {clients} client connections handed over in {in_ms} ms\n"
            ));
        }
        self.events.after(ANSWERED_WITHIN, Event::HandedOver);
    }

    /// Whoever waited for an answer has it.
    pub(in crate::control) fn handed_over(&mut self) -> Step {
        match self.supervisor.phase() {
            Phase::Serving => self.supervisor.told_to_end(),
            // Somebody was faster, who is no second one.
            _ => Step::Nothing,
        }
    }
}
