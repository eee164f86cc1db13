//! Whatever is sent to the admin side, its answers stay quick, its memory and descriptors bounded, and
//! clients of the proxy notice nothing.

use std::fs;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use crate::alone;
use crate::support::Admin;
use crate::support::Client;
use crate::support::PATIENCE;
use crate::support::Pool;
use crate::support::Port;
use crate::support::Process;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;
use crate::support::http;
use crate::support::read_reply;

/// More than there are places at a door.
const LORISES: usize = 100;
const PLACES: usize = 16;

fn start() -> (Redis, Admin, Proxy) {
    let redis = Redis::start();
    let pools = [Pool::new("alpha").server(redis.address())];
    let (admin, proxy) = Admin::start(&[], &pools);
    (redis, admin, proxy)
}

fn descriptors(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).unwrap().count()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Whether the other side has closed; it has sent nothing that counts.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let read = stream.read(&mut [0; 4096]);
    match read {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

#[test]
fn a_hundred_that_never_finish_their_request_keep_nobody_out() {
    let _alone = alone(module_path!());
    let (_redis, admin, mut proxy) = start();
    let process = proxy.process().id();
    let mut client = proxy.client("alpha");
    assert_eq!(client.call(["SET", "key", "value"]), Reply::ok());
    let before = descriptors(process);
    for address in [admin.address(), admin.health_address()] {
        let mut lorises: Vec<TcpStream> = (0..LORISES).map(|_| connect(address)).collect();
        for (nth, loris) in lorises.iter_mut().enumerate() {
            // The first have to go before the last come.
            let _ = loris.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nX-A: b");
            if nth % 10 == 0 {
                let health = http(address, "GET /health HTTP/1.0\r\n\r\n");
                assert_eq!(health.status, 200, "after {nth}");
                assert_eq!(client.call(["GET", "key"]), Reply::bulk("value"));
            }
        }
        assert_eq!(admin.ctl("status").0, 0);
        assert_eq!(admin.file(), "0\n");
        eventually("those who came first have made room", || {
            (descriptors(process) <= before + PLACES).then_some(())
        });
        // They go on, a byte at a time, and that does not help them.
        eventually("all have to go", || {
            for loris in &mut lorises {
                let _ = loris.write_all(b"b");
            }
            let gone = lorises.iter_mut().all(is_closed);
            std::thread::sleep(Duration::from_millis(20));
            gone.then_some(())
        });
        eventually("nothing of them is left", || {
            (descriptors(process) <= before).then_some(())
        });
    }
}

#[test]
fn those_who_do_not_read_their_answer_are_closed_too() {
    let _alone = alone(module_path!());
    let (_redis, admin, mut proxy) = start();
    let process = proxy.process().id();
    let before = descriptors(process);
    let deaf: Vec<TcpStream> = (0..LORISES)
        .map(|_| {
            let mut stream = connect(admin.address());
            let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
            stream
        })
        .collect();
    assert_eq!(admin.get("/health").status, 200);
    eventually("their places are free", || {
        (descriptors(process) <= before).then_some(())
    });
    drop(deaf);
}

#[test]
fn what_is_too_large_or_no_http_is_refused_and_forgotten() {
    let _alone = alone(module_path!());
    let (_redis, admin, mut proxy) = start();
    let mut client = proxy.client("alpha");
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(200));
    let address = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(20_000));
    for (request, status) in [(&long, 431), (&many, 431), (&address, 414)] {
        let reply = http(admin.address(), request);
        assert!(
            [status, 431].contains(&reply.status),
            "{} for {status}",
            reply.status
        );
    }
    let broken: [&[u8]; 8] = [
        b"\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  /  HTTP/1.1\r\n\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        // A ClientHello of TLS.
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ];
    for request in broken {
        let mut stream = connect(admin.address());
        stream.write_all(request).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let refused = reply.starts_with("HTTP/1.1 400 ");
        assert!(refused, "{reply:?} to {}", request.escape_ascii());
    }
    // Nothing at all, half a request, and HTTP/2, whose clients take an end for an answer.
    for request in [&b""[..], b"GET / HT", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = connect(admin.address());
        stream.write_all(request).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert!(!rest.starts_with(b"HTTP/1.1 2"), "{}", rest.escape_ascii());
    }
    // Asked and closed at once for writing: still answered.
    let mut stream = connect(admin.address());
    stream
        .write_all(b"GET /weight HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_reply(&mut stream).body, "100\n");
    assert_eq!(client.call(["PING"]), Reply::Simple("PONG".into()));
    assert!(!proxy.process().log().contains("panicked"));
}

#[test]
fn a_command_that_is_too_long_or_not_sent_as_one_changes_nothing() {
    let _alone = alone(module_path!());
    let (_redis, admin, _proxy) = start();
    let ask = |request: String| {
        let mut stream = UnixStream::connect(admin.socket_path()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let status = text.split(' ').nth(1).unwrap().to_owned();
        (status.parse::<u16>().unwrap(), text)
    };
    let post = |path: &str, body: &str| {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        ask(head + body)
    };
    assert_eq!(post("/ctl/loglevel", &"1\n".repeat(10_000)).0, 413);
    // What is only promised is refused before it comes.
    let huge = "Host: x\r\nContent-Length: 1000000000000\r\n\r\n";
    assert_eq!(ask(format!("POST /ctl/drain HTTP/1.1\r\n{huge}")).0, 413);
    for address in [admin.address(), admin.health_address()] {
        for method in ["GET", "POST"] {
            let reply = http(address, &format!("{method} /health HTTP/1.1\r\n{huge}"));
            assert_eq!(reply.status, 413, "{method}");
        }
    }
    assert_eq!(post("/ctl/drain", "now").0, 409);
    assert_eq!(post("/ctl/", "").0, 404);
    assert_eq!(post("/ctl/drain/x", "").0, 404);
    assert_eq!(post("/drain", "").0, 404);
    let (status, text) = ask("GET /ctl/drain HTTP/1.1\r\nHost: x\r\n\r\n".to_owned());
    assert_eq!(status, 405);
    assert!(text.to_lowercase().contains("allow: post"), "{text}");
    assert_eq!(admin.get("/health").status, 200, "nobody drains");
    assert_eq!(post("/ctl/drain", "").0, 200);
    assert_eq!(admin.get("/health").status, 503);
}

#[test]
fn strangers_at_every_door_cost_no_client_and_no_command_its_descriptor() {
    let _alone = alone(module_path!());
    const CLIENTS: usize = 8;
    const STRANGERS: usize = 280;
    let redis = Redis::start();
    let admin = Admin::new();
    let own = admin.arguments();
    let (listen, stats) = (Port::reserve(), Port::reserve());
    let directory = tempfile::TempDir::new().unwrap();
    let yml = directory.path().join("proxy.yml");
    let pool = Pool::new("alpha").server(redis.address());
    fs::write(&yml, pool.yml_at(listen.address())).unwrap();
    let process = Process::start(
        Command::new("prlimit")
            .args(["--nofile=300:300", env!("CARGO_BIN_EXE_coremux")])
            .args(["-a", "127.0.0.1", "-s", &stats.number().to_string()])
            .args(["--cores", "1", "-c"])
            .arg(&yml)
            .args(own),
        &directory.path().join("log"),
    );
    eventually("it is healthy", || (admin.file() == "0\n").then_some(()));
    let idle = descriptors(process.id());
    for address in [stats.address(), admin.address(), admin.health_address()] {
        let mut strangers: Vec<TcpStream> = (0..STRANGERS).map(|_| connect(address)).collect();
        let drip = |strangers: &mut Vec<TcpStream>| {
            for stranger in strangers {
                let _ = stranger.write_all(b"x");
            }
        };
        drip(&mut strangers);
        let served = (0..CLIENTS).map(|nth| {
            let mut client = Client::connect(listen.address());
            let value = nth.to_string();
            assert_eq!(
                client.call(["SET", "key", &value]),
                Reply::ok(),
                "{address}"
            );
            assert_eq!(client.call(["GET", "key"]), Reply::bulk(&value));
            client
        });
        let served: Vec<Client> = served.collect();
        assert_eq!(admin.ctl("status").0, 0, "{address}");
        assert_eq!(
            http(admin.address(), "GET /health HTTP/1.0\r\n\r\n").status,
            200
        );
        let mut line = String::new();
        connect(stats.address()).read_to_string(&mut line).unwrap();
        assert!(line.ends_with("}\n"), "{address}");
        eventually("few are inside", || {
            let open = descriptors(process.id());
            (open <= idle + PLACES + CLIENTS + 8).then_some(())
        });
        // However slowly they go on, they have to go.
        eventually("all have to go", || {
            drip(&mut strangers);
            std::thread::sleep(Duration::from_millis(20));
            strangers.iter_mut().all(is_closed).then_some(())
        });
        drop(served);
    }
    let log = process.log();
    assert!(!log.contains("accepting clients rests"), "{log}");
}

#[test]
fn those_who_go_as_soon_as_they_have_come_end_nothing() {
    let _alone = alone(module_path!());
    let (_redis, admin, mut proxy) = start();
    let (stats, http, health) = (
        proxy.stats_address(),
        admin.address(),
        admin.health_address(),
    );
    let get: &[u8] = b"GET / HTTP/1.0\r\n\r\n";
    let whom = [stats, http, health].map(|address| [(address, &b""[..]), (address, get)]);
    std::thread::scope(|scope| {
        for (address, words) in whom.into_iter().flatten() {
            scope.spawn(move || {
                for nth in 0..500 {
                    let mut stream = connect(address);
                    let _ = stream.write_all(words);
                    if nth % 2 == 0 {
                        // A reset.
                        let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                    }
                }
            });
        }
    });
    assert_eq!(admin.ctl("status").0, 0);
    assert_eq!(admin.get("/health").status, 200);
    let log = proxy.process().log();
    assert!(!log.contains("panicked"), "{log}");
}
