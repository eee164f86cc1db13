//! The mistakes and warnings that were found so far.
//!
//! Owns: their collection, so that a step goes on after a mistake and the operator sees all of them; and
//! the first question about a value: is it one text? Never: a rule.

use std::sync::Arc;

use crate::config::error::ConfigError;
use crate::config::error::ConfigErrorKind;
use crate::config::node::Node;
use crate::config::node::Value;
use crate::config::position::FilePosition;
use crate::config::warning::Warning;
use crate::config::warning::WarningKind;

/// One key of a pool with its value, as the file has them.
pub(super) struct Entry<'a> {
    /// As in `alpha.hash`.
    pub(super) path: &'a str,
    /// Where the key stands.
    pub(super) at: FilePosition,
    pub(super) value: &'a Node,
}

/// What has been found in one file.
pub(super) struct Findings {
    file: Arc<str>,
    pub(super) errors: Vec<ConfigError>,
    pub(super) warnings: Vec<Warning>,
}

impl Findings {
    pub(super) fn new(file: &str) -> Findings {
        Findings {
            file: Arc::from(file),
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// `key` is the value's path, as in `alpha.hash`.
    pub(super) fn error(&mut self, at: FilePosition, key: &str, kind: ConfigErrorKind) {
        self.errors.push(ConfigError::at(at, key, kind));
    }

    /// `key` is the value's path, as in `alpha.hash`.
    pub(super) fn warning(&mut self, at: FilePosition, key: &str, kind: WarningKind) {
        self.warnings.push(Warning {
            file: Arc::clone(&self.file),
            line: at.line,
            column: at.column,
            key: key.to_owned(),
            kind,
        });
    }

    /// The text of a mapping's key, or an error; `holder` is the mapping's path.
    pub(super) fn name<'a>(&mut self, key: &'a Node, holder: &str) -> Option<&'a str> {
        if let Value::Text(name) = &key.value {
            return Some(name);
        }
        let found = what_is(&key.value);
        self.error(key.at, holder, ConfigErrorKind::NotAName { found });
        None
    }

    /// The one text of a value and its place, or an error. A list of one is as good as its item,
    /// to twemproxy, too.
    pub(super) fn one_text<'a>(
        &mut self,
        key: &str,
        node: &'a Node,
    ) -> Option<(&'a str, FilePosition)> {
        let inner = match &node.value {
            Value::List(items) if items.len() == 1 => &items[0],
            _ => node,
        };
        if let Value::Text(text) = &inner.value {
            return Some((text, inner.at));
        }
        let found = what_is(&node.value);
        self.error(node.at, key, ConfigErrorKind::NotOneValue { found });
        None
    }
}

/// What an operator would call it.
pub(super) fn what_is(value: &Value) -> &'static str {
    match value {
        Value::Text(text) if text.is_empty() => "nothing",
        Value::Text(_) => "a text",
        Value::List(_) => "a list",
        Value::Map(_) => "a mapping",
        Value::Tagged => "a value with a tag",
        Value::Nothing => "nothing",
    }
}
