//! The sockets on which the process listens.
//!
//! Owns: which of them were asked for, and the order in which they are opened. Never: how one is
//! opened (`reactor/listener`).

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::system::uname;
use tracing::info;

use super::error::StartError;
use crate::base::PoolIdx;
use crate::config::Config;
use crate::config::HostPort;
use crate::config::ListenAddress;
use crate::control::AdminActions;
use crate::control::AdminSetup;
use crate::control::HealthFile;
use crate::process::cli::Options;
use crate::reactor::listener;
use crate::reactor::listener::Inherited;
use crate::reactor::listener::ListenError;
use crate::reactor::listener::SocketFile;

/// The listening sockets of all pools.
pub(super) struct Sockets {
    /// One list for each worker.
    pub(super) of_workers: Vec<Vec<(PoolIdx, OwnedFd)>>,
    /// Of pools that listen on a path.
    pub(super) files: Vec<(PathBuf, SocketFile)>,
}

impl Sockets {
    pub(super) fn bind(
        config: &Config,
        workers: usize,
        inherited: &mut Inherited,
    ) -> Result<Sockets, ListenError> {
        let mut sockets = Sockets {
            of_workers: (0..workers).map(|_| Vec::new()).collect(),
            files: Vec::new(),
        };
        for (idx, pool) in (0..).map(PoolIdx).zip(&config.pools) {
            let bound = listener::bind_or_take(pool, workers, inherited)?;
            for (nth, socket) in bound.sockets.into_iter().enumerate() {
                sockets.of_workers[nth % workers].push((idx, socket));
            }
            if let (ListenAddress::Unix { path, .. }, Some(file)) =
                (&pool.listen.address, bound.file)
            {
                sockets.files.push((path.clone(), file));
            }
            info!(pool = %pool.name, address = %pool.listen.address, "listening");
        }
        Ok(sockets)
    }
}

/// What of the admin side was asked for, and the control socket's file, to be removed at the end.
pub(super) fn open_admin(
    options: &Options,
    inherited: &mut Inherited,
    takes_over: bool,
) -> Result<(AdminSetup, Option<SocketFile>), StartError> {
    let mut admin = AdminSetup::default();
    if let Some(address) = &options.admin {
        admin.http = Some(listener::bind_one("--admin", address, inherited)?);
        info!(%address, actions = options.admin_actions, "admin side listens");
        admin.actions = options.admin_actions.then(|| AdminActions {
            names: names_of(address),
        });
    }
    if let Some(address) = &options.health {
        admin.health_means = options.health_means;
        admin.health_port = Some(listener::bind_silent("--health", address, inherited)?);
    }
    let mut file = None;
    if let Some(path) = &options.ctl {
        let (listener, socket_file) = listener::bind_private("--ctl", path, inherited)?;
        (admin.ctl, file) = (Some(listener), Some(socket_file));
    }
    // Last: as long as it is here and we are not, it says so.
    if let Some(path) = &options.health_file {
        let failed = |source| StartError::HealthFile {
            path: path.clone(),
            source,
        };
        admin.health_file = Some(match takes_over {
            true => HealthFile::of_another(path),
            false => HealthFile::create(path).map_err(failed)?,
        });
    }
    Ok((admin, file))
}

/// What people type to see the page, but for addresses.
fn names_of(address: &HostPort) -> Vec<String> {
    let host = uname().nodename().to_string_lossy().into_owned();
    let mut names = vec!["localhost".to_owned(), host];
    if let HostPort::Name { host, .. } = address {
        names.push(host.to_string());
    }
    names
}

/// Where statistics are asked for: twemproxy takes the host and the port apart.
pub(super) fn address_of(host: &str, port: u16) -> HostPort {
    match host.parse::<IpAddr>() {
        Ok(ip) => HostPort::Ip((ip, port).into()),
        Err(_) => HostPort::Name {
            host: Arc::from(host),
            port,
        },
    }
}
