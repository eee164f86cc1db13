//! A value of the file with the place where it stands, before any rule.
//!
//! Owns: the tree that later steps walk, which has no trace of the YAML parser. Never: what a key means.

use crate::config::position::FilePosition;

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: FilePosition,
    pub(super) value: Value,
}

/// What a value is, before any rule.
#[derive(Debug, PartialEq)]
pub(super) enum Value {
    /// The text of a scalar; quotes and escapes are resolved, nothing else is.
    Text(String),
    List(Vec<Node>),
    /// In the file's order, a key given twice stands twice.
    Map(Vec<(Node, Node)>),
    /// A value with a tag such as `!include`, which this program does not know.
    Tagged,
    /// There is no document.
    Nothing,
}

impl PartialEq for Node {
    fn eq(&self, other: &Node) -> bool {
        self.value == other.value
    }
}
