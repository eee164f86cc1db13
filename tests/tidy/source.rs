//! Rules about single files: `unsafe`, size, words, heads.

use super::expect_none;
use super::files::below;
use super::files::has_word;
use super::files::read;
use super::files::root;
use super::files::rust_below;

/// Where `unsafe` may stand, besides `src/reactor/`.
const UNSAFE: &[(&str, &str)] = &[
    (
        "src/control/adopt.rs",
        "glommio takes sockets only as descriptors",
    ),
    ("src/process/daemon.rs", "fork"),
];

/// A file longer than this is more than one idea.
const LINES_MAX: usize = 600;

/// Where people keep what is on no other machine.
const HOMES: &[&str] = &["/root/", "/home/", "/Users/"];

/// What is still to be done is an issue, or is said in `docs/limits.md`; it is no comment.
const UNFINISHED: &[&str] = &["TODO", "FIXME", "XXX"];

/// This file has to name what it forbids.
const THIS: &str = "tests/tidy/source.rs";

#[test]
fn unsafe_stands_only_where_it_says_why() {
    let mut found = Vec::new();
    for file in rust_below("src") {
        let says_why = file.text.contains("unsafe_code,") && file.text.contains("reason = ");
        let granted = file.path.starts_with("src/reactor/")
            || UNSAFE.iter().any(|(path, _)| *path == file.path);
        for (number, line) in file.code() {
            let quoted = line
                .find('"')
                .is_some_and(|at| line[at..].contains("unsafe"));
            if has_word(line, "unsafe") && !quoted && !(granted && says_why) {
                found.push(file.place(number, line.trim()));
            }
        }
    }
    expect_none("unsafe outside of the reactor, or without a reason", &found);
}

#[test]
fn a_file_is_one_idea() {
    let mut found = Vec::new();
    for file in rust_below("src") {
        let lines = file.text.lines().count();
        if lines > LINES_MAX {
            found.push(format!("{}: {lines} lines, {LINES_MAX} at most", file.path));
        }
    }
    expect_none("split it", &found);
}

#[test]
fn every_file_says_first_what_it_is() {
    let mut found = Vec::new();
    for folder in ["src", "tests", "benches"] {
        for file in rust_below(folder) {
            // Tests beside a module are that module's.
            if !file.path.ends_with("/tests.rs") && !file.text.starts_with("//!") {
                found.push(file.path);
            }
        }
    }
    expect_none("a file without a head", &found);
}

#[test]
fn a_use_names_one_thing() {
    let mut found = Vec::new();
    for file in rust_below("src") {
        for (number, line) in file.code_without_tests() {
            let line = line.trim();
            let is_use = line.starts_with("use ") || line.starts_with("pub use ");
            if is_use && line.contains(['{', '*']) {
                found.push(file.place(number, line));
            }
        }
    }
    expect_none("one name a line", &found);
}

#[test]
fn no_file_knows_the_machine_it_was_written_on_or_is_left_unfinished() {
    let root = root();
    // A folder right below / has too common a name.
    let here = root.to_str().filter(|here| here.matches('/').count() > 1);
    let mut found = Vec::new();
    for file in below("").iter().filter(|file| file.path != THIS) {
        for (number, line) in (1..).zip(file.text.lines()) {
            let path = here.iter().find(|path| line.contains(*path));
            let path = path.or_else(|| HOMES.iter().find(|path| line.contains(**path)));
            let mark = UNFINISHED.iter().find(|mark| has_word(line, mark));
            if let Some(word) = path.or(mark) {
                found.push(file.place(number, word));
            }
        }
    }
    expect_none("a word that does not belong here", &found);
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let mut section = "";
    let mut found = Vec::new();
    let manifest = read("Cargo.toml");
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section.ends_with("dependencies]") && line.contains('=') && !line.contains(" # ")
        {
            found.push(line.to_owned());
        }
    }
    expect_none("a dependency without a reason", &found);
}
