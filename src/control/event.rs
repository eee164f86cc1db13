//! What happens in the control plane, as one queue of events.
//!
//! Owns: the queue. Tasks of the executor (signals, mailboxes, timers) put in what they learn; the
//! `main_loop` takes it out, so that everything is handled one after the other.

use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::AsyncReadExt;
use glommio::channels::local_channel;
use glommio::channels::local_channel::LocalReceiver;
use glommio::channels::local_channel::LocalSender;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::ejection::Probe;
use crate::messages::Change;
use crate::telemetry::observed::ObserverId;

use super::adopt;
use super::asked::Asked;
use super::signals::Signal;
use super::source::Outcome;
use super::supervisor::Phase;

/// Something has happened.
pub(super) enum Event {
    /// The process got a signal.
    Signal(Signal),
    /// Workers have written.
    Inbox,
    /// Names were looked up.
    Names,
    /// The time to look up this server's name has come.
    LookUp(PoolIdx, ServerIdx),
    /// What is known of this server's name is old.
    Refresh(PoolIdx, ServerIdx),
    /// The time to ask this server whether it serves again has come.
    ProbeDue(Probe),
    /// It does.
    ProbeAnswered(Probe),
    /// The Sentinels have told of something that every worker must know.
    Change(Change),
    /// The time that this phase was given is over.
    Overdue(Phase),
    /// The time to let clients go has come, unless that was taken back.
    LetGo(Departure),
    /// The configuration was read, for a reload.
    Prepared(Outcome),
    /// The time to look whether the configuration file was changed has come.
    LookAtFile,
    /// The time to look at the workers has come.
    Sample,
    /// The thread that hands over has told something.
    OldSide,
    /// The thread that takes over has.
    NewSide,
    /// Masters are waited for no longer.
    MastersOverdue,
    /// A new process has all clients that could go.
    HandedOver,
    /// The time to ask the workers for what they have recorded has come.
    Collect,
    /// The time to look after somebody who observes requests has come.
    Observing(ObserverId),
    /// Somebody has sent a command.
    Ctl(Asked),
}

/// Clients are to be let go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Departure {
    /// Over this time.
    pub(super) within: Duration,
    /// Of another number than the last one nothing comes any more.
    pub(super) number: u32,
}

/// A new queue: where to put events, and where the loop takes them out.
pub(super) fn queue() -> (Events, LocalReceiver<Event>) {
    let (sender, events) = local_channel::new_unbounded();
    (Events(Rc::new(sender)), events)
}

/// Where events are put in; clones put them into the same queue.
#[derive(Clone)]
pub(super) struct Events(Rc<LocalSender<Event>>);

impl Events {
    /// Puts an event behind those already there.
    pub(super) fn tell(&self, event: Event) {
        // It fails only when the loop has ended.
        let _ = self.0.try_send(event);
    }

    /// Tells of `event` whenever a mailbox wakes.
    pub(super) fn when_woken(&self, wake: UnixStream, event: fn() -> Event) {
        let events = self.clone();
        let task = async move {
            let mut wake = adopt::stream(wake);
            let mut bytes = [0; 16];
            while let Ok(1..) = wake.read(&mut bytes).await {
                events.tell(event());
            }
        };
        glommio::spawn_local(task).detach();
    }

    /// Tells of `event` again and again, with at least that time between.
    pub(super) fn every(&self, period: Duration, event: fn() -> Event) {
        let events = self.clone();
        let task = async move {
            loop {
                glommio::timer::sleep(period).await;
                events.tell(event());
            }
        };
        glommio::spawn_local(task).detach();
    }

    /// Tells of `event` after a while.
    pub(super) fn after(&self, delay: Duration, event: Event) {
        let events = self.clone();
        let task = async move {
            glommio::timer::sleep(delay).await;
            events.tell(event);
        };
        glommio::spawn_local(task).detach();
    }
}
