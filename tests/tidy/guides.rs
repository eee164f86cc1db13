//! A reader who follows a document arrives: its links lead somewhere, its configurations are valid,
//! its commands are understood.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use coremux::config::Config;
use coremux::control::ctl::COMMANDS;
use coremux::process::cli;
use coremux::process::cli::Action;

use super::expect_none;
use super::files::File;
use super::files::below;
use super::files::root;

/// Every document, by its path.
fn documents() -> BTreeMap<String, File> {
    let mut files = below("");
    files.retain(|file| file.path.ends_with(".md"));
    files
        .into_iter()
        .map(|file| (file.path.clone(), file))
        .collect()
}

/// The lines of a document that are text, and those of code blocks with their language.
fn lines(document: &File) -> impl Iterator<Item = (usize, Option<&str>, &str)> {
    let mut language = None;
    (1..)
        .zip(document.text.lines())
        .filter_map(move |(number, line)| {
            if let Some(fence) = line.trim_start().strip_prefix("```") {
                language = match language {
                    None => Some(fence),
                    Some(_) => None,
                };
                return None;
            }
            Some((number, language, line))
        })
}

/// Code blocks of a language, each with the line that it begins at.
fn blocks(document: &File, wanted: &str) -> Vec<(usize, String)> {
    let mut blocks: Vec<(usize, String)> = Vec::new();
    let mut last = 0;
    for (number, language, line) in lines(document) {
        if language == Some(wanted) {
            match blocks.last_mut() {
                Some((_, block)) if number == last + 1 => *block += &format!("{line}\n"),
                _ => blocks.push((number, format!("{line}\n"))),
            }
            last = number;
        }
    }
    blocks
}

/// Where the links of a line lead; what is in backticks is no link.
fn targets(line: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    for (at, _) in line.match_indices("](") {
        let is_code = line[..at].matches('`').count() % 2 == 1;
        let rest = &line[at + 2..];
        if let (false, Some(end)) = (is_code, rest.find(')')) {
            targets.push(&rest[..end]);
        }
    }
    targets
}

/// The anchors of a document, made from its headings as GitHub makes them.
fn anchors(document: &File) -> Vec<String> {
    let headings = lines(document).filter_map(|(_, language, line)| {
        let heading = line.trim_start_matches('#');
        let is_heading = language.is_none() && heading.len() < line.len();
        is_heading.then(|| heading.strip_prefix(' ')).flatten()
    });
    headings.map(anchor).collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

/// `path` from the project's root, as a link in the document `from` has it.
fn resolve(from: &str, path: &str) -> String {
    let mut resolved = PathBuf::from(from);
    resolved.pop();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => {
                resolved.pop();
            }
            part => resolved.push(part),
        }
    }
    resolved.to_str().unwrap().to_owned()
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let documents = documents();
    let mut found = Vec::new();
    for document in documents.values() {
        for (number, language, line) in lines(document) {
            let targets = match language {
                None => targets(line),
                Some(_) => Vec::new(),
            };
            for target in targets.into_iter().filter(|target| !target.contains("://")) {
                let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
                let path = match path {
                    "" => document.path.clone(),
                    path => resolve(&document.path, path),
                };
                let is_anchor = || {
                    let there = documents.get(&path).map(anchors).unwrap_or_default();
                    there.iter().any(|anchor| anchor == fragment)
                };
                if !root().join(&path).exists() || !(fragment.is_empty() || is_anchor()) {
                    found.push(document.place(number, target));
                }
            }
        }
    }
    expect_none("a link that leads nowhere", &found);
}

/// Where the paths begin that documents name in backticks.
const FOLDERS: &[&str] = &["bench/", "benches/", "conf/", "docs/", "scripts/", "tests/"];

#[test]
fn every_file_that_a_document_names_is_there() {
    let mut found = Vec::new();
    let mut count = 0;
    // What has changed may be gone by now.
    for document in documents().values().filter(|it| it.path != "CHANGELOG.md") {
        for (number, language, line) in lines(document) {
            let quoted = line
                .split('`')
                .skip(1)
                .step_by(2)
                .filter(|_| language.is_none());
            for path in quoted.filter_map(|quoted| quoted.split(' ').next()) {
                if FOLDERS.iter().any(|folder| path.starts_with(folder)) {
                    count += 1;
                    if !root().join(path).exists() {
                        found.push(document.place(number, path));
                    }
                }
            }
        }
    }
    assert!(count >= 20, "documents name files");
    expect_none("a file that is not there", &found);
}

#[test]
fn every_configuration_in_a_document_is_valid() {
    let mut count = 0;
    for document in documents().values() {
        for (number, block) in blocks(document, "yaml") {
            let place = format!("{}:{number}", document.path);
            let config = Config::parse(&block, &place).unwrap_or_else(|errors| panic!("{errors}"));
            assert_eq!(config.warnings(), [], "{place}");
            count += 1;
        }
    }
    assert!(
        count >= 2,
        "README.md and docs/high-availability.md have one"
    );
}

/// The words of a line of shell, up to a comment or the end of the command; quotes are single.
fn words(line: &str) -> Vec<OsString> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for c in line.chars() {
        match c {
            '\'' => is_quoted = !is_quoted,
            '#' | '|' | '&' | ';' if !is_quoted => break,
            ' ' if !is_quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words.into_iter().map(OsString::from).collect()
}

#[test]
fn every_command_line_of_the_program_in_a_document_is_understood() {
    let mut found = Vec::new();
    let mut count = 0;
    for document in documents().values() {
        for (number, block) in blocks(document, "sh") {
            for (number, line) in (number..).zip(block.lines()) {
                let starts = line.match_indices("coremux ").filter(|(at, _)| {
                    // Not the last part of a path, nor a word of another command.
                    let before = &line[..*at];
                    before.trim().is_empty() || before.ends_with("&& ")
                });
                for (at, _) in starts {
                    count += 1;
                    let wrong = match cli::parse(words(&line[at..])) {
                        Err(error) => Some(error.to_string()),
                        Ok(Action::Ctl { words, .. }) => {
                            let known = COMMANDS.iter().any(|command| command.name == words[0]);
                            (!known).then(|| format!("ctl has no {}", words[0]))
                        }
                        Ok(_) => None,
                    };
                    found.extend(wrong.map(|wrong| document.place(number, &wrong)));
                }
            }
        }
    }
    assert!(count >= 6, "the documents show how the program is called");
    expect_none("a command that is not understood", &found);
}

#[test]
fn what_the_documents_are_read_with_reads_them() {
    let text =
        "# A `b` -- c\n\nA [link](x.md#a), `[none](y)`.\n```sh\n# no heading\ncoremux -t\n```\n";
    let document = File {
        path: "docs/a.md".to_owned(),
        text: text.to_owned(),
    };
    assert_eq!(anchors(&document), ["a-b----c"]);
    assert_eq!(targets(text.lines().nth(2).unwrap()), ["x.md#a"]);
    assert_eq!(
        blocks(&document, "sh"),
        [(5, "# no heading\ncoremux -t\n".to_owned())]
    );
    assert_eq!(
        resolve("docs/a.md", "../bench/README.md"),
        "bench/README.md"
    );
    assert_eq!(
        words("coremux route 'a b' # key"),
        ["coremux", "route", "a b"]
    );
}
