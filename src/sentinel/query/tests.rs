use super::*;
use crate::sentinel::output::LinkId;

const POLL: Duration = Duration::from_secs(1);
const SERVER: ServerIdx = ServerIdx(0);

fn text(words: &[&str]) -> String {
    let bulk = |word: &&str| format!("${}\r\n{word}\r\n", word.len());
    let words: String = words.iter().map(bulk).collect();
    words
}

fn array(words: &[&str]) -> String {
    format!("*{}\r\n{}", words.len(), text(words))
}

fn connected(auth: Option<&[u8]>) -> Query {
    let mut query = Query::new(1, false, Time::ZERO);
    query.connection.connecting(LinkId(1), Time::ZERO);
    query.connected(auth, POLL, Time::ZERO);
    query
}

fn feed(query: &mut Query, text: &str) -> Vec<Heard> {
    let mut heard = Vec::new();
    query
        .received(text.as_bytes(), &mut heard, Time::ZERO)
        .unwrap();
    heard
}

fn ask(query: &mut Query) -> Option<Vec<u8>> {
    ask_at(query, Time::ZERO)
}

fn ask_at(query: &mut Query, now: Time) -> Option<Vec<u8>> {
    let every = (POLL, OTHERS_EVERY);
    query.ask(&["m1".into()], every, &mut Random::new(1), now)
}

/// One that was asked a round.
fn asked() -> Query {
    let mut query = connected(None);
    assert_eq!(
        feed(&mut query, &text(&["abc"])),
        [Heard::Id(RunId::new(b"abc"))]
    );
    assert!(ask(&mut query).is_some());
    query
}

fn claim(port: u16, epoch: u64) -> Claim {
    let address = HostPort::Ip(([10, 0, 0, 1], port).into());
    Claim { address, epoch }
}

const FIELDS: [&str; 6] = [
    "name",
    "m1",
    "config-epoch",
    "7",
    "num-other-sentinels",
    "0",
];

fn no_others() -> Heard {
    Heard::Others(SERVER, Some(Vec::new()))
}

#[test]
fn an_epoch_belongs_to_an_address_that_is_the_same_before_and_after() {
    let mut query = asked();
    let here = array(&["10.0.0.1", "6379"]);
    let replies = [here.as_str(), &array(&FIELDS), &here, "*0\r\n"].concat();
    let heard = feed(&mut query, &replies);
    let said = Heard::Said(SERVER, Some(claim(6379, 7)));
    assert_eq!(heard, [said, no_others(), Heard::RoundEnd]);
    assert!(!query.wants_round(Time::ZERO));

    let mut query = asked();
    let there = array(&["10.0.0.1", "6380"]);
    let replies = [here.as_str(), &array(&FIELDS), &there, "*0\r\n"].concat();
    let heard = feed(&mut query, &replies);
    assert_eq!(heard, [no_others(), Heard::RoundEnd]);
    assert!(!query.wants_round(Time::ZERO), "not in a circle");
    let soon = Time::ZERO + AGAIN_AFTER;
    assert!(query.wants_round(soon), "it moved in between");
    assert_eq!(query.due(), Some(soon));
}

#[test]
fn the_silence_that_is_death_is_read_and_what_is_no_number_is_not() {
    let mut query = asked();
    let here = array(&["10.0.0.1", "6379"]);
    let fields =
        |down_after| array(&[&FIELDS[..], &["down-after-milliseconds", down_after]].concat());
    let heard = feed(&mut query, &(here.clone() + &fields("2000")));
    assert_eq!(heard, [Heard::DownAfter(SERVER, 2000)]);
    for wrong in ["", "-1", "1e3", "99999999999999999999"] {
        let mut query = asked();
        let heard = feed(&mut query, &(here.clone() + &fields(wrong)));
        assert_eq!(heard, [], "{wrong:?}");
    }
}

#[test]
fn a_master_that_is_not_known_is_said_to_be_unknown() {
    let mut query = asked();
    let none = "-ERR No such master with that name\r\n";
    let heard = feed(&mut query, &["*-1\r\n", none, "*-1\r\n", none].concat());
    let unknown = [Heard::Said(SERVER, None), Heard::Others(SERVER, None)];
    assert_eq!(heard, [&unknown[..], &[Heard::RoundEnd]].concat());
}

#[test]
fn other_sentinels_are_learned_unless_they_have_no_address_any_more() {
    let mut query = asked();
    let other = |id, ip, flags| array(&["runid", id, "ip", ip, "port", "26379", "flags", flags]);
    let others = [
        "*4\r\n",
        &other("one", "10.0.0.2", "sentinel"),
        &other("two", "::3", "sentinel"),
        &other("three", "10.0.0.4", "s_down,sentinel,disconnected"),
        &array(&["runid", "four", "ip", "10.0.0.5", "port", "0"]),
    ];
    let here = array(&["10.0.0.1", "6379"]);
    let heard = feed(
        &mut query,
        &[&here, &array(&FIELDS), &here, &others.concat()]
            .map(String::as_str)
            .concat(),
    );
    let others = heard.iter().find_map(|heard| match heard {
        Heard::Others(SERVER, others) => others.as_ref(),
        _ => None,
    });
    let found: Vec<String> = others
        .unwrap()
        .iter()
        .map(|other| other.address.to_string())
        .collect();
    assert_eq!(found, ["10.0.0.2:26379", "[::3]:26379", "10.0.0.4:26379"]);
}

#[test]
fn a_round_that_is_wanted_during_another_follows_it() {
    let mut query = asked();
    assert_eq!(ask(&mut query), None);
    assert!(!query.wants_round(Time::ZERO));
    let here = array(&["10.0.0.1", "6379"]);
    feed(
        &mut query,
        &[here.as_str(), &array(&FIELDS), &here, "*0\r\n"].concat(),
    );
    assert!(query.wants_round(Time::ZERO));
    assert!(ask(&mut query).is_some());
    assert!(!query.wants_round(Time::ZERO));
}

#[test]
fn who_knows_more_sentinels_than_it_has_named_is_asked_for_them_at_once() {
    let mut query = asked();
    let here = array(&["10.0.0.1", "6379"]);
    let knows = |count: &str| array(&["config-epoch", "7", "num-other-sentinels", count]);
    let round = |count: &str| [here.as_str(), &knows(count), &here].concat();
    feed(&mut query, &(round("0") + "*0\r\n"));
    let mut now = Time::ZERO + POLL;
    let others = text(&["SENTINEL", "SENTINELS", "m1"]).into_bytes();
    let asks = |bytes: Vec<u8>| memchr::memmem::find(&bytes, &others).is_some();
    assert!(!asks(ask_at(&mut query, now).unwrap()), "it has just told");
    let mut heard = Vec::new();
    query
        .received(round("1").as_bytes(), &mut heard, now)
        .unwrap();
    assert!(!query.wants_round(now));
    now = now + AGAIN_AFTER;
    assert!(query.wants_round(now));
    assert!(asks(ask_at(&mut query, now).unwrap()));
    // One whose number never agrees with its names is not asked in a circle.
    query
        .received((round("2") + "*0\r\n").as_bytes(), &mut heard, now)
        .unwrap();
    ask_at(&mut query, now);
    query
        .received(round("2").as_bytes(), &mut heard, now)
        .unwrap();
    assert!(!query.wants_round(now + AGAIN_AFTER));
}

#[test]
fn a_sentinel_that_refuses_is_heard_in_its_own_words() {
    let auth = b"*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n".as_slice();
    for (words, refused) in [
        ("WRONGPASS invalid username-password pair", true),
        ("NOAUTH Authentication required.", true),
        (
            "ERR AUTH <password> called without any password configured",
            false,
        ),
    ] {
        let mut query = connected(Some(auth));
        let heard = feed(&mut query, &format!("-{words}\r\n"));
        let due = refused.then(|| Heard::Refused(words.to_owned()));
        assert_eq!(heard, Vec::from_iter(due), "{words}");
    }
    let mut unasked = connected(None);
    let heard = feed(&mut unasked, "-NOAUTH Authentication required.\r\n");
    assert!(
        matches!(&heard[..], [Heard::WantsPassword(words)] if words.starts_with("NOAUTH")),
        "{heard:?}"
    );
    assert!(unasked.log_in(auth, Time::ZERO).starts_with(auth));
    let heard = feed(&mut unasked, "+OK\r\n-NOAUTH Authentication required.\r\n");
    assert!(
        matches!(heard[..], [Heard::Refused(_)]),
        "once, not for ever"
    );
    let mut old = connected(None);
    assert_eq!(
        feed(&mut old, "-ERR Unknown sentinel subcommand 'myid'\r\n"),
        [Heard::Id(None)]
    );
    assert!(ask(&mut old).is_some());
    let heard = feed(&mut old, "-ERR unknown command 'SENTINEL'\r\n");
    assert!(matches!(heard[..], [Heard::Refused(_)]), "{heard:?}");
}

#[test]
fn a_reply_that_nobody_asked_for_ends_the_connection() {
    let mut query = connected(None);
    let mut heard = Vec::new();
    let both = "$1\r\na\r\n+OK\r\n";
    assert!(
        query
            .received(both.as_bytes(), &mut heard, Time::ZERO)
            .is_err()
    );
}

#[test]
fn a_sentinel_that_does_not_answer_is_overdue() {
    let query = asked();
    assert!(!query.connection.is_overdue(Time::ZERO));
    assert!(query.connection.is_overdue(Time::ZERO + ANSWER_WITHIN));
}

#[test]
fn replicas_are_asked_for_where_they_are_wanted_and_the_good_ones_are_told_from_the_others() {
    let mut query = Query::new(1, true, Time::ZERO);
    query.connection.connecting(LinkId(1), Time::ZERO);
    query.connected(None, POLL, Time::ZERO);
    feed(&mut query, &text(&["abc"]));
    let asked = ask(&mut query).unwrap();
    assert!(
        memchr::memmem::find(&asked, &text(&["SENTINEL", "REPLICAS", "m1"]).into_bytes()).is_some()
    );
    let at = array(&["10.0.0.1", "1"]);
    let master = array(&["config-epoch", "1", "num-other-sentinels", "0"]);
    feed(&mut query, &[at.clone(), master, at].concat());
    let replica = |port: &str, flags: &str, link: &str| {
        let fields = [
            "ip",
            "10.0.0.2",
            "port",
            port,
            "flags",
            flags,
            "master-link-status",
            link,
        ];
        array(&fields)
    };
    let all = [
        replica("1", "slave", "ok"),
        replica("2", "s_down,slave,disconnected", "ok"),
        replica("3", "slave", "err"),
        array(&["ip", "10.0.0.2", "port", "0"]),
    ];
    let heard = feed(&mut query, &format!("*4\r\n{}", all.concat()));
    let Heard::Replicas(SERVER, named) = &heard[0] else {
        panic!("{heard:?}")
    };
    let named: Vec<(String, bool)> = named
        .iter()
        .map(|named| (named.address.to_string(), named.good))
        .collect();
    let expected = [
        ("10.0.0.2:1", true),
        ("10.0.0.2:2", false),
        ("10.0.0.2:3", false),
    ];
    assert_eq!(named, expected.map(|(at, good)| (at.to_owned(), good)));
}
