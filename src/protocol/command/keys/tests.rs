//! One request of each shape, and any bytes at all.

use proptest::prelude::Just;
use proptest::prelude::Strategy;
use proptest::prelude::any;
use proptest::prelude::prop;
use proptest::prelude::prop_assert;
use proptest::prelude::prop_oneof;
use proptest::proptest;

use super::KeyError;
use crate::protocol::command::Command;
use crate::protocol::command::Handling;
use crate::protocol::command::TimeoutAt;
use crate::protocol::command::commands;
use crate::protocol::command::resolve;

fn words(request: &str) -> Vec<&[u8]> {
    request.split_whitespace().map(str::as_bytes).collect()
}

fn keys_of(request: &str) -> Result<Vec<usize>, KeyError> {
    let args = words(request);
    let command = resolve(&args).expect("the request is in the table");
    Ok(command.keys(&args)?.iter().collect())
}

#[test]
fn keys_are_found_in_every_shape() {
    for (request, expected) in [
        ("PING", &[][..]),
        ("GET k", &[1]),
        ("SET k v EX 10", &[1]),
        ("MGET a b c", &[1, 2, 3]),
        ("MSET a 1 b 2", &[1, 3]),
        ("RENAME a b", &[1, 2]),
        ("COPY a b DB 1 REPLACE", &[1, 2]),
        ("LCS a b IDX", &[1, 2]),
        ("SMOVE a b m", &[1, 2]),
        ("SUNIONSTORE d a b", &[1, 2, 3]),
        ("PFMERGE d", &[1]),
        ("BITOP AND d a b", &[2, 3, 4]),
        ("BLPOP a b 0", &[1, 2]),
        ("OBJECT ENCODING k", &[2]),
        ("MEMORY USAGE k SAMPLES 5", &[2]),
        ("XINFO STREAM k FULL", &[2]),
        ("XGROUP CREATE k g $ MKSTREAM", &[2]),
        ("EVAL s 2 a b c d", &[3, 4]),
        ("FCALL f 1 a", &[3]),
        ("ZUNION 2 a b WEIGHTS 1 2", &[2, 3]),
        ("SINTERCARD 2 a b LIMIT 1", &[2, 3]),
        ("LMPOP 2 a b LEFT", &[2, 3]),
        ("BZMPOP 0 1 a MIN", &[3]),
        ("ZUNIONSTORE d 2 a b", &[1, 3, 4]),
        ("MSETEX 2 a 1 b 2 EX 5", &[2, 4]),
        ("XREAD STREAMS a b 0 0", &[2, 3]),
        ("XREAD COUNT 2 STREAMS a 0", &[4]),
        ("XREADGROUP GROUP streams c NOACK STREAMS a b > >", &[6, 7]),
        ("XREADGROUP GROUP g c CLAIM 10 STREAMS a >", &[7]),
        ("SORT k", &[1]),
        ("SORT k BY store LIMIT 0 5 GET store STORE d", &[1, 10]),
        ("SORT k STORE store STORE d", &[1, 5]),
        ("SORT_RO k BY w_* GET #", &[1]),
        ("GEORADIUS k 1 2 3 m STORE d", &[1, 7]),
        ("GEORADIUS k 1 2 3 m COUNT 3 STOREDIST d", &[1, 9]),
        ("GEORADIUSBYMEMBER k m 3 km STORE d", &[1, 6]),
        ("GEORADIUS k 1 2 3 m STORE", &[1]),
        ("GEOSEARCHSTORE d s FROMMEMBER m BYRADIUS 1 m", &[1, 2]),
        ("MIGRATE h 1 k 0 10", &[3]),
        ("JSON.MGET a b $", &[1, 2]),
        ("JSON.MSET a $ 1 b $ 2", &[1, 4]),
        ("TS.MADD a 1 2 b 1 2", &[1, 4]),
        ("CMS.MERGE d 2 a b", &[1, 3, 4]),
    ] {
        assert_eq!(keys_of(request).as_deref(), Ok(expected), "{request}");
    }
}

#[test]
fn a_request_without_its_keys_gets_redis_words_for_it() {
    for (request, expected) in [
        ("MSET a 1 b", "wrong number of arguments for 'mset' command"),
        (
            "JSON.MSET a $ 1 b $",
            "wrong number of arguments for 'json.mset' command",
        ),
        (
            "ZUNION 0 a",
            "at least 1 input key is needed for 'zunion' command",
        ),
        (
            "ZUNION -1 a",
            "at least 1 input key is needed for 'zunion' command",
        ),
        ("ZUNION 01 a", "value is not an integer or out of range"),
        (
            "ZUNION 9223372036854775808 a",
            "value is not an integer or out of range",
        ),
        ("ZUNION 9223372036854775807 a", "syntax error"),
        ("ZUNION 2 a", "syntax error"),
        (
            "ZUNIONSTORE d x a",
            "value is not an integer or out of range",
        ),
        ("SINTERCARD x a", "numkeys should be greater than 0"),
        (
            "SINTERCARD 2 a",
            "Number of keys can't be greater than number of args",
        ),
        ("LMPOP -0 a LEFT", "numkeys should be greater than 0"),
        ("LMPOP 2 a LEFT", "syntax error"),
        (
            "EVAL s 3 a b",
            "Number of keys can't be greater than number of args",
        ),
        ("EVAL s -1", "Number of keys can't be negative"),
        ("EVAL s +1 a", "value is not an integer or out of range"),
        ("XREAD COUNT 1 a 0", "syntax error"),
        ("XREAD COUNT 1 STREAMS", "syntax error"),
        (
            "XREAD STREAMS a b 0",
            "Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
        ),
    ] {
        let error = keys_of(request).expect_err(request);
        assert_eq!(error.to_string(), expected, "{request}");
    }
}

#[test]
fn migrate_finds_its_keys_after_the_word() {
    let mut args = words("MIGRATE h 1 k 0 10 COPY KEYS a b");
    args[3] = b"";
    let command = resolve(&args).expect("migrate is in the table");
    let keys = command.keys(&args).expect("there are keys");
    assert_eq!(keys.iter().collect::<Vec<_>>(), [8, 9]);
}

#[test]
fn a_read_of_streams_waits_only_when_it_asks_to() {
    for (request, expected) in [
        ("XREAD STREAMS a 0", Handling::Forward),
        ("XREAD STREAMS block 0", Handling::Forward),
        ("XREAD COUNT 1 STREAMS a 0", Handling::Forward),
        (
            "XREAD block 0 STREAMS a 0",
            Handling::Wait(TimeoutAt::Block),
        ),
        ("XREADGROUP GROUP block c STREAMS a >", Handling::Forward),
        (
            "XREADGROUP GROUP g c BLOCK 5 STREAMS a >",
            Handling::Wait(TimeoutAt::Block),
        ),
    ] {
        let args = words(request);
        let command = resolve(&args).expect("the request is in the table");
        assert_eq!(command.handling(&args), expected, "{request}");
    }
}

fn every_row() -> Vec<&'static Command> {
    commands()
        .flat_map(|row| std::iter::once(row).chain(row.subcommands))
        .collect()
}

fn argument() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "STREAMS", "store", "STOREDIST", "KEYS", "BLOCK", "COUNT", "GROUP", "LIMIT", "BY",
            "GET", "", "k",
        ]).prop_map(|word| word.as_bytes().to_vec()),
        4 => (-2_i64..7).prop_map(|n| n.to_string().into_bytes()),
        1 => Just(i64::MAX.to_string().into_bytes()),
        2 => prop::collection::vec(any::<u8>(), 0..4),
    ]
}

proptest! {
    #[test]
    fn no_request_makes_the_search_leave_its_arguments(
        row in prop::sample::select(every_row()),
        args in prop::collection::vec(argument(), 0..12),
    ) {
        // Whatever the number of arguments: the caller may not have asked for the arity.
        if let Ok(keys) = row.keys(&args) {
            let mut indexes: Vec<usize> = keys.iter().collect();
            prop_assert!(indexes.len() == keys.len());
            prop_assert!(indexes.first().copied() == keys.first());
            prop_assert!(indexes.iter().all(|&i| 0 < i && i < args.len()), "{indexes:?}");
            indexes.sort_unstable();
            indexes.dedup();
            prop_assert!(indexes.len() == keys.len(), "an argument is a key twice");
        }
        let _ = row.handling(&args);
    }
}
