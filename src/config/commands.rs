//! Lists of commands' names, as `allow:` and `deny:` take them.
//!
//! Owns: how the file names a command, and which names each of the two keys may have. Never: says which
//! commands there are; the protocols' tables do.

use crate::config::error::ConfigErrorKind;
use crate::config::findings::Entry;
use crate::config::findings::Findings;
use crate::config::findings::what_is;
use crate::config::node::Value;
use crate::protocol::command_name;
use crate::protocol::commands_on_leave;

/// Commands, each as the table names it: `flushall`, `config|set`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandNames(Vec<&'static str>);

impl CommandNames {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it names a command of this name, or the container that this is a subcommand of.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let container = name.split_once('|').map(|(container, _)| container);
        let mut names = self.0.iter();
        names.any(|named| *named == name || Some(*named) == container)
    }

    /// As the file would have them.
    pub(super) fn show(&self) -> String {
        self.0.join(",").replace('|', " ")
    }
}

/// Commands that are refused without leave.
pub(super) fn read_allowed(entry: &Entry<'_>, findings: &mut Findings) -> CommandNames {
    read(entry, findings, |name| {
        match commands_on_leave().any(|known| known == name) {
            true => Ok(()),
            false => Err(ConfigErrorKind::NeedsNoLeave {
                name,
                choices: commands_on_leave()
                    .map(|name| name.replace('|', " "))
                    .collect(),
            }),
        }
    })
}

/// Any commands.
pub(super) fn read_any(entry: &Entry<'_>, findings: &mut Findings) -> CommandNames {
    read(entry, findings, |_| Ok(()))
}

fn read(
    entry: &Entry<'_>,
    findings: &mut Findings,
    fits: impl Fn(&'static str) -> Result<(), ConfigErrorKind>,
) -> CommandNames {
    let &Entry { path, at, value } = entry;
    let items = match &value.value {
        Value::List(items) => items.as_slice(),
        // One needs no list.
        Value::Text(text) if !text.is_empty() => std::slice::from_ref(value),
        other => {
            let found = what_is(other);
            findings.error(at, path, ConfigErrorKind::NotCommands { found });
            return CommandNames::default();
        }
    };
    let mut names = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let named = match &item.value {
            Value::Text(text) => named(text).and_then(|name| fits(name).map(|()| name)),
            other => Err(ConfigErrorKind::NotOneValue {
                found: what_is(other),
            }),
        };
        match named {
            Ok(name) => names.push(name),
            Err(kind) => findings.error(item.at, &path, kind),
        }
    }
    names.sort_unstable();
    names.dedup();
    CommandNames(names)
}

/// The table's name of `config set`, `CONFIG|SET` or `flushall`.
fn named(text: &str) -> Result<&'static str, ConfigErrorKind> {
    let words: Vec<&str> = text.split_whitespace().collect();
    command_name(&words.join("|")).ok_or_else(|| ConfigErrorKind::NoSuchCommand {
        found: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn pool(line: &str) -> Result<crate::config::PoolConfig, String> {
        let text = format!(
            "alpha:\n  listen: 127.0.0.1:1\n  redis: true\n  {line}\n  servers:\n    - 10.0.0.1:1:1 a\n"
        );
        match Config::parse(&text, "a.yml") {
            Ok(mut config) => Ok(config.pools.remove(0)),
            Err(errors) => Err(errors.to_string()),
        }
    }

    #[test]
    fn commands_are_named_in_any_case_and_subcommands_in_two_words() {
        let allow = |list: &str| pool(&format!("allow: {list}")).unwrap().access.allow;
        assert_eq!(allow("[flushall, KEYS]").show(), "flushall,keys");
        assert_eq!(allow("[Config  Set, config|set]").show(), "config set");
        assert_eq!(allow("keys").show(), "keys");
        assert!(allow("[]").is_empty());
        let denied = pool("deny: [get, client, config get]").unwrap().access.deny;
        for (name, is) in [
            ("get", true),
            ("client|list", true),
            ("config|get", true),
            ("config|set", false),
            ("getset", false),
        ] {
            assert_eq!(denied.has(name), is, "{name}");
        }
    }

    #[test]
    fn what_is_no_command_or_needs_no_leave_is_an_error_that_says_so() {
        for (line, error) in [
            ("allow: [flushal]", "`flushal` is no command"),
            ("deny: [config nonsense]", "`config nonsense` is no command"),
            (
                "allow: [get]",
                "`get` needs no leave; those that do: bgrewriteaof, ",
            ),
            ("allow: [swapdb]", "`swapdb` needs no leave"),
            (
                "deny: {a: b}",
                "a mapping where a list of commands is wanted",
            ),
            ("deny: [[get]]", "a list where one value is wanted"),
        ] {
            let told = pool(line).unwrap_err();
            assert!(told.contains(error), "{told}");
        }
    }
}
