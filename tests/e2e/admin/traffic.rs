//! What clients do and cost is told, and what the proxy does for them when a server is away.

use serde_json::Value;

use super::metrics::labels;
use super::metrics::parse;
use crate::support::Admin;
use crate::support::Pool;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;

fn pool(admin: &Admin) -> Value {
    let status = admin.get("/api/status").json();
    status["pools"][0].clone()
}

#[test]
fn each_client_is_in_one_state_and_its_bytes_are_counted() {
    let redis = [Redis::start()];
    let alpha = Pool::over("alpha", &redis)
        .with("client_requests_in_flight", 4)
        .with("client_connections", 6);
    let (admin, proxy) = Admin::start(&["--cores", "2"], &[alpha]);
    let mut clients: Vec<_> = (0..6).map(|_| proxy.client("alpha")).collect();
    let [idle, begun, blocked, watching, asking, stopped] = &mut clients[..] else {
        panic!("six")
    };
    let value = "x".repeat(100_000);
    assert_eq!(idle.call(["SET", "key", &value]), Reply::ok());
    assert_eq!(idle.call(["GET", "key"]), Reply::bulk(value));
    begun.call(["MULTI"]);
    blocked.send(["BLPOP", "none", "0"]);
    watching.call(["WATCH", "key"]);
    redis[0].client().call(["CLIENT", "PAUSE", "60000", "ALL"]);
    asking.send(["GET", "key"]);
    for _ in 0..20 {
        stopped.send(["GET", "key"]);
    }
    let mut late = proxy.client("alpha");
    assert!(matches!(late.call(["PING"]), Reply::Error(_)));
    let now = eventually("all of them were looked at", || {
        let now = pool(&admin)["clients_now"].clone();
        (now["stopped"] == 1 && now["exclusive"] == 2 && now["asking"] == 1).then_some(now)
    });
    assert_eq!(
        (&now["idle"], &now["in_transaction"], &now["refused"]),
        (&1.into(), &1.into(), &1.into()),
        "{now}"
    );
    let number = |name: &str| now[name].as_u64().unwrap();
    assert!(
        (100_000..101_000).contains(&number("received_bytes")),
        "{now}"
    );
    assert!((100_000..101_000).contains(&number("sent_bytes")), "{now}");
    assert!(
        number("unread_bytes") > 0 && number("owed_bytes") == 0,
        "{now}"
    );
    let families = parse(&admin.get("/metrics").body);
    let of = |name: &str| families[name].samples[&labels(&[("pool", "alpha")])];
    assert_eq!(of("coremux_clients_exclusive"), 2.0);
    assert_eq!(of("coremux_client_connections_refused_total"), 1.0);
    assert!(of("coremux_client_sent_bytes_total") > 100_000.0);
    for worker in ["0", "1"] {
        let of = |name: &str| families[name].samples[&labels(&[("worker", worker)])];
        let (busy, cpu) = (
            of("coremux_worker_busy_seconds_total"),
            of("coremux_worker_cpu_seconds_total"),
        );
        // CPU is counted in hundredths of a second.
        assert!(busy > 0.0 && busy + 0.03 > cpu, "{busy} {cpu}");
        assert!(of("coremux_worker_completions_total") > 0.0);
    }
}

#[test]
fn what_is_held_and_what_is_sent_again_is_counted_for_its_server() {
    let mut redis = Redis::start();
    let hold = Pool::new("alpha")
        .server(redis.address())
        .with("on_server_failure", "hold")
        .with("hold_ms", 20_000);
    let (admin, proxy) = Admin::start(&["--cores", "1"], &[hold]);
    let mut client = proxy.client("alpha");
    assert_eq!(client.call(["SET", "key", "value"]), Reply::ok());
    let server = |admin: &Admin| pool(admin)["servers"][0].clone();
    let before = server(&admin);
    assert_eq!(before["retried"], 0, "{before}");
    redis.client().call(["CLIENT", "PAUSE", "60000", "ALL"]);
    for _ in 0..3 {
        client.send(["GET", "key"]);
    }
    eventually("they are sent", || {
        (server(&admin)["awaited"] == 3).then_some(())
    });
    redis.kill();
    client.send(["SET", "key", "other"]);
    redis.restart();
    for _ in 0..3 {
        assert_eq!(client.read(), Reply::Null);
    }
    assert_eq!(client.read(), Reply::ok());
    let after = server(&admin);
    assert_eq!(after["retried"], 3, "{after}");
    let held = |of: &Value| of["held"].as_u64().unwrap();
    assert_eq!(held(&after) - held(&before), 4, "{after}");
}
