use std::io::ErrorKind;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use super::*;

const POOL: PoolIdx = PoolIdx(0);
const LONG: Duration = Duration::from_secs(20);

fn config(hosts: &[&str]) -> Config {
    let servers: String = hosts
        .iter()
        .map(|host| format!("  - {host}:6379:1\n"))
        .collect();
    let text = format!("alpha:\n  listen: /none\n  redis: true\n  servers:\n{servers}");
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
    let mut names = Names::start(&config(&["one", "10.9.9.9", "two"]), &lookup).unwrap();
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
    let mut names = Names::start(&config(&["hangs", "works"]), &lookup).unwrap();
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
    let mut names = Names::start(&config(&["one"]), &lookup).unwrap();
    names.wait(LONG);
    broken.store(true, Ordering::SeqCst);
    names.ask(POOL, ServerIdx(0));
    next_answer(&mut names);
    assert_eq!(names.addresses(POOL, ServerIdx(0)), [address(7)]);
}

#[test]
fn a_name_is_looked_up_once_at_a_time_and_not_again_at_once() {
    let lookup: Lookup = Arc::new(|_, _| Ok(vec![address(1)]));
    let mut names = Names::start(&config(&["one"]), &lookup).unwrap();
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
