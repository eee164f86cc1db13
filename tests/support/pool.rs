//! A pool of the configuration file, written with as few words as a test needs.

use std::fmt::Display;

use super::Listen;
use super::Memcached;
use super::Redis;

/// A pool whose servers are named `s1`, `s2` and so on: their keys do not depend on ports.
#[derive(Clone, Debug)]
pub struct Pool {
    name: String,
    listen: Option<String>,
    lines: String,
    servers: Vec<String>,
}

impl Pool {
    /// A pool of Redis servers.
    pub fn new(name: &str) -> Pool {
        Pool {
            name: name.to_owned(),
            listen: None,
            lines: "  redis: true\n".to_owned(),
            servers: Vec::new(),
        }
    }

    /// A pool of memcacheds.
    pub fn memcached(name: &str) -> Pool {
        Pool {
            lines: "  redis: false
"
            .to_owned(),
            ..Pool::new(name)
        }
    }

    /// The same over `servers`.
    pub fn over_memcached(name: &str, servers: &[Memcached]) -> Pool {
        let servers = servers.iter();
        servers.fold(Pool::memcached(name), |pool, memcached| {
            pool.server(memcached.address())
        })
    }

    /// One of Redis over `servers`.
    pub fn over(name: &str, servers: &[Redis]) -> Pool {
        servers
            .iter()
            .fold(Pool::new(name), |pool, redis| pool.server(redis.address()))
    }

    /// Adds a key of the pool.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Display) -> Pool {
        self.lines += &format!("  {key}: {value}\n");
        self
    }

    /// Listens where it says in place of a fresh TCP port.
    #[must_use]
    pub fn listening_on(mut self, listen: impl Display) -> Pool {
        self.listen = Some(listen.to_string());
        self
    }

    /// Adds a server: `host:port`, or a path.
    #[must_use]
    pub fn server(mut self, address: impl Display) -> Pool {
        self.servers.push(address.to_string());
        self
    }

    /// The name of the server that was added as the `place`th, from 0.
    pub fn server_name(place: usize) -> String {
        format!("s{}", place + 1)
    }

    /// Its lines of the file.
    pub fn yml(&self, listen: &mut Listen) -> String {
        match &self.listen {
            Some(listen) => self.yml_at(listen),
            None => self.yml_at(listen.tcp(&self.name)),
        }
    }

    /// The same, where it is to listen at `address`.
    pub fn yml_at(&self, address: impl Display) -> String {
        let mut yml = format!(
            "{}:\n  listen: {address}\n{}  servers:\n",
            self.name, self.lines
        );
        for (place, server) in self.servers.iter().enumerate() {
            yml += &format!("    - {server}:1 {}\n", Pool::server_name(place));
        }
        yml
    }
}
