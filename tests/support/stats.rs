//! The statistics line, taken apart.

use serde_yaml::Value;

/// What the statistics port said.
#[derive(Clone, Debug)]
pub struct Stats(Value);

impl Stats {
    /// Reads a line.
    pub fn parse(line: &str) -> Stats {
        // JSON is YAML; serde_yaml is here already.
        let spaced = line.replace("\":", "\": ");
        Stats(serde_yaml::from_str(&spaced).unwrap_or_else(|error| panic!("{error}: {line}")))
    }

    /// A number of the process.
    pub fn process(&self, name: &str) -> i64 {
        number(&self.0[name], name)
    }

    /// A number of a pool.
    pub fn pool(&self, pool: &str, name: &str) -> i64 {
        number(&self.0[pool][name], name)
    }

    /// A number of a server.
    pub fn server(&self, pool: &str, server: &str, name: &str) -> i64 {
        number(&self.0[pool][server][name], name)
    }

    /// All names, those inside of pools and servers with their owners' before them, in order.
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        collect(&self.0, "", &mut names);
        names
    }
}

fn number(value: &Value, name: &str) -> i64 {
    value
        .as_i64()
        .unwrap_or_else(|| panic!("{name} is no number: {value:?}"))
}

fn collect(value: &Value, prefix: &str, names: &mut Vec<String>) {
    let Value::Mapping(mapping) = value else {
        return;
    };
    for (name, value) in mapping {
        let name = format!("{prefix}{}", name.as_str().expect("a name"));
        collect(value, &format!("{name}."), names);
        names.push(name);
    }
}
