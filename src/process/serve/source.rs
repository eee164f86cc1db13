//! The configuration file and the pools' sockets, for reloads.
//!
//! Owns: which socket stays, which is opened and which is closed when the configuration changes; the
//! files of Unix sockets. A socket belongs to its address: a pool that gets another's address gets
//! its socket, with all who wait to be accepted there. Never: decides when; tells a worker.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tracing::info;
use tracing::warn;

use super::clients_max;
use super::warn_of_few_files;
use crate::base::PoolIdx;
use crate::config::Config;
use crate::config::ListenAddress;
use crate::config::PoolConfig;
use crate::config::Table;
use crate::control::Commit;
use crate::control::Prepared;
use crate::control::Source;
use crate::control::Stamp;
use crate::process::conf_file;
use crate::reactor::Admission;
use crate::reactor::Kept;
use crate::reactor::Renewal;
use crate::reactor::ToWorker;
use crate::reactor::listener;
use crate::reactor::listener::Bound;
use crate::reactor::listener::SocketFile;

/// The configuration file of a process that serves.
pub(super) struct ConfigFile {
    /// Absolute: a daemon may be elsewhere by then.
    path: PathBuf,
    workers: usize,
    open_files: Option<u64>,
    held: Arc<Mutex<Held>>,
}

/// What the process holds for the configuration that is served.
struct Held {
    admission: Arc<Admission>,
    // Of pools that listen on a path; removed when they are dropped.
    files: HashMap<PathBuf, SocketFile>,
}

/// Sockets of pools that listen where nobody listened before.
struct Opened {
    // By position in the configuration.
    sockets: Vec<(usize, Vec<Arc<OwnedFd>>)>,
    files: Vec<(PathBuf, SocketFile)>,
}

impl ConfigFile {
    pub(super) fn new(
        path: PathBuf,
        workers: usize,
        open_files: Option<u64>,
        admission: Arc<Admission>,
        files: Vec<(PathBuf, SocketFile)>,
    ) -> ConfigFile {
        let files = files.into_iter().collect();
        ConfigFile {
            // Fails only where there is no working directory, and then the file is there as it is.
            path: std::path::absolute(&path).unwrap_or(path),
            workers,
            open_files,
            held: Arc::new(Mutex::new(Held { admission, files })),
        }
    }

    /// Calls `act` with every Unix socket's file.
    pub(super) fn each_file(&self, act: impl FnMut(&mut SocketFile)) {
        lock(&self.held).files.values_mut().for_each(act);
    }

    fn open(&self, served: &Config, config: &Config) -> Result<Opened, Vec<String>> {
        let mut opened = Opened {
            sockets: Vec::new(),
            files: Vec::new(),
        };
        let mut problems = Vec::new();
        let is_new = |pool: &PoolConfig| served.pools.iter().all(|other| !same_place(other, pool));
        for (position, pool) in config.pools.iter().enumerate() {
            if !is_new(pool) {
                continue;
            }
            match listener::bind(pool, self.workers) {
                Ok(Bound { sockets, file, .. }) => {
                    let sockets = sockets.into_iter().map(Arc::new).collect();
                    opened.sockets.push((position, sockets));
                    if let (ListenAddress::Unix { path, .. }, Some(file)) =
                        (&pool.listen.address, file)
                    {
                        opened.files.push((path.clone(), file));
                    }
                }
                Err(error) => problems.push(error.to_string()),
            }
        }
        match problems.is_empty() {
            true => Ok(opened),
            false => Err(problems),
        }
    }
}

impl Source for ConfigFile {
    fn prepare(&self, served: &Config) -> Result<Prepared, Vec<String>> {
        let read = conf_file::read(&self.path);
        let config = read.map_err(|errors| {
            errors
                .to_string()
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })?;
        refuse_other_protocols(served, &config)?;
        let opened = self.open(served, &config)?;
        let clients_max = clients_max(&config, self.workers, self.open_files);
        let (workers, open_files) = (self.workers, self.open_files);
        let held = Arc::clone(&self.held);
        let commit = move |commit: Commit<'_>| {
            warn_of_few_files(commit.reload.table.config(), workers, open_files);
            lock(&held).commit(commit, opened, clients_max)
        };
        Ok(Prepared {
            config,
            commit: Box::new(commit),
        })
    }

    fn stamp(&self) -> Option<Stamp> {
        stamp_of(&self.path)
    }
}

/// A pool's clients, and its server connections, are in the middle of what they speak.
fn refuse_other_protocols(served: &Config, config: &Config) -> Result<(), Vec<String>> {
    let speaks_other = |pool: &&PoolConfig| {
        let mut served = served.pools.iter();
        let before = served.find(|before| before.name == pool.name);
        before.is_some_and(|before| before.protocol != pool.protocol)
    };
    let pools = config.pools.iter().filter(speaks_other);
    let problems: Vec<String> = pools
        .map(|pool| {
            let name = &pool.name;
            format!("pool {name}: `redis` cannot change while the pool is served; give the pool another name")
        })
        .collect();
    match problems.is_empty() {
        true => Ok(()),
        false => Err(problems),
    }
}

/// What the file in `path` looks like from outside.
pub(in crate::process) fn stamp_of(path: &Path) -> Option<Stamp> {
    let file = std::fs::metadata(path).ok()?;
    let written = i128::from(file.mtime()) * 1_000_000_000 + i128::from(file.mtime_nsec());
    Some(Stamp {
        inode: (file.dev(), file.ino()),
        written,
        bytes: file.size(),
    })
}

impl Held {
    fn commit(
        &mut self,
        commit: Commit<'_>,
        opened: Opened,
        clients_max: Option<NonZeroU32>,
    ) -> Vec<ToWorker> {
        let table = Arc::clone(&commit.reload.table);
        self.admission = Arc::new(self.admission.next(&table, clients_max));
        self.change_files(commit.was, &table, opened.files);
        let kept = kept(commit.was, &table);
        let mut sockets: Vec<Vec<(PoolIdx, Arc<OwnedFd>)>> = Vec::new();
        sockets.resize_with(commit.stats.len(), Vec::new);
        let places: Vec<PoolIdx> = table.pools().map(|(idx, _)| idx).collect();
        for (position, of_pool) in opened.sockets {
            let idx = places[position];
            let pool = &table.config().pools[position];
            info!(pool = %pool.name, address = %pool.listen.address, "listening");
            for (worker, socket) in sockets.iter_mut().zip(of_pool) {
                worker.push((idx, socket));
            }
        }
        let workers = commit.stats.into_iter().zip(sockets);
        workers
            .map(|(stats, opened)| {
                ToWorker::Reload(Arc::new(Renewal {
                    reload: commit.reload.clone(),
                    stats,
                    admission: Arc::clone(&self.admission),
                    kept: kept.clone(),
                    opened,
                }))
            })
            .collect()
    }

    fn change_files(&mut self, was: &Table, table: &Table, opened: Vec<(PathBuf, SocketFile)>) {
        self.files.extend(opened);
        let mut modes = HashMap::new();
        for pool in &table.config().pools {
            if let ListenAddress::Unix { path, mode } = &pool.listen.address {
                modes.insert(path.clone(), *mode);
            }
        }
        self.files.retain(|path, file| {
            let stays = modes.contains_key(path);
            if !stays {
                // Also one that was taken over: nobody else serves now.
                file.own();
            }
            stays
        });
        for pool in &was.config().pools {
            let ListenAddress::Unix { path, mode: before } = &pool.listen.address else {
                continue;
            };
            let Some(Some(mode)) = modes.get(path).filter(|mode| *mode != before) else {
                continue;
            };
            let permissions = std::fs::Permissions::from_mode(*mode);
            if let Err(error) = std::fs::set_permissions(path, permissions) {
                warn!(path = %path.display(), %error, "permissions not changed");
            }
        }
    }
}

/// The listeners of addresses that both tables have.
fn kept(was: &Table, table: &Table) -> Vec<Kept> {
    let mut kept = Vec::new();
    for (is, pool) in table.pools() {
        let mut before = was.pools();
        if let Some((was, _)) = before.find(|(_, before)| same_place(before, pool)) {
            kept.push(Kept {
                was,
                is,
                backlog: pool.listen.backlog,
                keepalive: pool.listen.tcpkeepalive,
            });
        }
    }
    kept
}

/// Whether two pools listen on the same socket.
fn same_place(a: &PoolConfig, b: &PoolConfig) -> bool {
    match (&a.listen.address, &b.listen.address) {
        (ListenAddress::Unix { path: a, .. }, ListenAddress::Unix { path: b, .. }) => a == b,
        (a, b) => a == b,
    }
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
