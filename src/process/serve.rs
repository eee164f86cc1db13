//! The proxy's life: from a configuration to the last answer.
//!
//! Owns: the order of the start, what is given back at the end, the exit code. All that can fail
//! fails before the daemon leaves its terminal, or reaches it through the exit code.

use std::io;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::num::NonZeroUsize;
use std::num::TryFromIntError;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use core_affinity::CoreId;
use rustix::rand::GetRandomFlags;
use rustix::rand::getrandom;
use rustix::system::uname;
use thiserror::Error;
use tracing::error;
use tracing::info;
use tracing::warn;

use crate::base::PoolIdx;
use crate::base::WorkerIdx;
use crate::config::Config;
use crate::config::HostPort;
use crate::config::Protocol;
use crate::control;
use crate::control::AdminSetup;
use crate::control::ControlError;
use crate::control::Ending;
use crate::control::HealthFile;
use crate::control::Names;
use crate::control::Probes;
use crate::control::Sentinels;
use crate::control::Signals;
use crate::control::StatsSource;
use crate::process::cli::NAME;
use crate::process::cli::Options;
use crate::process::cores;
use crate::process::cores::CoresError;
use crate::process::daemon;
use crate::process::daemon::DaemonError;
use crate::process::limits;
use crate::process::limits::LimitError;
use crate::process::log;
use crate::process::log::Log;
use crate::process::memory_limit;
use crate::process::memory_limit::MemoryLimitError;
use crate::process::pid_file::PidFile;
use crate::process::pid_file::PidFileError;
use crate::proxy::Change;
use crate::proxy::Fates;
use crate::reactor;
use crate::reactor::Admission;
use crate::reactor::Clock;
use crate::reactor::FromWorker;
use crate::reactor::Memory;
use crate::reactor::Receiver;
use crate::reactor::RingError;
use crate::reactor::Sender;
use crate::reactor::ToWorker;
use crate::reactor::WorkerSetup;
use crate::reactor::listener;
use crate::reactor::listener::ListenError;
use crate::reactor::listener::SocketFile;
use crate::reactor::mailbox;
use crate::stats::PoolShape;
use crate::stats::Shape;
use crate::stats::WorkerStats;

/// How long clients have to get their answers after SIGTERM: requests in flight take milliseconds,
/// and service managers kill after 30 to 90 s.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// How long the start waits for names: a name server that is away must not keep the pools with
/// addresses from being served.
const NAMES_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, Error)]
enum StartError {
    #[error(
        "pool {0}: memcached is not served yet; for Redis servers say `redis: true` in the pool"
    )]
    Memcached(Arc<str>),
    #[error(transparent)]
    Limit(#[from] LimitError),
    #[error(transparent)]
    Ring(#[from] RingError),
    #[error("--cores: {0}")]
    Cores(#[from] CoresError),
    #[error("--memory-limit: {0}")]
    Memory(#[from] MemoryLimitError),
    #[error("{0} workers are too many")]
    Workers(usize),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    #[error(transparent)]
    PidFile(#[from] PidFileError),
    #[error("the system gives no {what}: {source}")]
    System {
        what: &'static str,
        source: io::Error,
    },
    #[error("cannot write the health file {}: {source}", .path.display())]
    HealthFile { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// Serves `config` until told to end.
///
/// The exit code is 0 after a drain, 1 when it could not start, a worker failed, or a second signal
/// did not wait for the drain.
#[must_use]
pub fn serve(options: &Options, config: Config) -> ExitCode {
    let log = match log::init(options.output.as_deref(), options.verbosity) {
        Ok(log) => log,
        Err(error) => {
            eprintln!("{NAME}: {error}");
            return ExitCode::FAILURE;
        }
    };
    for warning in config.warnings() {
        warn!("{warning}");
    }
    match run(options, config, &log) {
        Ok(Ending::Drained) => {
            info!("ended");
            ExitCode::SUCCESS
        }
        Ok(Ending::Interrupted) => {
            warn!("ended without waiting for clients");
            ExitCode::FAILURE
        }
        Ok(Ending::WorkerFailed { worker, error }) => {
            error!(worker = worker.0, error, "ended because a worker failed");
            ExitCode::FAILURE
        }
        Err(error) => {
            error!("cannot start: {error}");
            if !log.is_stderr() {
                eprintln!("{NAME}: cannot start: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options, config: Config, log: &Log) -> Result<Ending, StartError> {
    #[allow(clippy::disallowed_methods, reason = "the top floor has a clock")]
    let started = Instant::now();
    refuse_memcached(&config)?;
    let open_files = limits::raise()?;
    reactor::probe()?;
    let cores = cores::resolve(&options.cores)?;
    let memory_limit = memory_limit::resolve(options.memory_limit, cores.len())?;
    warn_of_few_files(&config, cores.len(), open_files);
    if options.daemonize {
        daemon::clear_umask();
    }
    let sockets = Sockets::bind(&config, cores.len())?;
    let stats_address = address_of(&options.stats_addr, options.stats_port);
    let stats_listener = listener::bind_one("statistics", &stats_address)?;
    let (admin, ctl_file) = open_admin(options)?;

    let daemon = match options.daemonize {
        true => Some(daemon::daemonize()?),
        false => None,
    };
    // From here on there may be threads, and the process's number is the final one.
    let pid_file = write_pid_file(options)?;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        pid = std::process::id(),
        memory_limit = memory_limit.map_or(0, NonZeroUsize::get),
        "starting"
    );
    let signals = Signals::register().map_err(system("signals"))?;
    let lookup = control::system_lookup();
    let mut names = Names::start(&config, &lookup, seed()?).map_err(system("resolver"))?;
    let sentinels = Sentinels::new(&config, &lookup, seed()?);
    names.wait(NAMES_WITHIN);
    let config = Arc::new(config);
    let shape = shape_of(&config);
    let admission = Admission::new(&config, clients_max(&config, cores.len(), open_files));
    let (crew, inbox) = Crew::start(
        &config,
        &cores,
        &shape,
        sockets.of_workers,
        &[names.changes(), sentinels.changes()].concat(),
        (admission, Memory::new(memory_limit, cores.len())),
    )?;
    let setup = control::Setup {
        stats: StatsSource {
            shape,
            workers: crew.stats.clone(),
            host: uname().nodename().to_string_lossy().into_owned(),
            started,
        },
        stats_listener,
        admin,
        required_servers: config
            .pools
            .iter()
            .map(|pool| pool.ready_servers.of(pool.servers.len()))
            .collect(),
        workers: crew.workers.clone(),
        inbox,
        names,
        sentinels,
        fates: Fates::new(&config),
        probes: Probes::new(&config),
        signals,
        log: Box::new(log.clone()),
        ready: Box::new(move || {
            if let Some(Err(error)) = daemon.map(daemon::Daemon::ready) {
                error!(%error, "the terminal was not let go");
            }
        }),
        drain_within: DRAIN_WITHIN,
    };
    let ending = control::run(setup);
    if ending.is_err() {
        crew.stop();
    }
    drop((sockets.files, ctl_file, pid_file));
    Ok(ending?)
}

/// What of the admin side was asked for, and the control socket's file, to be removed at the end.
fn open_admin(options: &Options) -> Result<(AdminSetup, Option<SocketFile>), StartError> {
    let mut admin = AdminSetup::default();
    if let Some(address) = &options.admin {
        admin.http = Some(listener::bind_one("--admin", address)?);
        info!(%address, "admin side listens");
    }
    if let Some(address) = &options.health {
        admin.health_port = Some(listener::bind_silent("--health", address)?);
    }
    let mut file = None;
    if let Some(path) = &options.ctl {
        let (listener, socket_file) = listener::bind_private("--ctl", path)?;
        (admin.ctl, file) = (Some(listener), Some(socket_file));
    }
    // Last: as long as it is here and we are not, it says so.
    if let Some(path) = &options.health_file {
        let failed = |source| StartError::HealthFile {
            path: path.clone(),
            source,
        };
        admin.health_file = Some(HealthFile::create(path).map_err(failed)?);
    }
    Ok((admin, file))
}

fn refuse_memcached(config: &Config) -> Result<(), StartError> {
    let mut pools = config.pools.iter();
    match pools.find(|pool| pool.protocol == Protocol::Memcached) {
        Some(pool) => Err(StartError::Memcached(Arc::clone(&pool.name))),
        None => Ok(()),
    }
}

/// With fewer than one nobody could be told why.
fn clients_max(config: &Config, workers: usize, open_files: Option<u64>) -> Option<NonZeroU32> {
    let left = limits::clients_left(config, workers, open_files?);
    Some(u32::try_from(left).map_or(NonZeroU32::MAX, |left| {
        NonZeroU32::new(left).unwrap_or(NonZeroU32::MIN)
    }))
}

fn warn_of_few_files(config: &Config, workers: usize, open_files: Option<u64>) {
    let too_few = open_files.and_then(|limit| limits::check_files(config, workers, limit));
    if let Some(few) = too_few {
        warn!(
            limit = few.open_files,
            left_for_clients = few.clients,
            wanted = few.wanted,
            "few open files; raise the limit (`ulimit -n`, systemd: `LimitNOFILE=`)"
        );
    }
}

// twemproxy writes it only as a daemon. In the foreground a path that cannot be written, which
// twemproxy does not notice, is no reason not to serve.
fn write_pid_file(options: &Options) -> Result<Option<PidFile>, StartError> {
    let Some(path) = &options.pid_file else {
        return Ok(None);
    };
    match PidFile::create(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if options.daemonize => Err(error.into()),
        Err(error) => {
            warn!("{error}");
            Ok(None)
        }
    }
}

fn address_of(host: &str, port: u16) -> HostPort {
    match host.parse::<IpAddr>() {
        Ok(ip) => HostPort::Ip((ip, port).into()),
        Err(_) => HostPort::Name {
            host: Arc::from(host),
            port,
        },
    }
}

fn shape_of(config: &Config) -> Shape {
    let pools = config.pools.iter().map(|pool| PoolShape {
        name: Arc::clone(&pool.name),
        servers: pool.servers.iter().map(|s| Arc::clone(&s.name)).collect(),
    });
    Shape {
        pools: pools.collect(),
    }
}

fn system(what: &'static str) -> impl Fn(io::Error) -> StartError {
    move |source| StartError::System { what, source }
}

/// The listening sockets of all pools.
struct Sockets {
    /// One list for each worker.
    of_workers: Vec<Vec<(PoolIdx, OwnedFd)>>,
    /// Removed at the end.
    files: Vec<SocketFile>,
}

impl Sockets {
    fn bind(config: &Config, workers: usize) -> Result<Sockets, ListenError> {
        let mut sockets = Sockets {
            of_workers: (0..workers).map(|_| Vec::new()).collect(),
            files: Vec::new(),
        };
        for (idx, pool) in (0..).map(PoolIdx).zip(&config.pools) {
            let bound = listener::bind(pool, workers)?;
            for (worker, socket) in sockets.of_workers.iter_mut().zip(bound.sockets) {
                worker.push((idx, socket));
            }
            sockets.files.extend(bound.file);
            info!(pool = %pool.name, address = %pool.listen, "listening");
        }
        Ok(sockets)
    }
}

/// The workers, as the control plane speaks to them.
struct Crew {
    workers: Vec<Sender<ToWorker>>,
    stats: Vec<Arc<WorkerStats>>,
}

impl Crew {
    fn start(
        config: &Arc<Config>,
        cores: &[CoreId],
        shape: &Shape,
        sockets: Vec<Vec<(PoolIdx, OwnedFd)>>,
        known: &[Change],
        (admission, memory): (Admission, Memory),
    ) -> Result<(Crew, Receiver<FromWorker>), StartError> {
        let clock = Clock::start();
        let count = u16::try_from(cores.len())
            .map_err(|_: TryFromIntError| StartError::Workers(cores.len()))?;
        let (admission, memory) = (Arc::new(admission), Arc::new(memory));
        let (outbox, inbox) = mailbox().map_err(system("socket pair"))?;
        let known: Vec<_> = known.iter().cloned().map(Arc::new).collect();
        let mut crew = Crew {
            workers: Vec::new(),
            stats: Vec::new(),
        };
        for (idx, (core, listeners)) in (0..).zip(cores.iter().zip(sockets)) {
            let stats = Arc::new(WorkerStats::new(shape));
            let (sender, receiver) = mailbox().map_err(system("socket pair"))?;
            for change in &known {
                sender.send(ToWorker::Change(Arc::clone(change)));
            }
            let spawned = reactor::spawn(WorkerSetup {
                idx: WorkerIdx(idx),
                workers: count,
                core: Some(*core),
                listeners,
                config: Arc::clone(config),
                stats: Arc::clone(&stats),
                admission: Arc::clone(&admission),
                memory: Arc::clone(&memory),
                inbox: receiver,
                outbox: outbox.clone(),
                seed: seed()?,
                clock,
            });
            if let Err(error) = spawned {
                crew.stop();
                return Err(system("thread")(error));
            }
            crew.workers.push(sender);
            crew.stats.push(stats);
        }
        Ok((crew, inbox))
    }

    fn stop(&self) {
        for worker in &self.workers {
            worker.send(ToWorker::Stop);
        }
    }
}

fn seed() -> Result<u64, StartError> {
    let mut bytes = [0; 8];
    // 8 bytes come whole (getrandom(2)).
    getrandom(&mut bytes, GetRandomFlags::empty())
        .map_err(|errno| system("random numbers")(errno.into()))?;
    Ok(u64::from_ne_bytes(bytes))
}
