//! What systemd is told (`Type=notify`, sd_notify(3)). Without it nothing is said.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::debug;

/// It serves.
pub(super) fn ready() {
    say(&[NotifyState::Ready, NotifyState::Status("serving")]);
}

/// It answers what was asked, then ends.
pub(super) fn stopping() {
    say(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

/// Another process is the service from now on.
pub(super) fn main_process(pid: u32) {
    say(&[NotifyState::Status("serving"), NotifyState::MainPid(pid)]);
}

/// What it does, for people.
pub(super) fn status(text: &str) {
    say(&[NotifyState::Status(text)]);
}

/// How long it may be silent before it is taken for stuck; `None` if nobody listens.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// All its parts turn.
pub(super) fn alive() {
    say(&[NotifyState::Watchdog]);
}

fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!(%error, "systemd was not told");
    }
}
