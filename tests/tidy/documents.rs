//! What the documents say is what the program does.

use std::env;
use std::fs;

use coremux::config::KEYS;
use coremux::config::Origin;
use coremux::control::ctl::COMMANDS;
use coremux::process::cli;

use super::commands;
use super::files::below;
use super::files::read;
use super::files::root;

/// Longer, and nobody reads it.
const ARCHITECTURE_LINES_MAX: usize = 250;

/// What can be read in two minutes; the rest is in `docs/`.
const README_LINES_MAX: usize = 200;

/// Options and the control socket's commands.
const OPERATING: &str = "docs/operating.md";

/// What lies between `<!-- name -->` (or `<!-- name: a remark -->`) and `<!-- end of name -->` in
/// `path`, with what is around it.
fn parts(path: &str, name: &str) -> [String; 3] {
    let text = read(path);
    let begin = format!("<!-- {name}");
    let end = format!("<!-- end of {name} -->");
    let from = text.match_indices(&begin).find_map(|(at, _)| {
        let rest = &text[at + begin.len()..];
        let line = rest.starts_with([' ', ':']).then(|| rest.find('\n'))??;
        Some(at + begin.len() + line + 1)
    });
    let from = from.unwrap_or_else(|| panic!("{path} has no {begin} -->"));
    let to = text
        .find(&end)
        .unwrap_or_else(|| panic!("{path} has no {end}"));
    [&text[..from], &text[from..to], &text[to..]].map(str::to_owned)
}

/// Whether the text of a code block has the same words.
fn same_words(block: &str, text: &str) -> bool {
    let block = block
        .trim()
        .trim_start_matches("```text")
        .trim_end_matches("```");
    block.split_whitespace().eq(text.split_whitespace())
}

/// Compares that part of `path` with `made`, or writes it there when told to.
fn check_part(path: &str, name: &str, made: &str) {
    let [before, _, after] = parts(path, name);
    check(path, &[&before, "\n", made, "\n", &after].concat());
}

/// Compares the file at `path` with `made`, or writes it when told to.
fn check(path: &str, made: &str) {
    if env::var_os("COREMUX_WRITE_DOCS").is_some() {
        fs::write(root().join(path), made).unwrap();
        return;
    }
    let found = fs::read_to_string(root().join(path)).unwrap_or_default();
    let differs = (1..)
        .zip(found.lines().zip(made.lines()))
        .find(|(_, (found, made))| found != made);
    assert!(
        found == made,
        "{path} is not what the code says, first at {differs:?}; \
         COREMUX_WRITE_DOCS=1 cargo test --test tidy writes it anew"
    );
}

/// A row of a table; a bar in it would be the next column.
fn row(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | ")).replace("|  |", "| |")
}

// One test: they would write the same file at the same time.
#[test]
fn the_documents_have_every_key_every_flag_and_every_command_of_ctl() {
    let mut keys =
        row(&["key", "takes", "default", "meaning", "reload"]) + "|---|---|---|---|---|\n";
    for key in KEYS {
        let default = match key.default {
            "" => String::new(),
            default => format!("`{default}`"),
        };
        let name = match key.origin {
            Origin::Twemproxy => format!("`{}`", key.name),
            Origin::Ours => format!("`{}` +", key.name),
        };
        let effect = key.effect.to_string();
        keys += &row(&[&name, key.takes, &default, key.doc, &effect]);
    }
    check_part("docs/configuration.md", "keys", &keys);
    let mut commands = row(&["command", "meaning"]) + "|---|---|\n";
    for command in COMMANDS {
        commands += &row(&[&format!("`{}`", command.synopsis()), command.doc]);
    }
    check_part(OPERATING, "ctl", &commands);
    // Lines break where the terminal ends.
    let usage = cli::usage();
    if !same_words(&parts(OPERATING, "flags")[1], &usage) {
        check_part(
            OPERATING,
            "flags",
            &format!("```text\n{}\n```\n", usage.trim()),
        );
    }
}

#[test]
fn the_documents_name_every_file_of_conf_and_what_it_is_for() {
    let documents = ["docs/configuration.md", OPERATING].map(read).concat();
    for file in below("conf") {
        assert!(
            documents.contains(&format!("| `{}`", file.path))
                || documents.contains(&format!(", `{}`", file.path)),
            "{} is in no table of docs/configuration.md or {OPERATING}",
            file.path
        );
    }
}

#[test]
fn the_readme_can_be_read_in_two_minutes() {
    let lines = read("README.md").lines().count();
    assert!(
        lines <= README_LINES_MAX,
        "README.md has {lines} lines, {README_LINES_MAX} at most: the rest belongs in docs/"
    );
}

// Figures that stand twice would differ after the next measurement.
#[test]
fn the_figures_in_the_readme_are_those_of_the_performance_page() {
    let all = parts("docs/performance.md", "figures").concat();
    let chosen = parts("README.md", "figures")[1].clone();
    let rows: Vec<&str> = chosen
        .lines()
        .filter(|line| line.starts_with('|'))
        .collect();
    assert!(rows.len() > 2, "README.md has no figures");
    for row in rows {
        assert!(
            all.lines().any(|line| line == row),
            "docs/performance.md does not have README.md's row {row}"
        );
    }
}

#[test]
fn the_commands_page_is_the_table() {
    check("docs/commands.md", &commands::page());
}

#[test]
fn the_page_of_memcacheds_commands_is_their_table() {
    check("docs/memcached.md", &commands::memcached_page());
}

#[test]
fn the_architecture_is_short_and_names_every_room() {
    let text = read("docs/ARCHITECTURE.md");
    let lines = text.lines().count();
    assert!(
        lines <= ARCHITECTURE_LINES_MAX,
        "docs/ARCHITECTURE.md has {lines} lines, {ARCHITECTURE_LINES_MAX} at most"
    );
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let named = text.contains(&format!("`{name}/`"));
        assert!(
            named || !entry.path().is_dir(),
            "docs/ARCHITECTURE.md does not name `{name}/`"
        );
    }
}

#[test]
fn the_changelog_begins_with_this_version() {
    let changelog = read("CHANGELOG.md");
    let first = changelog.lines().find(|line| line.starts_with("## "));
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        first.is_some_and(|line| line.contains(version)),
        "{first:?} is not {version}"
    );
}
