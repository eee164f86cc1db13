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

fn connected(auth: Option<&[u8]>) -> Asking {
    let mut asking = Asking::new(false, Time::ZERO);
    asking.line.connecting(LinkId(1), Time::ZERO);
    asking.connected(auth, POLL, Time::ZERO);
    asking
}

fn feed(asking: &mut Asking, text: &str) -> Vec<Heard> {
    let mut heard = Vec::new();
    asking
        .received(text.as_bytes(), &mut heard, Time::ZERO)
        .unwrap();
    heard
}

fn ask(asking: &mut Asking) -> Option<Vec<u8>> {
    asking.ask(&["m1".into()], POLL, &mut Random::new(1), Time::ZERO)
}

/// One that was asked a round.
fn asked() -> Asking {
    let mut asking = connected(None);
    assert_eq!(
        feed(&mut asking, &text(&["abc"])),
        [Heard::Id(b"abc".to_vec())]
    );
    assert!(ask(&mut asking).is_some());
    asking
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
    "2",
];

#[test]
fn an_epoch_belongs_to_an_address_that_is_the_same_before_and_after() {
    let mut asking = asked();
    let here = array(&["10.0.0.1", "6379"]);
    let replies = [here.as_str(), &array(&FIELDS), &here, "*0\r\n"].concat();
    let heard = feed(&mut asking, &replies);
    let said = Heard::Said(SERVER, Some(claim(6379, 7)));
    assert_eq!(heard, [Heard::Sentinels(3), said, Heard::RoundEnd]);
    assert!(!asking.wants_round(Time::ZERO));

    let mut asking = asked();
    let there = array(&["10.0.0.1", "6380"]);
    let replies = [here.as_str(), &array(&FIELDS), &there, "*0\r\n"].concat();
    let heard = feed(&mut asking, &replies);
    assert_eq!(heard, [Heard::Sentinels(3), Heard::RoundEnd]);
    assert!(asking.wants_round(Time::ZERO), "it moved in between");
}

#[test]
fn a_master_that_is_not_known_is_said_to_be_unknown() {
    let mut asking = asked();
    let none = "-ERR No such master with that name\r\n";
    let heard = feed(&mut asking, &["*-1\r\n", none, "*-1\r\n", none].concat());
    assert_eq!(heard, [Heard::Said(SERVER, None), Heard::RoundEnd]);
}

#[test]
fn other_sentinels_are_learned_unless_they_are_gone() {
    let mut asking = asked();
    let other = |id, ip, flags| array(&["runid", id, "ip", ip, "port", "26379", "flags", flags]);
    let others = [
        "*4\r\n",
        &other("one", "10.0.0.2", "sentinel"),
        &other("two", "::3", "sentinel"),
        &other("three", "10.0.0.4", "s_down,sentinel,disconnected"),
        "*0\r\n",
    ];
    let here = array(&["10.0.0.1", "6379"]);
    let heard = feed(
        &mut asking,
        &[&here, &array(&FIELDS), &here, &others.concat()]
            .map(String::as_str)
            .concat(),
    );
    let found: Vec<String> = heard
        .iter()
        .filter_map(|heard| match heard {
            Heard::Other { address, .. } => Some(address.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(found, ["10.0.0.2:26379", "[::3]:26379"]);
}

#[test]
fn a_round_that_is_wanted_during_another_follows_it() {
    let mut asking = asked();
    assert_eq!(ask(&mut asking), None);
    assert!(!asking.wants_round(Time::ZERO));
    let here = array(&["10.0.0.1", "6379"]);
    feed(
        &mut asking,
        &[here.as_str(), &array(&FIELDS), &here, "*0\r\n"].concat(),
    );
    assert!(asking.wants_round(Time::ZERO));
    assert!(ask(&mut asking).is_some());
    assert!(!asking.wants_round(Time::ZERO));
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
        let mut asking = connected(Some(auth));
        let heard = feed(&mut asking, &format!("-{words}\r\n"));
        let due = refused.then(|| Heard::Refused(words.to_owned()));
        assert_eq!(heard, Vec::from_iter(due), "{words}");
    }
    let mut old = connected(None);
    assert_eq!(
        feed(&mut old, "-ERR Unknown sentinel subcommand 'myid'\r\n"),
        []
    );
    assert!(ask(&mut old).is_some());
    let heard = feed(&mut old, "-ERR unknown command 'SENTINEL'\r\n");
    assert!(matches!(heard[..], [Heard::Refused(_)]), "{heard:?}");
}

#[test]
fn a_reply_that_nobody_asked_for_ends_the_connection() {
    let mut asking = connected(None);
    let mut heard = Vec::new();
    let both = "$1\r\na\r\n+OK\r\n";
    assert!(
        asking
            .received(both.as_bytes(), &mut heard, Time::ZERO)
            .is_err()
    );
}

#[test]
fn a_sentinel_that_does_not_answer_is_overdue() {
    let asking = asked();
    assert!(!asking.line.is_overdue(Time::ZERO));
    assert!(asking.line.is_overdue(Time::ZERO + ANSWER_WITHIN));
}

#[test]
fn replicas_are_asked_for_where_they_are_wanted_and_the_good_ones_are_told_from_the_others() {
    let mut asking = Asking::new(true, Time::ZERO);
    asking.line.connecting(LinkId(1), Time::ZERO);
    asking.connected(None, POLL, Time::ZERO);
    feed(&mut asking, &text(&["abc"]));
    let asked = ask(&mut asking).unwrap();
    assert!(
        memchr::memmem::find(&asked, &text(&["SENTINEL", "REPLICAS", "m1"]).into_bytes()).is_some()
    );
    let at = array(&["10.0.0.1", "1"]);
    let master = array(&["config-epoch", "1", "num-other-sentinels", "0"]);
    feed(&mut asking, &[at.clone(), master, at].concat());
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
    let heard = feed(&mut asking, &format!("*4\r\n{}", all.concat()));
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
