//! RESP values of either version, as far as `COMMAND` uses them.

use std::io::BufRead;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Status(String),
    Error(String),
    Integer(i64),
    Bulk(String),
    Nil,
    Array(Vec<Value>),
    Set(Vec<Value>),
    Map(Vec<Value>),
}

impl Value {
    /// Reads one value; a closed connection or a broken one fails the test.
    pub(crate) fn read(from: &mut impl BufRead) -> Value {
        let mut line = String::new();
        from.read_line(&mut line)
            .expect("a reply within the time limit");
        let text = line.strip_suffix("\r\n").expect("a whole line");
        let (kind, text) = text.split_at(1);
        let number = || text.parse::<i64>().expect("a number");
        match kind {
            "+" => Value::Status(text.to_string()),
            "-" => Value::Error(text.to_string()),
            ":" => Value::Integer(number()),
            "_" => Value::Nil,
            "$" | "*" if text == "-1" => Value::Nil,
            "$" => {
                let length = usize::try_from(number()).expect("a length");
                let mut bytes = vec![0; length + 2];
                from.read_exact(&mut bytes).expect("a whole bulk string");
                bytes.truncate(length);
                Value::Bulk(String::from_utf8(bytes).expect("text"))
            }
            "*" => Value::Array((0..number()).map(|_| Value::read(from)).collect()),
            "~" => Value::Set((0..number()).map(|_| Value::read(from)).collect()),
            "%" => Value::Map((0..2 * number()).map(|_| Value::read(from)).collect()),
            _ => panic!("no reply begins with {kind}"),
        }
    }

    pub(crate) fn items(&self) -> &[Value] {
        match self {
            Value::Array(items) | Value::Set(items) | Value::Map(items) => items,
            other => panic!("{other:?} has no items"),
        }
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Value::Status(text) | Value::Bulk(text) | Value::Error(text) => text,
            other => panic!("{other:?} is no text"),
        }
    }

    /// The pairs of a map, in the form of either version.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.items()
            .chunks_exact(2)
            .map(|pair| (pair[0].text(), &pair[1]))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.pairs()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// Whether both are the same kind of value (`+`, `$`, `*`, …), whatever is in them.
    pub(crate) fn same_kind(&self, other: &Value) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// The texts inside, sorted: for what has no order.
    pub(crate) fn sorted_texts(&self) -> Vec<&str> {
        let mut texts: Vec<&str> = self.items().iter().map(Value::text).collect();
        texts.sort_unstable();
        texts
    }
}
