//! Every command gives through the proxy the reply that the server gives directly.
//!
//! The same commands run on one server and, through the proxy, on three whose pool keeps keys with
//! the same tag together. Replies that depend on chance or on the time are compared by their kind,
//! and those whose order is the server's own choice without it.

mod families;

use crate::support::Client;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;

use families::FAMILIES;
use families::SUPPORTED_BY_TWEMPROXY;

/// How a reply is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Compare {
    Exactly,
    WithoutOrder,
    Kind,
}

/// A line of the table: a command, and how its reply is compared.
fn line(text: &str) -> (Compare, &str) {
    match text.trim().split_at(1) {
        ("~", command) => (Compare::WithoutOrder, command.trim()),
        ("?", command) => (Compare::Kind, command.trim()),
        _ => (Compare::Exactly, text.trim()),
    }
}

fn lines(family: &str) -> impl Iterator<Item = (Compare, &str)> {
    family
        .lines()
        .filter(|text| !text.trim().is_empty())
        .map(line)
}

/// Words, of which those in double quotes may have blanks, or nothing, in them.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (place, part) in command.split('"').enumerate() {
        if place % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

fn without_order(reply: &Reply) -> Reply {
    match reply {
        Reply::Array(items) => {
            let mut items: Vec<Reply> = items.iter().map(without_order).collect();
            items.sort_by_key(|item| format!("{item:?}"));
            Reply::Array(items)
        }
        other => other.clone(),
    }
}

fn assert_alike(compare: Compare, command: &str, through: &Reply, direct: &Reply) {
    match compare {
        Compare::Exactly => assert_eq!(through, direct, "{command}"),
        Compare::WithoutOrder => {
            assert_eq!(without_order(through), without_order(direct), "{command}");
        }
        Compare::Kind => assert_eq!(
            std::mem::discriminant(through),
            std::mem::discriminant(direct),
            "{command}: {through:?}, directly {direct:?}"
        ),
    }
}

struct Stand {
    direct: Redis,
    behind: Vec<Redis>,
    proxy: Proxy,
}

impl Stand {
    fn start() -> Stand {
        let behind = Redis::fleet(3);
        let pool = Pool::over("alpha", &behind).with("hash_tag", "\"{}\"");
        Stand {
            direct: Redis::start(),
            proxy: Proxy::coremux(&[pool]),
            behind,
        }
    }

    /// What the server says to every line, beginning with nothing; the others are emptied, too.
    fn direct_replies(&self, family: &str) -> Vec<Reply> {
        for redis in self.behind.iter().chain([&self.direct]) {
            let mut client = redis.client();
            assert_eq!(client.call(["FLUSHALL"]), Reply::ok());
            assert_eq!(client.call(["SCRIPT", "FLUSH"]), Reply::ok());
            let library = "#!lua name=tests\n redis.register_function{function_name='second', \
                           callback=function(keys, args) return args[2] end, \
                           flags={'no-writes'}}";
            client.call(["FUNCTION", "LOAD", "REPLACE", library]);
        }
        let mut client = self.direct.client();
        lines(family)
            .map(|(_, command)| client.call(words(command)))
            .collect()
    }

    fn compare(&self, way: &str, replies: impl Fn(&mut Client, &[&str]) -> Vec<Reply>) {
        for (name, family) in FAMILIES {
            let direct = self.direct_replies(family);
            let commands: Vec<&str> = lines(family).map(|(_, command)| command).collect();
            let mut client = self.proxy.client("alpha");
            let through = replies(&mut client, &commands);
            assert_eq!(through.len(), direct.len());
            for ((compare, command), (through, direct)) in
                lines(family).zip(through.iter().zip(&direct))
            {
                let command = format!("{name}, {way}: {command}");
                assert_alike(compare, &command, through, direct);
            }
        }
    }
}

#[test]
fn one_by_one_in_a_pipeline_and_inline() {
    let stand = Stand::start();
    stand.compare("one by one", |client, commands| {
        commands
            .iter()
            .map(|command| client.call(words(command)))
            .collect()
    });
    stand.compare("in a pipeline", |client, commands| {
        client.pipeline(commands.iter().map(|command| words(command)))
    });
    stand.compare("inline", |client, commands| {
        for command in commands {
            client.send_raw(format!("{command}\r\n").as_bytes());
        }
        commands.iter().map(|_| client.read()).collect()
    });
}

#[test]
fn the_table_has_every_command_that_twemproxy_supports() {
    let first_words: Vec<String> = FAMILIES
        .iter()
        .flat_map(|(_, family)| lines(family))
        .map(|(_, command)| words(command)[0].to_uppercase())
        .collect();
    for command in SUPPORTED_BY_TWEMPROXY.split_whitespace() {
        assert!(
            first_words.iter().any(|word| word == command),
            "{command} is not tried"
        );
    }
}

#[test]
fn keys_and_values_are_bytes() {
    let stand = Stand::start();
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let (mut through, mut direct) = (stand.proxy.client("alpha"), stand.direct.client());
    for key in [
        &every_byte[..],
        b"",
        b"\r\n",
        b"$5\r\n*1\r\n",
        b"{",
        b"{}",
        "ключ".as_bytes(),
    ] {
        for value in [&every_byte[..], b"", b"\r\n$-1\r\n", &[0xff; 5000]] {
            for command in [
                &[b"SET", key, value][..],
                &[b"GET", key],
                &[b"APPEND", key, &every_byte],
                &[b"GETRANGE", key, b"1", b"-2"],
                &[b"HSET", b"h", key, value],
                &[b"HGET", b"h", key],
                &[b"DEL", b"h"],
                &[b"MSET", key, value, b"other", value],
                &[b"MGET", key, b"other", key],
            ] {
                let reply = through.call(command);
                assert_eq!(
                    reply,
                    direct.call(command),
                    "{}",
                    command.concat().escape_ascii()
                );
            }
        }
    }
}

#[test]
fn a_dumped_value_is_restored_through_the_proxy() {
    let stand = Stand::start();
    let mut client = stand.proxy.client("alpha");
    client.call(["RPUSH", "list", "one", "two", "three"]);
    let Reply::Bulk(dump) = client.call(["DUMP", "list"]) else {
        panic!("no dump");
    };
    let restore = [&b"RESTORE"[..], b"copy", b"0", &dump];
    assert_eq!(client.call(restore), Reply::ok());
    assert!(client.call(restore).error().starts_with("BUSYKEY"));
    assert_eq!(
        client.call([&b"RESTORE"[..], b"copy", b"0", &dump, b"REPLACE"]),
        Reply::ok()
    );
    assert_eq!(
        client.call(["LRANGE", "copy", "0", "-1"]),
        client.call(["LRANGE", "list", "0", "-1"])
    );
    let broken = client.call([&b"RESTORE"[..], b"copy2", b"0", b"broken"]);
    assert!(broken.error().contains("checksum are wrong"), "{broken:?}");
}
