//! What the Sentinels say, and how far the proxy believes it, can be seen at the admin side.

use crate::support::Admin;
use crate::support::Group;
use crate::support::Pool;
use crate::support::eventually;
use serde_json::Value;

/// The value of a sample of `/metrics`.
fn metric(admin: &Admin, series: &str) -> f64 {
    let metrics = admin.get("/metrics").body;
    let line = metrics.lines().find_map(|line| line.strip_prefix(series));
    let value = line.unwrap_or_else(|| panic!("no {series} in {metrics}"));
    value.trim().parse().unwrap()
}

fn pool_of(admin: &Admin) -> Value {
    admin.get("/ready").json()["pools"][0].clone()
}

#[test]
fn sentinels_masters_and_replicas_are_shown_and_what_is_lost_of_them_is_too() {
    let mut group = Group::start(1, 1, "");
    let pool = Pool::new("alpha")
        .with("sentinels", group.yml())
        .with("require_sentinel_quorum", true)
        .with("read_from", "prefer-replica")
        .server(group.servers[0][0].address());
    let other = Pool::new("plain").server(group.servers[0][0].address());
    let (admin, _proxy) = Admin::start(&["--cores", "1"], &[pool, other]);
    let [master, replica] = [0, 1].map(|nth| group.servers[0][nth].address().to_string());
    let shown = eventually("the replica is read", || {
        let pool = pool_of(&admin);
        (pool["servers"][0]["replicas"][0]["read"] == true).then_some(pool)
    });
    let sentinels = &shown["sentinels"];
    assert_eq!(
        (&sentinels["known"], &sentinels["connected"]),
        (&3.into(), &3.into())
    );
    assert_eq!(sentinels["majority"], true);
    assert_eq!(sentinels["writes_refused"], false);
    let server = &shown["servers"][0];
    assert_eq!(server["master"]["address"], master);
    assert_eq!(server["master"]["epoch"], 0);
    for time in ["since", "role_confirmed"] {
        assert!(server["master"][time].as_str().unwrap().ends_with('Z'));
    }
    assert_eq!(server["replicas"][0]["address"], replica);
    assert!(server["replicas"][0]["lag_ms"].as_u64().unwrap() < 1000);
    let plain = admin.get("/ready/plain").json();
    assert!(plain.get("sentinels").is_none(), "{plain}");

    let (_, status) = admin.ctl("status");
    let line = "  sentinels: 3 of 3 answer, a majority is heard";
    assert!(status.lines().any(|l| l == line), "{status}");
    let of_master = format!("    master {master}, epoch 0, since ");
    let line = status.lines().find(|line| line.starts_with(&of_master));
    assert!(
        line.unwrap()
            .contains(&format!("; replica {replica} read, ")),
        "{status}"
    );
    let status = admin.get("/api/status?pool=alpha").json();
    let on_page = &status["pools"][0];
    assert_eq!(on_page["sentinels"]["connected"], 3);
    assert_eq!(on_page["servers"][0]["master"]["address"], master);
    assert_eq!(on_page["servers"][0]["replicas"][0]["address"], replica);

    let of_pool = |name: &str| format!("{name}{{pool=\"alpha\"}}");
    let of_server = |name: &str| format!("{name}{{pool=\"alpha\",server=\"s1\"}}");
    for (series, value) in [
        (of_pool("coremux_sentinels_known"), 3.0),
        (of_pool("coremux_sentinels_connected"), 3.0),
        (of_pool("coremux_sentinels_majority"), 1.0),
        (of_pool("coremux_pool_writes_refused"), 0.0),
        (of_server("coremux_master_epoch"), 0.0),
        (of_server("coremux_server_read_replicas"), 1.0),
    ] {
        assert_eq!(metric(&admin, &series), value, "{series}");
    }
    let since = metric(&admin, &of_server("coremux_master_since_timestamp_seconds"));
    assert!(since > 1.7e9, "{since}");

    let lost = group.sentinels[0].address();
    group.sentinels[0].kill();
    eventually("it is missed", || {
        (pool_of(&admin)["sentinels"]["connected"] == 2).then_some(())
    });
    let (_, status) = admin.ctl("status");
    let line = format!("  sentinels: 2 of 3 answer, a majority is heard, {lost} silent");
    assert!(status.lines().any(|l| l == line), "{status}");
    group.sentinels[1].kill();
    eventually("the majority is missed", || {
        let sentinels = pool_of(&admin)["sentinels"].clone();
        let refused = sentinels["writes_refused"] == true;
        (refused && sentinels["majority"] == false).then_some(())
    });
    assert_eq!(metric(&admin, &of_pool("coremux_pool_writes_refused")), 1.0);
    let (_, status) = admin.ctl("status");
    assert!(
        status.contains("1 of 3 answer, no majority is heard, writes are refused"),
        "{status}"
    );
}

#[test]
fn a_failover_is_seen_in_epoch_address_and_time() {
    let mut group = Group::start(1, 1, "");
    let pool = Pool::new("alpha")
        .with("sentinels", group.yml())
        .server(group.servers[0][0].address());
    let (admin, _proxy) = Admin::start(&["--cores", "1"], &[pool]);
    let master = || pool_of(&admin)["servers"][0]["master"].clone();
    let before = eventually("the master is found", || {
        Some(master()).filter(|m| !m.is_null())
    });
    group.servers[0][0].kill();
    let next = group.servers[0][1].address().to_string();
    let after = eventually("the master is another", || {
        Some(master()).filter(|master| master["address"] == next && master["epoch"] != 0)
    });
    assert!(after["since"].as_str() > before["since"].as_str());
    assert!(after["role_confirmed"].as_str() > before["role_confirmed"].as_str());
    let series = "coremux_master_epoch{pool=\"alpha\",server=\"s1\"}";
    assert_eq!(metric(&admin, series), after["epoch"].as_f64().unwrap());
}
