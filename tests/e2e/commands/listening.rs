//! Who listens goes on listening, whatever becomes of servers and of others who listen; who cannot is told,
//! or closed.

use std::fmt::Write;
use std::time::Duration;

use super::subscribe::MODES;
use super::subscribe::Stand;
use super::subscribe::confirmed;
use super::subscribe::hears_nothing;
use super::subscribe::message;
use crate::support::Client;
use crate::support::Pool;
use crate::support::Reply;
use crate::support::eventually;

/// The sum of a metric over all its labels.
fn metric(stand: &Stand, name: &str) -> u64 {
    let text = stand.admin.get("/metrics").body;
    let lines = text
        .lines()
        .filter(|line| line.starts_with(&format!("{name}{{")));
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    values.sum()
}

/// Publishes until somebody has heard it.
fn publishes(stand: &Stand, channel: &str, text: &str) {
    eventually("somebody hears it", || {
        let told = stand.client("2").call(["PUBLISH", channel, text]);
        (told == Reply::Integer(1)).then_some(())
    });
}

#[test]
fn a_server_that_comes_back_is_listened_to_again_and_nobody_is_told_anything() {
    for mode in MODES {
        let mut stand = Stand::start(2, mode, &[("timeout", "2000")]);
        let (here, there) = (stand.channel(0, "c"), stand.channel(1, "c"));
        let mut client = stand.client("2");
        client.call(["SUBSCRIBE", &here]);
        client.call(["SUBSCRIBE", &there]);
        client.call(["PSUBSCRIBE", "x*"]);
        stand.redis[0].kill();
        stand.publish(&there, "meanwhile", 1);
        assert_eq!(
            client.read(),
            message("2", &["message", &there, "meanwhile"])
        );
        stand.redis[0].restart();
        publishes(&stand, &here, "again");
        assert_eq!(client.read(), message("2", &["message", &here, "again"]));
        // The pattern, too; and the server that was never away.
        let other = stand.channel(0, "x");
        publishes(&stand, &other, "pattern");
        assert_eq!(
            client.read(),
            message("2", &["pmessage", "x*", &other, "pattern"])
        );
        stand.publish(&there, "still", 1);
        assert_eq!(client.read(), message("2", &["message", &there, "still"]));
        hears_nothing(&mut client);
        assert_eq!(metric(&stand, "coremux_pubsub_resubscribed_total"), 2);
        assert_eq!(metric(&stand, "coremux_pubsub_subscribers"), 1);
        assert_eq!(metric(&stand, "coremux_pubsub_subscriptions"), 3);
        let log = stand.proxy.process().log();
        assert!(
            log.contains("subscriptions lost") && log.contains("subscribed again"),
            "{log}"
        );
        let (_, status) = stand.admin.ctl("status");
        let told =
            "1 subscriber of 3 channels and patterns; 0 closed as too slow, 2 subscribed again";
        assert!(status.contains(told), "{status}");
        // One that only closes the connection is asked again at once.
        stand.redis[1]
            .client()
            .call(["CLIENT", "KILL", "TYPE", "pubsub"]);
        publishes(&stand, &there, "killed");
        assert_eq!(client.read(), message("2", &["message", &there, "killed"]));
        assert_eq!(
            client.call(["UNSUBSCRIBE", &there]),
            confirmed("2", "unsubscribe", &there, 2)
        );
    }
}

#[test]
fn a_server_that_is_away_cannot_be_listened_to_and_that_is_told() {
    for mode in MODES {
        let mut stand = Stand::start(2, mode, &[("timeout", "1000")]);
        let (here, there) = (stand.channel(0, "c"), stand.channel(1, "c"));
        let mut client = stand.client("3");
        stand.redis[0].kill();
        let told = client.call(["SUBSCRIBE", &there, &here]);
        assert!(matches!(told, Reply::Error(_)), "{told:?}");
        // Nothing is left of it.
        assert_eq!(client.call(["PING"]), Reply::Simple("PONG".to_owned()));
        eventually("nobody listens", || {
            let told = stand.client("2").call(["PUBLISH", &there, "x"]);
            (told == Reply::Integer(0)).then_some(())
        });
        assert_eq!(
            client.call(["SUBSCRIBE", &there]),
            confirmed("3", "subscribe", &there, 1)
        );
        let told = client.call(["PSUBSCRIBE", "*"]);
        assert!(matches!(told, Reply::Error(_)), "{told:?}");
        stand.redis[0].restart();
        eventually("it can be listened to", || {
            (client.call(["SUBSCRIBE", &here]) == confirmed("3", "subscribe", &here, 2))
                .then_some(())
        });
        // One that hangs as well, in time.
        stand.redis[0].process().signal("STOP");
        let hung = stand.channel(0, "hung");
        assert_eq!(
            client.call(["SUBSCRIBE", &hung]),
            Reply::Error("ERR Connection timed out".to_owned())
        );
        stand.redis[0].process().signal("CONT");
        eventually("its late word makes nobody listen", || {
            let told = stand.client("2").call(["PUBLISH", &hung, "x"]);
            (told == Reply::Integer(0)).then_some(())
        });
        hears_nothing(&mut client);
    }
}

#[test]
fn who_does_not_take_its_messages_is_closed_and_nobody_else_waits() {
    for mode in MODES {
        let hard = [("pubsub_output_limit", "3000000")];
        let soft = [
            ("pubsub_output_soft_limit", "100000"),
            ("pubsub_output_soft_ms", "300"),
        ];
        for limit in [&hard[..], &soft] {
            let stand = Stand::start(1, mode, limit);
            let mut slow = stand.client("2");
            slow.call(["SUBSCRIBE", "news"]);
            let mut quick = stand.client("3");
            quick.call(["SUBSCRIBE", "news"]);
            let mut publisher = stand.client("2");
            let large = "x".repeat(500_000);
            eventually("the slow one is closed", || {
                publisher.call(["PUBLISH", "news", &large]);
                assert_eq!(quick.read(), message("3", &["message", "news", &large]));
                let closed = metric(&stand, "coremux_pubsub_slow_subscribers_closed_total");
                assert!(closed <= 1, "{closed} are closed");
                (closed == 1).then_some(())
            });
            eventually("it is away", || {
                (metric(&stand, "coremux_pubsub_subscribers") == 1).then_some(())
            });
            publisher.call(["PUBLISH", "news", "last"]);
            assert_eq!(quick.read(), message("3", &["message", "news", "last"]));
            slow.set_read_timeout(Duration::from_secs(20));
            while slow.try_read().is_ok() {}
        }
    }
}

#[test]
fn without_a_free_connection_who_wants_to_listen_waits_and_then_gets_an_error() {
    let keys = [("exclusive_connections", "1"), ("timeout", "300")];
    let stand = Stand::start(1, "exclusive", &keys);
    // Each of two workers has one.
    let mut held: Vec<Client> = Vec::new();
    let refused = Reply::Error(
        "ERR No exclusive connection to the server is free: see exclusive_connections".to_owned(),
    );
    let mut waits = loop {
        let mut client = stand.client("2");
        match client.call(["SUBSCRIBE", "a"]) {
            told if told == refused => break client,
            _ => held.push(client),
        }
        assert!(held.len() <= 2);
    };
    assert_eq!(waits.call(["PING"]), Reply::Simple("PONG".to_owned()));
    waits.send(["SUBSCRIBE", "a"]);
    drop(held);
    let told = waits.read();
    if told == refused {
        assert_eq!(
            waits.call(["SUBSCRIBE", "a"]),
            confirmed("2", "subscribe", "a", 1)
        );
    } else {
        assert_eq!(told, confirmed("2", "subscribe", "a", 1));
    }
    // One is enough for as many topics as it likes; and none is needed where all share one.
    waits.send(["PSUBSCRIBE", "b", "c"]);
    assert_eq!(waits.read(), confirmed("2", "psubscribe", "b", 2));
    assert_eq!(waits.read(), confirmed("2", "psubscribe", "c", 3));
    let keys = [("exclusive_connections", "0")];
    let mut none = Stand::start(1, "exclusive", &keys);
    assert_eq!(none.client("2").call(["SUBSCRIBE", "a"]), refused);
    none = Stand::start(1, "shared", &keys);
    let mut all: Vec<Client> = (0..50).map(|_| none.client("2")).collect();
    for client in &mut all {
        assert_eq!(
            client.call(["SUBSCRIBE", "a"]),
            confirmed("2", "subscribe", "a", 1)
        );
    }
    let told = none.client("2").call(["PUBLISH", "a", "x"]);
    assert!(
        matches!(told, Reply::Integer(1..=2)),
        "one for each worker: {told:?}"
    );
    for client in &mut all {
        assert_eq!(client.read(), message("2", &["message", "a", "x"]));
    }
}

#[test]
fn the_names_that_one_client_listens_to_are_bounded() {
    for mode in MODES {
        let stand = Stand::start(1, mode, &[("client_output_limit", "20000")]);
        let mut client = stand.client("3");
        let name = "x".repeat(9000);
        for nth in 1..3 {
            let name = format!("{nth}{name}");
            assert_eq!(
                client.call(["SUBSCRIBE", &name]),
                confirmed("3", "subscribe", &name, nth)
            );
        }
        let told = client.call(["SUBSCRIBE", &name]);
        assert_eq!(
            told.error(),
            "ERR Too many subscriptions: their names take more than client_output_limit"
        );
        assert_eq!(
            client.call(["UNSUBSCRIBE", &format!("1{name}")]),
            confirmed("3", "unsubscribe", &format!("1{name}"), 1)
        );
        assert_eq!(
            client.call(["SUBSCRIBE", &name]),
            confirmed("3", "subscribe", &name, 2)
        );
    }
}

/// What a client hears until it has heard nothing for so long.
fn heard_for(client: &mut Client, silence: Duration) -> Vec<Reply> {
    client.set_read_timeout(silence);
    let heard = std::iter::from_fn(|| client.try_read().ok()).collect();
    client.set_read_timeout(Duration::from_secs(20));
    heard
}

#[test]
fn channels_whose_server_changes_are_listened_to_where_they_live_now() {
    for mode in MODES {
        let stand = Stand::start(3, mode, &[]);
        let channels: Vec<String> = (0..3).map(|nth| stand.channel(nth, "c")).collect();
        let mut client = stand.client("2");
        for channel in &channels {
            client.call(["SUBSCRIBE", channel]);
        }
        client.call(["PSUBSCRIBE", "c*"]);
        for order in [&[0, 2][..], &[0], &[2, 1], &[0, 1, 2]] {
            let listen = stand.proxy.address("alpha");
            let mut yml = format!(
                "alpha:\n  listen: {listen}\n  redis: true\n  pubsub: {mode}\n  servers:\n"
            );
            for place in order {
                let (address, name) = (stand.redis[*place].address(), Pool::server_name(*place));
                writeln!(yml, "    - {address}:1 {name}").unwrap();
            }
            stand.proxy.write_config(&yml);
            let (code, text) = stand.admin.ctl("reload");
            assert_eq!(code, 0, "{text}");
            for channel in &channels {
                let mut times = 0;
                eventually("it is listened to there", || {
                    times += 1;
                    let text = times.to_string();
                    // While one connection takes another's place, its server may count both.
                    stand.client("2").call(["PUBLISH", channel, &text]);
                    let both = [
                        message("2", &["message", channel, &text]),
                        message("2", &["pmessage", "c*", channel, &text]),
                    ];
                    let heard = heard_for(&mut client, Duration::from_millis(100));
                    let of_this = |it: &&Reply| both.contains(it);
                    let of_this: Vec<&Reply> = heard.iter().filter(of_this).collect();
                    let once = |one| of_this.iter().filter(|it| **it == one).count() <= 1;
                    assert!(both.iter().all(once), "{heard:?}");
                    (of_this == both.iter().collect::<Vec<_>>()).then_some(())
                });
            }
            hears_nothing(&mut client);
        }
        drop(client);
        eventually("nobody listens anywhere", || {
            let all = stand.redis.iter();
            let none = all.filter(|redis| {
                redis.client().call(["PUBSUB", "CHANNELS"]) == Reply::Array(vec![])
            });
            (none.count() == 3).then_some(())
        });
    }
}

#[test]
fn who_ends_its_sending_half_is_told_what_it_has_asked_for_and_closed() {
    for mode in MODES {
        let stand = Stand::start(1, mode, &[]);
        let mut client = stand.proxy.client("alpha");
        client.send_and_end(b"SUBSCRIBE a\r\n");
        let told = client.read_to_end().unwrap();
        assert_eq!(told, b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
        eventually("it is away", || {
            (metric(&stand, "coremux_pubsub_subscribers") == 0).then_some(())
        });
        stand.publish("a", "x", 0);
    }
}
