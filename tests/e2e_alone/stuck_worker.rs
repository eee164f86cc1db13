//! A worker that does not turn makes the proxy unhealthy within about a second, whatever the others
//! do, and one that only has nothing to do does not.

use std::fs;
use std::time::Duration;

use crate::alone;
use crate::support::Admin;
use crate::support::Load;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::eventually;
use crate::support::now;
use crate::thread::StoppedThread;
use crate::thread::thread_of;

/// A second, and what a busy machine may add to it.
const WITHIN: Duration = Duration::from_secs(3);

fn pools() -> (Redis, [Pool; 1]) {
    let redis = Redis::start();
    let pools = [Pool::new("alpha").server(redis.address())];
    (redis, pools)
}

/// The worker is stopped: when that was shown, and that the proxy is healthy again when it goes on.
fn stop_and_watch(admin: &Admin, process: u32) {
    let stopped = StoppedThread::stop(thread_of(process, "worker-1"));
    let begun = now();
    eventually("it is unhealthy", || (admin.file() == "1\n").then_some(()));
    let took = begun.elapsed();
    assert!(took < WITHIN, "{took:?}");
    eventually("the port is closed", || {
        (!admin.port_is_open()).then_some(())
    });
    let health = admin.get("/health");
    assert_eq!(health.status, 503);
    let health = health.json();
    assert_eq!(health["reasons"][0], "worker stuck");
    assert_eq!(health["workers"][0]["stuck"], false);
    assert_eq!(health["workers"][1]["stuck"], true);
    assert!(health["workers"][1]["heartbeat_age_ms"].as_u64().unwrap() >= 500);
    assert_eq!(admin.ctl("ready").0, 1);
    drop(stopped);
    eventually("it is healthy", || (admin.file() == "0\n").then_some(()));
    // The file is written aside, so either may be first.
    eventually("the port is open", || admin.port_is_open().then_some(()));
}

#[test]
fn a_stuck_worker_is_found_while_all_is_idle() {
    let _alone = alone(module_path!());
    let (_redis, pools) = pools();
    let (admin, mut proxy) = Admin::start(&["--cores", "2"], &pools);
    let process = proxy.process().id();
    for _ in 0..2 {
        stop_and_watch(&admin, process);
    }
}

#[test]
fn a_stuck_worker_is_found_while_the_others_work() {
    let _alone = alone(module_path!());
    let (_redis, pools) = pools();
    let (admin, mut proxy) = Admin::start(&["--cores", "2"], &pools);
    let process = proxy.process().id();
    let load = Load::start(proxy.address("alpha"), 8, 1);
    load.goes_on(100);
    let stopped = StoppedThread::stop(thread_of(process, "worker-1"));
    eventually("it is unhealthy", || (admin.file() == "1\n").then_some(()));
    assert_eq!(admin.get("/health").json()["workers"][0]["stuck"], false);
    drop(stopped);
    eventually("it is healthy", || (admin.file() == "0\n").then_some(()));
    load.goes_on(100);
    load.end();
    assert!(
        !proxy.process().log().contains("cannot"),
        "nothing else went wrong"
    );
}

#[test]
fn workers_that_have_nothing_to_do_are_healthy_and_hardly_wake() {
    let _alone = alone(module_path!());
    let (_redis, pools) = pools();
    let (admin, _proxy) = Admin::start(&["--cores", "2"], &pools);
    let passes = || {
        let metrics = admin.get("/metrics").body;
        let of = |worker: u32| {
            let name = format!("coremux_worker_passes_total{{worker=\"{worker}\"}} ");
            let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
            line.unwrap().parse::<u64>().unwrap()
        };
        [of(0), of(1)]
    };
    let (begun, before) = (now(), passes());
    eventually("a while is over", || {
        assert_eq!(admin.file(), "0\n");
        (begun.elapsed() > Duration::from_secs(3)).then_some(())
    });
    let (took, after) = (begun.elapsed().as_secs_f64(), passes());
    for worker in 0..2 {
        let turned = u32::try_from(after[worker] - before[worker]).unwrap();
        // Asked once in two samples: five times in two seconds, and each answer is one pass, or two
        // when the wake and the message come apart.
        assert!(turned >= 3, "worker {worker}: {turned} passes in {took} s");
        assert!(
            f64::from(turned) < 5.5 * took,
            "worker {worker}: {turned} passes in {took} s"
        );
    }
}

#[test]
fn without_anybody_to_see_it_nobody_is_woken() {
    let _alone = alone(module_path!());
    let (_redis, pools) = pools();
    let mut proxy = Proxy::coremux_with(&["--cores", "2"], &pools);
    let process = proxy.process().id();
    eventually("it serves", || {
        proxy.process().log().contains("serving").then_some(())
    });
    let wakes = |name: &str| {
        let tid = thread_of(process, name);
        let status = fs::read_to_string(format!("/proc/{process}/task/{tid}/status")).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    let all = || [wakes("worker-0"), wakes("worker-1")];
    // A late start of its threads may still be under way.
    let mut before = all();
    eventually("a second without a wake", || {
        let (begun, still) = (now(), before);
        while begun.elapsed() < Duration::from_secs(1) && all() == still {
            std::thread::yield_now();
        }
        before = all();
        (before == still).then_some(())
    });
}
