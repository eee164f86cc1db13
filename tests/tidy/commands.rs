//! `docs/commands.md`, made from the command table.

#[path = "../support/differs.rs"]
mod differs;

use std::collections::BTreeMap;

use coremux::protocol::command::Command;
use coremux::protocol::command::Flags;
use coremux::protocol::command::Gather;
use coremux::protocol::command::Handling;
use coremux::protocol::command::KeySearch;
use coremux::protocol::command::Traits;
use coremux::protocol::command::commands;

/// The page's head; what it says of errors holds for every row.
const HEAD: &str = "\
# Commands

Made from the command table by `tests/tidy.rs`; not to be edited.

- **forwarded**: to the server where its key lives. With *several keys* all of them must live on one
  server (a `hash_tag` sees to that), else the reply is `-CROSSSLOT`.
- **split**: one command of the same name to every server that holds some of its keys; the replies
  are joined. If one part fails, the reply is that part's error, and the other parts are done.
- **asks all**: every server of the pool gets it, and the replies become one; one server's error is the
  reply. A server that is ejected (`auto_eject_hosts`) is left out, as its keys are, and what writes is
  refused meanwhile: its keys come back with it.
- **walks**: one server after another; the cursor says which is next. It holds in every worker, for
  other proxies before the same servers, and over a reload or upgrade that keeps them.
- **waits**: as *forwarded*, on a server connection that the client has for itself until the reply has
  come (`exclusive_connections`); it delays nobody else. What the client sends meanwhile waits, too.
- **listens**: to the channel's server, or for a pattern to all of them, on a server connection that the client has for
  itself (`exclusive_connections`), or that all who listen share (`pubsub: shared`). Not within a transaction.
- **if allowed**: refused unless the pool's `allow:` names it. `deny:` takes any command away.
- **at the master**: where `read_from` lets replicas answer reads, too: the reply is good only on the
  server that gave it (a cursor), or the master is to know of it (`TOUCH`).
- **answered**: by the proxy; no server is asked, but by `INFO` and `CONFIG GET`, which tell of all servers as of
  one, and leave out those that fail.
- **refused**: an error reply; the connection stays. So does it after a command that is not here.

";

/// Opens the list of what a test excuses.
const DIFFERENCES: &str = "
## Where replies differ

Through a pool of one server each command above says what that server says itself: a test sends all that are
not refused, with keys of every type, numbers, words, and too few and too many arguments, and compares the
replies. These are apart; so are times, what is drawn by chance, and the texts of `HELP`, which are made from this
table.

| | why |
|---|---|
";

/// All of the page.
pub fn page() -> String {
    let mut groups: BTreeMap<&str, Vec<&Command>> = BTreeMap::new();
    for command in commands() {
        groups.entry(group(command)).or_default().push(command);
    }
    let mut page = HEAD.to_owned();
    let counts = [
        "forwarded",
        "waits",
        "split",
        "asks all",
        "walks",
        "listens",
        "answered",
        "refused",
    ]
    .map(|what| {
        let rows = commands().flat_map(rows);
        let count = rows.filter(|row| handling(row).starts_with(what)).count();
        match what {
            "waits" => format!("{count} that wait"),
            what => format!("{count} {what}"),
        }
    });
    page += &format!("In all, subcommands counted: {}.\n", counts.join(", "));
    for (group, commands) in groups {
        page += &format!("\n## {group}\n\n| command | | since | |\n|---|---|---|---|\n");
        let mut rows: Vec<&Command> = commands.into_iter().flat_map(rows).collect();
        rows.sort_by_key(|row| row.name);
        for row in rows {
            page += &format!(
                "| `{}` | {} | {} | {} |\n",
                row.name.replace('|', " ").to_uppercase(),
                handling(row),
                row.about.since,
                row.about.summary,
            );
        }
    }
    page += DIFFERENCES;
    for (name, why) in differs::DIFFERS {
        let name = name.replace('|', " ").to_uppercase();
        page += &format!("| `{name}` | {why} |\n");
    }
    page
}

/// As Redis's documentation sorts them, modules by their own names.
fn group(command: &Command) -> &'static str {
    match command.name.split_once('.') {
        Some((module, _)) => module,
        None => command.about.group.name(),
    }
}

/// A command, or the subcommands of a container, which without one says nothing but its help.
fn rows(command: &'static Command) -> Vec<&'static Command> {
    match command.subcommands {
        [] => vec![command],
        subcommands if command.name == "command" => {
            std::iter::once(command).chain(subcommands).collect()
        }
        subcommands => subcommands.iter().collect(),
    }
}

fn handling(command: &Command) -> String {
    let master_only = command.traits.has(Traits::MASTER_ONLY);
    let place = if master_only { ", at the master" } else { "" };
    let needs_leave = command.traits.has(Traits::NEEDS_LEAVE);
    let leave = if needs_leave { ", if allowed" } else { "" };
    way(command) + place + leave
}

fn way(command: &Command) -> String {
    let no_arguments: [&[u8]; 0] = [];
    match command.handling(&no_arguments) {
        Handling::Forward if command.flags.has(Flags::BLOCKING) => {
            format!("forwarded{}; with `BLOCK` it waits", several_keys(command))
        }
        Handling::Forward => format!("forwarded{}", several_keys(command)),
        Handling::Watch => "watches; the keys must live on one server".to_owned(),
        Handling::Wait(_) => format!("waits{}", several_keys(command)),
        Handling::ForwardAnywhere => "forwarded, always to the same server".to_owned(),
        Handling::Subscribe(_) | Handling::Unsubscribe(_) => "listens".to_owned(),
        Handling::Publish => "forwarded, to the channel's server".to_owned(),
        Handling::Split(gather) => format!("split; {}", joined(gather)),
        Handling::AskAll(gather) => format!("asks all; {}", joined(gather)),
        Handling::Walk => "walks".to_owned(),
        Handling::Local(_) => "answered".to_owned(),
        Handling::Refuse(refusal) => format!("refused: {refusal}"),
    }
}

fn joined(gather: Gather) -> &'static str {
    match gather {
        Gather::Concat => "values in the order of the keys",
        Gather::AllOk => "`OK` from all",
        Gather::Sum => "the sum",
        Gather::Min => "the least",
        Gather::Chain => "all of theirs",
        Gather::Union => "all of theirs, each once",
        Gather::Counts => "the sum of each",
        Gather::Max => "the most",
        Gather::Every => "what every one has",
        Gather::First => "the first's, as all should say the same",
        Gather::Any => "that of any that has one",
        Gather::Longest => "that of who has most to tell",
        Gather::OneOk => "`OK` if one has done it",
    }
}

fn several_keys(command: &Command) -> &'static str {
    let mut specs = command.keys.specs();
    let several = |search| match search {
        KeySearch::Range { last, .. } => last != 0,
        KeySearch::Counted { .. } | KeySearch::Keyword { .. } | KeySearch::Unknown => true,
    };
    match (specs.next(), specs.next()) {
        (None, _) => "",
        (Some(only), None) if !several(only.search) => "",
        _ => ", several keys",
    }
}

const MEMCACHED_HEAD: &str = "\
# memcached

A pool without `redis: true` speaks memcached's text protocol, with the meta commands, to clients and servers
([`conf/memcached.yml`](../conf/memcached.yml)). Keys, failures, limits, reloads and upgrades are those of every pool.

- A client's line is checked word by word and sent in one form, with a data block of exactly the length that it
  gives. What is none gets memcached's own error in its place, and a data block behind it is passed over:
  nothing in a key or a value becomes a command. Numbers are digits in their range (`flags` 32 bits, `exptime` 31
  and a sign, values and versions 64), keys have at most 250 bytes, no blank and no control byte.
- A line ends with CR LF. With LF alone a line without a key is read all the same (`echo version | nc`); with a key
  the client is told and closed, for the LF may be in the middle of it. So is one that speaks another protocol, such
  as the binary one.
- `noreply` and the quiet mode `q` are the proxy's to obey. Every server is asked for a reply, so that an error that a
  server sends in spite of `noreply` is nobody else's reply. What is quiet is what memcached 1.6.18 leaves out: `EN` of
  `mg`, `HD` of `ms` and `md`, `HD` and `VA` of `ma`. Errors of meta commands are told always.
- A server's reply must have the form of what was asked, and its values must be of the keys that this server was asked
  for, in their order; else the connection ends. (The value of a single key is known by a hash of 16 bits of it.) So it
  does where a server does not understand a command with data, since it takes the data for commands.
- The proxy's own errors are `SERVER_ERROR` and the cause. Of a `get` of many keys, one server that fails makes it an
  error, as in twemproxy, which closes the client then; with `partial_get: true` it gives the hits of the others.
- `get`, `gets`, `mg` without `E`, `N`, `R`, `T`, and `me` are sent once more if a connection breaks; nothing else is.
- Each server connection begins with `version`, which the server must answer before it gets a request. One that is not
  1.6.12 or newer, or does not say so, gets no meta command, since it would take the data of an `ms` for commands:
  the client gets `CLIENT_ERROR The server of this key is too old for this command`.

Made from the table of commands by `tests/tidy.rs`; not to be edited.

| command | | |
|---|---|---|
";

/// All of memcached's page.
pub fn memcached_page() -> String {
    let mut page = MEMCACHED_HEAD.to_owned();
    for row in coremux::protocol::memcached::rows() {
        page += &format!(
            "| `{}` | {} | {} |\n",
            row.shape,
            way(&row.command),
            row.command.about.summary
        );
    }
    page
}
