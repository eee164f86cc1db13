//! The control plane drives its workers: signals, statistics, names, failures.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::io::Read;
use std::io::Write;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::process::Command;
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
use coremux::base::Time;
use coremux::base::WorkerIdx;
use coremux::config::Config;
use coremux::config::Table;
use coremux::control;
use coremux::control::AdminSetup;
use coremux::control::Ending;
use coremux::control::Lookup;
use coremux::control::Names;
use coremux::control::Numbers;
use coremux::control::Prepared;
use coremux::control::Probes;
use coremux::control::Sentinels;
use coremux::control::Setup;
use coremux::control::Signals;
use coremux::control::Source;
use coremux::control::Stamp;
use coremux::control::StatsSource;
use coremux::control::UpgradeSetup;
use coremux::ejection::Ejector;
use coremux::messages::Change;
use coremux::messages::Report;
use coremux::reactor::FromWorker;
use coremux::reactor::Receiver;
use coremux::reactor::Sender;
use coremux::reactor::ToWorker;
use coremux::reactor::mailbox;
use coremux::stats::PoolShape;
use coremux::stats::Shape;
use coremux::stats::WorkerStats;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::poll;
use rustix::io::Errno;
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
            // A signal that this thread took ends the wait, too.
            match poll(&mut [PollFd::new(&inbox, PollFlags::IN)], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => panic!("{error}"),
            }
            let mut messages = Vec::new();
            inbox.take(&mut messages);
            for message in messages {
                heard.lock().unwrap().push(match &message {
                    ToWorker::Change(change) => match &**change {
                        Change::Addresses { addresses, .. } => format!("{addresses:?}"),
                        change => format!("{change:?}"),
                    },
                    ToWorker::Reload(_) => "reload".to_owned(),
                    ToWorker::Drain { .. } => "drain".to_owned(),
                    ToWorker::ShortOfMemory => "short of memory".to_owned(),
                    ToWorker::Pass => "pass".to_owned(),
                    ToWorker::LetGo { .. } => "let go".to_owned(),
                    ToWorker::Keep => "keep".to_owned(),
                    ToWorker::Stop => "stop".to_owned(),
                    other => format!("{other:?}"),
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
                    _ => {}
                }
            }
        }
    })
}

// A file that is not there.
struct NoFile;

impl Source for NoFile {
    fn prepare(&self, _: &Config) -> Result<Prepared, Vec<String>> {
        Err(vec!["there is no file".to_owned()])
    }

    fn stamp(&self) -> Option<Stamp> {
        None
    }
}

struct Log(Heard);

impl control::Log for Log {
    fn reopen(&self) {
        self.0.lock().unwrap().push("reopen".to_owned());
    }

    fn change_level(&self, by: i8) -> u8 {
        self.0.lock().unwrap().push(format!("level {by:+}"));
        5
    }

    fn set_level(&self, level: u8) -> u8 {
        self.0.lock().unwrap().push(format!("level {level}"));
        level
    }

    fn told_level(&self) -> Option<u8> {
        None
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
    log: Heard,
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
    let config = config();
    let mut names = Names::start(&config, &lookup, 1).unwrap();
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
        log: Heard::default(),
    };
    let log = Arc::clone(&handles.log);
    let actor = Rc::new(RefCell::new(None));
    let setup = Setup {
        stats: StatsSource {
            numbers: RefCell::new(Numbers {
                shape,
                workers: stats,
                client_limits: Vec::new(),
            }),
            host: "host\"name".to_owned(),
            started: now(),
            memory_limit: None,
        },
        stats_listener,
        admin: AdminSetup::default(),
        table: Arc::new(Table::new(Arc::new(config.clone()))),
        source: Arc::new(NoFile),
        read: None,
        reload_on_change: false,
        required_servers: vec![1],
        workers: senders,
        inbox,
        sentinels: Sentinels::new(&config, &lookup, 1),
        names,
        ejector: Ejector::new(&config),
        probes: Probes::new(&config),
        signals,
        log: Box::new(Log(Arc::clone(&log))),
        ready: {
            let actor = Rc::clone(&actor);
            Box::new(move || *actor.borrow_mut() = Some(std::thread::spawn(|| act(handles))))
        },
        upgrade: UpgradeSetup {
            command: Box::new(|| Command::new("/none")),
            reclaim: Box::new(|| {}),
            predecessor: None,
            masters: BTreeSet::new(),
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
        log: log.lock().unwrap().clone(),
    }
}

fn localhost() -> Lookup {
    Arc::new(|_, port| Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))]))
}

fn config() -> Config {
    let text = "alpha:\n  listen: /none\n  redis: true\n  auto_eject_hosts: true\n  \
                server_failure_limit: 1\n  server_retry_timeout: 50\n  servers:\n  \
                - cache.example:7001:1 one\n";
    Config::parse(text, "test.yml").expect("a good configuration")
}

// Waits until every worker has heard `what`.
fn all_heard(handles: &Handles, what: &str) {
    for heard in &handles.heard {
        wait_until(|| heard.lock().unwrap().iter().any(|h| h.contains(what)));
    }
}

#[track_caller]
fn wait_until(mut happened: impl FnMut() -> bool) {
    let until = now() + Duration::from_secs(20);
    while !happened() {
        assert!(now() < until, "it did not happen");
        std::thread::yield_now();
    }
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
    let mut run = run(Drains::AtOnce, localhost(), |handles| {
        for signal in [Signal::USR1, Signal::HUP, Signal::TTIN, Signal::TTOU] {
            raise(signal);
        }
        // Each may be taken by another thread of the process, so that the last can overtake the
        // others; and after the end nobody looks.
        wait_until(|| handles.log.lock().unwrap().len() == 3);
        raise(Signal::TERM);
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
        // The second lookup fails: what was known from the start is heard, and stays.
        for address in ["10.0.0.1:7001", "10.0.0.3:7001"] {
            handles.outbox.send(FromWorker::Resolve {
                pool: PoolIdx(0),
                server: ServerIdx(0),
            });
            all_heard(&handles, address);
        }
        raise(Signal::TERM);
    });
    assert_eq!(run.ending, Ending::Drained);
    let all = [
        "[Tcp(10.0.0.1:7001)]",
        "[Tcp(10.0.0.3:7001)]",
        "drain",
        "stop",
    ];
    assert_eq!(run.heard, [all; 2]);
}

#[test]
fn what_one_worker_says_of_memory_all_of_them_hear() {
    let run = run(Drains::AtOnce, localhost(), |handles| {
        handles.outbox.send(FromWorker::ShortOfMemory);
        all_heard(&handles, "short of memory");
        raise(Signal::TERM);
    });
    assert_eq!(run.heard, [["short of memory", "drain", "stop"]; 2]);
}

#[test]
fn a_server_that_fails_at_one_worker_is_ejected_for_all_and_comes_back_when_it_answers() {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = server.local_addr().unwrap();
    std::thread::spawn(move || {
        // The first probe finds a server that cannot serve yet.
        for answer in ["-LOADING wait\r\n", "+PONG\r\n"] {
            let (mut probe, _) = server.accept().unwrap();
            let mut question = [0; 14];
            probe.read_exact(&mut question).unwrap();
            assert_eq!(&question, b"*1\r\n$4\r\nPING\r\n");
            probe.write_all(answer.as_bytes()).unwrap();
        }
    });
    let lookup: Lookup = Arc::new(move |_, _| Ok(vec![address]));
    let run = run(Drains::AtOnce, lookup, |handles| {
        handles
            .outbox
            .send(FromWorker::Report(Report::ServerFailed {
                pool: PoolIdx(0),
                server: ServerIdx(0),
                since: Time::from_micros(1),
                at: Time::from_micros(2),
                answers: false,
            }));
        all_heard(&handles, "Readmit");
        raise(Signal::TERM);
    });
    assert_eq!(run.ending, Ending::Drained);
    for heard in run.heard {
        assert!(heard[0].starts_with("Eject"), "{heard:?}");
        assert!(heard[1].starts_with("Readmit"), "{heard:?}");
    }
}
