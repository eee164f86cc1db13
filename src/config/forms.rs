//! What the values of keys may look like, one form for each kind of value.
//!
//! Owns: for each form the words for people, the way from the file's text, and the way back. Never:
//! which key has which form, which is `keys`'s.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::config::address;
use crate::config::address::Odd;
use crate::config::commands;
use crate::config::commands::CommandNames;
use crate::config::endpoint::HostPort;
use crate::config::endpoint::ListenAddress;
use crate::config::endpoint::ServerConfig;
use crate::config::error::ConfigErrorKind;
use crate::config::findings::Entry;
use crate::config::findings::Findings;
use crate::config::hold::HoldTime;
use crate::config::scalar;
use crate::config::sentinels;
use crate::config::servers;
use crate::config::values::OnServerFailure;
use crate::config::values::Protocol;
use crate::config::values::PubsubMode;
use crate::config::values::ReadFrom;
use crate::config::values::ReadyServers;
use crate::config::values::Secret;
use crate::config::values::UnknownCommands;
use crate::config::warning::WarningKind;
use crate::route::Distribution;
use crate::route::Hash;
use crate::route::HashTag;

/// What a key takes.
pub(super) struct Form<T: 'static> {
    /// In words.
    pub(super) takes: &'static str,
    read: Read<T>,
    show: Show<T>,
}

/// From the file's text to a value.
enum Read<T: 'static> {
    /// One of a few names, and what kind of name it is.
    Choice(&'static str, &'static [(&'static str, T)]),
    /// One text.
    Text(fn(&str) -> Result<T, ConfigErrorKind>),
    /// One text, which can be right and odd.
    Odd(fn(&str) -> Result<Odd<T>, ConfigErrorKind>),
    /// A list, which notes its problems itself.
    List(fn(&Entry<'_>, &mut Findings) -> T),
}

/// From a value to what the file would say.
enum Show<T> {
    /// It is shown so.
    Text(fn(&T) -> String),
    /// The name that was chosen.
    Choice,
    /// Nobody may see it.
    Never,
}

impl<T: Clone + PartialEq> Form<T> {
    const fn choice(
        takes: &'static str,
        what: &'static str,
        names: &'static [(&'static str, T)],
    ) -> Form<T> {
        Form {
            takes,
            read: Read::Choice(what, names),
            show: Show::Choice,
        }
    }

    const fn text(
        takes: &'static str,
        read: fn(&str) -> Result<T, ConfigErrorKind>,
        show: fn(&T) -> String,
    ) -> Form<T> {
        Form {
            takes,
            read: Read::Text(read),
            show: Show::Text(show),
        }
    }

    /// Reads a key's value into `field`; notes what is wrong or odd. Whether nothing was wrong.
    pub(super) fn read(&self, field: &mut T, entry: &Entry<'_>, findings: &mut Findings) -> bool {
        if let Read::List(read) = self.read {
            *field = read(entry, findings);
            return true;
        }
        let Some((text, at)) = findings.one_text(entry.path, entry.value) else {
            return false;
        };
        let read = match text {
            "" => Err(ConfigErrorKind::EmptyText),
            text => self.parse(text),
        };
        match read {
            Ok((value, odd)) => {
                *field = value;
                if let Some(odd) = odd {
                    findings.warning(at, entry.path, odd);
                }
                true
            }
            Err(kind) => {
                findings.error(at, entry.path, kind);
                false
            }
        }
    }

    fn parse(&self, text: &str) -> Result<Odd<T>, ConfigErrorKind> {
        match self.read {
            Read::Text(read) => read(text).map(|value| (value, None)),
            Read::Odd(read) => read(text),
            Read::Choice(what, names) => {
                let mut all = names.iter();
                let chosen = all.find(|(name, _)| *name == text);
                let chosen = chosen.ok_or_else(|| {
                    let names: Vec<_> = names.iter().map(|(name, _)| *name).collect();
                    scalar::not_one_of(what, text, &names)
                })?;
                Ok((chosen.1.clone(), None))
            }
            Read::List(_) => unreachable!("a list has no text"),
        }
    }

    /// The value of a default, which the table of keys writes as a file would.
    pub(super) fn of_default(&self, text: &str) -> T {
        match self.parse(text) {
            Ok((value, _)) => value,
            Err(kind) => panic!("a default that no file could say: {kind}"),
        }
    }

    /// As the file would have it; nothing if it is a secret.
    pub(super) fn show(&self, value: &T) -> Option<String> {
        match (&self.show, &self.read) {
            (Show::Text(show), _) => Some(show(value)),
            (Show::Choice, Read::Choice(_, names)) => {
                let mut all = names.iter();
                let name = all.find(|(_, of)| of == value).map(|(name, _)| *name);
                name.map(str::to_owned)
            }
            (Show::Choice | Show::Never, _) => None,
        }
    }
}

pub(super) const BOOLEAN: Form<bool> = Form::choice(
    "true or false",
    "value",
    // YAML's other spellings (`yes`, `True`) are texts, as in twemproxy.
    &[("true", true), ("false", false)],
);

pub(super) const PROTOCOL: Form<Protocol> = Form::choice(
    "true or false",
    "value",
    &[("true", Protocol::Redis), ("false", Protocol::Memcached)],
);

pub(super) const UNKNOWN_COMMANDS: Form<UnknownCommands> = Form::choice(
    "refuse or forward",
    "choice",
    &[
        ("refuse", UnknownCommands::Refuse),
        ("forward", UnknownCommands::Forward),
    ],
);

pub(super) const ON_SERVER_FAILURE: Form<OnServerFailure> = Form::choice(
    "rehash, fail or hold",
    "choice",
    &[
        ("rehash", OnServerFailure::Rehash),
        ("fail", OnServerFailure::Fail),
        ("hold", OnServerFailure::Hold),
    ],
);

pub(super) const READ_FROM: Form<ReadFrom> = Form::choice(
    "master, prefer-replica or replica",
    "choice",
    &[
        ("master", ReadFrom::Master),
        ("prefer-replica", ReadFrom::PreferReplica),
        ("replica", ReadFrom::Replica),
    ],
);

pub(super) const PUBSUB: Form<PubsubMode> = Form::choice(
    "exclusive or shared",
    "choice",
    &[
        ("exclusive", PubsubMode::Exclusive),
        ("shared", PubsubMode::Shared),
    ],
);

/// Accepted and checked, without effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ignored;

pub(super) const REUSEPORT: Form<Ignored> = Form {
    takes: BOOLEAN.takes,
    read: Read::Odd(|text| {
        BOOLEAN.parse(text)?;
        Ok((Ignored, Some(WarningKind::ReuseportAlwaysOn)))
    }),
    show: Show::Never,
};

pub(super) const NUMBER: Form<u32> = Form::text("number", scalar::number, u32::to_string);

/// 0 is no limit.
pub(super) const LIMIT: Form<Option<NonZeroU32>> = Form::text("number", scalar::limit, |limit| {
    limit.map_or(0, NonZeroU32::get).to_string()
});

pub(super) const AT_LEAST_ONE: Form<NonZeroU32> =
    Form::text("number, at least 1", scalar::at_least_one, |number| {
        number.to_string()
    });

pub(super) const BYTES: Form<usize> = Form::text("bytes", scalar::bytes, usize::to_string);

pub(super) const BYTES_AT_LEAST_ONE: Form<usize> = Form::text(
    "bytes, at least 1",
    scalar::bytes_at_least_one,
    usize::to_string,
);

pub(super) const MILLIS: Form<Duration> = Form::text("milliseconds", scalar::millis, in_millis);

pub(super) const MILLIS_AT_LEAST_ONE: Form<Duration> = Form::text(
    "milliseconds, at least 1",
    scalar::millis_at_least_one,
    in_millis,
);

/// 0 is for ever, or never.
pub(super) const MILLIS_OR_NONE: Form<Option<Duration>> =
    Form::text("milliseconds", scalar::millis_or_none, |time| {
        in_millis(&time.unwrap_or_default())
    });

pub(super) const HOLD_TIME: Form<HoldTime> = Form::text(
    "milliseconds",
    |text| scalar::millis(text).map(HoldTime::Fixed),
    |time| match time {
        HoldTime::Fixed(time) => in_millis(time),
        HoldTime::BySentinels => "by the sentinels".to_owned(),
    },
);

pub(super) const READY_SERVERS: Form<ReadyServers> = Form::text(
    "all or a number, at least 1",
    |text| match text {
        "all" => Ok(ReadyServers::All),
        text => scalar::at_least_one(text).map(ReadyServers::AtLeast),
    },
    |ready| match ready {
        ReadyServers::All => "all".to_owned(),
        ReadyServers::AtLeast(number) => number.to_string(),
    },
);

pub(super) const HASH: Form<Hash> = Form::text("the name of a hash", scalar::hash, |hash| {
    hash.name().to_owned()
});

pub(super) const HASH_TAG: Form<Option<HashTag>> = Form::text(
    "two characters",
    |text| scalar::hash_tag(text).map(Some),
    |tag| {
        let bytes = tag.map(|tag| [tag.open, tag.close]);
        bytes.into_iter().flatten().map(char::from).collect()
    },
);

pub(super) const DISTRIBUTION: Form<Distribution> = Form::text(
    "ketama, modula or random",
    scalar::distribution,
    |distribution| distribution.name().to_owned(),
);

/// Any text is one.
pub(super) const PASSWORD: Form<Option<Secret>> = Form {
    takes: "a password",
    read: Read::Text(|text| Ok(Some(Secret::new(text)))),
    show: Show::Never,
};

pub(super) const USER: Form<Option<Arc<str>>> = Form::text(
    "a user's name",
    |text| Ok(Some(text.into())),
    |user| user.as_deref().unwrap_or_default().to_owned(),
);

pub(super) const LISTEN: Form<ListenAddress> = Form {
    takes: "ip:port, name:port, /path or \"/path mode\"",
    read: Read::Odd(address::listen),
    show: Show::Text(|listen| match listen {
        ListenAddress::Unix {
            path,
            mode: Some(mode),
        } => format!("{} {mode:o}", path.display()),
        listen => listen.to_string(),
    }),
};

pub(super) const SERVERS: Form<Vec<ServerConfig>> = Form {
    takes: "list of \"host:port:weight [name]\" or \"/path:weight [name]\"",
    read: Read::List(servers::read),
    // Each has lines of its own.
    show: Show::Never,
};

pub(super) const SENTINELS: Form<Vec<HostPort>> = Form {
    takes: "list of \"host:port\" or \"host:port:weight [name]\"",
    read: Read::List(sentinels::read),
    show: Show::Text(|sentinels| {
        let sentinels: Vec<String> = sentinels.iter().map(ToString::to_string).collect();
        sentinels.join(",")
    }),
};

pub(super) const COMMANDS_ON_LEAVE: Form<CommandNames> = Form {
    takes: "list of commands",
    read: Read::List(commands::read_allowed),
    show: Show::Text(CommandNames::show),
};

pub(super) const COMMANDS: Form<CommandNames> = Form {
    takes: "list of commands",
    read: Read::List(commands::read_any),
    show: Show::Text(CommandNames::show),
};

fn in_millis(time: &Duration) -> String {
    time.as_millis().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_true_and_false_are_booleans() {
        assert_eq!(BOOLEAN.parse("true").ok(), Some((true, None)));
        for not in ["yes", "on", "True", "TRUE", "1", "", "y"] {
            assert!(BOOLEAN.parse(not).is_err(), "{not:?}");
        }
    }

    #[test]
    fn what_is_shown_is_what_is_read() {
        fn shown<T: Clone + PartialEq>(form: &Form<T>, text: &str) -> Option<String> {
            form.show(&form.of_default(text))
        }
        for (shown, text) in [
            (shown(&PROTOCOL, "true"), "true"),
            (shown(&READ_FROM, "prefer-replica"), "prefer-replica"),
            (shown(&LIMIT, "0"), "0"),
            (shown(&MILLIS_OR_NONE, "400"), "400"),
            (shown(&HOLD_TIME, "800"), "800"),
            (shown(&READY_SERVERS, "all"), "all"),
            (shown(&READY_SERVERS, "2"), "2"),
            (shown(&HASH, "md5"), "md5"),
            (shown(&HASH_TAG, "{}"), "{}"),
            (shown(&LISTEN, "/run/x 600"), "/run/x 600"),
        ] {
            assert_eq!(shown.as_deref(), Some(text));
        }
        assert_eq!(shown(&PASSWORD, "hunter2"), None);
    }
}
