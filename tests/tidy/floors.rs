//! Names point down only, and nothing below the reactor touches the world.

use super::expect_none;
use super::files::File;
use super::files::has_word;
use super::files::read;
use super::files::root;
use super::files::rust_below;

/// Every folder of `src/` and its floor.
const ROOMS: &[(&str, u8)] = &[
    ("process", 5),
    ("control", 4),
    ("reactor", 4),
    ("proxy", 3),
    ("sentinel", 3),
    ("ejection", 3),
    ("protocol", 2),
    ("route", 2),
    ("config", 2),
    ("stats", 2),
    ("messages", 2),
    ("telemetry", 2),
    ("base", 1),
];

/// What may be used of a room on the same floor.
const BESIDE: &[(&str, &str)] = &[
    // A configuration names hashes and distributions.
    ("config", "route::Distribution"),
    ("config", "route::Hash"),
    ("config", "route::HashTag"),
    // A configuration names commands.
    ("config", "protocol::command_name"),
    ("config", "protocol::commands_on_leave"),
    // The two planes meet in mailboxes only.
    ("control", "reactor::FromWorker"),
    ("control", "reactor::Receiver"),
    ("control", "reactor::Sender"),
    ("control", "reactor::ToWorker"),
    ("control", "reactor::mailbox"),
    // It says when clients go to another process; the reactor moves them.
    ("control", "reactor::hand_over"),
];

/// What only the floors above the data plane may touch: sockets, clocks, threads, randomness.
const WORLD: &[&str] = &[
    "Instant",
    "SystemTime",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "UnixListener",
    "UnixStream",
    "core_affinity",
    "getrandom",
    "glommio",
    "io_uring",
    "libc",
    "rustix",
    "signal_hook",
    "socket2",
    "thread",
];

fn floor(room: &str) -> u8 {
    let row = ROOMS.iter().find(|(name, _)| *name == room);
    row.unwrap_or_else(|| panic!("src/{room} is on no floor: add it here and in lib.rs"))
        .1
}

/// `proxy` of `src/proxy/client.rs`; nothing of `src/main.rs`.
fn room(file: &File) -> Option<&str> {
    Some(file.path.strip_prefix("src/")?.split_once('/')?.0)
}

/// What a line names of the crate: `proxy::Change` of `use crate::proxy::Change;`.
fn names(line: &str) -> impl Iterator<Item = &str> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    line.match_indices("crate::").map(move |(at, head)| {
        let rest = &line[at + head.len()..];
        &rest[..rest.find(|c| !is_path(c)).unwrap_or(rest.len())]
    })
}

/// Whether `room` may use `name`, which begins with another room.
fn may_use(room: &str, name: &str) -> bool {
    let other = name.split("::").next().unwrap_or(name);
    if other == room || floor(other) < floor(room) {
        return true;
    }
    let granted = |granted: &str| name == granted || name.starts_with(&format!("{granted}::"));
    BESIDE.iter().any(|(by, what)| *by == room && granted(what))
}

#[test]
fn names_point_down_only() {
    let mut found = Vec::new();
    for file in rust_below("src") {
        let Some(room) = room(&file) else { continue };
        for (number, line) in file.code() {
            for name in names(line) {
                if !may_use(room, name) {
                    found.push(file.place(number, &format!("{room} uses {name}")));
                }
            }
            // A way around the names above.
            if ROOMS.iter().any(|(other, _)| {
                *other != room && line.contains(&format!("super::super::{other}::"))
            }) {
                found.push(file.place(number, "another room by way of super"));
            }
        }
    }
    expect_none("a name points up, or to a room beside", &found);
}

#[test]
fn the_data_plane_touches_no_socket_clock_or_thread() {
    let mut found = Vec::new();
    for file in rust_below("src") {
        if room(&file).is_none_or(|room| floor(room) >= 4) {
            continue;
        }
        for (number, line) in file.code_without_tests() {
            for word in WORLD {
                if has_word(line, word) {
                    found.push(file.place(number, word));
                }
            }
        }
    }
    expect_none("below the reactor there is only what is passed in", &found);
}

#[test]
fn every_room_is_on_a_floor_and_on_the_plan() {
    let plan = read("src/lib.rs");
    let rooms = std::fs::read_dir(root().join("src")).unwrap();
    let mut count = 0;
    for entry in rooms.map(Result::unwrap).filter(|e| e.path().is_dir()) {
        let name = entry.file_name().into_string().unwrap();
        let marked = plan.lines().any(|line| {
            line.starts_with(&format!("//! F{}", floor(&name))) && has_word(line, &name)
        });
        assert!(marked, "src/lib.rs does not draw {name} on its floor");
        count += 1;
    }
    assert_eq!(count, ROOMS.len(), "a floor has a room that is gone");
}

#[test]
fn the_rules_see_what_they_forbid() {
    assert!(!may_use("base", "proxy::Change"));
    assert!(!may_use("reactor", "control::run"));
    assert!(!may_use("control", "reactor::spawn"));
    assert!(!may_use("config", "route::Router"));
    assert!(may_use("config", "route::Hash::Md5"));
    assert!(may_use("proxy", "protocol::resp::Request"));
    let line = "use crate::reactor::mailbox; let a = crate::base::Time::ZERO;";
    assert_eq!(
        names(line).collect::<Vec<_>>(),
        ["reactor::mailbox", "base::Time::ZERO"]
    );
    assert!(has_word("let now = Instant::now();", "Instant"));
    assert!(!has_word("an_Instant", "Instant"));
}
