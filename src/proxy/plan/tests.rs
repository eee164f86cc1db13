//! Every kind of row, in every state of a session, in pools of several kinds; without a proxy.

use super::*;
use crate::base::Time;
use crate::config::Config;
use crate::protocol::command;
use crate::protocol::command::Traits;
use crate::proxy::client::Session;
use crate::proxy::client::transaction::Home;
use crate::proxy::client::unmet::Unmet;

fn pool(more: &str) -> Pool {
    let text = format!(
        "alpha:\n  listen: 127.0.0.1:1\n  redis: true\n{more}  servers:\n    - 10.0.0.1:1:1 a\n    \
         - 10.0.0.2:1:1 b\n    - 10.0.0.3:1:1 c\n"
    );
    Pool::new(Config::parse(&text, "a.yml").unwrap().pools.remove(0))
}

fn dead_pool(more: &str) -> Pool {
    let mut pool = pool(more);
    for server in 0..3 {
        pool.set_ejected(ServerIdx(server), true);
    }
    pool
}

fn session(authenticated: bool, unmet: Unmet) -> Session {
    let mut session = Session::new(1, None, Time::ZERO);
    session.set_authenticated(authenticated);
    session.set_unmet(unmet);
    session
}

fn open_session() -> Session {
    session(true, Unmet::default())
}

const WATCH: Unmet = Unmet {
    watch: true,
    database: false,
};
const DATABASE: Unmet = Unmet {
    watch: false,
    database: true,
};

fn planned(request: &[&[u8]], session: &Session, pool: &Pool) -> Result<Plan, RequestError> {
    let found = command::resolve(request);
    authorize(request, found, session, pool)?;
    plan(
        request,
        (found, Expect::ONE),
        pool,
        7,
        &mut Parts::default(),
    )
}

fn words(line: &str) -> Vec<&[u8]> {
    line.split(' ').map(str::as_bytes).collect()
}

/// A request of this row that has as many arguments as it needs, and one more key where it may.
fn request_of(row: &Command) -> Vec<Vec<u8>> {
    let name = row.name.split('|').map(|part| part.as_bytes().to_vec());
    let mut request: Vec<Vec<u8>> = name.collect();
    let mut next = 1;
    while !row.arity.allows(request.len()) {
        request.push(next.to_string().into_bytes());
        next += 1;
    }
    request
}

fn for_each_row(check: impl Fn(&'static Command, &[&[u8]])) {
    for row in command::commands() {
        let request = request_of(row);
        let request: Vec<&[u8]> = request.iter().map(Vec::as_slice).collect();
        if command::resolve(request.as_slice()).is_ok_and(|found| found.name == row.name) {
            check(row, &request);
        }
    }
}

#[test]
fn each_row_is_planned_as_it_says() {
    let allowed: Vec<String> = crate::protocol::commands_on_leave()
        .map(|name| name.replace('|', " "))
        .collect();
    let allow = format!("  allow: [{}]\n", allowed.join(","));
    let (strict, pool, dead) = (pool(""), pool(&allow), dead_pool(&allow));
    for_each_row(|row, request| {
        let planned_here = planned(request, &open_session(), &pool);
        let planned_there = planned(request, &open_session(), &dead);
        let leave = RequestError::NeedsLeave(row.name);
        let refused = planned(request, &open_session(), &strict).is_err_and(|why| why == leave);
        assert_eq!(refused, row.traits.has(Traits::NEEDS_LEAVE), "{}", row.name);
        let kind = row.handling(request);
        let fits = match (kind, planned_here) {
            (Handling::Local(is), Ok(Plan::Answer(local))) => is == local,
            (Handling::Refuse(_), Ok(Plan::Refuse(CommandError::Refused(..)))) => true,
            (Handling::ForwardAnywhere, Ok(Plan::Forward(server, _))) => {
                Some(server) == pool.server_of(PLACEHOLDER, 7)
            }
            (Handling::Subscribe(is), Ok(Plan::Subscribe(kind)))
            | (Handling::Unsubscribe(is), Ok(Plan::Unsubscribe(kind))) => is == kind,
            (Handling::Publish, Ok(Plan::Forward(server, ask))) => {
                Some(server) == pool.server_of(request[1], 0) && ask.writes()
            }
            (Handling::AskAll(how), Ok(Plan::All(join, ask))) => {
                join == how && ask == Ask::of(row, Expect::ONE)
            }
            // Its argument is no cursor.
            (Handling::Walk, Err(RequestError::NoCursor)) => true,
            (Handling::Forward | Handling::Wait(_), Err(RequestError::CrossServer)) => true,
            (Handling::Watch, Ok(Plan::Watch(..)) | Err(RequestError::CrossServer)) => true,
            (Handling::Wait(at), Ok(Plan::Wait(_, ask, there))) => {
                at == there && ask == Ask::of(row, Expect::ONE)
            }
            (Handling::Split(how), Ok(Plan::Fan(fan, _))) => fan.join == how,
            (Handling::Forward | Handling::Split(_), Ok(Plan::Forward(_, ask))) => {
                ask == Ask::of(row, Expect::ONE)
            }
            (
                Handling::Forward | Handling::Wait(_) | Handling::Split(_),
                Ok(Plan::Refuse(CommandError::Keys(_))),
            ) => true,
            _ => false,
        };
        assert!(fits, "{}: {planned_here:?}", row.name);
        match planned_here {
            Ok(Plan::Forward(..) | Plan::Wait(..) | Plan::Watch(..) | Plan::Fan(..))
            | Err(RequestError::CrossServer) => {
                let error = planned_there.unwrap_err();
                assert_eq!(error, RequestError::NoServer, "{}", row.name);
            }
            Ok(Plan::All(..)) if row.access == Access::Write => {
                assert_eq!(planned_there.unwrap_err(), RequestError::Incomplete);
            }
            Err(error) => assert_eq!(planned_there.unwrap_err(), error, "{}", row.name),
            _ => assert!(planned_there.is_ok(), "{}", row.name),
        }
    });
}

#[test]
fn a_walk_goes_from_server_to_server_and_ends() {
    let (pool, session) = (pool(""), open_session());
    let (mut cursor, mut servers) = ("0".to_owned(), Vec::new());
    for _ in 0..3 {
        let planned = planned(&words(&format!("scan {cursor} count 5")), &session, &pool);
        let Ok(Plan::Page(server, page, ask)) = planned else {
            panic!("{planned:?}");
        };
        assert!(page.of_server == 0 && !ask.writes() && !ask.replica);
        servers.push(server.0);
        cursor = page.turned(0).unwrap().to_string();
    }
    servers.sort_unstable();
    assert_eq!((cursor.as_str(), servers), ("0", vec![0, 1, 2]));
    for nowhere in [
        "1",
        "-1",
        "x",
        "",
        "+0",
        "99999999999999999999",
        "18446744073709551615",
    ] {
        let planned = planned(&[b"scan", nowhere.as_bytes()], &session, &pool);
        assert_eq!(planned.unwrap_err(), RequestError::NoCursor, "{nowhere}");
    }
    let planned = planned(&words("scan 0"), &session, &dead_pool(""));
    assert_eq!(planned.unwrap_err(), RequestError::NoServer);
}

#[test]
fn while_a_server_is_ejected_others_are_read_and_nothing_is_written_to_all() {
    let (mut pool, session) = (pool(""), open_session());
    pool.set_ejected(ServerIdx(1), true);
    let planned_so = |line: &str| planned(&words(line), &session, &pool);
    assert!(matches!(
        planned_so("dbsize"),
        Ok(Plan::All(Gather::Sum, _))
    ));
    assert!(matches!(
        planned_so("script load x"),
        Ok(Plan::All(Gather::First, _))
    ));
    for line in ["function flush", "function delete x"] {
        assert_eq!(planned_so(line).unwrap_err(), RequestError::Incomplete);
    }
}

#[test]
fn a_script_without_keys_goes_to_one_server_whatever_is_drawn() {
    for more in ["", "  distribution: random\n"] {
        let pool = pool(more);
        let of = |random| {
            let request = words("eval return 0 first");
            let found = command::resolve(request.as_slice());
            let asked = (found, Expect::ONE);
            match plan(
                request.as_slice(),
                asked,
                &pool,
                random,
                &mut Parts::default(),
            ) {
                Ok(Plan::Forward(server, _)) => server,
                other => panic!("{other:?}"),
            }
        };
        assert!((0..9).all(|random| of(random) == of(0)));
    }
}

#[test]
fn who_has_not_given_the_password_may_only_do_so_or_leave() {
    let (pool, fresh) = (
        pool("  redis_auth: secret\n"),
        session(false, Unmet::default()),
    );
    for_each_row(|row, request| {
        let lets_in = ["auth", "hello", "quit", "reset"].contains(&row.name);
        match planned(request, &fresh, &pool) {
            Err(error) => assert_eq!(error, RequestError::NotAuthenticated),
            Ok(_) => assert!(lets_in, "{}", row.name),
        }
        assert_eq!(
            planned(request, &fresh, &pool).is_ok(),
            lets_in,
            "{}",
            row.name
        );
    });
    let unknown = planned(&words("what is"), &fresh, &pool);
    assert_eq!(unknown.unwrap_err(), RequestError::NotAuthenticated);
}

#[test]
fn within_a_transaction_each_row_is_queued_done_at_once_or_refused() {
    let pool = pool("");
    for_each_row(|row, request| {
        let within = plan_within(request, command::resolve(request), &pool, 7);
        let fits = match (row.name, row.handling(request), within) {
            ("exec" | "discard" | "reset" | "quit", _, Ok(Within::Now(_))) => true,
            ("multi", _, Ok(Within::Told(RequestError::Nested))) => true,
            ("watch", _, Ok(Within::Told(RequestError::WatchWithin))) => true,
            ("ping" | "echo" | "time" | "unwatch", _, Ok(Within::Queue(Home::Anywhere, false))) => {
                true
            }
            (_, Handling::Local(_) | Handling::Walk, Err(RequestError::NotWithin)) => true,
            (_, Handling::AskAll(_), Err(RequestError::NotWithin)) => true,
            (
                _,
                Handling::Subscribe(_) | Handling::Unsubscribe(_),
                Err(RequestError::NotWithin),
            ) => true,
            (_, Handling::Refuse(_), Err(RequestError::NotWithin)) => {
                row.flags.has(command::Flags::NO_MULTI)
            }
            // What waits elsewhere does not wait here.
            (_, Handling::Wait(_), Ok(Within::Queue(..))) => true,
            (_, Handling::Wait(_), Err(RequestError::CrossServer)) => true,
            (_, Handling::Wait(_), Ok(Within::Refuse(CommandError::Keys(_)))) => true,
            (_, Handling::Refuse(_), Ok(Within::Refuse(error))) => {
                matches!(error, CommandError::Refused(..))
            }
            (_, Handling::Publish, Ok(Within::Queue(Home::At(server), true))) => {
                server == pool.server_of(request[1], 0)
            }
            (_, Handling::ForwardAnywhere, Ok(Within::Queue(home, _))) => home == Home::Anywhere,
            (_, Handling::Forward | Handling::Split(_), Ok(Within::Queue(_, writes))) => {
                writes != row.safe_to_retry()
            }
            (_, Handling::Forward | Handling::Split(_), Err(RequestError::CrossServer)) => true,
            (_, Handling::Forward, Ok(Within::Refuse(CommandError::Keys(_)))) => true,
            _ => false,
        };
        assert!(fits, "{}: {within:?}", row.name);
    });
}

#[test]
fn within_a_transaction_keys_live_on_one_server_and_a_dead_pool_is_found_out_later() {
    let pool = pool("  hash_tag: \"{}\"\n");
    let home = |line: &str, pool: &Pool| {
        let request = words(line);
        let found = command::resolve(request.as_slice());
        plan_within(request.as_slice(), found, pool, 7)
    };
    let lives = |key: &[u8]| Home::At(pool.server_of(key, 7));
    let together = home("mset {a}1 x {a}2 y", &pool);
    assert!(matches!(together, Ok(Within::Queue(home, true)) if home == lives(b"a")));
    let apart = home("mget apple river stone cloud amber", &pool);
    assert_eq!(apart.unwrap_err(), RequestError::CrossServer);
    let dead = home("get k", &dead_pool(""));
    assert!(matches!(dead, Ok(Within::Queue(Home::At(None), false))));
    let forwarding = self::pool("  unknown_commands: forward\n");
    let unknown = home("what is this", &forwarding);
    let there = Home::At(forwarding.server_of(b"is", 7));
    assert!(matches!(unknown, Ok(Within::Queue(home, true)) if home == there));
}

#[test]
fn in_a_database_that_was_refused_no_server_is_asked() {
    let (pool, relying) = (pool(""), session(true, DATABASE));
    for_each_row(|row, request| match planned(request, &relying, &pool) {
        Ok(Plan::Answer(_) | Plan::Refuse(CommandError::Refused(..))) => {}
        Err(RequestError::WrongDatabase) => {}
        other => panic!("{}: {other:?}", row.name),
    });
}

#[test]
fn an_unknown_command_goes_where_its_first_argument_lives_or_is_refused() {
    let request = words("what is this");
    let refused = planned(&request, &open_session(), &pool(""));
    assert!(matches!(refused, Ok(Plan::Refuse(CommandError::Unknown))));
    let forwarding = pool("  unknown_commands: forward\n");
    let Ok(Plan::Forward(server, ask)) = planned(&request, &open_session(), &forwarding) else {
        panic!("it is forwarded");
    };
    assert_eq!(Some(server), forwarding.server_of(b"is", 7));
    assert!(ask.writes() && !ask.replica);
    let alone = planned(&words("what"), &open_session(), &forwarding);
    assert!(matches!(alone, Ok(Plan::Refuse(CommandError::Unknown))));
    let elsewhere = planned(&request, &session(true, DATABASE), &forwarding);
    assert_eq!(elsewhere.unwrap_err(), RequestError::WrongDatabase);
}

#[test]
fn a_pool_takes_commands_away_by_name_and_containers_with_all_they_hold() {
    let pool = pool("  deny: [get, client]\n  allow: [keys]\n");
    let planned = |line: &str| planned(&words(line), &open_session(), &pool);
    for (line, name) in [
        ("GET k", "get"),
        ("client id", "client|id"),
        ("client help", "client|help"),
    ] {
        assert_eq!(planned(line).unwrap_err(), RequestError::Denied(name));
    }
    for (line, name) in [("flushall", "flushall"), ("config set a b", "config|set")] {
        assert_eq!(planned(line).unwrap_err(), RequestError::NeedsLeave(name));
    }
    for line in ["getex k", "keys *", "config get a"] {
        assert!(planned(line).is_ok(), "{line}");
    }
}

#[test]
fn keys_of_several_servers_are_divided_and_each_part_knows_its_keys() {
    let pool = pool("");
    let request = words("mget apple river stone cloud amber violet canyon meadow harbor");
    let mut parts = Parts::default();
    let found = command::resolve(request.as_slice());
    let planned = plan(
        request.as_slice(),
        (found, Expect::ONE),
        &pool,
        7,
        &mut parts,
    );
    let Ok(Plan::Fan(fan, ask)) = planned else {
        panic!("{planned:?}");
    };
    assert!(fan.command.name == "mget" && fan.join == Gather::Concat && !ask.writes());
    assert_eq!(parts.keys().iter().sum::<usize>(), 9);
    for (part, index) in parts.order().iter().zip(fan.keys.iter()) {
        let server = parts.servers()[usize::from(*part)];
        assert_eq!(Some(server), pool.server_of(request[index], 7));
    }
}

#[test]
fn keys_of_one_server_are_not_divided() {
    let pool = pool("  hash_tag: \"{}\"\n");
    let request = words("mget {a}1 {a}2");
    let planned_here = planned(&request, &open_session(), &pool);
    assert!(
        matches!(planned_here, Ok(Plan::Forward(..))),
        "{planned_here:?}"
    );
}

#[test]
fn what_a_client_relies_on_follows_from_what_it_was_refused() {
    let pool = pool("");
    let after = |unmet, line: &str| {
        let planned = planned(&words(line), &session(true, unmet), &pool);
        relies_on_after(unmet, &planned)
    };
    let nothing = Unmet::default();
    assert_eq!(after(nothing, "watch"), WATCH);
    // Redis, too, goes on in the database in which it is.
    assert_eq!(after(nothing, "select"), nothing);
    assert_eq!(after(DATABASE, "select"), DATABASE);
    for line in ["get k", "multi", "watch", "what is"] {
        assert_eq!(after(WATCH, line), WATCH, "{line}");
    }
    for line in ["get k", "watch k", "exec", "ping", "what is"] {
        assert_eq!(after(nothing, line), nothing, "{line}");
    }
}

#[test]
fn a_plan_is_copied_not_allocated() {
    fn is_copy<T: Copy>() {}
    is_copy::<Result<Plan, RequestError>>();
    assert!(size_of::<Plan>() <= 64, "{}", size_of::<Plan>());
}
