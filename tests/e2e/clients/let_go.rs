//! `ctl drain --within` lets clients go one after the other, each between two requests: nothing that
//! was executed stays unanswered, and those who come meanwhile are served.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::support::Admin;
use crate::support::Client;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::encode;
use crate::support::eventually;
use crate::support::now;

const CLIENTS: usize = 24;

fn start() -> (Redis, Admin, Proxy) {
    let redis = Redis::start();
    let (admin, proxy) = Admin::start(
        &["--cores", "2"],
        &[Pool::new("alpha").server(redis.address())],
    );
    (redis, admin, proxy)
}

/// Clients that count without a pause, until they are told to stop or are let go.
struct Counting {
    threads: Vec<JoinHandle<bool>>,
    answered: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Counting {
    fn start(proxy: &Proxy, key: &'static str) -> Counting {
        let (answered, stop) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let threads = (0..CLIENTS).map(|_| {
            let mut client = proxy.client("alpha");
            let (answered, stop) = (Arc::clone(&answered), Arc::clone(&stop));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    if !increment(&mut client, key) {
                        return true;
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                false
            })
        });
        let threads = threads.collect();
        let counting = Counting {
            threads,
            answered,
            stop,
        };
        eventually("all count", || {
            let answered = counting.answered.load(Ordering::Relaxed);
            (answered > 100 * CLIENTS as u64).then_some(())
        });
        counting
    }

    /// How many have been let go.
    fn gone(&self) -> usize {
        self.threads.iter().filter(|t| t.is_finished()).count()
    }

    /// Ends the rest: how many were let go before, and all that was answered.
    fn end(self) -> (usize, u64) {
        self.stop.store(true, Ordering::Relaxed);
        let gone = self.threads.into_iter().map(|t| t.join().unwrap());
        (
            gone.filter(|gone| *gone).count(),
            self.answered.load(Ordering::Relaxed),
        )
    }
}

/// Whether it was answered; `false` at an orderly end in its place.
fn increment(client: &mut Client, key: &str) -> bool {
    let mut request = Vec::new();
    encode(&mut request, ["INCR", key]);
    if client.try_send_raw(&request).is_err() {
        return false;
    }
    match client.try_read() {
        Ok(Reply::Integer(_)) => true,
        Ok(other) => panic!("{other:?}"),
        Err(_) => false,
    }
}

#[test]
fn clients_go_one_after_the_other_and_what_was_executed_was_answered() {
    let (redis, admin, proxy) = start();
    let counting = Counting::start(&proxy, "counter");
    let mut idle: Vec<Client> = (0..CLIENTS).map(|_| proxy.client("alpha")).collect();
    idle.iter_mut().for_each(|client| _ = client.call(["PING"]));
    let begun = now();
    let (code, said) = admin.ctl("drain --within 2 --after 0");
    assert_eq!(code, 0, "{said}");
    assert_eq!(admin.file(), "1\n");
    eventually("some have gone", || {
        (counting.gone() >= CLIENTS / 4).then_some(())
    });
    let some = counting.gone();
    let took = begun.elapsed();
    assert!(
        some < CLIENTS || took > Duration::from_secs(1),
        "{some} after {took:?}"
    );
    // Those who come now are served, and stay.
    let mut late = proxy.client("alpha");
    eventually("all have gone", || {
        assert_eq!(late.call(["PING"]), Reply::Simple("PONG".into()));
        (counting.gone() == CLIENTS).then_some(())
    });
    for client in &mut idle {
        assert_eq!(client.read_until_closed(), b"", "an orderly end");
    }
    assert!(begun.elapsed() > Duration::from_secs(1), "gradually");
    let (gone, answered) = counting.end();
    assert_eq!(gone, CLIENTS);
    let counted = redis.client().call(["GET", "counter"]);
    assert_eq!(counted, Reply::bulk(answered.to_string()));
    assert_eq!(late.call(["PING"]), Reply::Simple("PONG".into()));
}

#[test]
fn undrain_keeps_those_who_have_not_gone() {
    let (redis, admin, proxy) = start();
    let counting = Counting::start(&proxy, "counter");
    assert_eq!(admin.ctl("drain --within 3600 --after 0").0, 0);
    // One of each worker goes at once.
    eventually("the first have gone", || {
        (counting.gone() >= 1).then_some(())
    });
    assert_eq!(admin.ctl("undrain").0, 0);
    // And one that was to begin later does not begin.
    assert_eq!(admin.ctl("drain --within 0 --after 1").0, 0);
    assert_eq!(admin.ctl("undrain").0, 0);
    let begun = now();
    eventually("it would have begun", || {
        (begun.elapsed() > Duration::from_millis(1500)).then_some(())
    });
    let (gone, answered) = counting.end();
    assert!(gone <= 2, "{gone}");
    let counted = redis.client().call(["GET", "counter"]);
    assert_eq!(counted, Reply::bulk(answered.to_string()));
}

#[test]
fn half_a_request_is_waited_for_and_then_answered() {
    let (_redis, admin, proxy) = start();
    let mut client = proxy.client("alpha");
    client.send_raw(b"*2\r\n$3\r\nGET\r\n$3\r\nke");
    let mut other = proxy.client("alpha");
    assert_eq!(other.call(["PING"]), Reply::Simple("PONG".into()));
    assert_eq!(admin.ctl("drain --within 5 --after 0").0, 0);
    assert_eq!(other.read_until_closed(), b"");
    client.send_raw(b"y\r\n");
    assert_eq!(client.read(), Reply::Null);
    assert_eq!(client.read_until_closed(), b"");
}

#[test]
fn a_drain_with_nonsense_is_refused_and_changes_nothing() {
    let (_redis, admin, _proxy) = start();
    for words in [
        "drain --within",
        "drain --within x",
        "drain --within -1",
        "drain --within 1e9",
        "drain --after 1",
        "drain --within 1 --after x",
        "drain 5",
    ] {
        let (code, said) = admin.ctl(words);
        assert_eq!(code, 1, "{words}");
        assert!(said.contains("usage: drain"), "{said}");
        assert_eq!(admin.get("/health").status, 200);
    }
}
