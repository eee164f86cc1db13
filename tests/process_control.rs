//! The control plane drives its workers: signals, statistics, names, failures.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::cell::RefCell;
use std::io;
use std::io::Read;
use std::io::Write;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use coremux::base::PoolIdx;
use coremux::base::ServerIdx;
use coremux::base::WorkerIdx;
use coremux::config::Config;
use coremux::config::HostPort;
use coremux::config::ListenAddress;
use coremux::config::PoolConfig;
use coremux::config::Protocol;
use coremux::config::ServerAddress;
use coremux::config::ServerConfig;
use coremux::config::UnknownCommands;
use coremux::control;
use coremux::control::Ending;
use coremux::control::Lookup;
use coremux::control::Names;
use coremux::control::Setup;
use coremux::control::Signals;
use coremux::control::StatsSource;
use coremux::proxy::Change;
use coremux::reactor::FromWorker;
use coremux::reactor::Receiver;
use coremux::reactor::Sender;
use coremux::reactor::ToWorker;
use coremux::reactor::mailbox;
use coremux::route::Distribution;
use coremux::route::Hash;
use coremux::stats::PoolShape;
use coremux::stats::Shape;
use coremux::stats::WorkerStats;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::poll;
use rustix::process::Signal;
use rustix::process::getpid;
use rustix::process::kill_process;

/// Signals are the process's: one control plane at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn raise(signal: Signal) {
    kill_process(getpid(), signal).unwrap();
}

#[allow(clippy::disallowed_methods, reason = "a test's clock is the real one")]
fn now() -> Instant {
    Instant::now()
}

/// What a worker does when it is told to drain.
#[derive(Clone, Copy, PartialEq)]
enum Drains {
    AtOnce,
    Never,
}

type Heard = Arc<Mutex<Vec<String>>>;

// A worker without a data plane: answers as the real one must.
fn worker(
    idx: u16,
    drains: Drains,
    mut inbox: Receiver<ToWorker>,
    outbox: Sender<FromWorker>,
    heard: Heard,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let idx = WorkerIdx(idx);
        outbox.send(FromWorker::Started(idx));
        loop {
            poll(&mut [PollFd::new(&inbox, PollFlags::IN)], None).unwrap();
            let mut messages = Vec::new();
            inbox.take(&mut messages);
            for message in messages {
                heard.lock().unwrap().push(match &message {
                    ToWorker::Change(change) => match &**change {
                        Change::Address { addresses, .. } => format!("{addresses:?}"),
                    },
                    ToWorker::Drain { .. } => "drain".to_owned(),
                    ToWorker::Stop => "stop".to_owned(),
                });
                match message {
                    ToWorker::Drain { .. } if drains == Drains::AtOnce => {
                        outbox.send(FromWorker::Drained(idx));
                    }
                    ToWorker::Stop => {
                        outbox.send(FromWorker::Stopped {
                            worker: idx,
                            error: None,
                        });
                        return;
                    }
                    ToWorker::Drain { .. } | ToWorker::Change(_) => {}
                }
            }
        }
    })
}

struct Log(Rc<RefCell<Vec<String>>>);

impl control::Log for Log {
    fn reopen(&self) {
        self.0.borrow_mut().push("reopen".to_owned());
    }

    fn change_level(&self, by: i8) {
        self.0.borrow_mut().push(format!("level {by:+}"));
    }
}

/// Runs a control plane with two workers; `act` is called on another thread when it serves.
struct Run {
    ending: Ending,
    took: Duration,
    heard: Vec<Vec<String>>,
    log: Vec<String>,
}

struct Handles {
    stats_port: u16,
    stats: Vec<Arc<WorkerStats>>,
    outbox: Sender<FromWorker>,
    heard: Vec<Heard>,
}

fn run(drains: Drains, lookup: Lookup, act: impl FnOnce(Handles) + Send + 'static) -> Run {
    let _alone = alone();
    let shape = Shape {
        pools: vec![PoolShape {
            name: Arc::from("alpha"),
            servers: vec![Arc::from("one")],
        }],
    };
    let stats: Vec<_> = (0..2).map(|_| Arc::new(WorkerStats::new(&shape))).collect();
    let stats_listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let stats_port = stats_listener.local_addr().unwrap().port();
    let (outbox, inbox) = mailbox().unwrap();
    let mut names = Names::start(&config(), &lookup).unwrap();
    names.wait(Duration::from_secs(20));
    let signals = Signals::register().unwrap();
    let heard = [Heard::default(), Heard::default()];
    let mut senders = Vec::new();
    let mut threads = Vec::new();
    for (idx, heard) in (0..).zip(&heard) {
        let (sender, receiver) = mailbox().unwrap();
        threads.push(worker(
            idx,
            drains,
            receiver,
            outbox.clone(),
            Arc::clone(heard),
        ));
        senders.push(sender);
    }
    let handles = Handles {
        stats_port,
        stats: stats.clone(),
        outbox,
        heard: heard.to_vec(),
    };
    let actor = Rc::new(RefCell::new(None));
    let log = Rc::new(RefCell::new(Vec::new()));
    let setup = Setup {
        stats: StatsSource {
            shape,
            workers: stats,
            host: "host\"name".to_owned(),
            started: now(),
        },
        stats_listener,
        workers: senders,
        inbox,
        names,
        signals,
        log: Box::new(Log(Rc::clone(&log))),
        ready: {
            let actor = Rc::clone(&actor);
            Box::new(move || *actor.borrow_mut() = Some(std::thread::spawn(|| act(handles))))
        },
        drain_within: Duration::from_millis(300),
    };
    let started = now();
    let ending = control::run(setup).unwrap();
    let took = now() - started;
    threads.into_iter().for_each(|t| t.join().unwrap());
    actor.take().expect("it became ready").join().unwrap();
    Run {
        ending,
        took,
        heard: heard.map(|h| h.lock().unwrap().clone()).to_vec(),
        log: log.take(),
    }
}

fn localhost() -> Lookup {
    Arc::new(|_, port| Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))]))
}

fn config() -> Config {
    let one = NonZeroU32::MIN;
    let server = ServerConfig {
        name: Arc::from("one"),
        named: true,
        address: ServerAddress::Tcp(HostPort::Name {
            host: Arc::from("cache.example"),
            port: 7001,
        }),
        weight: one,
    };
    let pool = PoolConfig {
        name: Arc::from("alpha"),
        listen: ListenAddress::Tcp(HostPort::Ip((Ipv4Addr::LOCALHOST, 0).into())),
        freebind: false,
        client_connections: None,
        hash: Hash::Fnv1a64,
        hash_tag: None,
        distribution: Distribution::Ketama,
        timeout: None,
        backlog: 512,
        tcpkeepalive: false,
        protocol: Protocol::Redis,
        redis_auth: None,
        redis_db: 0,
        preconnect: false,
        auto_eject_hosts: false,
        server_connections: one,
        server_retry_timeout: Duration::from_secs(30),
        server_failure_limit: 2,
        unknown_commands: UnknownCommands::Refuse,
        servers: vec![server],
    };
    Config { pools: vec![pool] }
}

fn read_all(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn sigterm_drains_every_worker_then_stops_them() {
    for signal in [Signal::TERM, Signal::INT] {
        let run = run(Drains::AtOnce, localhost(), move |_| raise(signal));
        assert_eq!(run.ending, Ending::Drained);
        assert_eq!(run.heard, [["drain", "stop"]; 2]);
    }
}

#[test]
fn a_drain_that_takes_too_long_ends_all_the_same() {
    let run = run(Drains::Never, localhost(), |_| raise(Signal::TERM));
    assert_eq!(run.ending, Ending::Drained);
    assert_eq!(run.heard, [["drain", "stop"]; 2]);
    assert!(run.took >= Duration::from_millis(300), "{:?}", run.took);
}

#[test]
fn a_second_signal_does_not_wait() {
    let run = run(Drains::Never, localhost(), |_| {
        raise(Signal::TERM);
        raise(Signal::INT);
    });
    assert_eq!(run.ending, Ending::Interrupted);
    assert_eq!(run.heard, [["drain", "stop"]; 2]);
}

#[test]
fn a_worker_that_fails_ends_the_process_with_its_words() {
    let run = run(Drains::AtOnce, localhost(), |handles| {
        handles.outbox.send(FromWorker::Stopped {
            worker: WorkerIdx(1),
            error: Some("ring: out of memory".to_owned()),
        });
    });
    let failed = Ending::WorkerFailed {
        worker: WorkerIdx(1),
        error: "ring: out of memory".to_owned(),
    };
    assert_eq!(run.ending, failed);
    assert_eq!(run.heard[0], ["drain", "stop"]);
}

#[test]
fn signals_turn_the_log_and_the_user_signals_kill_nobody() {
    let mut run = run(Drains::AtOnce, localhost(), |_| {
        for signal in [
            Signal::HUP,
            Signal::TTIN,
            Signal::TTOU,
            Signal::USR1,
            Signal::USR2,
            Signal::TERM,
        ] {
            raise(signal);
        }
    });
    // Signals that wait together come in no promised order.
    run.log.sort();
    assert_eq!(run.ending, Ending::Drained);
    assert_eq!(run.log, ["level +1", "level -1", "reopen"]);
}

#[test]
fn the_statistics_line_is_of_this_moment_and_whole_also_for_who_talks_first() {
    let run = run(Drains::AtOnce, localhost(), |handles| {
        let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, handles.stats_port)).unwrap();
        for n in 1..=3 {
            handles.stats[0].pools[0].servers[0].requests.add(1);
            handles.stats[1].pools[0].servers[0].requests.add(1);
            let line = read_all(connect());
            assert!(line.starts_with("{\"service\":\"nutcracker\", \"source\":\"host\\\"name\", "));
            assert!(
                line.contains(&format!("\"requests\":{}, ", 2 * n)),
                "{line}"
            );
            assert!(line.ends_with("}}}\n"), "{line}");
        }
        let mut http = connect();
        http.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        assert!(read_all(http).ends_with("}}}\n"));
        raise(Signal::TERM);
    });
    assert_eq!(run.ending, Ending::Drained);
}

#[test]
fn a_worker_asks_for_a_name_and_all_workers_hear_the_addresses() {
    let asked = Mutex::new(0_u8);
    let lookup: Lookup = Arc::new(move |host, port| {
        assert_eq!((host, port), ("cache.example", 7001));
        let mut asked = asked.lock().unwrap();
        *asked += 1;
        match *asked {
            2 => Err(io::Error::other("no name server")),
            n => Ok(vec![SocketAddr::from(([10, 0, 0, n], port))]),
        }
    });
    let run = run(Drains::AtOnce, lookup, |handles| {
        let until = now() + Duration::from_secs(20);
        // The second lookup fails: what was known from the start is heard, and stays.
        for address in ["[10.0.0.1:7001]", "[10.0.0.3:7001]"] {
            handles.outbox.send(FromWorker::Resolve {
                pool: PoolIdx(0),
                server: ServerIdx(0),
            });
            for heard in &handles.heard {
                while !heard.lock().unwrap().iter().any(|h| h == address) {
                    assert!(now() < until, "{address} not heard");
                    std::thread::yield_now();
                }
            }
        }
        raise(Signal::TERM);
    });
    assert_eq!(run.ending, Ending::Drained);
    let all = ["[10.0.0.1:7001]", "[10.0.0.3:7001]", "drain", "stop"];
    assert_eq!(run.heard, [all; 2]);
}
