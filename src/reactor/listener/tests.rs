use std::io::Read;
use std::io::Write;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::*;

fn bind_tcp(address: &HostPort, options: Options) -> Result<Bound, ListenErrorKind> {
    super::bind_tcp(address, options, &mut Inherited::default())
}

fn bind_unix(path: &Path, mode: Option<u32>, options: Options) -> Result<Bound, ListenErrorKind> {
    super::bind_unix(path, mode, options, &mut Inherited::default())
}

const ONE: Options = Options {
    workers: 1,
    backlog: 512,
    freebind: false,
    keepalive: false,
    listens: true,
};

fn tcp(address: impl Into<SocketAddr>, workers: usize) -> Result<Bound, ListenErrorKind> {
    bind_tcp(&HostPort::Ip(address.into()), Options { workers, ..ONE })
}

fn local(port: u16) -> (Ipv4Addr, u16) {
    (Ipv4Addr::LOCALHOST, port)
}

#[test]
fn the_workers_of_a_process_share_a_port_and_every_socket_gets_clients() {
    let bound = tcp(local(0), 4).unwrap();
    let port = bound.address.unwrap().port();
    let listeners: Vec<TcpListener> = bound.sockets.into_iter().map(TcpListener::from).collect();
    assert_eq!(listeners.len(), 4);
    let clients: Vec<TcpStream> = (0..200)
        .map(|_| TcpStream::connect(local(port)).unwrap())
        .collect();
    let accepted: Vec<usize> = listeners
        .iter()
        .map(|l| std::iter::from_fn(|| l.accept().ok()).count())
        .collect();
    assert_eq!(accepted.iter().sum::<usize>(), clients.len());
    // Chance gives a socket none of 200 clients once in 10^24 runs.
    assert!(accepted.iter().all(|n| *n > 0), "{accepted:?}");
}

#[test]
fn a_second_process_is_refused_although_workers_share() {
    for workers in [1, 2] {
        let first = tcp(local(0), workers).unwrap();
        let port = first.address.unwrap().port();
        for second in [1, 2] {
            let taken = tcp(local(port), second);
            assert!(
                matches!(taken, Err(ListenErrorKind::PortTaken)),
                "{taken:?}"
            );
        }
        drop(first);
        tcp(local(port), 2).expect("the port is free again");
    }
}

#[test]
fn a_port_held_by_a_socket_that_shares_is_refused() {
    let other = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    other.set_reuse_port(true).unwrap();
    other
        .bind(&SockAddr::from(SocketAddr::from(local(0))))
        .unwrap();
    other.listen(1).unwrap();
    let port = other.local_addr().unwrap().as_socket().unwrap().port();
    assert!(matches!(
        tcp(local(port), 2),
        Err(ListenErrorKind::PortTaken)
    ));
}

#[test]
fn accepted_sockets_inherit_no_delay_and_keepalive() {
    for keepalive in [false, true] {
        let options = Options { keepalive, ..ONE };
        let mut bound = bind_tcp(&HostPort::Ip(local(0).into()), options).unwrap();
        let listener = Socket::from(bound.sockets.pop().unwrap());
        let _client = TcpStream::connect(bound.address.unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert!(accepted.tcp_nodelay().unwrap());
        assert_eq!(accepted.keepalive().unwrap(), keepalive);
        let silence = accepted.tcp_user_timeout().unwrap();
        assert_eq!(silence, keepalive.then_some(CLIENT_SILENCE_MAX));
        let probed_after = accepted.tcp_keepalive_time().unwrap();
        assert_eq!(probed_after == Duration::from_secs(60), keepalive);
    }
}

#[test]
fn an_ipv6_address_is_listened_on() {
    let bound = tcp((Ipv6Addr::LOCALHOST, 0), 2).unwrap();
    TcpStream::connect(bound.address.unwrap()).unwrap();
}

#[test]
fn a_name_is_resolved_and_an_unknown_one_is_named_in_the_error() {
    let name = |host: &str| HostPort::Name {
        host: Arc::from(host),
        port: 0,
    };
    assert!(bind_one("statistics", &name("localhost"), &mut Inherited::default()).is_ok());
    let error = bind_one(
        "statistics",
        &name("no-such-host.invalid"),
        &mut Inherited::default(),
    )
    .unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("statistics: cannot listen on no-such-host.invalid:0: the name does not"),
        "{text}"
    );
}

#[test]
fn an_address_of_another_host_is_refused_unless_freebind() {
    // 192.0.2.0/24 is for documentation (RFC 5737) and on no host.
    let elsewhere = HostPort::Ip(([192, 0, 2, 1], 0).into());
    let refused = bind_tcp(&elsewhere, ONE).unwrap_err();
    assert!(
        refused.to_string().contains("`freebind: true`"),
        "{refused}"
    );
    let freebind = Options {
        freebind: true,
        workers: 2,
        ..ONE
    };
    assert_eq!(bind_tcp(&elsewhere, freebind).unwrap().sockets.len(), 2);
    let elsewhere = HostPort::Ip("[2001:db8::1]:0".parse().unwrap());
    assert!(bind_tcp(&elsewhere, freebind).is_ok());
}

#[test]
fn permission_for_a_low_port_is_explained() {
    let denied = || io::Error::from(ErrorKind::PermissionDenied);
    let low = cause(denied(), 1);
    if unprivileged_ports() > 1 {
        assert!(low.to_string().contains("CAP_NET_BIND_SERVICE"), "{low}");
    }
    assert!(matches!(cause(denied(), 65535), ListenErrorKind::Os(_)));
}

#[test]
fn a_unix_socket_has_its_mode_serves_every_worker_and_goes_with_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.sock");
    let options = Options { workers: 2, ..ONE };
    let bound = bind_unix(&path, Some(0o620), options).unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o620);
    assert_eq!(bound.sockets.len(), 2);
    for socket in bound.sockets {
        let mut client = UnixStream::connect(&path).unwrap();
        let (mut accepted, _) = UnixListener::from(socket).accept().unwrap();
        accepted.write_all(b"x").unwrap();
        client.read_exact(&mut [0]).unwrap();
    }
    drop(bound.file);
    assert!(!path.exists());
}

#[test]
fn a_port_that_becomes_free_soon_is_waited_for() {
    let first = tcp(local(0), 1).unwrap();
    let port = first.address.unwrap().port();
    let second = std::thread::spawn(move || tcp(local(port), 1).map(|bound| bound.address));
    // Whichever comes first, the second gets the port: it waits, or never has to.
    drop(first);
    assert_eq!(
        second.join().unwrap().unwrap(),
        Some(SocketAddr::from(local(port)))
    );
}

#[test]
fn a_stale_unix_socket_is_replaced_and_a_live_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.sock");
    let first = bind_unix(&path, None, ONE).unwrap();
    let taken = bind_unix(&path, None, ONE);
    assert!(
        matches!(taken, Err(ListenErrorKind::PathTaken)),
        "{taken:?}"
    );
    // Ended without cleaning up, as by SIGKILL: the file stays, nobody answers.
    drop(first.sockets);
    let second = bind_unix(&path, None, ONE).unwrap();
    // The first process ends late: what is there now is not its own.
    drop(first.file);
    UnixStream::connect(&path).expect("the second process still listens");
    drop(second);
}

#[test]
fn a_path_whose_process_is_being_torn_down_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.sock");
    for backlog_is_full in [false, true] {
        let dying = bind_unix(&path, None, Options { backlog: 0, ..ONE }).unwrap();
        let mut waiting = Vec::new();
        while backlog_is_full && waiting.len() < 2 {
            let knock = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None).unwrap();
            let _ = knock.connect(&SockAddr::unix(&path).unwrap());
            waiting.push(knock);
        }
        let second = {
            let path = path.clone();
            std::thread::spawn(move || bind_unix(&path, None, ONE))
        };
        std::thread::sleep(TAKEN_PATIENCE / 5);
        drop(dying.sockets);
        let second = second.join().unwrap();
        assert!(second.is_ok(), "{backlog_is_full}: {second:?}");
        drop(dying.file);
        UnixStream::connect(&path).expect("the second one listens");
    }
}

#[test]
fn a_process_that_runs_is_knocked_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.sock");
    let first = bind_unix(&path, None, ONE).unwrap();
    assert!(bind_unix(&path, None, ONE).is_err());
    let listener = UnixListener::from(first.sockets.into_iter().next().unwrap());
    assert_eq!(std::iter::from_fn(|| listener.accept().ok()).count(), 1);
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    fs::write(&path, "keep").unwrap();
    assert!(matches!(
        bind_unix(&path, None, ONE),
        Err(ListenErrorKind::NotASocket)
    ));
    assert_eq!(fs::read_to_string(&path).unwrap(), "keep");
    let missing = dir.path().join("missing").join("pool.sock");
    let error = bind_unix(&missing, None, ONE).unwrap_err();
    assert!(
        error.to_string().contains("is the directory there"),
        "{error}"
    );
}
