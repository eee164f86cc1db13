//! The command table says of every command of Redis 7.0 what the real server says of it.

mod redis;
mod said;
mod value;

use std::collections::BTreeSet;
use std::io::BufReader;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::process::Stdio;

use coremux::protocol::command::Arity;
use coremux::protocol::command::Command;
use coremux::protocol::command::CommandError;
use coremux::protocol::command::Handling;
use coremux::protocol::command::Refusal;
use coremux::protocol::command::command_reply;
use coremux::protocol::command::commands;
use coremux::protocol::command::help_reply;
use coremux::protocol::command::lookup_full;
use coremux::protocol::command::resolve;
use coremux::protocol::resp::Resp;

use redis::Connection;
use redis::Redis;
use redis::redis_cli;
use value::Value;

/// Commands that take more arguments, or fewer, since a later version than 7.0: the server must judge
/// those.
const GREW_LATER: [&str; 4] = [
    "zrank",
    "zrevrank",
    "command|getkeys",
    "command|getkeysandflags",
];

/// The versions that the real server is compared in.
const BOTH: [Resp; 2] = [Resp::V2, Resp::V3];

fn connect(redis: &Redis, resp: Resp) -> Connection {
    let mut connection = redis.connect();
    if resp == Resp::V3 {
        connection.ask(&["HELLO", "3"]);
    }
    connection
}

fn words(request: &str) -> Vec<&str> {
    request.split_whitespace().collect()
}

/// Our reply to a `COMMAND …`.
fn ours<T: AsRef<[u8]>>(request: &[T], resp: Resp) -> Value {
    let mut reply = Vec::new();
    command_reply(request, resp, &mut reply);
    let mut rest = reply.as_slice();
    let value = Value::read(&mut rest);
    assert!(rest.is_empty(), "one reply, not more");
    value
}

/// The error reply that is due to a request, if one is.
fn our_error<T: AsRef<[u8]>>(request: &[T]) -> Option<Vec<u8>> {
    let error = match resolve(request) {
        Err(error) => error,
        Ok(command) => match command.handling(request) {
            Handling::Refuse(why) => CommandError::Refused(command, why),
            _ => CommandError::Keys(command.keys(request).err()?),
        },
    };
    let mut reply = Vec::new();
    error.write_reply(request, &mut reply);
    Some(reply)
}

/// The number by which versions are ordered.
fn version(text: &str) -> (u32, u32, u32) {
    let mut numbers = text.split('.').map(|n| n.parse().expect("a number"));
    let mut next = || numbers.next().expect("three numbers");
    (next(), next(), next())
}

fn rows_of(reply: &Value) -> impl Iterator<Item = &Value> {
    reply
        .items()
        .iter()
        .flat_map(|row| std::iter::once(row).chain(row.items()[9].items()))
}

/// Compares two rows of `COMMAND`, all ten elements but the last.
fn assert_same_row(ours: &Value, theirs: &Value) {
    let name = theirs.items()[0].text();
    for (i, (our, their)) in ours.items().iter().zip(theirs.items()).enumerate() {
        assert!(
            our.same_kind(their),
            "{name}, element {i}: {our:?} is no {their:?}"
        );
        match i {
            1 if GREW_LATER.contains(&name) => assert_ne!(our, their, "{name}"),
            0 | 1 | 3 | 4 | 5 | 7 => assert_eq!(our, their, "{name}, element {i}"),
            2 | 6 => assert_eq!(
                our.sorted_texts(),
                their.sorted_texts(),
                "{name}, element {i}"
            ),
            8 => {
                assert_eq!(
                    our.items().len(),
                    their.items().len(),
                    "{name}: key specifications"
                );
                for (our, their) in our.items().iter().zip(their.items()) {
                    assert_same_spec(name, our, their);
                }
            }
            _ => {}
        }
    }
}

fn assert_same_spec(name: &str, ours: &Value, theirs: &Value) {
    assert!(ours.same_kind(theirs), "{name}");
    for (part, their) in theirs.pairs().filter(|(part, _)| *part != "notes") {
        let our = ours.get(part).expect(part);
        assert!(our.same_kind(their), "{name}, {part}");
        if part == "flags" {
            assert_eq!(our.sorted_texts(), their.sorted_texts(), "{name}, {part}");
        } else {
            assert_eq!(our, their, "{name}, {part}");
        }
    }
}

#[test]
fn every_row_is_what_the_server_says_of_it() {
    let redis = Redis::start();
    for resp in BOTH {
        let theirs = connect(&redis, resp).ask(&["COMMAND"]);
        let ours = ours(&["COMMAND"], resp);
        assert!(rows_of(&theirs).count() > 360, "this is not Redis 7.0");
        for their in rows_of(&theirs) {
            let name = their.items()[0].text();
            let our = rows_of(&ours)
                .find(|row| row.items()[0].text() == name)
                .expect(name);
            assert_same_row(our, their);
        }
    }
}

#[test]
fn what_the_server_does_not_know_is_of_a_later_version() {
    let redis = Redis::start();
    let theirs = redis.connect().ask(&["COMMAND"]);
    let known: BTreeSet<&str> = rows_of(&theirs).map(|row| row.items()[0].text()).collect();
    for row in commands().flat_map(|row| std::iter::once(row).chain(row.subcommands)) {
        let later = version(row.about.since) > (7, 0, 15);
        assert_eq!(
            later,
            !known.contains(row.name),
            "{} since {}",
            row.name,
            row.about.since
        );
    }
}

#[test]
fn the_documentation_agrees_with_the_servers() {
    fn compare(name: &str, ours: &Value, theirs: &Value) {
        assert!(ours.same_kind(theirs), "{name}");
        for part in ["since", "group", "deprecated_since"] {
            assert_eq!(ours.get(part), theirs.get(part), "{name}, {part}");
        }
        let deprecated = |doc: &Value| {
            let flags = doc.get("doc_flags");
            flags.is_some_and(|flags| flags.sorted_texts().contains(&"deprecated"))
        };
        assert_eq!(deprecated(ours), deprecated(theirs), "{name}");
        assert!(
            !ours.get("summary").expect("a summary").text().is_empty(),
            "{name}"
        );
        let Some(subcommands) = theirs.get("subcommands") else {
            return assert_eq!(ours.get("subcommands"), None, "{name}");
        };
        for (name, their) in subcommands.pairs() {
            let our = ours
                .get("subcommands")
                .and_then(|ours| ours.get(name))
                .expect(name);
            compare(name, our, their);
        }
    }
    let redis = Redis::start();
    for resp in BOTH {
        let theirs = connect(&redis, resp).ask(&["COMMAND", "DOCS"]);
        let ours = ours(&["COMMAND", "DOCS"], resp);
        assert!(ours.same_kind(&theirs));
        for (name, their) in theirs.pairs() {
            compare(name, ours.get(name).expect(name), their);
        }
    }
}

#[test]
fn keys_are_where_the_server_finds_them() {
    let redis = Redis::start();
    let mut server = redis.connect();
    for request in [
        "GET k",
        "SET k v",
        "APPEND k v",
        "MGET a b c",
        "MSET a 1 b 2",
        "DEL a b",
        "EXISTS a",
        "RENAME a b",
        "COPY a b REPLACE",
        "LCS a b",
        "SMOVE a b m",
        "SDIFFSTORE d a b",
        "PFCOUNT a b",
        "PFMERGE d a b",
        "PFMERGE d",
        "BITOP AND d a b",
        "LMOVE a b LEFT RIGHT",
        "BLPOP a b 0",
        "BLMOVE a b LEFT RIGHT 0",
        "OBJECT ENCODING k",
        "MEMORY USAGE k",
        "XINFO STREAM k",
        "XINFO CONSUMERS k g",
        "XGROUP CREATE k g $",
        "PFDEBUG DECODE k",
        "WATCH a b",
        "EVAL s 2 a b c d",
        "EVAL s 0",
        "EVAL s 0 a",
        "EVAL s 5 a",
        "EVAL s x a",
        "EVALSHA s 1 a",
        "EVALSHA_RO s 1 a",
        "FCALL f 1 a",
        "ZUNION 2 a b",
        "ZUNION 0 a",
        "ZUNION 3 a",
        "ZDIFF 1 a WITHSCORES",
        "ZINTERCARD 2 a b LIMIT 1",
        "SINTERCARD 2 a b",
        "LMPOP 2 a b LEFT",
        "BLMPOP 0 2 a b LEFT",
        "ZMPOP 1 a MIN",
        "BZMPOP 0 1 a MIN",
        "ZUNIONSTORE d 2 a b",
        "ZUNIONSTORE d 2 a b WEIGHTS 1 2",
        "ZRANGESTORE d s 0 1",
        "XREAD STREAMS a b 0 0",
        "XREAD COUNT 2 BLOCK 5 STREAMS a 0",
        "XREADGROUP GROUP streams c STREAMS a b > >",
        "XREADGROUP GROUP g c COUNT 1 NOACK STREAMS a >",
        "SORT k",
        "SORT k BY store LIMIT 0 5 GET store STORE d",
        "SORT k STORE c STORE d",
        "SORT_RO k BY w",
        "GEORADIUS k 1 2 3 m",
        "GEORADIUS k 1 2 3 m STORE d",
        "GEORADIUS k 1 2 3 m COUNT 3 STOREDIST d",
        "GEORADIUSBYMEMBER k m 3 km STORE d",
        "GEORADIUS_RO k 1 2 3 m",
        "GEOSEARCHSTORE d s FROMMEMBER m BYRADIUS 1 m",
        "MIGRATE h 1 k 0 10",
        "SPUBLISH c m",
        "SSUBSCRIBE a b",
        "CLIENT GETNAME",
        "OBJECT NOPE k",
        "NOPE k",
        "PING x",
        "GET a b",
        "OBJECT ENCODING k x",
    ] {
        for subcommand in ["GETKEYS", "GETKEYSANDFLAGS"] {
            // The server looks at the options of SET and BITFIELD to say what they do.
            if subcommand == "GETKEYSANDFLAGS" && request.starts_with("SET ") {
                continue;
            }
            let mut request = words(request);
            request.splice(0..0, ["COMMAND", subcommand]);
            let theirs = server.ask(&request);
            let ours = ours(&request, Resp::V2);
            if subcommand == "GETKEYS" || matches!(theirs, Value::Error(_)) {
                assert_eq!(ours, theirs, "{request:?}");
                continue;
            }
            assert_eq!(ours.items().len(), theirs.items().len(), "{request:?}");
            for (our, their) in ours.items().iter().zip(theirs.items()) {
                let ([our_key, our_uses], [their_key, their_uses]) = (our.items(), their.items())
                else {
                    panic!("{request:?}: {our:?} or {their:?} is no pair");
                };
                assert_eq!(our_key, their_key, "{request:?}");
                assert_eq!(
                    our_uses.sorted_texts(),
                    their_uses.sorted_texts(),
                    "{request:?}"
                );
            }
        }
    }
    // A word of its own, as an empty key cannot be written in the list.
    let request = [
        "COMMAND", "GETKEYS", "MIGRATE", "h", "1", "", "0", "10", "KEYS", "a", "b",
    ];
    assert_eq!(ours(&request, Resp::V2).sorted_texts(), ["a", "b"]);
}

#[test]
fn errors_are_the_servers_to_the_byte() {
    let redis = Redis::start();
    let mut server = redis.connect();
    let long = [
        b"x".repeat(200),
        b"y".repeat(100),
        b"z".repeat(100),
        b"w".to_vec(),
    ];
    let brim: Vec<Vec<u8>> = [1, 124, 9, 9].iter().map(|&n| b"q".repeat(n)).collect();
    let mut requests: Vec<Vec<Vec<u8>>> = vec![
        long.to_vec(),
        brim,
        vec![b"nope".to_vec(); 60],
        vec![
            b"no\r\npe".to_vec(),
            b"a\r".to_vec(),
            b"\nb".to_vec(),
            b"\r\n".to_vec(),
        ],
        vec![b"no\0pe".to_vec(), b"a\0b".to_vec(), b"\0".to_vec()],
        vec![b"nope\xff".to_vec(), b"\xfe\x01".to_vec()],
        vec![b"".to_vec(), b"a".to_vec()],
        vec![b"object".to_vec(), b"a\r\nb\0c".to_vec()],
        vec![b"obJEct".to_vec(), b"x".repeat(200), b"y".to_vec()],
        vec![b"object|encoding".to_vec(), b"k".to_vec()],
    ];
    let written = [
        "NOPE",
        "NOPE a b",
        "OBJECT NOPE",
        "CLIENT NOPE a",
        "COMMAND NOPE",
        "MSET a 1 b",
        "MSETNX a 1 b",
        "ZUNION 0 a",
        "ZUNION x a",
        "ZUNION -1 a",
        "ZUNION 5 a",
        "ZINTER 0 a",
        "ZINTERCARD 0 a",
        "ZINTERCARD 5 a",
        "ZDIFFSTORE d 0 a",
        "ZUNIONSTORE d x a",
        "ZUNIONSTORE d 5 a",
        "SINTERCARD 0 a",
        "SINTERCARD x a",
        "SINTERCARD 5 a",
        "LMPOP 0 a LEFT",
        "LMPOP x a LEFT",
        "LMPOP 5 a LEFT",
        "LMPOP 2 a LEFT",
        "ZMPOP 99999999999999999999 a MIN",
        "ZMPOP 9 a MIN",
        "EVAL s x a",
        "EVAL s 5 a",
        "EVAL s -1 a",
        "EVAL s 1",
        "XREAD STREAMS a b 0",
        "XREAD COUNT 1 a 0",
        "XREADGROUP GROUP g c STREAMS a b >",
        "CLUSTER SLOTS",
        "CLUSTER INFO",
        "READONLY",
        "READWRITE",
    ];
    for request in written {
        requests.push(
            words(request)
                .iter()
                .map(|word| word.as_bytes().to_vec())
                .collect(),
        );
    }
    for request in requests {
        let theirs = server.ask_line(&request);
        let ours = our_error(&request).expect("an error");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(
            text(&ours),
            text(&theirs),
            "{:?}",
            text(&request.join(&b' '))
        );
    }
}

#[test]
fn too_few_or_too_many_arguments_are_refused_as_by_the_server() {
    let redis = Redis::start();
    let mut server = redis.connect();
    let known = server.ask(&["COMMAND"]);
    let mut compared = 0;
    for their in rows_of(&known) {
        let name = their.items()[0].text();
        let row: &Command = lookup_full(name.as_bytes()).expect(name);
        let words: Vec<&str> = name.split('|').collect();
        let wrong = match row.arity {
            Arity::Exactly(n) => vec![n - 1, n + 1],
            Arity::AtLeast(n) => vec![n - 1],
        };
        // Only requests that name the row, so that nothing is executed here.
        for len in wrong
            .into_iter()
            .map(usize::from)
            .filter(|&len| len >= words.len())
        {
            let mut request = words.clone();
            request.resize(len, "1");
            if row.arity == Arity::AtLeast(3) && GREW_LATER.contains(&name) && len > 3 {
                continue;
            }
            let theirs = server.ask_line(&request);
            let ours = our_error(&request).expect("an error");
            assert_eq!(
                String::from_utf8_lossy(&ours),
                String::from_utf8_lossy(&theirs)
            );
            compared += 1;
        }
    }
    assert!(compared > 350, "{compared}");
}

#[test]
fn lists_are_filtered_as_by_the_server() {
    let redis = Redis::start();
    let mut server = redis.connect();
    let all = server.ask(&["COMMAND", "LIST"]);
    let known: BTreeSet<&str> = all.sorted_texts().into_iter().collect();
    let categories = server.ask(&["ACL", "CAT"]);
    let mut filters: Vec<[&str; 2]> = vec![
        ["PATTERN", "*"],
        ["PATTERN", "GE*"],
        ["PATTERN", "*|help"],
        ["PATTERN", "[a-c]*s"],
        ["PATTERN", "h[^gs]*"],
        ["PATTERN", "z????"],
        ["PATTERN", ""],
        ["ACLCAT", "nope"],
        ["aclcat", "READ"],
        ["MODULE", "nope"],
    ];
    filters.extend(
        categories
            .items()
            .iter()
            .map(|category| ["ACLCAT", category.text()]),
    );
    for filter in filters {
        let request = ["COMMAND", "LIST", "FILTERBY", filter[0], filter[1]];
        let theirs = server.ask(&request);
        let ours = ours(&request, Resp::V2);
        let ours: Vec<&str> = ours
            .sorted_texts()
            .into_iter()
            .filter(|name| known.contains(name))
            .collect();
        assert_eq!(ours, theirs.sorted_texts(), "{filter:?}");
    }
    for request in [
        "COMMAND LIST FILTERBY",
        "COMMAND LIST FILTERBY PATTERN",
        "COMMAND LIST FILTERBY PATTERN a b",
        "COMMAND LIST FILTERBY NOPE a",
        "COMMAND LIST NOPE a b",
        "COMMAND COUNT x",
    ] {
        let request = words(request);
        assert_eq!(
            ours(&request, Resp::V2),
            server.ask(&request),
            "{request:?}"
        );
    }
    let count = ours(&["COMMAND", "COUNT"], Resp::V2);
    let rows = ours(&["COMMAND"], Resp::V2).items().len();
    assert_eq!(
        count,
        Value::Integer(i64::try_from(rows).expect("a small number"))
    );
}

#[test]
fn the_keys_of_a_name_alone_are_asked_as_of_later_servers() {
    for (request, error) in [
        (
            "GET",
            "ERR Invalid number of arguments specified for command",
        ),
        ("PING", "ERR The command has no key arguments"),
        ("NOPE", "ERR Invalid command specified"),
    ] {
        let theirs = Value::Error(error.to_owned());
        assert_eq!(ours(&["COMMAND", "GETKEYS", request], Resp::V2), theirs);
    }
}

#[test]
fn unknown_names_are_nil_in_info_and_left_out_of_docs() {
    let redis = Redis::start();
    for resp in BOTH {
        let mut server = connect(&redis, resp);
        for request in ["COMMAND INFO nope get|x", "COMMAND DOCS nope object|nope"] {
            let request = words(request);
            assert_eq!(ours(&request, resp), server.ask(&request), "{request:?}");
        }
        let request = ["COMMAND", "INFO", "GET", "nope", "Object|Encoding"];
        let (ours, theirs) = (ours(&request, resp), server.ask(&request));
        assert_same_row(&ours.items()[0], &theirs.items()[0]);
        assert_eq!(ours.items()[1], theirs.items()[1]);
        assert_same_row(&ours.items()[2], &theirs.items()[2]);
        let names = |value: &Value| {
            value
                .pairs()
                .map(|(name, _)| name.to_string())
                .collect::<Vec<String>>()
        };
        let request = ["COMMAND", "DOCS", "GET", "nope", "Object|Encoding"];
        assert_eq!(
            names(&self::ours(&request, resp)),
            names(&server.ask(&request))
        );
    }
}

#[test]
fn help_has_the_form_of_the_servers() {
    let redis = Redis::start();
    let mut server = redis.connect();
    for container in commands().filter(|row| !row.subcommands.is_empty()) {
        let request = [container.name, "help"];
        let mut reply = Vec::new();
        help_reply(&request, &mut reply);
        let ours = Value::read(&mut reply.as_slice());
        assert_eq!(ours.items().len(), 1 + 2 * container.subcommands.len());
        assert!(
            ours.items()
                .iter()
                .all(|line| matches!(line, Value::Status(_)))
        );
        if let Value::Array(theirs) = server.ask(&request) {
            assert_eq!(ours.items()[0], theirs[0]);
        }
    }
}

#[test]
fn refusals_name_the_command_and_the_reason() {
    let reply = our_error(&["Wait", "1", "0"]).expect("an error");
    let text = String::from_utf8(reply).expect("text");
    assert_eq!(
        text,
        format!("-ERR 'wait' is refused: {}\r\n", Refusal::SharedWrites)
    );
    let reply = our_error(&["acl", "whoami"]).expect("an error");
    let text = String::from_utf8(reply).expect("text");
    assert_eq!(
        text,
        format!(
            "-ERR 'acl|whoami' is refused: {}\r\n",
            Refusal::Administration
        )
    );
}

/// Leaves out what colours a terminal's text: an escape up to `m`.
fn without_colours(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_string();
    plain.extend(
        parts
            .filter_map(|part| part.split_once('m'))
            .map(|(_, text)| text),
    );
    plain
}

/// `redis-cli` asks for `COMMAND DOCS` when it starts, and stops at once if it cannot read it.
#[test]
fn redis_cli_makes_its_help_from_our_reply() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let socket = directory.path().join("table.sock");
    let listener = UnixListener::bind(&socket).expect("a socket");
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("redis-cli connects");
        let mut output = stream.try_clone().expect("the same socket");
        let mut input = BufReader::new(stream);
        let mut asked = Vec::new();
        while std::io::BufRead::fill_buf(&mut input).is_ok_and(|bytes| !bytes.is_empty()) {
            let request = Value::read(&mut input);
            let request: Vec<&str> = request.items().iter().map(Value::text).collect();
            asked.push(request.join(" "));
            let mut reply = Vec::new();
            command_reply(&request, Resp::V2, &mut reply);
            output.write_all(&reply).expect("redis-cli reads");
        }
        asked
    });
    let mut cli = redis_cli(&socket)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("redis-cli is needed: apt-get install redis-tools");
    let mut stdin = cli.stdin.take().expect("a pipe");
    stdin
        .write_all(b"help mget\nhelp xgroup create\nhelp @hash\nCOMMAND COUNT\n")
        .expect("redis-cli reads");
    drop(stdin);
    let output = cli.wait_with_output().expect("redis-cli ends");
    let text = without_colours(&String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{text}");
    let summary = |name: &[u8]| lookup_full(name).expect("a row").about.summary;
    for expected in [
        summary(b"mget"),
        summary(b"xgroup|create"),
        summary(b"hexpire"),
        "since: 1.0.0",
        "group: string",
    ] {
        assert!(text.contains(expected), "no {expected:?} in {text}");
    }
    let count = commands().count().to_string();
    assert!(
        text.lines().any(|line| line.ends_with(&count)),
        "no {count} in {text}"
    );
    let asked = server.join().expect("the table's server");
    assert!(asked.contains(&"COMMAND DOCS".to_string()), "{asked:?}");
}
