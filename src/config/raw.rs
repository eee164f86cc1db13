//! The file as `serde_yaml` reads it: a tree of texts, each with its place.
//!
//! Owns: reading YAML. Never: what a key means.
//!
//! twemproxy sees the text of a scalar and nothing else: `redis_auth: 0123` is four digits,
//! `redis_auth: 1e3` is not a thousand, `~` is a name like another. `serde_yaml` gives the text
//! only to those who ask for a string, and answers a list with an error. So a file is read twice:
//! once for its shape, once for its texts, asking of each value what it is.

use std::fmt;

use serde::de::Deserialize;
use serde::de::DeserializeSeed;
use serde::de::Deserializer;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;

use crate::config::error::ConfigError;
use crate::config::error::ConfigErrorKind;
use crate::config::node::Node;
use crate::config::node::Value;
use crate::config::position::FilePosition;
use crate::config::position::Positions;
use crate::config::shape::Shape;

/// How deep brackets may stand in each other: further than `serde_yaml` reads, so that it is the one to
/// say so, and far below where its scanner, which looks at all open brackets for each token, takes
/// seconds.
const OPEN_BRACKETS_MAX: usize = 1000;

/// 16 MiB: a hundred thousand servers with all there is to say of each.
const TEXT_BYTES_MAX: usize = 16 << 20;

// Also brackets in texts and comments count, where they need not be closed; nobody has a thousand.
fn refuse_size(text: &str) -> Result<(), ConfigError> {
    let refuse = |place, message| {
        let kind = ConfigErrorKind::Yaml { message };
        Err(ConfigError::at(place, "", kind))
    };
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("more than {} MiB", TEXT_BYTES_MAX >> 20);
        return refuse(FilePosition::START, message);
    }
    let mut open: usize = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > OPEN_BRACKETS_MAX {
            let message = format!("brackets are nested deeper than {OPEN_BRACKETS_MAX}");
            let place = FilePosition::after(&text.as_bytes()[..at]);
            return refuse(place, message);
        }
    }
    Ok(())
}

/// Reads `text`, which must be one YAML document.
pub(super) fn read(text: &str) -> Result<Node, ConfigError> {
    refuse_size(text)?;
    let shape = Shape::deserialize(serde_yaml::Deserializer::from_str(text))
        .map_err(|error| yaml_error(text, &error))?;
    // After the shape, since serde_yaml has a limit to depth.
    let positions = Positions::of(text);
    let root = Shaped {
        shape: &shape,
        positions: Some(&positions),
        holder: FilePosition::START,
    };
    root.deserialize(serde_yaml::Deserializer::from_str(text))
        .map_err(|error| yaml_error(text, &error))
}

/// The place is taken out of `serde_yaml`'s message, since every message here begins with one.
fn yaml_error(text: &str, error: &serde_yaml::Error) -> ConfigError {
    let mut message = error.to_string();
    let mut place = FilePosition::START;
    // Of a character that no YAML may have, only the position in bytes is told.
    let position = message.rsplit_once(" at position ");
    if let Some((what, at)) = position.and_then(|(what, at)| Some((what, at.parse().ok()?))) {
        place = FilePosition::after(text.as_bytes().get(..at).unwrap_or_default());
        message = what.to_owned();
    } else if let Some(location) = error.location() {
        let (line, column) = (location.line(), location.column());
        message = message.replacen(&format!(" at line {line} column {column}"), "", 1);
        place = FilePosition::new(line, column);
    }
    ConfigError::at(place, "", ConfigErrorKind::Yaml { message })
}

/// Reads a value of a known shape, with its texts.
#[derive(Clone, Copy)]
struct Shaped<'a> {
    shape: &'a Shape,
    /// `None` where the parser of positions sees the file otherwise.
    positions: Option<&'a Positions>,
    /// The place of what holds this value.
    holder: FilePosition,
}

impl<'a> Shaped<'a> {
    fn at(self) -> FilePosition {
        self.positions.map_or(self.holder, |positions| positions.at)
    }

    fn child(self, index: usize, shape: &'a Shape) -> Shaped<'a> {
        Shaped {
            shape,
            positions: self.positions.and_then(|positions| positions.child(index)),
            holder: self.at(),
        }
    }

    fn node(self, value: Value) -> Node {
        Node {
            at: self.at(),
            value,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Shaped<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        match self.shape {
            Shape::Text => deserializer.deserialize_str(self),
            Shape::List(_) => deserializer.deserialize_seq(self),
            Shape::Map(_) => deserializer.deserialize_map(self),
            Shape::Tagged => {
                IgnoredAny::deserialize(deserializer).map(|_| self.node(Value::Tagged))
            }
            Shape::Nothing => {
                IgnoredAny::deserialize(deserializer).map(|_| self.node(Value::Nothing))
            }
        }
    }
}

impl<'de> Visitor<'de> for Shaped<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what the file held a moment ago")
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(self.node(Value::Text(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        if let Shape::List(shapes) = self.shape {
            for (index, shape) in shapes.iter().enumerate() {
                items.extend(seq.next_element_seed(self.child(index, shape))?);
            }
        }
        Ok(self.node(Value::List(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        if let Shape::Map(shapes) = self.shape {
            for (index, (key, value)) in shapes.iter().enumerate() {
                if let Some(key) = map.next_key_seed(self.child(2 * index, key))? {
                    let value = map.next_value_seed(self.child(2 * index + 1, value))?;
                    entries.push((key, value));
                }
            }
        }
        Ok(self.node(Value::Map(entries)))
    }
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::config::node::Node;
    use crate::config::node::Value;
    use proptest::prelude::Strategy;
    use proptest::prelude::any;
    use proptest::proptest;

    fn texts<'a>(node: &'a Node, into: &mut Vec<(&'a Node, &'a str)>) {
        match &node.value {
            Value::Text(text) => into.push((node, text)),
            Value::List(items) => items.iter().for_each(|item| texts(item, into)),
            Value::Map(entries) => {
                for (key, value) in entries {
                    texts(key, into);
                    texts(value, into);
                }
            }
            Value::Tagged | Value::Nothing => {}
        }
    }

    fn the_texts(text: &str) -> Vec<String> {
        let root = read(text).unwrap();
        let mut found = Vec::new();
        texts(&root, &mut found);
        found.iter().map(|(_, text)| (*text).to_owned()).collect()
    }

    #[test]
    fn a_text_is_what_the_file_says_not_what_yaml_makes_of_it() {
        let plain = "0123 1e3 0x1F 0o17 1_000 ~ null True yes .inf -0 +1 99999999999999999999999";
        let flow = format!("[{}]", plain.replace(' ', ", "));
        let block = format!("- {}\n", plain.replace(' ', "\n- "));
        let expected: Vec<&str> = plain.split(' ').collect();
        assert_eq!(the_texts(&flow), expected);
        assert_eq!(the_texts(&block), expected);
        assert_eq!(the_texts("~: ''\n"), ["~", ""]);
        assert_eq!(the_texts("a:\n"), ["a", ""]);
        assert_eq!(the_texts("- !!str 0123\n- !!str x\n"), ["0123", "x"]);
    }

    #[test]
    fn a_key_given_twice_is_kept_twice() {
        assert_eq!(the_texts("a: 1\na: 2\n"), ["a", "1", "a", "2"]);
    }

    #[test]
    fn an_alias_is_its_anchors_value_at_its_own_place() {
        let root = read("a: &x [b, c]\nd: *x\n").unwrap();
        let mut found = Vec::new();
        texts(&root, &mut found);
        let placed: Vec<_> = found.iter().map(|(n, text)| (n.at.line, *text)).collect();
        let expected = [(1, "a"), (1, "b"), (1, "c"), (2, "d"), (2, "b"), (2, "c")];
        assert_eq!(placed, expected);
    }

    #[test]
    fn a_laughing_file_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..20 {
            let alias = format!("*a{}", n - 1);
            text += &format!("a{n}: &a{n} [{}]\n", [alias.as_str(); 10].join(", "));
        }
        assert!(read(&text).is_err());
    }

    #[test]
    fn a_bottomless_file_is_refused() {
        for (opening, depth) in [
            ("[", 2000),
            ("{a: ", 2000),
            ("- ", 100_000),
            ("? ", 100_000),
        ] {
            assert!(read(&opening.repeat(depth)).is_err(), "{opening}");
        }
    }

    /// A pool as people write it: block or flow, any indentation, comments, blank lines.
    fn pool_text() -> impl Strategy<Value = String> {
        let word = "[a-zé][a-z0-9_.:/]{0,8}[a-z0-9]";
        let line = (word, word, any::<bool>(), 0..3usize);
        proptest::collection::vec(line, 1..8).prop_flat_map(|lines| {
            (0..4usize, any::<bool>(), 1..5usize).prop_map(move |(style, crlf, indent)| {
                let end = if crlf { "\r\n" } else { "\n" };
                let mut text = format!("# é{end}pool:{end}");
                for (key, value, comment, blanks) in &lines {
                    let pad = " ".repeat(indent);
                    text += &match style {
                        0 => format!("{pad}{key}: {value}"),
                        1 => format!("{pad}{key}:{end}{pad}- {value}{end}{pad}-   {value}"),
                        2 => format!("{pad}{key}: [{value}, {{{value}: {value}}}]"),
                        _ => format!("{pad}? {key}{end}{pad}: {value}"),
                    };
                    text += if *comment { " # x: y" } else { "" };
                    text += &end.repeat(1 + blanks);
                }
                text
            })
        })
    }

    proptest! {
        #[test]
        fn a_text_stands_where_its_place_says(text in pool_text()) {
            let root = read(&text).unwrap();
            let mut found = Vec::new();
            texts(&root, &mut found);
            assert!(found.len() >= 3);
            let lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
            for (node, expected) in found {
                let line = &lines[usize::try_from(node.at.line).unwrap() - 1];
                let start = usize::try_from(node.at.column).unwrap() - 1;
                let there: String = line[start..].iter().take(expected.chars().count()).collect();
                assert_eq!(there, expected, "{text}");
            }
        }
    }
}
