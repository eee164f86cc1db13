//! What the system allows this process: descriptors, locked memory.
//!
//! Owns: raising soft limits to hard ones, and saying what a limit is too low for.

use rustix::process::Resource;
use rustix::process::Rlimit;
use rustix::process::getrlimit;
use rustix::process::setrlimit;
use thiserror::Error;

use crate::config::Config;
use crate::config::ReadFrom;
use crate::control::DESCRIPTORS_OF_ENDPOINTS;

/// glommio makes no executor with less, whatever the kernel would need.
const LOCKED_BYTES_MIN: u64 = 512 << 10;

/// Log, statistics, mailboxes, rings, epoch of the control plane; twemproxy keeps 32 aside.
const DESCRIPTORS_OF_PROCESS: u64 = 64;

/// A worker's ring, mailbox and the like.
const DESCRIPTORS_OF_WORKER: u64 = 8;

/// Why the process cannot run.
#[derive(Debug, Error)]
pub(super) enum LimitError {
    /// Locked memory.
    #[error(
        "the limit of locked memory is {limit} bytes and {LOCKED_BYTES_MIN} are needed: raise it \
         (`ulimit -l`, systemd: `LimitMEMLOCK=`, docker: `--ulimit memlock=`)"
    )]
    LockedMemory {
        /// What the system allows.
        limit: u64,
    },
}

/// Raises what can be raised. Returns how many files may be open; `None` is without limit.
///
/// # Errors
///
/// When what is left is too little to run at all.
pub(super) fn raise() -> Result<Option<u64>, LimitError> {
    let locked = raise_soft(Resource::Memlock);
    if let Some(limit) = locked.filter(|limit| *limit < LOCKED_BYTES_MIN) {
        // Only the privileged can.
        let enough = Some(LOCKED_BYTES_MIN);
        let wanted = Rlimit {
            current: enough,
            maximum: enough,
        };
        setrlimit(Resource::Memlock, wanted).map_err(|_| LimitError::LockedMemory { limit })?;
    }
    Ok(raise_soft(Resource::Nofile))
}

fn raise_soft(resource: Resource) -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(resource);
    let wanted = Rlimit {
        current: maximum,
        maximum,
    };
    match setrlimit(resource, wanted) {
        Ok(()) => maximum,
        // What was, is.
        Err(_) => current,
    }
}

/// What the limit of open files is too low for, as a log line says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooFewFiles {
    /// The limit.
    pub(super) open_files: u64,
    /// What is left of it for clients, when every server connection is open.
    pub(super) clients: u64,
    /// How many clients the configuration allows; `None` sets no limit.
    pub(super) wanted: Option<u64>,
}

/// How many replicas of a server are read is known later; most have two.
const REPLICAS_GUESSED: u64 = 2;

/// A thousand clients are few for a proxy without `client_connections`.
const CLIENTS_FEW: u64 = 1000;

/// How many clients `open_files` leave room for, when every server connection is open.
#[must_use]
pub(super) fn clients_left(config: &Config, workers: usize, open_files: u64) -> u64 {
    let workers = workers as u64;
    let per_worker = |pool: &crate::config::PoolConfig| {
        let ends = match pool.replicas.read_from {
            ReadFrom::Master => 1,
            ReadFrom::PreferReplica | ReadFrom::Replica => 1 + REPLICAS_GUESSED,
        };
        1 + ends * pool.servers.len() as u64 * u64::from(pool.connections.per_server.get())
    };
    let servers: u64 = config.pools.iter().map(per_worker).sum::<u64>() * workers;
    let endpoints = DESCRIPTORS_OF_ENDPOINTS as u64;
    let kept = servers + DESCRIPTORS_OF_PROCESS + endpoints + DESCRIPTORS_OF_WORKER * workers;
    open_files.saturating_sub(kept)
}

/// Whether `open_files` are enough for `config` on so many workers.
#[must_use]
pub(super) fn check_files(config: &Config, workers: usize, open_files: u64) -> Option<TooFewFiles> {
    let clients = clients_left(config, workers, open_files);
    let wanted = config
        .pools
        .iter()
        .map(|pool| {
            pool.limits
                .client_connections
                .map(|limit| u64::from(limit.get()))
        })
        .sum::<Option<u64>>();
    (clients < wanted.unwrap_or(CLIENTS_FEW)).then_some(TooFewFiles {
        open_files,
        clients,
        wanted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(clients: &str) -> Config {
        let text = format!(
            "a:\n  listen: 127.0.0.1:1\n  redis: true\n  server_connections: 2\n{clients}  \
             servers:\n  - 127.0.0.1:2:1\n  - 127.0.0.1:3:1\n"
        );
        Config::parse(&text, "test.yml").expect("a good configuration")
    }

    #[test]
    fn the_soft_limit_of_files_becomes_the_hard_one() {
        let hard = getrlimit(Resource::Nofile).maximum;
        assert_eq!(raise().expect("memory that may be locked"), hard);
        assert_eq!(getrlimit(Resource::Nofile).current, hard);
    }

    #[test]
    fn too_few_files_for_the_clients_that_are_allowed_are_noticed() {
        // 4 workers: (1 listener + 2 servers of 2 connections + 8) each, 64, and four endpoints of 16.
        let kept = 4 * (1 + 4 + 8) + 64 + 64;
        let limited = config("  client_connections: 500\n");
        assert_eq!(check_files(&limited, 4, kept + 500), None);
        let too_few = check_files(&limited, 4, kept + 499).expect("one too few");
        assert_eq!((too_few.clients, too_few.wanted), (499, Some(500)));
        assert_eq!(check_files(&config(""), 4, kept + 1000), None);
        let too_few = check_files(&config(""), 4, 50).expect("far too few");
        assert_eq!((too_few.clients, too_few.wanted), (0, None));
    }
}
