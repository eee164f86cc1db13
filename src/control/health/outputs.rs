//! What shows the world how this process is: the health file and the health port.

use std::os::fd::OwnedFd;

use tracing::info;
use tracing::warn;

use super::Health;
use super::file::HealthFile;
use super::port::HealthPort;
use crate::control::accept::Accepted;

/// What it means that the health port is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HealthMeans {
    /// That this process is healthy. All proxies see the same servers, so to close the port when
    /// servers fail would take away all of them at once, and heal nothing.
    #[default]
    Live,
    /// That its pools can serve, too: for who has something better to send clients to.
    Ready,
}

/// The outputs that are there.
pub(in crate::control) struct HealthOutputs {
    file: Option<HealthFile>,
    port: Option<HealthPort>,
    // Answers whoever connects to the health port.
    answer: Box<dyn Fn(Accepted)>,
    means: HealthMeans,
    // Another process shows how things are.
    left: bool,
    // What they show; None until they show anything.
    shown: Option<Shown>,
    logged: bool,
}

/// The health file, and the health port.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shown {
    healthy: bool,
    open: bool,
}

impl HealthOutputs {
    /// `answer` is what is behind the health port.
    pub(in crate::control) fn new(
        file: Option<HealthFile>,
        port: Option<std::net::TcpListener>,
        answer: Box<dyn Fn(Accepted)>,
        means: HealthMeans,
    ) -> HealthOutputs {
        HealthOutputs {
            file,
            port: port.map(HealthPort::new),
            answer,
            means,
            left: false,
            shown: None,
            logged: false,
        }
    }

    /// Shows how it is, if that is not what they show already.
    pub(in crate::control) fn show(&mut self, health: &Health) {
        let healthy = health.is_healthy();
        let open = match self.means {
            HealthMeans::Live => healthy,
            HealthMeans::Ready => health.is_ready(),
        };
        let shown = Shown { healthy, open };
        if self.left || self.shown == Some(shown) {
            return;
        }
        self.log(health);
        // The file first: it moves a virtual IP soonest.
        let written = self.file.as_mut().is_none_or(|file| file.say(healthy));
        let turned = self.port.as_mut().is_none_or(|port| {
            if !open {
                port.close();
                return true;
            }
            port.open(&self.answer)
        });
        // What did not work is tried again at the next sample.
        self.shown = (written && turned).then_some(shown);
    }

    /// Leaves them as they are to another process that has them, too; who is inside is answered.
    pub(in crate::control) fn leave(&mut self) {
        self.left = true;
        self.file.iter_mut().for_each(HealthFile::leave);
        self.port.iter_mut().for_each(HealthPort::leave);
    }

    /// From now on this process shows how it is.
    pub(in crate::control) fn own(&mut self) {
        (self.left, self.shown) = (false, None);
        self.port.iter_mut().for_each(HealthPort::own);
    }

    /// The health port's socket once more, for another process.
    pub(in crate::control) fn shared(&self) -> Option<OwnedFd> {
        self.port.as_ref().and_then(|port| port.shared().ok())
    }

    fn log(&mut self, health: &Health) {
        let healthy = health.is_healthy();
        if std::mem::replace(&mut self.logged, healthy) == healthy {
            return;
        }
        match healthy {
            true => info!("healthy"),
            false => {
                let reasons: Vec<&str> = health.reasons().collect();
                let reasons = reasons.join(", ");
                if health.is_wanted() {
                    info!(reasons, "unhealthy");
                } else {
                    warn!(reasons, "unhealthy");
                }
            }
        }
    }
}
