//! Opens the listening sockets of a pool: one for each worker.
//!
//! Owns: binding, the options that accepted sockets inherit, a Unix socket's file. Never: accepts.
//! Lives at the start, before there are workers.

mod inherited;

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::net::ToSocketAddrs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::event::poll;
use socket2::Domain;
use socket2::Protocol;
use socket2::SockAddr;
use socket2::SockRef;
use socket2::Socket;
use socket2::TcpKeepalive;
use socket2::Type;
use thiserror::Error;

use crate::config::HostPort;
use crate::config::ListenAddress;
use crate::config::PoolConfig;

pub use inherited::Inherited;

/// What the kernel takes of a client's replies beyond what the client has room for. Without a limit
/// it takes megabytes for each client that does not read, which no limit of ours knows of; a
/// thousand of them slow down every socket of the host.
const UNSENT_BYTES_MAX: u32 = 256 << 10;

/// A client that has vanished without a word, with `tcpkeepalive`: by probes if it is idle, and by
/// what it does not acknowledge, or has no room for, if it is owed something. The kernel's own two
/// hours, and sixteen minutes, are for lines that may come back.
const CLIENT_PROBES: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(30));
const CLIENT_SILENCE_MAX: Duration = Duration::from_secs(300);

/// The open sockets of a pool.
#[derive(Debug)]
pub struct Bound {
    /// Listening, as many as workers were asked for, or more if more were open already. TCP sockets share the port
    /// (the kernel spreads clients over them), Unix sockets are one socket.
    pub sockets: Vec<OwnedFd>,
    /// Where TCP sockets listen; the port is the kernel's choice when the file said 0.
    pub address: Option<SocketAddr>,
    /// A Unix socket's file, removed when this is dropped.
    pub file: Option<SocketFile>,
}

/// Why a socket could not be opened.
#[derive(Debug, Error)]
#[error("{owner}: cannot listen on {address}: {kind}")]
pub struct ListenError {
    /// `pool alpha`, `statistics`.
    pub owner: String,
    /// As in the file.
    pub address: String,
    /// The cause.
    #[source]
    pub kind: ListenErrorKind,
}

/// The causes, each with what to do about it.
#[derive(Debug, Error)]
pub enum ListenErrorKind {
    /// Another process, or another pool, listens there.
    #[error("the port is in use; `ss -ltnp` shows by whom")]
    PortTaken,
    /// The address is of another host.
    #[error(
        "not an address of this host; a virtual IP that is not here yet can be listened on with \
         `freebind: true`"
    )]
    NotLocal,
    /// A port below 1024.
    #[error(
        "ports below {0} are for root; use another, or give the program CAP_NET_BIND_SERVICE, or \
         lower net.ipv4.ip_unprivileged_port_start"
    )]
    PrivilegedPort(u16),
    /// The host is a name that does not resolve.
    #[error("the name does not resolve: {0}")]
    Name(io::Error),
    /// Another process answers on the Unix socket.
    #[error("it is in use by another process")]
    PathTaken,
    /// There is a file of that name.
    #[error("there is a file of that name that is not a socket")]
    NotASocket,
    /// The directory is missing, or not for us, or the path is too long.
    #[error("{0}; is the directory there, and writable for the user of the program?")]
    Path(io::Error),
    /// The rest.
    #[error("{0}")]
    Os(io::Error),
}

/// Opens the listening sockets of `pool`, one for each of `workers`.
///
/// # Errors
///
/// With the likely cause; a second process on the same port is refused, although the workers of
/// one process share it.
pub fn bind(pool: &PoolConfig, workers: usize) -> Result<Bound, ListenError> {
    bind_or_take(pool, workers, &mut Inherited::default())
}

/// The same; those that are open already are taken instead.
///
/// # Errors
///
/// As [`bind`].
pub fn bind_or_take(
    pool: &PoolConfig,
    workers: usize,
    inherited: &mut Inherited,
) -> Result<Bound, ListenError> {
    let options = Options {
        workers,
        backlog: pool.listen.backlog,
        freebind: pool.listen.freebind,
        keepalive: pool.listen.tcpkeepalive,
        listens: true,
    };
    match &pool.listen.address {
        ListenAddress::Tcp(address) => bind_tcp(address, options, inherited),
        ListenAddress::Unix { path, mode } => bind_unix(path, *mode, options, inherited),
    }
    .map_err(|kind| ListenError {
        owner: format!("pool {}", pool.name),
        address: pool.listen.address.to_string(),
        kind,
    })
}

/// Opens one listening TCP socket for `owner` (`statistics`), outside of any pool.
///
/// # Errors
///
/// As [`bind`].
pub fn bind_one(
    owner: &str,
    address: &HostPort,
    inherited: &mut Inherited,
) -> Result<std::net::TcpListener, ListenError> {
    one(owner, address, true, inherited)
}

/// The same, bound and not listening yet, unless it was open already.
///
/// # Errors
///
/// As [`bind`].
pub fn bind_silent(
    owner: &str,
    address: &HostPort,
    inherited: &mut Inherited,
) -> Result<std::net::TcpListener, ListenError> {
    one(owner, address, false, inherited)
}

fn one(
    owner: &str,
    address: &HostPort,
    listens: bool,
    inherited: &mut Inherited,
) -> Result<std::net::TcpListener, ListenError> {
    let options = Options {
        listens,
        ..Options::ALONE
    };
    let refused = |kind| ListenError {
        owner: owner.to_owned(),
        address: address.to_string(),
        kind,
    };
    let mut bound = bind_tcp(address, options, inherited).map_err(refused)?;
    let socket = bound.sockets.pop().expect("one socket for one worker");
    Ok(std::net::TcpListener::from(socket))
}

/// Opens a Unix socket for `owner` that only the user of this process can connect to.
///
/// # Errors
///
/// As [`bind`]; the file of a process that is gone is replaced.
pub fn bind_private(
    owner: &str,
    path: &Path,
    inherited: &mut Inherited,
) -> Result<(std::os::unix::net::UnixListener, SocketFile), ListenError> {
    let refused = |kind| ListenError {
        owner: owner.to_owned(),
        address: path.display().to_string(),
        kind,
    };
    let mut bound = bind_unix(path, Some(0o600), Options::ALONE, inherited).map_err(refused)?;
    let socket = bound.sockets.pop().expect("one socket for one worker");
    let file = bound.file.take().expect("a Unix socket has a file");
    Ok((socket.into(), file))
}

#[derive(Clone, Copy)]
struct Options {
    workers: usize,
    backlog: u32,
    freebind: bool,
    keepalive: bool,
    listens: bool,
}

impl Options {
    // As many as may connect between two passes of an executor that does little else.
    const ALONE: Options = Options {
        workers: 1,
        backlog: 128,
        freebind: false,
        keepalive: false,
        listens: true,
    };

    fn backlog(self) -> i32 {
        i32::try_from(self.backlog).unwrap_or(i32::MAX)
    }
}

fn bind_tcp(
    address: &HostPort,
    options: Options,
    inherited: &mut Inherited,
) -> Result<Bound, ListenErrorKind> {
    let mut at = resolve(address).map_err(ListenErrorKind::Name)?;
    let open = inherited.take_tcp(at);
    if !open.is_empty() {
        let prepare = |socket: &Socket| take_options(socket, at, options);
        open.iter()
            .try_for_each(prepare)
            .map_err(ListenErrorKind::Os)?;
        return Ok(Bound {
            sockets: share(open, options.workers).map_err(ListenErrorKind::Os)?,
            address: Some(at),
            file: None,
        });
    }
    let mut sockets = Vec::with_capacity(options.workers);
    for nth in 0..options.workers.max(1) {
        let socket = open_tcp(at, nth, options).map_err(|e| cause(e, at.port()))?;
        if let Some(bound_to) = socket.local_addr().ok().and_then(|a| a.as_socket()) {
            at = bound_to;
        }
        sockets.push(OwnedFd::from(socket));
    }
    Ok(Bound {
        sockets,
        address: Some(at),
        file: None,
    })
}

// The first socket listens before it agrees to share its port, so that nobody else has the port,
// and no second process of ours joins in and steals half of the clients.
fn open_tcp(at: SocketAddr, nth: usize, options: Options) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(at),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    set_options(&socket, at, options)?;
    if nth > 0 {
        socket.set_reuse_port(true)?;
    }
    take_port(&socket, at)?;
    if options.listens {
        socket.listen(options.backlog())?;
    }
    if nth == 0 && options.workers > 1 {
        socket.set_reuse_port(true)?;
    }
    Ok(socket)
}

fn set_options(socket: &Socket, at: SocketAddr, options: Options) -> io::Result<()> {
    if options.freebind && at.is_ipv4() {
        socket.set_freebind_v4(true)?;
    } else if options.freebind {
        socket.set_freebind_v6(true)?;
    }
    // Accepted sockets inherit all of them, which spares system calls for each client.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
    if options.keepalive {
        keep_alive(socket)?;
    }
    Ok(())
}

// What the file says may have changed since the socket was opened.
fn take_options(socket: &Socket, at: SocketAddr, options: Options) -> io::Result<()> {
    set_options(socket, at, options)?;
    match options.listens {
        true => socket.listen(options.backlog()),
        false => Ok(()),
    }
}

// Fewer than there are workers are shared by several: nobody else may bind beside a socket of
// another user, such as systemd's. More are more than one for a worker: each has a queue of its
// own, and who waits in it must be accepted.
fn share(open: Vec<Socket>, workers: usize) -> io::Result<Vec<OwnedFd>> {
    let missing = workers.saturating_sub(open.len());
    let again = open.iter().cycle().take(missing).map(Socket::try_clone);
    let again = again.collect::<io::Result<Vec<_>>>()?;
    Ok(open.into_iter().chain(again).map(OwnedFd::from).collect())
}

fn keep_alive(socket: &Socket) -> io::Result<()> {
    socket.set_tcp_keepalive(&CLIENT_PROBES)?;
    socket.set_tcp_user_timeout(Some(CLIENT_SILENCE_MAX))
}

/// Gives a listening socket another backlog, and to the clients that come from now on another
/// `tcpkeepalive`.
pub(super) fn change(socket: &OwnedFd, backlog: u32, keepalive: bool) -> io::Result<()> {
    let socket = SockRef::from(socket);
    // On a Unix socket there is nothing to keep alive.
    if socket.domain()? != Domain::UNIX {
        if keepalive {
            keep_alive(&socket)?;
        } else {
            socket.set_keepalive(false)?;
            socket.set_tcp_user_timeout(None)?;
        }
    }
    // On a socket that listens already it changes the backlog (listen(2)).
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))
}

/// How long a taken port, or a taken path, is waited for. A proxy that was killed leaves it taken until
/// the kernel has torn down its rings, which hold the listening sockets: some tens of milliseconds, in
/// which whoever supervises it starts the next one.
const TAKEN_PATIENCE: Duration = Duration::from_secs(1);

/// How often it is tried meanwhile.
const TAKEN_STEP: Duration = Duration::from_millis(10);

fn take_port(socket: &Socket, at: SocketAddr) -> io::Result<()> {
    let mut left = TAKEN_PATIENCE;
    loop {
        match socket.bind(&SockAddr::from(at)) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && !left.is_zero() => {
                std::thread::sleep(TAKEN_STEP);
                left = left.saturating_sub(TAKEN_STEP);
            }
            bound => return bound,
        }
    }
}

fn resolve(address: &HostPort) -> io::Result<SocketAddr> {
    match address {
        HostPort::Ip(at) => Ok(*at),
        HostPort::Name { host, port } => (host.as_ref(), *port)
            .to_socket_addrs()?
            .next()
            .ok_or_else(|| io::Error::from(ErrorKind::NotFound)),
    }
}

fn cause(error: io::Error, port: u16) -> ListenErrorKind {
    match error.kind() {
        ErrorKind::AddrInUse => ListenErrorKind::PortTaken,
        ErrorKind::AddrNotAvailable => ListenErrorKind::NotLocal,
        ErrorKind::PermissionDenied if port < unprivileged_ports() => {
            ListenErrorKind::PrivilegedPort(unprivileged_ports())
        }
        _ => ListenErrorKind::Os(error),
    }
}

fn unprivileged_ports() -> u16 {
    let start = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    start
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(1024)
}

fn bind_unix(
    path: &Path,
    mode: Option<u32>,
    options: Options,
    inherited: &mut Inherited,
) -> Result<Bound, ListenErrorKind> {
    let mut open = inherited.take_unix(path);
    // They are one socket, of which each worker had shown its own descriptor.
    open.truncate(1);
    if let Some(socket) = open.first() {
        if let Some(mode) = mode {
            fs::set_permissions(path, fs::Permissions::from_mode(mode))
                .map_err(ListenErrorKind::Path)?;
        }
        socket
            .listen(options.backlog())
            .map_err(ListenErrorKind::Os)?;
        let file = SocketFile::of(path).map_err(ListenErrorKind::Path)?;
        return Ok(Bound {
            sockets: share(open, options.workers).map_err(ListenErrorKind::Os)?,
            address: None,
            file: Some(file.of_another()),
        });
    }
    let at = SockAddr::unix(path).map_err(ListenErrorKind::Path)?;
    remove_stale(path, &at)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)
        .map_err(ListenErrorKind::Os)?;
    socket.bind(&at).map_err(ListenErrorKind::Path)?;
    let file = SocketFile::of(path).map_err(ListenErrorKind::Path)?;
    // Before listen(2): nobody can connect while the permissions are still those of the umask.
    if let Some(mode) = mode {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(ListenErrorKind::Path)?;
    }
    socket
        .listen(options.backlog())
        .map_err(ListenErrorKind::Os)?;
    Ok(Bound {
        sockets: share(vec![socket], options.workers).map_err(ListenErrorKind::Os)?,
        address: None,
        file: Some(file),
    })
}

// A process that was killed leaves its socket behind: one on which nobody answers. twemproxy
// removes whatever is there, also the socket of a process that runs.
fn remove_stale(path: &Path, at: &SockAddr) -> Result<(), ListenErrorKind> {
    let mut left = TAKEN_PATIENCE;
    loop {
        let found = match fs::symlink_metadata(path) {
            Ok(found) => found,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(ListenErrorKind::Path(e)),
        };
        if !found.file_type().is_socket() {
            return Err(ListenErrorKind::NotASocket);
        }
        let knock = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)
            .map_err(ListenErrorKind::Os)?;
        match knock.connect(at) {
            Err(e) if e.kind() == ErrorKind::ConnectionRefused => {
                return fs::remove_file(path).map_err(ListenErrorKind::Path);
            }
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Ok(()) => left = await_hangup(&knock, left),
            // A full backlog: somebody listens, and is slow.
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(TAKEN_STEP);
                left = left.saturating_sub(TAKEN_STEP);
            }
            Err(e) => return Err(ListenErrorKind::Path(e)),
        }
        if left.is_zero() {
            return Err(ListenErrorKind::PathTaken);
        }
    }
}

// Who is answered waits on the line: a process that runs keeps it, and is not knocked at again; when
// a dying one's socket goes, it is hung up. What is left of the patience.
fn await_hangup(knock: &Socket, mut left: Duration) -> Duration {
    let step = Timespec::try_from(TAKEN_STEP).ok();
    while !left.is_zero() {
        left = left.saturating_sub(TAKEN_STEP);
        let mut line = [PollFd::new(knock, PollFlags::IN)];
        if poll(&mut line, step.as_ref()).is_ok_and(|ready| ready > 0) {
            // One that runs may hang up as well, and at once: not to be knocked at without a pause.
            std::thread::sleep(TAKEN_STEP);
            break;
        }
    }
    left
}

/// The file of a Unix socket, removed when this is dropped, unless a process that was started
/// meanwhile has put its own there.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    // While it is open no other file can get its inode number.
    ours: File,
    // Another process sees to it.
    left: bool,
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<SocketFile> {
        let ours = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_NOFOLLOW)
            .open(path)?;
        Ok(SocketFile {
            path: path.to_owned(),
            ours,
            left: false,
        })
    }

    /// The same file, which another process sees to until `own`.
    #[must_use]
    pub fn of_another(mut self) -> SocketFile {
        self.left = true;
        self
    }

    /// From now on this process sees to it.
    pub fn own(&mut self) {
        self.left = false;
    }

    /// From now on another process does.
    pub fn leave(&mut self) {
        self.left = true;
    }

    fn is_ours(&self) -> io::Result<bool> {
        let (now, ours) = (fs::symlink_metadata(&self.path)?, self.ours.metadata()?);
        Ok((now.dev(), now.ino()) == (ours.dev(), ours.ino()))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !self.left && self.is_ours().unwrap_or(false) {
            // Nothing is lost when it stays: the next start removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests;
