//! What shows the world how this process is: the health file and the health port, and the doors of
//! the admin side.

use std::rc::Rc;

use tracing::info;
use tracing::warn;

use super::AdminSetup;
use super::HealthMeans;
use super::admin;
use super::admin::Api;
use super::admin::Door;
use super::adopt;
use super::health::Health;
use super::health::HealthFile;
use super::health::HealthPort;

/// The signs that are there.
pub(super) struct Signs {
    file: Option<HealthFile>,
    port: Option<HealthPort>,
    port_api: Rc<Api>,
    means: HealthMeans,
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
    /// Opens the doors; `api` makes what is behind each.
    pub(super) fn open(setup: AdminSetup, api: impl Fn(Door) -> Rc<Api>) -> Signs {
        if let Some(listener) = setup.http {
            let serving = admin::serve(adopt::listener(listener), api(Door::Admin), None);
            glommio::spawn_local(serving).detach();
        }
        if let Some(listener) = setup.ctl {
            let serving = admin::serve(adopt::unix_listener(listener), api(Door::Ctl), None);
            glommio::spawn_local(serving).detach();
        }
        Signs {
            file: setup.health_file,
            port: setup.health_port.map(HealthPort::new),
            port_api: api(Door::Health(setup.health_means)),
            means: setup.health_means,
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
        if self.shown == Some(shown) {
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
            port.open(|listener, open| {
                let serving = admin::serve(adopt::listener(listener), api, Some(open));
                glommio::spawn_local(serving).detach();
            })
        });
        // What did not work is tried again at the next sample.
        self.shown = (written && turned).then_some(shown);
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
