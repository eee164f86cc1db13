//! What shows the world how this process is: the health file and the health port.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use tracing::info;
use tracing::warn;

use super::HealthMeans;
use super::admin;
use super::admin::Api;
use super::health::Health;
use super::health::HealthFile;
use super::health::HealthPort;

/// The signs that are there.
pub(super) struct Signs {
    file: Option<HealthFile>,
    port: Option<HealthPort>,
    port_api: Rc<Api>,
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

impl Signs {
    /// `port_api` is what is behind the health port.
    pub(super) fn new(
        file: Option<HealthFile>,
        port: Option<std::net::TcpListener>,
        port_api: Rc<Api>,
        means: HealthMeans,
    ) -> Signs {
        Signs {
            file,
            port: port.map(HealthPort::new),
            port_api,
            means,
            left: false,
            shown: None,
            logged: false,
        }
    }

    /// Shows how it is, if that is not what they show already.
    pub(super) fn show(&mut self, health: &Health) {
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
            let api = Rc::clone(&self.port_api);
            port.open(|accepted| {
                glommio::spawn_local(admin::serve(accepted, api)).detach();
            })
        });
        // What did not work is tried again at the next sample.
        self.shown = (written && turned).then_some(shown);
    }

    /// Leaves them as they are to another process that has them, too; who is inside is answered.
    pub(super) fn leave(&mut self) {
        self.left = true;
        self.file.iter_mut().for_each(HealthFile::leave);
        self.port.iter_mut().for_each(HealthPort::leave);
    }

    /// From now on this process shows how it is.
    pub(super) fn own(&mut self) {
        (self.left, self.shown) = (false, None);
        self.port.iter_mut().for_each(HealthPort::own);
    }

    /// The health port's socket once more, for another process.
    pub(super) fn shared(&self) -> Option<OwnedFd> {
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
                let reasons: Vec<&str> = health.bars().collect();
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
