use super::*;

const POOL: PoolIdx = PoolIdx(0);
const SERVER: ServerIdx = ServerIdx(1);

fn config(rules: &str) -> Config {
    let text = format!(
        "a:\n  listen: 127.0.0.1:1\n  redis: true\n{rules}  servers:\n  - h:1:1\n  - h:2:1\n"
    );
    Config::parse(&text, "test.yml").expect("a good configuration")
}

fn ejector(rules: &str) -> Ejector {
    Ejector::new(&config(rules))
}

/// What began at `since` failed at `at`.
fn fail(ejector: &mut Ejector, since: u64, at: u64) -> Verdict {
    let report = Report::ServerFailed {
        pool: POOL,
        server: SERVER,
        since: Time::from_micros(since),
        at: Time::from_micros(at),
        answers: false,
    };
    ejector.hear(report, Time::from_micros(at))
}

fn suspect() -> Option<Change> {
    Some(Change::Suspect {
        pool: POOL,
        server: SERVER,
    })
}

#[test]
fn a_server_is_ejected_at_the_limit_and_readmitted_once_by_a_probe() {
    let mut ejector = ejector("  auto_eject_hosts: true\n  server_failure_limit: 2\n");
    let first = fail(&mut ejector, 1, 2);
    assert_eq!(first.change, suspect());
    let early = first.probe.expect("a server that fails is probed");
    let verdict = fail(&mut ejector, 3, 4);
    let eject = Some(Change::Eject {
        pool: POOL,
        server: SERVER,
    });
    assert_eq!(verdict.change, eject);
    let probe = verdict.probe.expect("an ejected server is probed");
    assert_eq!(probe.after, Duration::from_millis(30_000));
    assert_eq!(ejector.probe_due(early), None, "not before its time");
    assert_eq!(ejector.probe_answered(early), None, "not before its time");
    assert_eq!(
        fail(&mut ejector, 5, 6),
        Verdict::default(),
        "ejected already"
    );
    let next = ejector.probe_due(probe).expect("nobody has answered");
    let readmit = Some(Change::Readmit {
        pool: POOL,
        server: SERVER,
    });
    assert_eq!(ejector.probe_answered(probe), readmit);
    assert_eq!(ejector.probe_answered(next), None);
    assert_eq!(ejector.probe_due(next), None);
}

#[test]
fn one_crash_is_one_failure_however_many_connections_it_breaks() {
    let mut ejector = ejector("  auto_eject_hosts: true\n  server_failure_limit: 2\n");
    assert_eq!(fail(&mut ejector, 1, 100).change, suspect());
    for connection in 2..50 {
        assert_eq!(fail(&mut ejector, connection, 101), Verdict::default());
    }
    let again = fail(&mut ejector, 100, 102);
    assert_eq!(
        again,
        Verdict::default(),
        "begun when the crash was heard of"
    );
    assert!(matches!(
        fail(&mut ejector, 103, 104).change,
        Some(Change::Eject { .. })
    ));
}

#[test]
fn a_good_reply_between_two_failures_forgives_the_first() {
    let mut ejector = ejector("  auto_eject_hosts: true\n  server_failure_limit: 2\n");
    fail(&mut ejector, 1, 2);
    let answered = Report::ServerAnswered {
        pool: POOL,
        server: SERVER,
    };
    ejector.hear(answered, Time::from_micros(3));
    assert_eq!(fail(&mut ejector, 3, 4).change, suspect());
}

#[test]
fn without_auto_eject_hosts_nobody_is_ejected_and_an_answer_to_a_probe_is_told() {
    let mut ejector = ejector("  server_failure_limit: 1\n");
    let verdict = fail(&mut ejector, 1, 2);
    assert_eq!(verdict.change, None);
    let probe = verdict.probe.expect("a server that fails is probed");
    assert_eq!(fail(&mut ejector, 3, 4), Verdict::default(), "one series");
    let reachable = Some(Change::Reachable {
        pool: POOL,
        server: SERVER,
    });
    assert_eq!(ejector.probe_answered(probe), reachable);
}

#[test]
fn an_ejected_server_that_is_elsewhere_is_asked_there_at_once() {
    let mut ejector = ejector("  auto_eject_hosts: true\n  server_failure_limit: 1\n");
    assert_eq!(
        ejector.moved(POOL, SERVER),
        None,
        "nothing is wrong with it"
    );
    let later = fail(&mut ejector, 1, 2).probe.expect("it is ejected");
    let probe = ejector.moved(POOL, SERVER).expect("it is elsewhere");
    assert_eq!(probe.after, Duration::ZERO);
    assert_eq!(ejector.probe_due(later), None, "that was for the old place");
    let readmit = ejector.probe_answered(probe);
    assert!(matches!(readmit, Some(Change::Readmit { .. })));
}

#[test]
fn an_ejected_server_is_asked_when_a_reload_says_counted_from_its_ejection() {
    let rules = |retry_ms: u32| {
        format!(
            "  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: {retry_ms}\n"
        )
    };
    let table = |retry_ms: u32| Table::new(std::sync::Arc::new(config(&rules(retry_ms))));
    let at = |ms: u64| Time::from_micros(ms * 1000);
    let mut ejector = ejector(&rules(60_000));
    let late = fail(&mut ejector, 1, 1000).probe.expect("it is ejected");
    assert_eq!(ejector.reload(&table(60_000), at(11)), [], "as before");
    let mut probe_of = |retry_ms, now| {
        let verdicts = ejector.reload(&table(retry_ms), at(now));
        assert_eq!(verdicts.len(), 1);
        assert_eq!(verdicts[0].change, None);
        verdicts[0].probe.expect("another time")
    };
    assert_eq!(probe_of(100, 21).after, Duration::from_millis(80));
    let sooner = probe_of(50, 61);
    assert_eq!(sooner.after, Duration::ZERO, "it is late already");
    assert_eq!(ejector.probe_due(late), None, "that was by the old rules");
    assert!(ejector.probe_due(sooner).is_some());
    assert_eq!(ejector.reload(&table(20), at(70)), [], "it is being asked");
}

#[test]
fn a_server_that_says_that_it_cannot_serve_is_counted_and_not_probed() {
    let mut ejector = ejector("  auto_eject_hosts: true\n  server_failure_limit: 2\n");
    let report = Report::ServerFailed {
        pool: POOL,
        server: SERVER,
        since: Time::from_micros(1),
        at: Time::from_micros(2),
        answers: true,
    };
    let verdict = ejector.hear(report, Time::from_micros(2));
    assert_eq!((verdict.change, verdict.probe), (suspect(), None));
}
