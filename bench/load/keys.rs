//! Which keys there are, by the servers they live on.
//!
//! Owns: reading the table of `coremux route`. Never: computes where a key lives.

use std::fs;
use std::io;
use std::io::Read;
use std::path::Path;

use crate::options::Options;

/// Keys when none are given.
const KEYS: usize = 1000;

/// The keys of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub name: String,
    pub keys: Vec<String>,
}

/// The groups that the options ask for, in the order of the table.
///
/// # Errors
///
/// Those of reading the table, and one that has no keys for what was asked.
pub(crate) fn groups(options: &Options) -> io::Result<Vec<Group>> {
    let mut groups = match &options.keys {
        Some(path) => parse(&read(path)?)?,
        None => vec![Group {
            name: "all".to_owned(),
            keys: (0..KEYS).map(|n| format!("load:{n}")).collect(),
        }],
    };
    groups.retain(|group| options.only.is_empty() || options.only.contains(&group.name));
    let missing = options
        .only
        .iter()
        .chain(&options.apart)
        .find(|name| !groups.iter().any(|group| group.name == **name));
    if let Some(name) = missing {
        return Err(invalid(format!("no key lives on {name}")));
    }
    if groups.is_empty() {
        return Err(invalid("there are no keys".to_owned()));
    }
    Ok(groups)
}

fn read(path: &Path) -> io::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    fs::read_to_string(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// Reads the table: pool, key, hash, server, address.
fn parse(table: &str) -> io::Result<Vec<Group>> {
    let mut groups: Vec<Group> = Vec::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, key, _, server, _] = fields[..] else {
            return Err(invalid(format!("not a row of `coremux route`: {line}")));
        };
        match groups.iter_mut().find(|group| group.name == server) {
            Some(group) => group.keys.push(key.to_owned()),
            None => groups.push(Group {
                name: server.to_owned(),
                keys: vec![key.to_owned()],
            }),
        }
    }
    Ok(groups)
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_grouped_by_the_server_that_the_table_names() {
        let table = "# pool key hash server address\n\
            alpha  a 12 s2 127.0.0.1:1\nalpha  b 13 s1 127.0.0.1:2\nalpha  c 14 s2 127.0.0.1:1\n";
        let group = |name: &str, keys: &[&str]| Group {
            name: name.to_owned(),
            keys: keys.iter().map(|&key| key.to_owned()).collect(),
        };
        let expected = [group("s2", &["a", "c"]), group("s1", &["b"])];
        assert_eq!(parse(table).unwrap(), expected);
    }

    #[test]
    fn what_is_no_table_is_an_error() {
        assert!(parse("a b c\n").is_err());
    }
}
