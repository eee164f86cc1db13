//! A client reads the slow requests of its pool as it would a server's, whichever worker served them; what
//! timed out and what was large is among them, and no value.

use crate::support::Admin;
use crate::support::Client;
use crate::support::Pool;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;

fn entries(client: &mut Client, request: &[&str]) -> Vec<Vec<Reply>> {
    let Reply::Array(entries) = client.call(request) else {
        panic!("no array")
    };
    let fields = entries.into_iter().map(|entry| match entry {
        Reply::Array(fields) => fields,
        other => panic!("{other:?}"),
    });
    fields.collect()
}

fn number(reply: &Reply) -> i64 {
    match reply {
        Reply::Integer(number) => *number,
        other => panic!("{other:?}"),
    }
}

#[test]
fn slow_requests_of_all_workers_are_read_by_any_client_and_forgotten_when_it_says_so() {
    let redis = Redis::start();
    let alpha = Pool::new("alpha")
        .server(redis.address())
        .with("slow_log_ms", 100)
        .with("slow_log_len", 12);
    let beta = Pool::new("beta")
        .server(redis.address())
        .with("slow_log_ms", 100)
        .with("slow_log_keys", false);
    let (_admin, proxy) = Admin::start(&["--cores", "2"], &[alpha, beta]);
    let mut clients: Vec<Client> = (0..12).map(|_| proxy.client("alpha")).collect();
    let mut of_beta = proxy.client("beta");
    clients[0].call(["CLIENT", "SETNAME", "jobs"]);
    redis.client().call(["CLIENT", "PAUSE", "250", "ALL"]);
    for (nth, client) in clients.iter_mut().enumerate() {
        client.send(["SET", &format!("key:{nth}"), "secret-value"]);
    }
    of_beta.send(["GET", "hidden"]);
    clients.iter_mut().for_each(|client| {
        assert_eq!(client.read(), Reply::ok());
    });
    of_beta.read();
    let mut keys = Vec::new();
    for nth in [3, 7] {
        let asker = &mut clients[nth];
        assert_eq!(asker.call(["SLOWLOG", "LEN"]), Reply::Integer(12));
        let all = entries(asker, &["SLOWLOG", "GET", "-1"]);
        assert_eq!(all.len(), 12);
        let ids: Vec<i64> = all.iter().map(|entry| number(&entry[0])).collect();
        assert!(ids.windows(2).all(|two| two[0] > two[1]), "{ids:?}");
        for entry in &all {
            assert_eq!(entry.len(), 6, "{entry:?}");
            assert!(number(&entry[1]) > 1_700_000_000 && number(&entry[2]) >= 100_000);
            let Reply::Array(words) = &entry[3] else {
                panic!("{entry:?}")
            };
            assert_eq!((words.len(), &words[0]), (3, &Reply::bulk("set")));
            keys.push(words[1].clone());
            assert!(!format!("{entry:?}").contains("secret"));
        }
        assert!(all.iter().any(|entry| entry[5] == Reply::bulk("jobs")));
        assert_eq!(entries(asker, &["SLOWLOG", "GET"]).len(), 10);
        assert_eq!(entries(asker, &["slowlog", "get", "2"]), all[..2]);
    }
    for nth in 0..12 {
        let key = Reply::bulk(format!("key:{nth}"));
        assert_eq!(keys.iter().filter(|known| **known == key).count(), 2);
    }
    let hidden = entries(&mut of_beta, &["SLOWLOG", "GET"]);
    assert_eq!(hidden.len(), 1);
    let words = Reply::Array(vec![Reply::bulk("get"), Reply::bulk("... (25 bytes)")]);
    assert_eq!(hidden[0][3], words);
    assert_eq!(clients[5].call(["SLOWLOG", "RESET"]), Reply::ok());
    assert_eq!(clients[6].call(["SLOWLOG", "LEN"]), Reply::Integer(0));
    assert_eq!(
        clients[6].call(["SLOWLOG", "GET"]),
        Reply::Array(Vec::new())
    );
    assert_eq!(of_beta.call(["SLOWLOG", "LEN"]), Reply::Integer(1));
    let mut newer = proxy.client("alpha");
    newer.call(["HELLO", "3"]);
    assert_eq!(newer.call(["SLOWLOG", "GET"]), Reply::Array(Vec::new()));
    for (request, error) in [
        (
            &["SLOWLOG", "GET", "x"][..],
            "ERR count should be greater than or equal to -1",
        ),
        (
            &["SLOWLOG", "GET", "-2"],
            "ERR count should be greater than or equal to -1",
        ),
        (
            &["SLOWLOG", "GET", "1", "2"],
            "ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.",
        ),
    ] {
        assert_eq!(newer.call(request).error(), error);
        assert_eq!(
            redis.client().call(request).error(),
            error,
            "as Redis says it"
        );
    }
    assert!(matches!(newer.call(["SLOWLOG", "HELP"]), Reply::Array(_)));
}

#[test]
fn what_has_timed_out_and_what_is_large_is_there_with_its_command_and_key() {
    let redis = Redis::start();
    let alpha = Pool::new("alpha")
        .server(redis.address())
        .with("slow_log_ms", 100)
        .with("timeout", 400);
    let (admin, proxy) = Admin::start(&["--cores", "1"], &[alpha]);
    let mut client = proxy.client("alpha");
    let mut direct = redis.client();
    let large = "x".repeat(3 << 20);
    direct.call(["CLIENT", "PAUSE", "200", "ALL"]);
    assert_eq!(client.call(["SET", "large", &large]), Reply::ok());
    direct.call(["CLIENT", "PAUSE", "60000", "ALL"]);
    client.send(["GET", "early"]);
    client.send(["SET", "late", "secret"]);
    client.send(["BLPOP", "by its own wish", "0"]);
    for _ in 0..2 {
        assert!(matches!(client.read(), Reply::Error(_)));
    }
    let slow = eventually("the worker has told them", || {
        let slow = admin.get("/api/slow").json();
        (slow.as_array().unwrap().len() == 3).then_some(slow)
    });
    for (nth, command, key, timed_out) in [
        (0, "set", "late", true),
        (1, "get", "early", true),
        (2, "set", "large", false),
    ] {
        let entry = &slow[nth];
        assert_eq!(
            (&entry["command"], &entry["key"], &entry["timed_out"]),
            (&command.into(), &key.into(), &timed_out.into()),
            "{entry}"
        );
        assert!(entry["at_server_us"].as_u64().unwrap() > 100_000, "{entry}");
        assert_eq!(entry["number"], 3 - nth, "{entry}");
    }
    assert_eq!(slow[0]["reply_bytes"], 0);
    assert!(slow[2]["request_bytes"].as_u64().unwrap() > 3 << 20);
    let newer = admin.get("/api/slow?since=2").json();
    assert_eq!(newer.as_array().unwrap().len(), 1);
    assert_eq!(admin.get("/api/slow?since=3").json(), serde_json::json!([]));
    let (code, text) = admin.ctl("slow");
    assert_eq!(code, 0);
    let ends: Vec<bool> = text
        .lines()
        .map(|line| line.ends_with(" timed out"))
        .collect();
    assert_eq!(ends, [true, true, false], "{text}");
    let all = entries(&mut proxy.client("alpha"), &["SLOWLOG", "GET"]);
    assert_eq!(all.len(), 3);
}
