//! The names of Sentinels and of masters (`announce-hostnames yes`), looked up aside.
//!
//! Owns: what was last found for each name. A lookup goes on when whoever wanted it has given up: a
//! slow name server delays the first connection and not every one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;

use glommio::channels::local_channel;
use glommio::channels::local_channel::LocalSender;
use tracing::warn;

use crate::config::HostPort;
use crate::control::Lookup;

/// Several connections to one name are mostly wanted at once.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// Names that nobody uses any more are few: this is to be safe from a Sentinel that makes them up.
const NAMES_MAX: usize = 1000;

/// One pool's names.
pub(super) struct Names {
    lookup: Lookup,
    names: RefCell<HashMap<HostPort, Name>>,
}

#[derive(Default)]
struct Name {
    addresses: Vec<SocketAddr>,
    found: Option<Instant>,
    failing: bool,
    // Dropped when the lookup that is under way has ended.
    waiting: Option<Vec<LocalSender<()>>>,
}

impl Names {
    pub(super) fn new(lookup: &Lookup) -> Rc<Names> {
        Rc::new(Names {
            lookup: lookup.clone(),
            names: RefCell::default(),
        })
    }

    /// The addresses of `address`, the best first; none if it is a name that is not known.
    pub(super) async fn resolve(self: &Rc<Names>, address: &HostPort) -> Vec<SocketAddr> {
        let HostPort::Name { host, port } = address else {
            return ip(address);
        };
        let (sender, found) = local_channel::new_unbounded();
        {
            let mut names = self.names.borrow_mut();
            if names.len() >= NAMES_MAX && !names.contains_key(address) {
                names.retain(|_, name| name.waiting.is_some());
            }
            let name = names.entry(address.clone()).or_default();
            if name.found.is_some_and(|found| found.elapsed() < FRESH_FOR) {
                return name.addresses.clone();
            }
            if let Some(waiting) = &mut name.waiting {
                waiting.push(sender);
            } else {
                name.waiting = Some(vec![sender]);
                let (names, address) = (Rc::clone(self), address.clone());
                let (host, port, lookup) = (host.to_string(), *port, self.lookup.clone());
                let task = async move {
                    let result = glommio::executor()
                        .spawn_blocking(move || lookup(&host, port))
                        .await;
                    names.found(&address, result);
                };
                glommio::spawn_local(task).detach();
            }
        }
        let ended: Option<()> = found.recv().await;
        debug_assert!(ended.is_none(), "nothing is sent");
        let names = self.names.borrow();
        names
            .get(address)
            .map_or_else(Vec::new, |name| name.addresses.clone())
    }

    // A failure leaves what was known: an address that served a minute ago is better than none.
    fn found(&self, address: &HostPort, result: io::Result<Vec<SocketAddr>>) {
        let mut names = self.names.borrow_mut();
        let Some(name) = names.get_mut(address) else {
            return;
        };
        name.waiting = None;
        name.found = Some(super::drive::clock());
        let failed = match result {
            Ok(addresses) if !addresses.is_empty() => {
                name.addresses = addresses;
                None
            }
            Ok(_) => Some("no addresses".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        let was_failing = std::mem::replace(&mut name.failing, failed.is_some());
        if let Some(error) = failed.filter(|_| !was_failing) {
            warn!(name = %address, error, "name does not resolve");
        }
    }
}

fn ip(address: &HostPort) -> Vec<SocketAddr> {
    match address {
        HostPort::Ip(at) => vec![*at],
        HostPort::Name { .. } => Vec::new(),
    }
}
