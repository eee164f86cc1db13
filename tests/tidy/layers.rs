//! Who may use whom inside `src/proxy`: the door uses flows, flows use state, state uses words.
//!
//! A flow is a file that adds methods to `Proxy` or to `Desk`: what takes several rooms. All others are
//! state, or words. State that used a flow would have to be given all of the proxy, and nobody could
//! test it by itself.

use std::collections::BTreeMap;

use super::circles::module;
use super::circles::named;
use super::circles::without_scope;
use super::expect_none;
use super::files::File;
use super::files::rust_below;

const ROOM: &str = "proxy";

/// What a flow adds methods to.
const FLOWS_ADD_TO: &[&str] = &["impl Proxy ", "impl Desk<"];

/// Files that every other may use, and that use none but each other.
const WORDS: &[&str] = &["effects", "failure", "timers", "worker"];

/// What the state of a room may use of other rooms.
const STATE_USES: &[(&str, &[&str])] = &[
    // The places of replies hold the join of their parts; a client holds a connection of its own.
    (
        "client",
        &["plan::gather", "exclusive::lease", "pubsub::subscriptions"],
    ),
    // A connection that a client has for itself may be one on which it listens.
    ("exclusive", &["pubsub::feed"]),
    // Which connection is whose, which replica a client reads, what a client may have in flight.
    ("pool", &["client"]),
    // What is done with a request depends on its client, on where keys live, and says how it is retried.
    ("plan", &["client", "pool", "server_conn::queue::Retry"]),
    // Who awaits a reply, which of a server's connections this is, who has it for itself or listens there.
    (
        "server_conn",
        &[
            "client::Awaiter",
            "pool::conns",
            "exclusive::stock",
            "pubsub::feed",
        ],
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    Door,
    Flow,
    State,
    Words,
}

fn layer(file: &File) -> Layer {
    let names = module(file);
    let adds = |line: &str| FLOWS_ADD_TO.iter().any(|flow| line.starts_with(flow));
    match names[1..] {
        [] => Layer::Door,
        [word] if WORDS.contains(&word) => Layer::Words,
        _ if file.code_without_tests().any(|(_, line)| adds(line)) => Layer::Flow,
        _ => Layer::State,
    }
}

/// Whether the state of `room` may use `path`, which stands in a file of this layer.
fn state_may_use(room: &str, path: &[&str], of: Layer) -> bool {
    let path = path.join("::");
    let is_below = |name: &str| path == name || path.starts_with(&format!("{name}::"));
    let beside = STATE_USES.iter().find(|(name, _)| *name == room);
    let beside = beside.map_or(&[][..], |(_, beside)| beside);
    match of {
        Layer::Words => true,
        Layer::State => is_below(room) || beside.iter().any(|name| is_below(name)),
        Layer::Flow | Layer::Door => false,
    }
}

/// Each place at which a name points up.
fn breaches(files: &[File]) -> Vec<String> {
    let layers: BTreeMap<String, Layer> = files
        .iter()
        .map(|file| (module(file)[1..].join("::"), layer(file)))
        .collect();
    let mut found = Vec::new();
    for file in files {
        let (here, own) = (module(file), layer(file));
        for (number, line) in file.code_without_tests() {
            for path in named(without_scope(line), &here) {
                // `pub(super)` names nothing.
                let Some(path @ [_, ..]) = path.strip_prefix(&[ROOM][..]) else {
                    continue;
                };
                let prefixes = (0..=path.len()).rev();
                let of = prefixes.map(|end| path[..end].join("::"));
                let of = of.into_iter().find_map(|name| layers.get(&name));
                let of = *of.unwrap_or(&Layer::Door);
                let may = match own {
                    Layer::Door | Layer::Flow => true,
                    Layer::State => state_may_use(here[1], path, of),
                    Layer::Words => of == Layer::Words,
                };
                if !may {
                    let what = format!("{own:?} uses {} ({of:?})", path.join("::"));
                    found.push(file.place(number, &what));
                }
            }
        }
    }
    found
}

#[test]
fn state_uses_no_flow_and_of_other_rooms_only_what_is_said() {
    let files = rust_below("src/proxy");
    expect_none(
        "in src/proxy a name points up; tests/tidy/layers.rs says what may be used",
        &breaches(&files),
    );
    for layer in [Layer::Flow, Layer::State, Layer::Words] {
        let count = files.iter().filter(|file| self::layer(file) == layer);
        assert!(count.count() >= WORDS.len(), "{layer:?} is not found");
    }
}

#[test]
fn a_name_that_points_up_is_seen() {
    let file = |path: &str, text: &str| File {
        path: format!("src/proxy/{path}"),
        text: text.to_owned(),
    };
    let found = |words: &str, state: &str| {
        breaches(&[
            file("mod.rs", "use client::reading::Read;\n"),
            file("timers.rs", words),
            file("client/mod.rs", "pub struct Client;\n"),
            file("client/state.rs", state),
            file("client/reading.rs", "impl Proxy {}\n"),
            file("pool/mod.rs", "pub struct Pool;\n"),
        ])
        .len()
    };
    assert_eq!(found("", "use crate::proxy::client::Client;"), 0);
    assert_eq!(found("", "use crate::proxy::timers::Timers;"), 0);
    assert_eq!(found("use crate::proxy::client::Client;", ""), 1);
    assert_eq!(found("", "use crate::proxy::client::reading::Read;"), 1);
    assert_eq!(found("", "use super::reading::Read;"), 1);
    assert_eq!(found("", "use crate::proxy::Proxy;"), 1);
    assert_eq!(found("", "use crate::proxy::pool::Pool;"), 1, "not granted");
}
