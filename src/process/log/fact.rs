//! A line of the log before it is written: a level, a message, fields.
//!
//! ```text
//! [2026-11-22 17:14:18.449] warn server ejected pool=alpha failures=2
//! {"time":"2026-11-22T17:14:18.449+01:00","level":"warn","message":"server ejected","pool":"alpha","failures":2}
//! ```
//!
//! Owns: both forms, and that whatever a value holds, a line is one line and no longer than a pipe
//! takes at once. Never: a file, a clock; the time is an argument.

use std::fmt;
use std::fmt::Write as _;

use clap::ValueEnum;
use jiff::Zoned;
use tracing::Level;
use tracing::field::Field;
use tracing::field::Visit;

/// A pipe takes so much at once or not at all (`PIPE_BUF`), so lines of several processes do not mix
/// there.
pub(super) const LINE_BYTES_MAX: usize = 4096;

/// What is tried, one after the other, where a JSON line would be too long: how much of each string
/// is kept. A cut line would be no JSON.
const STRING_BYTES: [usize; 4] = [usize::MAX, 1024, 128, 16];

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// As twemproxy's: the time in brackets, then words and `key=value`.
    #[default]
    Text,
    /// An object a line.
    Json,
}

/// A field's value: what is a number or a truth stays one in JSON.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(value) => value.fmt(f),
            Value::Signed(value) => value.fmt(f),
            Value::Unsigned(value) => value.fmt(f),
            Value::Float(value) => value.fmt(f),
            Value::Text(value) => {
                let quoted = value.len() > 1 && value.starts_with('"') && value.ends_with('"');
                let plain = |c: char| !c.is_control() && !matches!(c, ' ' | '"' | '=');
                match quoted || (!value.is_empty() && value.chars().all(plain)) {
                    true => f.write_str(value),
                    false => write!(f, "{value:?}"),
                }
            }
        }
    }
}

/// A line, but for its time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fact {
    pub(super) level: Level,
    pub(super) message: String,
    pub(super) fields: Vec<(&'static str, Value)>,
    /// How many others it stands for, which were left out.
    pub(super) more: u64,
}

impl Fact {
    pub(super) fn new(level: Level, message: impl Into<String>) -> Fact {
        Fact {
            level,
            message: message.into(),
            fields: Vec::new(),
            more: 0,
        }
    }

    /// The same with one more field.
    pub(super) fn with(mut self, name: &'static str, value: Value) -> Fact {
        self.fields.push((name, value));
        self
    }

    /// Whether the page for people shows it. What one client does is no event: it could fill the page.
    pub(super) fn is_event(&self) -> bool {
        let of_client = self.fields.iter().any(|(name, _)| *name == "client");
        self.level <= Level::INFO && !of_client
    }

    /// The words, cut where they are long.
    pub(super) fn short_message(&self) -> &str {
        head(&self.message, STRING_BYTES[1])
    }

    /// The fields as JSON has them; a long string is cut.
    pub(super) fn json_fields(&self) -> serde_json::Map<String, serde_json::Value> {
        let json = |value| match value {
            Value::Bool(value) => value.into(),
            Value::Signed(value) => value.into(),
            Value::Unsigned(value) => value.into(),
            Value::Float(value) => value.into(),
            Value::Text(text) if text.len() > STRING_BYTES[1] => {
                format!("{}…", head(&text, STRING_BYTES[1])).into()
            }
            Value::Text(text) => text.into(),
        };
        let fields = self.all_fields();
        fields
            .map(|(name, value)| (name.to_owned(), json(value)))
            .collect()
    }

    /// The line, its end included.
    pub(super) fn line(&self, format: LogFormat, time: &Zoned) -> String {
        let mut line = match format {
            LogFormat::Text => self.text(time),
            LogFormat::Json => self.json(time),
        };
        line.push('\n');
        line
    }

    fn all_fields(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let more = (self.more > 0).then_some(("more", Value::Unsigned(self.more)));
        self.fields.iter().cloned().chain(more)
    }

    fn text(&self, time: &Zoned) -> String {
        let time = time.strftime("%Y-%m-%d %H:%M:%S%.3f");
        let mut line = format!(
            "[{time}] {} {}",
            name_of(self.level),
            one_line(&self.message)
        );
        for (name, value) in self.all_fields() {
            write!(line, " {name}={value}").expect("a String takes all that is written");
        }
        if line.len() >= LINE_BYTES_MAX {
            line = format!("{}…", head(&line, LINE_BYTES_MAX - "…\n".len()));
        }
        line
    }

    fn json(&self, time: &Zoned) -> String {
        let mut line = String::new();
        // No line of the program has so many fields that the shortest strings are too long.
        for most in STRING_BYTES {
            line = self.json_with(time, most);
            if line.len() < LINE_BYTES_MAX {
                break;
            }
        }
        line
    }

    fn json_with(&self, time: &Zoned, most: usize) -> String {
        let time = time.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z");
        let mut line = format!(
            "{{\"time\":\"{time}\",\"level\":\"{}\"",
            name_of(self.level)
        );
        let message = [("message", Value::Text(self.message.clone()))];
        for (name, value) in message.into_iter().chain(self.all_fields()) {
            line.push(',');
            line.push_str(&json_string(name));
            line.push(':');
            match value {
                Value::Text(text) if text.len() > most => {
                    line.push_str(&json_string(&format!("{}…", head(&text, most))));
                }
                Value::Text(text) => line.push_str(&json_string(&text)),
                // JSON knows no infinity.
                Value::Float(value) if !value.is_finite() => line.push_str("null"),
                value => line.push_str(&value.to_string()),
            }
        }
        line.push('}');
        line
    }
}

impl Visit for Fact {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fields.push((field.name(), Value::Bool(value)));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fields.push((field.name(), Value::Signed(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fields.push((field.name(), Value::Unsigned(value)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.fields.push((field.name(), Value::Float(value)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put_text(field, format!("{value:?}"));
    }
}

impl Fact {
    fn put_text(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            name => self.fields.push((name, Value::Text(value))),
        }
    }
}

pub(super) fn name_of(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

// A name in a configuration must not be able to forge a line.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

// At most so many bytes, cut between two characters.
fn head(text: &str, most: usize) -> &str {
    let fits = |at: &usize| text.is_char_boundary(*at);
    let end = (0..=most.min(text.len())).rev().find(fits);
    &text[..end.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time() -> Zoned {
        "2026-11-22T17:14:18.449+00:00[UTC]".parse().unwrap()
    }

    fn json(fact: &Fact) -> serde_json::Value {
        let line = fact.line(LogFormat::Json, &time());
        assert!(line.len() <= LINE_BYTES_MAX, "{} bytes", line.len());
        let inner = line.strip_suffix('\n').unwrap();
        assert!(!inner.contains(char::is_control), "one line: {inner}");
        serde_json::from_str(inner).unwrap()
    }

    fn ejected() -> Fact {
        Fact::new(Level::WARN, "server ejected")
            .with("pool", Value::Text("alpha".to_owned()))
            .with("failures", Value::Unsigned(2))
            .with("weight", Value::Signed(-1))
            .with("share", Value::Float(0.5))
            .with("ok", Value::Bool(true))
    }

    #[test]
    fn both_forms_say_the_same_and_json_keeps_what_is_a_number() {
        assert_eq!(
            ejected().line(LogFormat::Text, &time()),
            "[2026-11-22 17:14:18.449] warn server ejected pool=alpha failures=2 weight=-1 \
             share=0.5 ok=true\n"
        );
        assert_eq!(
            ejected().line(LogFormat::Json, &time()),
            "{\"time\":\"2026-11-22T17:14:18.449+00:00\",\"level\":\"warn\",\
             \"message\":\"server ejected\",\"pool\":\"alpha\",\"failures\":2,\"weight\":-1,\
             \"share\":0.5,\"ok\":true}\n"
        );
    }

    #[test]
    fn a_line_that_stands_for_others_says_for_how_many() {
        let fact = Fact {
            more: 7,
            ..ejected()
        };
        assert!(fact.line(LogFormat::Text, &time()).ends_with(" more=7\n"));
        assert_eq!(json(&fact)["more"], 7);
    }

    #[test]
    fn no_value_forges_a_line_or_breaks_the_json() {
        let evil = "x\n[2026-01-01 00:00:00.000] error \"forged\"\u{7}\\";
        let fact = Fact::new(Level::INFO, evil).with("pool", Value::Text(evil.to_owned()));
        assert_eq!(fact.line(LogFormat::Text, &time()).lines().count(), 1);
        assert_eq!(json(&fact)["message"], evil);
        assert_eq!(json(&fact)["pool"], evil);
        let not_json = Fact::new(Level::INFO, "x").with("ratio", Value::Float(f64::NAN));
        assert!(json(&not_json)["ratio"].is_null());
    }

    #[test]
    fn a_long_line_is_cut_at_a_character_and_stays_json() {
        for text in ["ä".repeat(5000), "\u{1}".repeat(5000), "\"".repeat(3000)] {
            let fact = Fact::new(Level::INFO, text.clone()).with("name", Value::Text(text));
            let line = fact.line(LogFormat::Text, &time());
            assert!(line.ends_with("…\n") && line.len() <= LINE_BYTES_MAX);
            assert!(line.len() > LINE_BYTES_MAX - 4);
            assert!(json(&fact)["message"].as_str().unwrap().ends_with('…'));
        }
    }
}
