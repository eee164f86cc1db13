use std::io::ErrorKind;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;

use super::*;

const POOL: PoolIdx = PoolIdx(0);
const LONG: Duration = Duration::from_secs(20);

fn config(hosts: &[&str]) -> Config {
    config_with("", hosts)
}

fn config_with(keys: &str, hosts: &[&str]) -> Config {
    let servers: String = hosts
        .iter()
        .map(|host| format!("  - {host}:6379:1\n"))
        .collect();
    let text = format!("alpha:\n  listen: /none\n  redis: true\n{keys}  servers:\n{servers}");
    Config::parse(&text, "test.yml").expect("a good configuration")
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 6379))
}

// Waits for one more answer and learns it.
fn next_answer(names: &mut Names) -> ServerIdx {
    let until = now() + LONG;
    loop {
        let mut answers = names.take();
        assert!(answers.len() < 2, "asked once");
        if let Some(answer) = answers.pop() {
            let server = answer.server;
            names.learn(answer);
            return server;
        }
        assert!(now() < until, "no answer");
        std::thread::yield_now();
    }
}

#[test]
fn the_first_answers_are_there_after_the_wait_and_addresses_need_none() {
    let lookup: Lookup = Arc::new(|host, port| {
        assert_eq!(port, 6379);
        match host {
            "one" => Ok(vec![address(1), address(2)]),
            "two" => Ok(vec![address(3)]),
            other => panic!("{other} is not a name"),
        }
    });
    let mut names = Names::start(&config(&["one", "10.9.9.9", "two"]), &lookup, 1).unwrap();
    names.wait(LONG);
    assert_eq!(
        names.addresses(POOL, ServerIdx(0)),
        [address(1), address(2)]
    );
    assert_eq!(names.addresses(POOL, ServerIdx(1)), [address(3)]);
    assert_eq!(names.addresses(POOL, ServerIdx(2)), []);
    assert_eq!(
        names.wanted(POOL, ServerIdx(2)),
        None,
        "an address is not looked up"
    );
}

#[test]
fn a_name_server_that_hangs_ends_no_wait_and_holds_up_no_other_name() {
    let (release, hang) = mpsc::channel::<()>();
    let hang = Mutex::new(hang);
    let lookup: Lookup = Arc::new(move |host, _| {
        if host == "hangs" {
            let _ = hang.lock().unwrap().recv();
        }
        Ok(vec![address(1)])
    });
    let mut names = Names::start(&config(&["hangs", "works"]), &lookup, 1).unwrap();
    let before = now();
    while names.addresses(POOL, ServerIdx(1)).is_empty() {
        names.wait(Duration::from_millis(20));
        assert!(now() - before < LONG);
    }
    assert_eq!(names.addresses(POOL, ServerIdx(0)), []);
    // Its answer comes late, and is good.
    drop(release);
    names.wait(LONG);
    assert_eq!(names.addresses(POOL, ServerIdx(0)), [address(1)]);
}

#[test]
fn a_failure_keeps_what_was_known() {
    let broken = Arc::new(AtomicBool::new(false));
    let lookup: Lookup = {
        let broken = Arc::clone(&broken);
        Arc::new(move |_, _| match broken.load(Ordering::SeqCst) {
            true => Err(io::Error::from(ErrorKind::NotFound)),
            false => Ok(vec![address(7)]),
        })
    };
    let mut names = Names::start(&config(&["one"]), &lookup, 1).unwrap();
    names.wait(LONG);
    broken.store(true, Ordering::SeqCst);
    names.ask(POOL, ServerIdx(0));
    next_answer(&mut names);
    assert_eq!(names.addresses(POOL, ServerIdx(0)), [address(7)]);
}

#[test]
fn a_name_is_looked_up_once_at_a_time_and_not_again_at_once() {
    let lookup: Lookup = Arc::new(|_, _| Ok(vec![address(1)]));
    let mut names = Names::start(&config(&["one"]), &lookup, 1).unwrap();
    assert_eq!(
        names.wanted(POOL, ServerIdx(0)),
        None,
        "the first is on its way"
    );
    assert_eq!(next_answer(&mut names), ServerIdx(0));
    let delay = names.wanted(POOL, ServerIdx(0)).expect("a new lookup");
    assert!(delay > Duration::ZERO && delay <= GAP, "{delay:?}");
    assert_eq!(names.wanted(POOL, ServerIdx(0)), None, "it waits already");
}

#[test]
fn what_is_known_is_looked_up_again_when_it_is_old() {
    let asked = std::sync::atomic::AtomicU8::new(0);
    let lookup: Lookup =
        Arc::new(move |_, _| Ok(vec![address(asked.fetch_add(1, Ordering::SeqCst))]));
    let config = config_with("  resolve_interval: 20\n", &["one", "10.9.9.9"]);
    let mut names = Names::start(&config, &lookup, 1).unwrap();
    names.wait(LONG);
    for round in 1..4 {
        let [(pool, server, _)] = names.untimed()[..] else {
            panic!("one name, one time")
        };
        assert_eq!(names.untimed(), [], "somebody was told");
        let until = now() + LONG;
        while let Some(left) = names.refresh(pool, server) {
            assert!(left <= Duration::from_millis(25), "{left:?}");
            assert!(now() < until);
            std::thread::yield_now();
        }
        assert_eq!(next_answer(&mut names), server);
        assert_eq!(names.addresses(pool, server), [address(round)]);
    }
}

#[test]
fn many_names_are_not_asked_for_again_at_once() {
    let lookup: Lookup = Arc::new(|_, _| Ok(vec![address(1)]));
    let hosts: Vec<String> = (0..100).map(|n| format!("host{n}")).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let config = config_with("  resolve_interval: 100000\n", &hosts);
    let mut names = Names::start(&config, &lookup, 1).unwrap();
    names.wait(LONG);
    let mut delays: Vec<u64> = names.untimed().iter().map(|(.., d)| d.as_secs()).collect();
    delays.sort_unstable();
    assert_eq!(delays.len(), 100);
    assert!(delays[0] >= 50 && delays[99] <= 125, "{delays:?}");
    // 10 are what an even share would be in 5 seconds.
    let crowd = delays.windows(26).find(|some| some[25] - some[0] < 5);
    assert_eq!(crowd, None, "{delays:?}");
}

#[test]
fn a_name_server_that_hangs_leaves_threads_for_names_that_somebody_waits_for() {
    let (release, hang) = mpsc::channel::<()>();
    let hang = Mutex::new(hang);
    let is_away = Arc::new(AtomicBool::new(false));
    let lookup: Lookup = {
        let is_away = Arc::clone(&is_away);
        Arc::new(move |host, _| {
            if is_away.load(Ordering::SeqCst) && host != "wanted" {
                let _ = hang.lock().unwrap().recv();
            }
            Ok(vec![address(1)])
        })
    };
    let config = config_with("  resolve_interval: 1\n", &["a", "b", "c", "d", "wanted"]);
    let mut names = Names::start(&config, &lookup, 1).unwrap();
    names.wait(LONG);
    is_away.store(true, Ordering::SeqCst);
    let mut asked = 0;
    let until = now() + LONG;
    for server in (0..4).map(ServerIdx) {
        while let Some(delay) = names.refresh(POOL, server) {
            if delay == GAP {
                break;
            }
            assert!(now() < until);
        }
        asked += usize::from(names.names[0][server.index()].as_ref().unwrap().asked);
    }
    assert_eq!(asked, REFRESHES_MAX);
    assert!(names.wanted(POOL, ServerIdx(4)).is_some());
    names.ask(POOL, ServerIdx(4));
    assert_eq!(next_answer(&mut names), ServerIdx(4));
    drop(release);
}
