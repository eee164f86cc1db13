//! The proxy's life: from a configuration to the last answer.
//!
//! Owns: the order of the start, what is given back at the end, the exit code. All that can fail
//! fails before the daemon leaves its terminal, or reaches it through the exit code.

mod crew;
mod error;
mod sockets;
mod source;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::num::NonZeroU32;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use rustix::system::uname;
use tracing::error;
use tracing::info;
use tracing::warn;

use crew::Crew;
use crew::seed;
use error::StartError;
use error::system;
use sockets::Sockets;
use sockets::address_of;
use sockets::open_admin;
use source::ConfigFile;
pub(super) use source::stamp_of;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::config::Config;
use crate::config::PoolConfig;
use crate::config::Table;
use crate::control;
use crate::control::Ending;
use crate::control::Names;
use crate::control::Numbers;
use crate::control::Probes;
use crate::control::Sentinels;
use crate::control::Signals;
use crate::control::Stamp;
use crate::control::StatsSource;
use crate::control::UpgradeSetup;
use crate::ejection::Ejector;
use crate::process::cli::NAME;
use crate::process::cli::Options;
use crate::process::cores;
use crate::process::daemon;
use crate::process::limits;
use crate::process::log;
use crate::process::log::Log;
use crate::process::memory_limit;
use crate::process::pid_file::PidFile;
use crate::process::say;
use crate::process::upgrade::Program;
use crate::reactor;
use crate::reactor::Admission;
use crate::reactor::Memory;
use crate::reactor::hand_over::Predecessor;
use crate::reactor::listener;
use crate::reactor::listener::Inherited;
use crate::reactor::listener::SocketFile;
use crate::stats::PoolShape;
use crate::stats::Shape;

/// How long clients have to get their answers after SIGTERM: requests in flight take milliseconds,
/// and service managers kill after 30 to 90 s.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// How long the start waits for names: a name server that is away must not keep the pools with
/// addresses from being served.
const NAMES_WITHIN: Duration = Duration::from_secs(5);

/// Serves `config` until told to end; `read` is how its file looked before it was read.
///
/// Until it does, the process that it takes over from, if any, is told why it cannot. The exit code
/// is 0 after a drain or when another process has taken over, 1 when it could not start, a worker failed, or a second signal
/// did not wait for the drain.
#[must_use]
pub fn serve(
    options: &Options,
    config: Config,
    read: Option<Stamp>,
    mut predecessor: Option<(Predecessor, Vec<OwnedFd>)>,
) -> ExitCode {
    let log = match log::init(
        options.output.as_deref(),
        options.log_format,
        options.verbosity,
    ) {
        Ok(log) => log,
        Err(error) => {
            refuse(predecessor, &error);
            say(&format!("{NAME}: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    for warning in config.warnings() {
        warn!("{warning}");
    }
    let ended = serve_and_say(options, config, read, &log, &mut predecessor);
    log.finish();
    ended
}

fn serve_and_say(
    options: &Options,
    config: Config,
    read: Option<Stamp>,
    log: &Log,
    predecessor: &mut Option<(Predecessor, Vec<OwnedFd>)>,
) -> ExitCode {
    match run(options, config, read, log, predecessor) {
        Ok(Ending::Drained) => {
            info!("ended");
            ExitCode::SUCCESS
        }
        Ok(Ending::HandedOver) => {
            info!("ended, another process serves");
            ExitCode::SUCCESS
        }
        Ok(Ending::CalledOff) => {
            warn!("ended, nothing was taken over");
            ExitCode::FAILURE
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
            // Before stderr, which may be a pipe that nobody reads.
            refuse(predecessor.take(), &error);
            if !log.is_stderr() {
                say(&format!("{NAME}: cannot start: {error}\n"));
            }
            ExitCode::FAILURE
        }
    }
}

fn refuse(predecessor: Option<(Predecessor, Vec<OwnedFd>)>, error: &impl Display) {
    if let Some((predecessor, _)) = predecessor {
        predecessor.refuse(&format!("cannot start: {error}"));
    }
}

fn run(
    options: &Options,
    config: Config,
    read: Option<Stamp>,
    log: &Log,
    predecessor: &mut Option<(Predecessor, Vec<OwnedFd>)>,
) -> Result<Ending, StartError> {
    #[allow(clippy::disallowed_methods, reason = "the top floor has a clock")]
    let started = Instant::now();
    let open_files = limits::raise()?;
    reactor::probe()?;
    let cores = cores::resolve(&options.cores)?;
    let memory_limit = memory_limit::resolve(options.memory_limit, cores.len())?;
    warn_of_few_files(&config, cores.len(), open_files);
    if options.daemonize {
        daemon::clear_umask();
    }
    let program = Program::of_this_process().map_err(system("path of the program"))?;
    let mut inherited = match predecessor {
        Some((_, sockets)) => Inherited::of(std::mem::take(sockets)),
        None => Inherited::of_systemd().map_err(StartError::Systemd)?,
    };
    let takes_over = predecessor.is_some();
    let sockets = Sockets::bind(&config, cores.len(), &mut inherited)?;
    let stats_address = address_of(&options.stats_addr, options.stats_port);
    let stats_listener = listener::bind_one("statistics", &stats_address, &mut inherited)?;
    let (mut admin, mut ctl_file) = open_admin(options, &mut inherited, takes_over)?;
    admin.recent = log.recent();
    for address in inherited.left() {
        warn!(
            address,
            "nothing of the configuration listens on this inherited socket"
        );
    }

    // Who takes over from a daemon is in its session already.
    let daemon = match options.daemonize && !takes_over {
        true => Some(daemon::daemonize()?),
        false => None,
    };
    // From here on there may be threads, and the process's number is the final one.
    log.start().map_err(system("thread of the log"))?;
    // Whoever reads the pid file may signal at once.
    let signals = Signals::register().map_err(system("signals"))?;
    let pid_file = Rc::new(RefCell::new(match takes_over {
        true => None,
        false => write_pid_file(options)?,
    }));
    let claim = {
        let (pid_file, options) = (Rc::clone(&pid_file), options.clone());
        move || {
            // The one that we had would take the new one away with it.
            drop(pid_file.take());
            match options.pid_file.as_deref().map(PidFile::replace) {
                Some(Ok(file)) => *pid_file.borrow_mut() = Some(file),
                Some(Err(error)) => error!("{error}"),
                None => {}
            }
        }
    };
    info!(
        version = env!("CARGO_PKG_VERSION"),
        pid = std::process::id(),
        memory_limit = memory_limit.map_or(0, NonZeroUsize::get),
        "starting"
    );
    let lookup = control::system_lookup();
    let mut names = Names::start(&config, &lookup, seed()?).map_err(system("resolver"))?;
    let sentinels = Sentinels::new(&config, &lookup, seed()?);
    names.wait(NAMES_WITHIN);
    let config = Arc::new(config);
    let shape = shape_of(&config);
    let clients_max = clients_max(&config, cores.len(), open_files);
    let admission = Arc::new(Admission::new(&config, clients_max));
    let source = Arc::new(ConfigFile::new(
        options.conf_file.clone(),
        cores.len(),
        open_files,
        Arc::clone(&admission),
        sockets.files,
    ));
    let (crew, inbox) = Crew::start(
        &config,
        &cores,
        &shape,
        sockets.of_workers,
        &[names.changes(), sentinels.changes()].concat(),
        (admission, Memory::new(memory_limit, cores.len())),
        predecessor.as_ref().map(|(old, _)| old.client_ids_from()),
    )?;
    let upgrade = UpgradeSetup {
        command: Box::new(move || program.command()),
        reclaim: Box::new(claim.clone()),
        predecessor: predecessor.take().map(|(predecessor, _)| predecessor),
        masters: followed(&config),
    };
    let setup = control::Setup {
        stats: StatsSource {
            numbers: RefCell::new(Numbers {
                shape,
                workers: crew.stats.clone(),
                client_limits: config
                    .pools
                    .iter()
                    .map(|pool| pool.limits.client_connections)
                    .collect(),
            }),
            host: uname().nodename().to_string_lossy().into_owned(),
            started,
            memory_limit,
        },
        stats_listener,
        admin,
        table: Arc::new(Table::new(Arc::clone(&config))),
        source: Arc::<ConfigFile>::clone(&source),
        read,
        reload_on_change: options.reload_on_change,
        required_servers: config
            .pools
            .iter()
            .map(|pool| pool.ready_servers.of(pool.servers.len()))
            .collect(),
        workers: crew.workers.clone(),
        inbox,
        names,
        sentinels,
        ejector: Ejector::new(&config),
        probes: Probes::new(&config),
        signals,
        log: Box::new(log.clone()),
        upgrade,
        ready: Box::new(move || {
            if takes_over {
                claim();
            }
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
    // Whoever serves from now on sees to them.
    let settle = |file: &mut SocketFile| match ending {
        Ok(Ending::HandedOver | Ending::CalledOff) => file.leave(),
        Ok(_) => file.own(),
        Err(_) => {}
    };
    source.each_file(settle);
    ctl_file.iter_mut().for_each(settle);
    drop((source, ctl_file, pid_file.take()));
    Ok(ending?)
}

/// The servers of which Sentinels say where they are.
fn followed(config: &Config) -> BTreeSet<(PoolIdx, ServerIdx)> {
    let pools = (0..).map(PoolIdx).zip(&config.pools);
    let pools = pools.filter(|(_, pool)| !pool.sentinels.addresses.is_empty());
    let servers = |(idx, pool): (PoolIdx, &PoolConfig)| {
        (0..)
            .map(ServerIdx)
            .zip(&pool.servers)
            .map(move |(server, _)| (idx, server))
            .collect::<Vec<_>>()
    };
    pools.flat_map(servers).collect()
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

fn shape_of(config: &Config) -> Shape {
    let pools = config.pools.iter().map(|pool| PoolShape {
        name: Arc::clone(&pool.name),
        servers: pool.servers.iter().map(|s| Arc::clone(&s.name)).collect(),
    });
    Shape {
        pools: pools.collect(),
    }
}
