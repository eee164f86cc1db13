//! Where keys lived at what time, for each worker: ejections reach them one after the other.

use coremux::base::Time;
use coremux::config::PoolConfig;
use coremux::route::Distribution;
use coremux::route::Router;
use coremux::route::RouterServer;
use coremux::route::RouterSpec;

/// One pool as one worker has seen it.
#[derive(Debug)]
pub struct Route {
    pool: PoolConfig,
    live: Vec<bool>,
    /// From when on, ascending.
    versions: Vec<(Time, Router)>,
}

/// Where each key of one request lives; `None` if no server is live.
pub type Placement = Vec<Option<usize>>;

impl Route {
    pub fn new(pool: &PoolConfig) -> Route {
        let live = vec![true; pool.servers.len()];
        Route {
            versions: vec![(Time::ZERO, router(pool, &live))],
            pool: pool.clone(),
            live,
        }
    }

    pub fn set_pool(&mut self, pool: &PoolConfig, now: Time) {
        self.pool = pool.clone();
        self.versions.push((now, router(&self.pool, &self.live)));
    }

    pub fn set_live(&mut self, server: usize, live: bool, now: Time) {
        self.live[server] = live;
        self.versions.push((now, router(&self.pool, &self.live)));
    }

    /// The placements that were right at some time of the span, the moments of change included.
    pub fn placements(&self, keys: &[&[u8]], from: Time, to: Time) -> Vec<Placement> {
        // With `random` one draw places all keys of a request.
        let draws = match self.pool.mapping.distribution {
            Distribution::Random => 0..self.pool.servers.len(),
            _ => 0..1,
        };
        let mut placements = Vec::new();
        for (at, (since, router)) in self.versions.iter().enumerate() {
            let until = self.versions.get(at + 1).map(|(until, _)| *until);
            if *since > to || until.is_some_and(|until| until < from) {
                continue;
            }
            for draw in draws.clone() {
                let draw = u32::try_from(draw).expect("few servers");
                let place = |key: &&[u8]| Some(router.server(key, draw)?.index());
                placements.push(keys.iter().map(place).collect());
            }
        }
        placements
    }
}

fn router(pool: &PoolConfig, live: &[bool]) -> Router {
    let servers: Vec<RouterServer<'_>> = pool
        .servers
        .iter()
        .zip(live)
        .map(|(server, live)| RouterServer {
            name: &server.name,
            weight: server.weight,
            live: *live,
        })
        .collect();
    Router::new(&RouterSpec {
        hash: pool.mapping.hash,
        tag: pool.mapping.hash_tag,
        distribution: pool.mapping.distribution,
        servers: &servers,
    })
}
