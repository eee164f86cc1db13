//! Rooms in which no file needs, by way of others, itself.
//!
//! A node is a file or a folder of the room. It needs another whose name it uses, or that says what
//! it uses by way of the room's `mod.rs`. So whoever reads a file can stop at what is below it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::expect_none;
use super::files::File;
use super::files::read;
use super::files::rust_below;

/// Folders of `src/` for which it holds; add one when it does.
const ROOMS: &[&str] = &["config", "control", "ejection", "messages"];

/// Rooms whose folders serve each other, for a request goes down through them and its reply comes
/// back up. There every file by itself is a node, but for the door.
const ROOMS_BY_FILE: &[&str] = &["proxy"];

/// The room's own `mod.rs`.
const DOOR: &str = "mod";

/// Who needs whom, and the place that says so.
type Needs = BTreeMap<String, BTreeMap<String, String>>;

/// `control::health::port` of `src/control/health/port.rs`.
pub fn module(file: &File) -> Vec<&str> {
    let path = file.path.trim_start_matches("src/").trim_end_matches(".rs");
    let mut names: Vec<&str> = path.split('/').collect();
    if names.last() == Some(&DOOR) {
        names.pop();
    }
    names
}

/// `pub(in crate::control)` needs nothing: what follows it.
pub fn without_scope(line: &str) -> &str {
    line.split_once("pub(in ").map_or(line, |(_, rest)| {
        rest.split_once(')').map_or(rest, |(_, rest)| rest)
    })
}

/// What a line names, from the root of the crate on; `here` is the module that it stands in.
pub fn named<'a>(line: &'a str, here: &[&'a str]) -> Vec<Vec<&'a str>> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut all = Vec::new();
    for path in line.split(|c| !is_path(c)) {
        let mut names = path.split("::").filter(|name| !name.is_empty()).peekable();
        let mut from = match names.next() {
            Some("crate") => Vec::new(),
            Some("self") => here.to_vec(),
            Some("super") => here[..here.len().saturating_sub(1)].to_vec(),
            _ => continue,
        };
        while names.next_if_eq(&"super").is_some() {
            from.pop();
        }
        from.extend(names);
        all.push(from);
    }
    all
}

/// What the room's `mod.rs` says in another's name: that one.
fn said_for(door: &str) -> BTreeMap<&str, &str> {
    let uses = door.lines().filter(|line| line.starts_with("pub"));
    let paths = uses.filter_map(|line| line.split_once(" use ")?.1.strip_suffix(';'));
    let said = paths.filter_map(|path| {
        let path = path.trim_start_matches("self::");
        Some((path.rsplit("::").next()?, path.split("::").next()?))
    });
    said.collect()
}

fn needs(room: &str, files: &[File], door: &str) -> Needs {
    let room: Vec<&str> = room.split('/').collect();
    let node = |file: &File| {
        let module = module(file);
        module.get(room.len()).map_or(DOOR, |name| name).to_owned()
    };
    let nodes: BTreeSet<String> = files.iter().map(node).collect();
    let said_for = said_for(door);
    let mut needs = Needs::new();
    for file in files {
        let (of, here) = (node(file), module(file));
        let entry = needs.entry(of.clone()).or_default();
        for (number, line) in file.code_without_tests() {
            for path in named(without_scope(line), &here) {
                let Some(first) = path.strip_prefix(&room[..]).and_then(|rest| rest.first()) else {
                    continue;
                };
                let other = match nodes.contains(*first) {
                    true => first,
                    false => said_for.get(first).unwrap_or(&DOOR),
                };
                if *other != of {
                    let place = file.place(number, line.trim());
                    entry.entry((*other).to_owned()).or_insert(place);
                }
            }
        }
    }
    // What the door says in another's name, it needs; what it is needed for itself closes a circle.
    let below = nodes.iter().filter(|node| *node != DOOR);
    let below = below.map(|node| (node.clone(), "mod.rs declares it".to_owned()));
    needs.entry(DOOR.to_owned()).or_default().extend(below);
    needs
}

/// The same with every file as a node: it needs the file that what it names stands in.
fn needs_by_file(room: &str, files: &[File]) -> Needs {
    let node = |module: &[&str]| module.join("::");
    let nodes: BTreeSet<String> = files.iter().map(|file| node(&module(file))).collect();
    let mut needs = Needs::new();
    for file in files {
        let here = module(file);
        let entry = needs.entry(node(&here)).or_default();
        for (number, line) in file.code_without_tests() {
            for path in named(without_scope(line), &here) {
                let deepest = (1..=path.len()).rev().map(|end| node(&path[..end]));
                let other = deepest.into_iter().find(|name| nodes.contains(name));
                // The door stands above all others, and they are its methods.
                if let Some(other) = other.filter(|other| *other != node(&here) && other != room) {
                    let place = file.place(number, line.trim());
                    entry.entry(other).or_insert(place);
                }
            }
        }
    }
    needs
}

/// Everything that `node` needs, also by way of others.
fn all_below(node: &str, needs: &Needs) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut next = vec![node];
    while let Some(node) = next.pop() {
        for other in needs.get(node).into_iter().flat_map(BTreeMap::keys) {
            if seen.insert(other.clone()) {
                next.push(other);
            }
        }
    }
    seen
}

/// Each use that is a part of a circle.
fn circles(needs: &Needs) -> Vec<String> {
    let below: BTreeMap<&str, BTreeSet<String>> = needs
        .keys()
        .map(|node| (node.as_str(), all_below(node, needs)))
        .collect();
    let uses = needs.iter().flat_map(|(node, others)| {
        let back = |other: &String| below.get(other.as_str()).is_some_and(|b| b.contains(node));
        let others = others.iter().filter(move |(other, _)| back(other));
        others.map(move |(other, place)| format!("{node} needs {other}: {place}"))
    });
    uses.collect()
}

#[test]
fn no_file_of_a_room_needs_itself_by_way_of_others() {
    let mut found = Vec::new();
    for room in ROOMS {
        let files = rust_below(&format!("src/{room}"));
        let door = read(&format!("src/{room}/mod.rs"));
        found.extend(circles(&needs(room, &files, &door)));
    }
    for room in ROOMS_BY_FILE {
        let files = rust_below(&format!("src/{room}"));
        found.extend(circles(&needs_by_file(room, &files)));
    }
    expect_none("a circle of files", &found);
}

#[test]
fn a_circle_is_seen_however_it_is_written() {
    let file = |path: &str, text: &str| File {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let door = "mod a;\nmod b;\npub(super) use b::deep::Thing;\n";
    let found = |a: &str, b: &str| {
        let files = [
            file("src/room/mod.rs", door),
            file("src/room/a.rs", a),
            file("src/room/b/mod.rs", "pub(in crate::room) mod deep;\n"),
            file("src/room/b/deep.rs", b),
        ];
        circles(&needs("room", &files, door)).len()
    };
    assert_eq!(found("use crate::room::b::deep::Thing;", ""), 0);
    assert_eq!(
        found(
            "use crate::room::b::deep::Thing;",
            "use crate::room::a::One;"
        ),
        2
    );
    assert_eq!(found("use super::Thing;", "use super::super::a::One;"), 2);
    assert_eq!(found("", "use crate::room::DefinedInTheDoor;"), 2);
    assert_eq!(
        found(
            "use super::Thing;",
            "#[cfg(test)]\nuse crate::room::a::One;"
        ),
        0
    );
}

#[test]
fn a_circle_of_files_is_seen_in_a_room_of_folders() {
    let file = |path: &str, text: &str| File {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let found = |a: &str, b: &str| {
        let files = [
            file("src/room/mod.rs", "use crate::room::a::One;\n"),
            file("src/room/a/mod.rs", "pub(in crate::room) mod one;\n"),
            file("src/room/a/one.rs", a),
            file("src/room/b.rs", b),
        ];
        circles(&needs_by_file("room", &files)).len()
    };
    assert_eq!(
        found("use crate::room::b::Two;", "use crate::room::Door;"),
        0
    );
    assert_eq!(
        found("use crate::room::b::Two;", "use crate::room::a::One;"),
        0
    );
    assert_eq!(
        found("use crate::room::b::Two;", "use crate::room::a::one::One;"),
        2
    );
}
