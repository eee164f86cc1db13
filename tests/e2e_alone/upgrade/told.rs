//! What `ctl` was told holds after an upgrade: where a master is, the log level, a drain and its pace.

#![allow(clippy::disallowed_methods, reason = "a test waits by a real clock")]

use std::time::Duration;
use std::time::Instant;

use crate::alone;
use crate::line::Line;
use crate::support::Pool;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;

#[test]
fn a_master_that_was_switched_is_where_it_was_told_to_be_and_a_newer_file_overrules_it() {
    let _alone = alone(module_path!());
    let redis = Redis::fleet(2);
    let pools = [Pool::over("alpha", &redis[..1])];
    let line = Line::start(&["--cores", "0,"], &pools);
    let mut client = line.proxy.client("alpha");
    assert_eq!(client.call(["SET", "key", "first"]), Reply::ok());
    let to = redis[1].address();
    let (code, text) = line
        .admin
        .ctl(&format!("switch-master s1 {} {}", to.ip(), to.port()));
    assert_eq!(code, 0, "{text}");
    eventually("writes go to the other one", || {
        client.call(["SET", "key", "second"]);
        (redis[1].client().call(["GET", "key"]) == Reply::bulk("second")).then_some(())
    });
    for _ in 0..2 {
        line.upgrade();
        assert_eq!(client.call(["GET", "key"]), Reply::bulk("second"));
        let mut next = line.proxy.client("alpha");
        assert_eq!(next.call(["GET", "key"]), Reply::bulk("second"));
    }
    // Somebody writes where it is into the file, and then that it is elsewhere.
    let path = line.proxy.config_path();
    let file = std::fs::read_to_string(path).unwrap();
    let from = redis[0].address().to_string();
    line.proxy
        .write_config(&file.replace(&from, &to.to_string()));
    line.upgrade();
    assert_eq!(client.call(["GET", "key"]), Reply::bulk("second"));
    line.proxy.write_config(&file);
    line.upgrade();
    assert_eq!(client.call(["GET", "key"]), Reply::bulk("first"));
}

#[test]
fn the_log_level_that_was_told_stays() {
    let _alone = alone(module_path!());
    let pools = [Pool::new("alpha").server("127.0.0.1:1")];
    let line = Line::start(&["--cores", "0,"], &pools);
    line.upgrade();
    assert_eq!(line.admin.ctl("loglevel 9").1, "log level 9\n");
    line.upgrade();
    line.upgrade();
    assert_eq!(line.admin.ctl("loglevel -").1, "log level 8\n");
}

#[test]
fn a_drain_and_its_pace_stay_in_force_until_they_are_taken_back() {
    let _alone = alone(module_path!());
    const WITHIN: Duration = Duration::from_secs(8);
    const CLIENTS: usize = 16;
    let redis = Redis::start();
    let pools = [Pool::over("alpha", std::slice::from_ref(&redis))];
    let line = Line::start(&["--cores", "0,"], &pools);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| line.proxy.client("alpha")).collect();
    for client in &mut clients {
        client.call(["PING"]);
    }
    let began = Instant::now();
    let (code, text) = line.admin.ctl("drain --after 2 --within 8");
    assert_eq!(code, 0, "{text}");
    line.upgrade();
    assert_eq!(line.admin.file(), "1\n", "it is unhealthy yet");
    let here = || line.proxy.numbers().pool("alpha", "client_connections");
    let early = here();
    if began.elapsed() < Duration::from_secs(2) {
        assert_eq!(early, CLIENTS as i64, "nobody goes before the time");
    }
    eventually("the first ones go", || {
        (here() < CLIENTS as i64).then_some(())
    });
    line.upgrade();
    eventually("all have gone", || (here() == 0).then_some(()));
    // The last one goes a step before the end.
    assert!(
        began.elapsed() > WITHIN,
        "not at once: {:?}",
        began.elapsed()
    );
    // Those who come now stay, also over another upgrade.
    let mut late = line.proxy.client("alpha");
    assert_eq!(late.call(["SET", "key", "value"]), Reply::ok());
    eventually("it is over", || {
        (began.elapsed() > WITHIN + Duration::from_secs(2)).then_some(())
    });
    line.upgrade();
    assert_eq!(line.admin.file(), "1\n");
    assert_eq!(late.call(["GET", "key"]), Reply::bulk("value"));
    assert_eq!(line.admin.ctl("undrain").0, 0);
    line.upgrade();
    eventually("it is healthy", || {
        (line.admin.file() == "0\n").then_some(())
    });
    assert_eq!(late.call(["GET", "key"]), Reply::bulk("value"));
}
