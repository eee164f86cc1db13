//! Every command of the table gives, through a pool of one server, what that server says itself: for keys of
//! every type and of none, for numbers, words and nonsense, and for too few and too many arguments.
//!
//! What differs on purpose is in `support/differs.rs`, with its reason, which `docs/commands.md` repeats.

use coremux::protocol::command::Command;
use coremux::protocol::command::Flags;
use coremux::protocol::command::Handling;
use coremux::protocol::command::Local;
use coremux::protocol::command::Traits;
use coremux::protocol::command::commands;
use coremux::protocol::commands_on_leave;

use crate::support::Client;
use crate::support::DIFFERS;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::words;

/// Never sent: they end or change the servers that all requests are compared on; and the help of a mode that
/// the server is not in, which it refuses to give.
const NEVER: [&str; 10] = [
    "bgrewriteaof",
    "bgsave",
    "cluster|help",
    "config|rewrite",
    "debug",
    "quit",
    "replicaof",
    "save",
    "shutdown",
    "slaveof",
];

/// Since Redis 7.2 they take one argument more: the older server refuses that itself, when `EXEC` brings it.
const TAKES_MORE: [&str; 2] = ["zrank", "zrevrank"];

/// A key of each type, and one that is not there.
const SEED: [&str; 7] = [
    "FLUSHALL",
    "SET string 17",
    "RPUSH list 1",
    "HSET hash 1 1",
    "SADD set 1",
    "ZADD zset 1 1",
    "XADD stream 1-1 1 1",
];
const KEYS: [&str; 7] = ["string", "list", "hash", "set", "zset", "stream", "none"];

/// What stands where no key does.
const FILLS: [&str; 4] = ["1", "0", "-1", "word"];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Compare {
    Exactly,
    WithoutOrder,
    Kind,
}

/// How a row's replies are compared.
fn compare_of(row: &Command) -> Compare {
    let tipped = |tip: &str| row.about.tips.contains(&tip);
    match row.name {
        name if DIFFERS.iter().any(|(differs, _)| *differs == name) => Compare::Kind,
        // Made from the table.
        name if name.ends_with("|help") => Compare::Kind,
        _ if tipped("nondeterministic_output") => Compare::Kind,
        _ if tipped("nondeterministic_output_order") => Compare::WithoutOrder,
        _ => Compare::Exactly,
    }
}

/// Its name, and so many more arguments; keys where it has any.
fn request(row: &Command, len: usize, fill: &str, key: &str) -> Vec<String> {
    let mut request: Vec<String> = row.name.split('|').map(str::to_owned).collect();
    while request.len() < len {
        request.push(fill.to_owned());
    }
    let bytes: Vec<&[u8]> = request.iter().map(String::as_bytes).collect();
    let keys: Vec<usize> = match row.keys(bytes.as_slice()) {
        Ok(keys) => keys.iter().collect(),
        Err(_) => Vec::new(),
    };
    for at in keys {
        key.clone_into(&mut request[at]);
    }
    request
}

/// All that is asked of one row: as many arguments as it needs, one and two more, and one less.
fn requests(row: &Command) -> Vec<Vec<String>> {
    let least = usize::try_from(row.arity.as_redis().unsigned_abs()).unwrap();
    let shortest = row.name.split('|').count();
    let mut all = Vec::new();
    for len in [least, least + 1, least + 2] {
        for fill in FILLS {
            all.extend(KEYS.map(|key| request(row, len, fill, key)));
        }
    }
    for len in shortest..least {
        all.push(request(row, len, "1", "string"));
    }
    all.dedup();
    all
}

fn without_order(reply: &Reply) -> Reply {
    match reply {
        Reply::Array(items) | Reply::Set(items) => {
            let mut items: Vec<Reply> = items.iter().map(without_order).collect();
            items.sort_by_key(|item| format!("{item:?}"));
            Reply::Array(items)
        }
        other => other.clone(),
    }
}

fn alike(compare: Compare, through: &Reply, direct: &Reply) -> bool {
    match compare {
        Compare::Exactly => through == direct,
        Compare::WithoutOrder => without_order(through) == without_order(direct),
        Compare::Kind => std::mem::discriminant(through) == std::mem::discriminant(direct),
    }
}

struct Stand {
    servers: [Redis; 2],
    proxy: Proxy,
}

impl Stand {
    fn start() -> Stand {
        let servers = [Redis::start(), Redis::start()];
        let leave: Vec<String> = commands_on_leave()
            .map(|name| name.replace('|', " "))
            .collect();
        let pool = Pool::new("alpha")
            .server(servers[1].address())
            .with("allow", format!("[{}]", leave.join(", ")));
        let proxy = Proxy::coremux(&[pool]);
        Stand { servers, proxy }
    }

    /// The same keys on both, and a client of each: the server's own, and the proxy's.
    fn clients(&self, protocol: &str) -> [Client; 2] {
        for server in &self.servers {
            server.client().pipeline(SEED.map(words));
        }
        let mut clients = [self.servers[0].client(), self.proxy.client("alpha")];
        for client in &mut clients {
            let hello = client.call(["HELLO", protocol]);
            assert!(!matches!(hello, Reply::Error(_)), "{hello:?}");
        }
        clients
    }
}

/// Whether a row can be part of a transaction here: what only the proxy answers cannot, nor what has no end.
fn goes_within(row: &Command) -> bool {
    let nothing: [&[u8]; 0] = [];
    match row.handling(&nothing) {
        Handling::Local(local) => matches!(local, Local::Ping | Local::Echo | Local::Time),
        handling => !matches!(
            handling,
            Handling::Refuse(_)
                | Handling::Walk
                | Handling::Subscribe(_)
                | Handling::Unsubscribe(_)
        ),
    }
}

/// Whether a row's replies can be compared one by one: the proxy sends it, or answers as its server would.
fn is_compared(row: &Command) -> bool {
    let nothing: [&[u8]; 0] = [];
    !NEVER.contains(&row.name)
        && !row.flags.has(Flags::BLOCKING)
        // One request has several replies, and others follow: `subscribe` compares those.
        && !matches!(
            row.handling(&nothing),
            Handling::Refuse(_) | Handling::Subscribe(_) | Handling::Unsubscribe(_)
        )
}

/// Those rows that a server knows, too.
fn known(direct: &mut Client, is_wanted: fn(&Command) -> bool) -> Vec<&'static Command> {
    let rows = commands().flat_map(|row| match row.subcommands {
        [] => vec![row],
        subcommands => subcommands.iter().collect(),
    });
    let rows: Vec<&Command> = rows.filter(|row| is_wanted(row)).collect();
    let known = direct.pipeline(rows.iter().map(|row| ["COMMAND", "INFO", row.name]));
    let known = known.iter().map(|reply| match reply {
        Reply::Array(rows) => matches!(rows.as_slice(), [Reply::Array(_)]),
        _ => false,
    });
    let both = rows.iter().zip(known);
    both.filter(|(_, known)| *known)
        .map(|(row, _)| *row)
        .collect()
}

fn compare_all(protocol: &str) {
    let stand = Stand::start();
    let rows = known(&mut stand.servers[0].client(), is_compared);
    assert!(rows.len() > 220, "{} commands", rows.len());
    let mut differences = Vec::new();
    for row in rows {
        let [mut direct, mut through] = stand.clients(protocol);
        let requests = requests(row);
        let direct = direct.pipeline(requests.iter());
        let through = through.pipeline(requests.iter());
        let compare = compare_of(row);
        for (request, (through, direct)) in requests.iter().zip(through.iter().zip(&direct)) {
            if !alike(compare, through, direct) {
                differences.push(format!(
                    "{}: {through:?}, directly {direct:?}",
                    request.join(" ")
                ));
                break;
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn every_command_says_through_a_pool_of_one_what_its_server_says() {
    compare_all("2");
}

#[test]
fn every_command_says_in_resp3_what_its_server_says() {
    compare_all("3");
}

/// `MULTI`, the request, `EXEC`: a command that waits does not wait.
fn compare_within(protocol: &str) {
    let stand = Stand::start();
    let rows = known(&mut stand.servers[0].client(), |row| {
        let is_newer = TAKES_MORE.contains(&row.name);
        !NEVER.contains(&row.name) && !is_newer && goes_within(row)
    });
    assert!(rows.len() > 180, "{} commands", rows.len());
    let mut differences = Vec::new();
    for row in rows {
        let requests = requests(row);
        let one = |word: &str| vec![word.to_owned()];
        let within: Vec<Vec<String>> = requests
            .iter()
            .flat_map(|request| [one("MULTI"), request.clone(), one("EXEC")])
            .collect();
        let [mut direct, mut through] = stand.clients(protocol);
        let direct = direct.pipeline(within.iter());
        let through = through.pipeline(within.iter());
        let compare = compare_of(row);
        let both = through.chunks(3).zip(direct.chunks(3));
        for (request, (through, direct)) in requests.iter().zip(both) {
            let done = match (&through[2], &direct[2]) {
                (Reply::Array(one), Reply::Array(other)) => {
                    one.len() == other.len()
                        && one
                            .iter()
                            .zip(other)
                            .all(|(one, other)| alike(compare, one, other))
                }
                (one, other) => one == other,
            };
            if through[..2] != direct[..2] || !done {
                let request = request.join(" ");
                differences.push(format!("{request}: {through:?}, directly {direct:?}"));
                break;
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn every_command_says_within_a_transaction_what_its_server_says() {
    compare_within("2");
}

#[test]
fn every_command_says_within_a_transaction_of_resp3_what_its_server_says() {
    compare_within("3");
}

#[test]
fn what_is_refused_is_an_error_whatever_comes_with_it() {
    let stand = Stand::start();
    let [_, mut through] = stand.clients("2");
    let nothing: [&[u8]; 0] = [];
    let rows = commands().flat_map(|row| std::iter::once(row).chain(row.subcommands));
    for row in rows.filter(|row| matches!(row.handling(&nothing), Handling::Refuse(_))) {
        let requests = requests(row);
        for (request, reply) in requests.iter().zip(through.pipeline(requests.iter())) {
            assert!(
                matches!(reply, Reply::Error(_)),
                "{}: {reply:?}",
                request.join(" ")
            );
        }
        // What it relies on in vain is forgotten.
        assert_eq!(through.call(["RESET"]), Reply::Simple("RESET".to_owned()));
    }
    assert!(commands().any(|row| row.traits.has(Traits::NEEDS_LEAVE)));
    assert_eq!(through.call(["PING"]), Reply::Simple("PONG".to_owned()));
}
