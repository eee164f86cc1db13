//! All that the admin side shows, and the way to the loop for what it asks.
//!
//! Owns: nothing of it but the share of the keys, which is worked out when somebody wants to see it.
//! The main loop writes; whoever answers a request reads.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::config::Config;
use crate::config::PoolConfig;
use crate::config::Table;
use crate::control::StatsSource;
use crate::control::actions::Actions;
use crate::control::clock::Clock;
use crate::control::event::Events;
use crate::control::health::Health;
use crate::control::history::History;
use crate::control::recent::RecentEvents;
use crate::control::telemetry::Telemetry;
use crate::route::Router;
use crate::route::RouterServer;
use crate::route::RouterSpec;

/// What is shown.
pub(super) struct Shown {
    pub(super) health: Rc<RefCell<Health>>,
    pub(super) stats: Rc<StatsSource>,
    pub(super) clock: Clock,
    pub(super) history: RefCell<History>,
    pub(super) recent: RecentEvents,
    /// What is served.
    pub(super) table: RefCell<Arc<Table>>,
    /// Where questions to the loop go.
    pub(super) events: Events,
    /// What `ctl` knows.
    pub(super) is_command: fn(&str) -> bool,
    pub(super) shares: Shares,
    /// What the page may ask for.
    pub(super) actions: Actions,
    pub(super) telemetry: RefCell<Telemetry>,
}

impl Shown {
    /// Works out the share of the keys, unless it is known: `key_shares` has it then.
    pub(super) async fn work_out_shares(&self) {
        let config = Arc::clone(self.table.borrow().config());
        self.shares.work_out(&config).await;
    }

    /// Each server's share of the keys, if it is worked out for what is served now.
    pub(super) fn key_shares(&self) -> Option<KeyShares> {
        self.shares.of(self.table.borrow().config())
    }
}

/// Each server's share of the keys while all are live, 0 to 1, as the configuration has pools and
/// servers.
pub(super) type KeyShares = Rc<Vec<Vec<f64>>>;

/// Worked out once for a configuration: a ring of many servers takes a while.
#[derive(Default)]
pub(super) struct Shares(RefCell<Option<(Arc<Config>, KeyShares)>>);

impl Shares {
    fn of(&self, config: &Arc<Config>) -> Option<KeyShares> {
        let known = self.0.borrow().clone();
        let (of, shares) = known?;
        Arc::ptr_eq(&of, config).then_some(shares)
    }

    // A thread of its own does it, so nothing else waits.
    async fn work_out(&self, config: &Arc<Config>) {
        if self.of(config).is_some() {
            return;
        }
        let pools = Arc::clone(config);
        let work = move || pools.pools.iter().map(shares_of).collect();
        let shares = Rc::new(glommio::executor().spawn_blocking(work).await);
        *self.0.borrow_mut() = Some((Arc::clone(config), shares));
    }
}

fn shares_of(pool: &PoolConfig) -> Vec<f64> {
    let servers = pool.servers.iter().map(|server| RouterServer {
        name: &server.name,
        weight: server.weight,
        live: true,
    });
    let servers: Vec<RouterServer<'_>> = servers.collect();
    let router = Router::new(&RouterSpec {
        hash: pool.mapping.hash,
        tag: pool.mapping.hash_tag,
        distribution: pool.mapping.distribution,
        servers: &servers,
    });
    router.shares()
}
