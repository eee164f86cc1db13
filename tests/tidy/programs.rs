//! The programs of tests: few, and nothing of them is left out.

use super::expect_none;
use super::files::File;
use super::files::rust_below;

/// Each is linked with all of Coremux, which takes seconds.
const PROGRAMS_MAX: usize = 10;

/// What a test begins with that needs the machine for itself.
const ALONE: &str = "    let _alone = alone(module_path!());";

/// Cargo's rule: `tests/NAME.rs` and `tests/NAME/main.rs`.
fn is_program(path: &str) -> bool {
    path.ends_with("/main.rs") || path.matches('/').count() == 1
}

/// `e2e` of `tests/e2e/clients/workers.rs`, and `tidy` of `tests/tidy.rs`.
fn top(path: &str) -> &str {
    let inside = path.split('/').nth(1).unwrap_or("");
    inside.trim_end_matches(".rs")
}

fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or("");
    name.trim_end_matches(".rs")
}

#[test]
fn a_test_goes_into_a_program_that_is_there() {
    let files = rust_below("tests");
    let programs: Vec<String> = files
        .iter()
        .filter(|file| is_program(&file.path))
        .map(|file| file.path.clone())
        .collect();
    assert!(
        programs.len() <= PROGRAMS_MAX,
        "{} programs, {PROGRAMS_MAX} at most: {programs:?}",
        programs.len()
    );
}

// The compiler says nothing of a file that no `mod` names: its tests would not be run.
#[test]
fn every_file_of_tests_belongs_to_a_program() {
    let files = rust_below("tests");
    let named = |folder: &str, name: &str| -> usize {
        let module = format!("mod {name};");
        let declares = |file: &File| {
            file.code()
                .filter(|(_, line)| line.trim() == module)
                .count()
        };
        let near = files.iter().filter(|file| top(&file.path) == folder);
        near.map(declares).sum()
    };
    let mut left_out = Vec::new();
    for file in files.iter().filter(|file| !is_program(&file.path)) {
        let (folder, name) = (top(&file.path), stem(&file.path));
        let namesakes = files
            .iter()
            .filter(|other| top(&other.path) == folder && stem(&other.path) == name);
        if name != "mod" && namesakes.count() > named(folder, name) {
            left_out.push(file.path.clone());
        }
    }
    expect_none("no program has it", &left_out);
}

#[test]
fn a_test_that_needs_the_machine_for_itself_waits_for_it() {
    let mut found = Vec::new();
    for file in rust_below("tests/e2e_alone") {
        let lines: Vec<(usize, &str)> = file.code().collect();
        for (at, (number, line)) in lines.iter().enumerate() {
            let body = || {
                lines[at..]
                    .iter()
                    .skip_while(|(_, line)| !line.ends_with('{'))
            };
            if line.trim() == "#[test]" && body().nth(1).is_none_or(|(_, line)| *line != ALONE) {
                found.push(file.place(*number, lines[at + 1].1));
            }
        }
    }
    expect_none("a test that does not begin with `alone`", &found);
}
