//! The project's files, and lines of code without their comments.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// A file of the project that is text.
#[derive(Debug)]
pub struct File {
    /// From the project's root, as in `src/base/id.rs`.
    pub path: String,
    /// All of it.
    pub text: String,
}

/// The project's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The file at `path`.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every text file below `folder` (`""` is the root), sorted; what git ignores is left out.
pub fn below(folder: &str) -> Vec<File> {
    let mut files = Vec::new();
    walk(&root().join(folder), &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!files.is_empty(), "no file below {folder}");
    files
}

/// Every Rust file below `folder`.
pub fn rust_below(folder: &str) -> Vec<File> {
    let mut files = below(folder);
    files.retain(|file| file.path.ends_with(".rs"));
    files
}

fn walk(folder: &Path, files: &mut Vec<File>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if ![".git", "target", "__pycache__"].contains(&name) {
                walk(&path, files);
            }
        // Pictures are no text.
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root()).unwrap();
            files.push(File {
                path: path.to_str().unwrap().to_owned(),
                text,
            });
        }
    }
}

impl File {
    /// Its lines with their numbers, from 1, without what follows `//`.
    ///
    /// That cuts a string with an address in it, too, which no rule minds.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = (1..).zip(self.text.lines());
        lines.map(|(number, line)| (number, line.find("//").map_or(line, |at| &line[..at])))
    }

    /// The same up to its tests, which come last.
    pub fn code_without_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_tests = self.path.ends_with("/tests.rs");
        self.code()
            .take_while(move |(_, line)| !is_tests && line.trim() != "#[cfg(test)]")
    }

    /// As an editor finds it.
    pub fn place(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

/// Whether `word` stands in `line` as a word of its own.
pub fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(is_part) && !line[at + word.len()..].starts_with(is_part)
    })
}
