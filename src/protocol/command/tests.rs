//! What holds for every row, and finding rows.

use proptest::prelude::Strategy;
use proptest::prelude::any;
use proptest::prelude::prop;
use proptest::prelude::prop_assert_eq;
use proptest::prelude::prop_oneof;
use proptest::proptest;

use super::Access;
use super::Arity;
use super::Command;
use super::Flags;
use super::Handling;
use super::KeySearch;
use super::KeyUse;
use super::Local;
use super::Traits;
use super::command_count;
use super::commands;
use super::lookup;
use super::lookup_full;
use super::resolve;
use super::table;

fn every_row() -> impl Iterator<Item = &'static Command> {
    commands().flat_map(|row| std::iter::once(row).chain(row.subcommands))
}

#[test]
fn every_row_is_found_by_its_name_in_any_case() {
    assert_eq!(commands().count(), command_count());
    for row in every_row() {
        let upper = row.name.to_ascii_uppercase();
        let mixed: String = upper
            .char_indices()
            .map(|(i, c)| {
                if i % 2 == 0 {
                    c
                } else {
                    c.to_ascii_lowercase()
                }
            })
            .collect();
        for name in [row.name, &upper, &mixed] {
            let found = lookup_full(name.as_bytes()).map(|found| found.name);
            assert_eq!(found, Some(row.name), "{name}");
        }
    }
}

#[test]
fn what_is_not_quite_a_name_is_not_found() {
    for name in [
        "",
        " ",
        "ge",
        "gett",
        "get ",
        "get\0",
        "\0get",
        "mge",
        "g\u{45}\u{54}t",
        "zrangebyscor",
        "zrangebyscoree",
        "zremrangebyscore_",
        "georadiusbymember_r",
        "georadiusbymemberxro",
        // Setting a bit makes a lower-case letter of an upper-case one, and these names of those.
        "bitfield\x7fro",
        "json\x0eget",
        "restore\rasking",
        "get|",
        "object|encoding",
    ] {
        assert!(lookup(name.as_bytes()).is_none(), "{name:?}");
    }
    for name in [
        "object|",
        "object|enc",
        "get|x",
        "|",
        "object||encoding",
        "nope|x",
    ] {
        assert!(lookup_full(name.as_bytes()).is_none(), "{name:?}");
    }
}

#[test]
fn groups_are_sorted_and_no_name_is_there_twice() {
    for group in table::GROUPS {
        assert!(
            group.is_sorted_by(|a, b| a.name < b.name),
            "{}",
            group[0].name
        );
        for row in *group {
            assert!(
                row.subcommands.is_sorted_by(|a, b| a.name < b.name),
                "{}",
                row.name
            );
        }
    }
    let mut names: Vec<&str> = every_row().map(|row| row.name).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn only_what_replicas_might_answer_is_kept_from_them() {
    for row in every_row().filter(|row| row.traits.has(Traits::MASTER_ONLY)) {
        assert_eq!(row.access, Access::Read, "{}", row.name);
        let nothing: [&[u8]; 0] = [];
        let goes = row.handling(&nothing);
        let goes = matches!(
            goes,
            Handling::Forward | Handling::Split(_) | Handling::Walk
        );
        assert!(goes, "{}", row.name);
    }
    let scans = every_row().filter(|row| row.name.ends_with("scan"));
    let scans: Vec<&Command> = scans.filter(|row| !row.keys.is_none()).collect();
    assert!(scans.len() >= 3);
    assert!(scans.iter().all(|row| !row.may_ask_replica()));
}

#[test]
fn every_row_says_what_it_is() {
    for row in every_row() {
        let name = row.name;
        assert_eq!(name, name.to_ascii_lowercase());
        assert!(
            row.about.summary.ends_with('.') && row.about.summary.len() > 5,
            "{name}"
        );
        assert!(
            row.about
                .summary
                .starts_with(|c: char| c.is_ascii_uppercase()),
            "{name}"
        );
        for version in std::iter::once(row.about.since).chain(row.about.deprecated_since) {
            let numbers: Vec<&str> = version.split('.').collect();
            assert!(
                numbers.len() == 3 && numbers.iter().all(|n| n.parse::<u8>().is_ok()),
                "{name}"
            );
        }
    }
}

#[test]
fn every_container_has_help_and_only_its_own_subcommands() {
    let containers = commands().filter(|row| !row.subcommands.is_empty());
    for row in containers {
        assert!(
            row.subcommand(b"HELP")
                .is_some_and(|help| help.handling == Handling::Local(Local::Help))
        );
        for sub in row.subcommands {
            let own = sub
                .name
                .strip_prefix(row.name)
                .and_then(|rest| rest.strip_prefix('|'));
            assert_eq!(own, Some(sub.own_name()), "{}", sub.name);
            assert!(sub.subcommands.is_empty(), "{}", sub.name);
            assert!(sub.arity.as_redis().unsigned_abs() >= 2, "{}", sub.name);
        }
        // `COMMAND` alone is a command; any other container without a subcommand is an error.
        assert!(
            row.name == "command" || row.arity == Arity::AtLeast(2),
            "{}",
            row.name
        );
    }
}

#[test]
fn what_is_forwarded_has_keys_and_what_is_answered_here_has_none() {
    for row in every_row() {
        let name = row.name;
        match row.handling {
            Handling::Forward | Handling::Wait(_) | Handling::Watch => {
                assert!(!row.keys.is_none(), "{name} is forwarded by no key");
                assert!(
                    row.keys.specs().all(|s| !s.uses.has(KeyUse::NOT_KEY)),
                    "{name}"
                );
            }
            // Only a run of single keys, or keys with their values, can be taken apart.
            Handling::Split(_) => {
                let specs: Vec<_> = row.keys.specs().map(|spec| spec.search).collect();
                let [
                    KeySearch::Range {
                        first: 1,
                        last: -1,
                        step: 1 | 2,
                    },
                ] = specs[..]
                else {
                    panic!("{name} cannot be split");
                };
            }
            Handling::Local(_)
            | Handling::ForwardAnywhere
            | Handling::AskAll(_)
            | Handling::Walk => assert!(row.keys.is_none(), "{name}"),
            // A channel is no key, but for Redis Cluster's.
            Handling::Publish | Handling::Subscribe(_) | Handling::Unsubscribe(_) => {
                assert!(
                    row.keys.specs().all(|s| s.uses.has(KeyUse::NOT_KEY)),
                    "{name}"
                );
            }
            Handling::Refuse(_) => {}
        }
    }
}

#[test]
fn the_arity_makes_room_for_the_keys() {
    let has_keys = |row: &&Command| row.keys.specs().any(|s| !s.uses.has(KeyUse::NOT_KEY));
    for row in every_row().filter(has_keys) {
        let room = row.arity.as_redis().unsigned_abs();
        let (first, last, _) = row.keys.legacy_range();
        assert!(first.unsigned_abs() < room, "{}", row.name);
        assert!(last < 0 || last.unsigned_abs() < room, "{}", row.name);
    }
}

#[test]
fn only_reads_are_sent_again() {
    for row in every_row() {
        assert_eq!(
            row.safe_to_retry(),
            row.access == Access::Read,
            "{}",
            row.name
        );
        let writes = row.keys.specs().any(|spec| {
            [
                KeyUse::RM,
                KeyUse::OW,
                KeyUse::INSERT,
                KeyUse::UPDATE,
                KeyUse::DELETE,
            ]
            .into_iter()
            .any(|usage| spec.uses.has(usage))
        });
        assert!(!(writes && row.safe_to_retry()), "{} writes", row.name);
    }
}

#[test]
fn what_waits_does_so_on_a_connection_of_its_own_or_only_when_asked_to_or_is_refused() {
    for row in every_row().filter(|row| row.flags.has(Flags::BLOCKING)) {
        let conditional = matches!(row.name, "xread" | "xreadgroup");
        let apart = matches!(row.handling, Handling::Refuse(_) | Handling::Wait(_));
        assert!(conditional != apart, "{}", row.name);
    }
}

#[test]
fn every_command_that_twemproxy_takes_works() {
    // twemproxy 0.5.0, `src/proto/nc_redis.c`.
    let taken = "PING QUIT AUTH COMMAND LOLWUT PERSIST PTTL TTL TYPE DUMP DECR GET GETDEL INCR \
        STRLEN HGETALL HKEYS HLEN HVALS LLEN SCARD SMEMBERS ZCARD EXPIRE EXPIREAT PEXPIRE \
        PEXPIREAT APPEND DECRBY GETBIT GETSET INCRBY INCRBYFLOAT SETNX HEXISTS HGET HSTRLEN LINDEX \
        RPOPLPUSH SISMEMBER ZRANK ZREVRANK ZSCORE MOVE GETRANGE PSETEX SETBIT SETEX SETRANGE \
        HINCRBY HINCRBYFLOAT HSETNX LRANGE LREM LSET LTRIM SMOVE ZCOUNT ZLEXCOUNT ZINCRBY \
        ZREMRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE LINSERT LMOVE SORT COPY BITCOUNT BITPOS \
        BITFIELD EXISTS GETEX SET HDEL HMGET HMSET HSCAN HSET HRANDFIELD LPUSH LPUSHX RPUSH RPUSHX \
        LPOP RPOP LPOS SADD SDIFF SDIFFSTORE SINTER SINTERSTORE SREM SUNION SUNIONSTORE \
        SRANDMEMBER SSCAN SPOP SMISMEMBER PFADD PFMERGE PFCOUNT ZADD ZDIFF ZDIFFSTORE ZINTER \
        ZINTERSTORE ZMSCORE ZPOPMAX ZPOPMIN ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE \
        ZRANGESTORE ZREM ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZSCAN ZUNION ZUNIONSTORE \
        GEODIST GEOPOS GEOHASH GEOADD GEORADIUS GEORADIUSBYMEMBER GEOSEARCH GEOSEARCHSTORE RESTORE \
        MGET DEL UNLINK TOUCH MSET EVAL EVALSHA";
    for name in taken.split_whitespace() {
        let row = lookup(name.as_bytes()).expect(name);
        assert!(!matches!(row.handling, Handling::Refuse(_)), "{name}");
    }
    for name in ["MGET", "DEL", "UNLINK", "TOUCH", "MSET"] {
        let row = lookup(name.as_bytes()).expect(name);
        assert!(matches!(row.handling, Handling::Split(_)), "{name}");
    }
}

#[test]
fn an_empty_request_is_no_command() {
    let nothing: [&[u8]; 0] = [];
    assert!(resolve(&nothing).is_err());
}

fn name_like() -> impl Strategy<Value = Vec<u8>> {
    let near = prop::sample::select(every_row().map(|row| row.name).collect::<Vec<_>>());
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..24),
        "[a-zA-Z_.|-]{0,24}".prop_map(String::into_bytes),
        // A name with one byte changed, mostly into something that is no name.
        (near, any::<prop::sample::Index>(), any::<u8>()).prop_map(|(name, at, byte)| {
            let mut name = name.as_bytes().to_vec();
            let at = at.index(name.len());
            name[at] = byte;
            name
        }),
    ]
}

proptest! {
    #[test]
    fn the_index_finds_what_a_search_through_all_rows_finds(name in name_like()) {
        let searched = commands().find(|row| row.name.as_bytes().eq_ignore_ascii_case(&name));
        prop_assert_eq!(lookup(&name).map(|row| row.name), searched.map(|row| row.name));
    }
}

#[test]
fn whoever_has_its_only_key_behind_its_name_has_no_other() {
    let mut plain = 0;
    for command in every_row() {
        for len in 1..6 {
            let args = vec![&b"1"[..]; len];
            let args = args.as_slice();
            let (Some(_), true) = (command.only_key(args), command.arity.allows(len)) else {
                continue;
            };
            plain += 1;
            assert_eq!(
                command.handling(args),
                Handling::Forward,
                "{}",
                command.name
            );
            let keys: Vec<usize> = command.keys(args).unwrap().iter().collect();
            assert_eq!(keys, [1], "{}", command.name);
        }
    }
    assert!(plain > 100);
    let get: &[&[u8]] = &[b"get", b"k"];
    assert_eq!(lookup(b"get").unwrap().only_key(get), Some(&b"k"[..]));
    assert_eq!(
        lookup(b"del").unwrap().only_key(get),
        None,
        "it may have several"
    );
}
