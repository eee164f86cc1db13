//! Clients that listen to channels go on listening in the new process.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::alone;
use crate::line::Line;
use crate::support::Client;
use crate::support::Pool;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;

fn texts(parts: &[&str]) -> Vec<Reply> {
    parts.iter().map(Reply::bulk).collect()
}

/// What a client was told or sent.
fn heard(client: &mut Client) -> Vec<Reply> {
    match client.read() {
        Reply::Array(parts) | Reply::Push(parts) => parts,
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_listens_hears_each_message_once_before_and_after_and_is_told_nothing_in_between() {
    let _alone = alone(module_path!());
    for mode in ["exclusive", "shared"] {
        let redis = Redis::fleet(2);
        let pool = Pool::over("alpha", &redis).with("pubsub", mode);
        let line = Line::start(&["--cores", "2"], &[pool]);
        let mut clients: Vec<Client> = (0..6).map(|_| line.proxy.client("alpha")).collect();
        for (nth, client) in clients.iter_mut().enumerate() {
            client.call(["HELLO", if nth % 2 == 0 { "2" } else { "3" }]);
            for (verb, topic) in [
                ("SUBSCRIBE", "news"),
                ("PSUBSCRIBE", "spor*"),
                ("SSUBSCRIBE", "shard"),
            ] {
                client.call([verb, topic]);
            }
        }
        let mut publisher = line.proxy.client("alpha");
        for round in 0..3 {
            let text = round.to_string();
            for (verb, channel, told) in [
                ("PUBLISH", "news", &["message", "news", &text][..]),
                ("PUBLISH", "sport", &["pmessage", "spor*", "sport", &text]),
                ("SPUBLISH", "shard", &["smessage", "shard", &text]),
            ] {
                publisher.call([verb, channel, &text]);
                for client in &mut clients {
                    assert_eq!(heard(client), texts(told), "{mode}");
                }
            }
            let (code, text) = line.admin.ctl("upgrade");
            assert_eq!(code, 0, "{text}");
            assert!(text.contains("7 client connections"), "{text}");
            // The new process has asked for it as soon as it has the client: what is published before
            // that is heard by nobody.
            let mut listen: Vec<BTreeSet<String>> =
                clients.iter().map(|_| BTreeSet::new()).collect();
            eventually("all listen again", || {
                for (verb, channel) in [
                    ("PUBLISH", "news"),
                    ("PUBLISH", "sport"),
                    ("SPUBLISH", "shard"),
                ] {
                    publisher.call([verb, channel, "between"]);
                }
                for (client, channels) in clients.iter_mut().zip(&mut listen) {
                    client.set_read_timeout(Duration::from_millis(20));
                    while let Ok(Reply::Array(parts) | Reply::Push(parts)) = client.try_read() {
                        assert_eq!(parts.last(), Some(&Reply::bulk("between")));
                        channels.insert(format!("{:?}", parts[0]));
                    }
                    client.set_read_timeout(Duration::from_secs(20));
                }
                listen
                    .iter()
                    .all(|channels| channels.len() == 3)
                    .then_some(())
            });
            for client in &mut clients {
                client.send(["SUBSCRIBE", "end"]);
                let mut last = heard(client);
                while last.last() == Some(&Reply::bulk("between")) {
                    last = heard(client);
                }
                let count = Reply::Integer(3);
                let told = [texts(&["subscribe", "end"]), vec![count]].concat();
                assert_eq!(last, told, "{mode}: nothing that it had before is gone");
                client.call(["UNSUBSCRIBE", "end"]);
            }
        }
        drop(clients);
        eventually("nobody listens any more", || {
            let told = publisher.call(["PUBLISH", "news", "x"]);
            (told == Reply::Integer(0)).then_some(())
        });
    }
}
