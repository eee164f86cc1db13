//! Later servers than the one that is installed: what they say is written down in `said.txt`.

use coremux::protocol::command::Access;
use coremux::protocol::command::Handling;
use coremux::protocol::command::lookup_full;

const SAID: &str = include_str!("said.txt");

/// Names, what is said of each (`readonly` or `write`), and whether its output varies.
fn said() -> impl Iterator<Item = (&'static str, &'static str, bool)> {
    let lines = SAID.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let mut words = line.split(' ');
        let mut next = || words.next();
        let (name, access) = (next().expect("a name"), next().expect("an access"));
        (name, access, next().is_some())
    })
}

/// What a replica may answer though servers call its output nondeterministic.
const ANY_SERVER_MAY_SAY: &[(&str, &str)] = &[
    ("hpttl", "what is left of a time"),
    ("httl", "what is left of a time"),
    ("pttl", "what is left of a time"),
    ("ttl", "what is left of a time"),
    ("hrandfield", "one is as good as another"),
    ("randomkey", "one is as good as another"),
    ("srandmember", "one is as good as another"),
    ("zrandmember", "one is as good as another"),
];

/// What the table takes for a write on purpose.
const CAREFUL: &[(&str, &str)] = &[("cf.compact", "it makes the filter another one")];

#[test]
fn what_a_server_calls_a_write_is_none_of_our_reads_and_the_other_way_round() {
    let mut compared = 0;
    for (name, access, _) in said() {
        let Some(row) = lookup_full(name.as_bytes()) else {
            continue;
        };
        compared += 1;
        if CAREFUL.iter().any(|(careful, _)| *careful == name) {
            assert_eq!(row.access, Access::Write, "{name}");
            continue;
        }
        let nothing: [&[u8]; 0] = [];
        // Nothing depends on what is never sent.
        if let Handling::Refuse(_) | Handling::Local(_) = row.handling(&nothing) {
            continue;
        }
        let theirs = match access {
            "readonly" => Access::Read,
            "write" => Access::Write,
            other => panic!("{other} of {name}"),
        };
        assert_eq!(row.access, theirs, "{name}");
    }
    assert!(compared > 300, "{compared}");
}

#[test]
fn a_reply_that_varies_from_server_to_server_is_the_masters() {
    let mut kept = 0;
    for (name, _, _) in said().filter(|(_, access, varies)| *varies && *access == "readonly") {
        let Some(row) = lookup_full(name.as_bytes()) else {
            continue;
        };
        let nothing: [&[u8]; 0] = [];
        if let Handling::Refuse(_) | Handling::Local(_) = row.handling(&nothing) {
            continue;
        }
        let excused = ANY_SERVER_MAY_SAY.iter().any(|(any, _)| *any == name);
        assert_eq!(row.may_ask_replica(), excused, "{name}");
        kept += usize::from(!excused);
    }
    assert!(kept >= 9, "{kept}");
}
