//! The table of a pool's keys, which reader, messages and documents work from.
//!
//! Owns: every key's name, what it takes, its default, its meaning in a sentence. Never: a rule
//! about more than one key; those are `validate`'s.

use crate::config::address;
use crate::config::draft::Draft;
use crate::config::error::ConfigErrorKind;
use crate::config::scalar;
use crate::config::warning::WarningKind;

/// One key of a pool.
#[derive(Debug)]
pub struct Key {
    /// As in the file.
    pub name: &'static str,
    /// What its value may be, in words.
    pub takes: &'static str,
    /// What the file could say to the same effect as saying nothing; empty if there is no such
    /// text.
    pub default: &'static str,
    /// Whether twemproxy 0.5.0 has it, too.
    pub twemproxy: bool,
    /// Its meaning.
    pub doc: &'static str,
    pub(super) set: Set,
}

/// How a key's value gets into a draft.
#[derive(Clone, Copy, Debug)]
pub(super) enum Set {
    /// From its one text.
    Text(fn(&mut Draft, &str) -> Result<(), ConfigErrorKind>),
    /// It is the list of servers.
    Servers,
    /// It is the list of Sentinels.
    Sentinels,
}

/// Every key, twemproxy's in the order of its documents, then ours.
pub const KEYS: &[Key] = &[
    Key {
        name: "listen",
        takes: "ip:port, name:port, /path or \"/path mode\"",
        default: "",
        twemproxy: true,
        doc: "where clients connect; required",
        set: Set::Text(|draft, text| {
            let (listen, odd) = address::listen(text)?;
            draft.listen = Some(listen);
            draft.odd = odd;
            Ok(())
        }),
    },
    Key {
        name: "client_connections",
        takes: "number",
        default: "0",
        twemproxy: true,
        doc: "the most clients at once, 0 is no limit (twemproxy reads it and enforces nothing)",
        set: Set::Text(|draft, text| put(&mut draft.client_connections, scalar::limit(text))),
    },
    Key {
        name: "hash",
        takes: "the name of a hash",
        default: "fnv1a_64",
        twemproxy: true,
        doc: "how a key becomes a number",
        set: Set::Text(|draft, text| put(&mut draft.hash, scalar::hash(text))),
    },
    Key {
        name: "hash_tag",
        takes: "two characters",
        default: "",
        twemproxy: true,
        doc: "hash only what is between these two characters of a key",
        set: Set::Text(|draft, text| put(&mut draft.hash_tag, scalar::hash_tag(text).map(Some))),
    },
    Key {
        name: "distribution",
        takes: "ketama, modula or random",
        default: "ketama",
        twemproxy: true,
        doc: "how a number becomes a server",
        set: Set::Text(|draft, text| put(&mut draft.distribution, scalar::distribution(text))),
    },
    Key {
        name: "timeout",
        takes: "milliseconds",
        default: "0",
        twemproxy: true,
        doc: "how long a request may take, queueing and connecting included; 0 is for ever",
        set: Set::Text(|draft, text| put(&mut draft.timeout, scalar::millis_or_none(text))),
    },
    Key {
        name: "backlog",
        takes: "number",
        default: "512",
        twemproxy: true,
        doc: "the backlog of listen(2)",
        set: Set::Text(|draft, text| put(&mut draft.backlog, scalar::number(text))),
    },
    Key {
        name: "tcpkeepalive",
        takes: "true or false",
        default: "false",
        twemproxy: true,
        doc: "find clients that have vanished: an idle one is probed after a minute, and closed when it has not answered, or not taken what it is owed, for five minutes",
        set: Set::Text(|draft, text| put(&mut draft.tcpkeepalive, scalar::boolean(text))),
    },
    Key {
        name: "reuseport",
        takes: "true or false",
        default: "true",
        twemproxy: false,
        doc: "accepted and of no effect (twemproxy has it after 0.5.0): it is always on",
        set: Set::Text(|draft, text| {
            scalar::boolean(text)?;
            draft.odd = Some(WarningKind::ReuseportAlwaysOn);
            Ok(())
        }),
    },
    Key {
        name: "redis",
        takes: "true or false",
        default: "false",
        twemproxy: true,
        doc: "speak Redis's protocol; false is memcached's text protocol",
        set: Set::Text(|draft, text| put(&mut draft.protocol, scalar::protocol(text).map(Some))),
    },
    Key {
        name: "redis_auth",
        takes: "a password",
        default: "",
        twemproxy: true,
        doc: "asked of clients and given to servers",
        set: Set::Text(|draft, text| put(&mut draft.redis_auth, Ok(Some(scalar::secret(text))))),
    },
    Key {
        name: "redis_db",
        takes: "number",
        default: "0",
        twemproxy: true,
        doc: "the database selected on every server connection",
        set: Set::Text(|draft, text| put(&mut draft.redis_db, scalar::number(text))),
    },
    Key {
        name: "preconnect",
        takes: "true or false",
        default: "false",
        twemproxy: true,
        doc: "connect to every server at start; one that does not answer is no failure",
        set: Set::Text(|draft, text| put(&mut draft.preconnect, scalar::boolean(text))),
    },
    Key {
        name: "auto_eject_hosts",
        takes: "true or false",
        default: "false",
        twemproxy: true,
        doc: "eject a server that fails, so that its keys move to the others: for caches",
        set: Set::Text(|draft, text| {
            put(&mut draft.auto_eject_hosts, scalar::boolean(text).map(Some))
        }),
    },
    Key {
        name: "server_connections",
        takes: "number, at least 1",
        default: "1",
        twemproxy: true,
        doc: "connections to each server, for each worker",
        set: Set::Text(|draft, text| {
            put(&mut draft.server_connections, scalar::at_least_one(text))
        }),
    },
    Key {
        name: "server_retry_timeout",
        takes: "milliseconds",
        default: "30000",
        twemproxy: true,
        doc: "how long a server stays ejected",
        set: Set::Text(|draft, text| put(&mut draft.server_retry_timeout, scalar::millis(text))),
    },
    Key {
        name: "server_failure_limit",
        takes: "number",
        default: "2",
        twemproxy: true,
        doc: "this many failures in a row eject a server",
        set: Set::Text(|draft, text| put(&mut draft.server_failure_limit, scalar::number(text))),
    },
    Key {
        name: "servers",
        takes: "list of \"host:port:weight [name]\" or \"/path:weight [name]\"",
        default: "",
        twemproxy: true,
        doc: "at least one; the name places a server's keys, without one its address does",
        set: Set::Servers,
    },
    Key {
        name: "freebind",
        takes: "true or false",
        default: "false",
        twemproxy: false,
        doc: "listen on an address that this host does not have yet: a virtual IP",
        set: Set::Text(|draft, text| put(&mut draft.freebind, scalar::boolean(text))),
    },
    Key {
        name: "unknown_commands",
        takes: "refuse or forward",
        default: "refuse",
        twemproxy: false,
        doc: "what a command that is not known gets: an error, or the server of its first argument",
        set: Set::Text(|draft, text| {
            put(&mut draft.unknown_commands, scalar::unknown_commands(text))
        }),
    },
    Key {
        name: "on_server_failure",
        takes: "rehash, fail or hold",
        // `rehash` with `auto_eject_hosts: true`.
        default: "fail",
        twemproxy: false,
        doc: "what a request for a failed server gets: another server, an error, or patience; `rehash` with `auto_eject_hosts`, `hold` with `sentinels`",
        set: Set::Text(|draft, text| {
            put(
                &mut draft.on_server_failure,
                scalar::on_server_failure(text).map(Some),
            )
        }),
    },
    Key {
        name: "hold_ms",
        takes: "milliseconds",
        // What the Sentinels need, where there are some.
        default: "800",
        twemproxy: false,
        doc: "with `on_server_failure: hold`, the longest a request is held; with `sentinels` by default their `down-after-milliseconds` and 2500, and 5000 until they are heard",
        set: Set::Text(|draft, text| put(&mut draft.hold_time, scalar::millis(text).map(Some))),
    },
    Key {
        name: "hold_bytes",
        takes: "bytes",
        default: "67108864",
        twemproxy: false,
        doc: "with `on_server_failure: hold`, what a worker holds for one server",
        set: Set::Text(|draft, text| put(&mut draft.hold_bytes, scalar::bytes(text))),
    },
    Key {
        name: "client_output_limit",
        takes: "bytes, at least 1",
        default: "67108864",
        twemproxy: false,
        doc: "how much may wait for a client that does not read its replies",
        set: Set::Text(|draft, text| {
            put(
                &mut draft.client_output_limit,
                scalar::bytes_at_least_one(text),
            )
        }),
    },
    Key {
        name: "client_requests_in_flight",
        takes: "number, at least 1",
        default: "4096",
        twemproxy: false,
        doc: "how many requests of one client may await replies before it is read no further",
        set: Set::Text(|draft, text| {
            put(
                &mut draft.client_requests_in_flight,
                scalar::at_least_one(text),
            )
        }),
    },
    Key {
        name: "server_queue_bytes",
        takes: "bytes, at least 1",
        default: "67108864",
        twemproxy: false,
        doc: "how much may wait for one server connection before its clients are read no further",
        set: Set::Text(|draft, text| {
            put(
                &mut draft.server_queue_bytes,
                scalar::bytes_at_least_one(text),
            )
        }),
    },
    Key {
        name: "client_idle_timeout",
        takes: "milliseconds",
        default: "0",
        twemproxy: false,
        doc: "close a client that asks nothing for this long; 0 is never",
        set: Set::Text(|draft, text| {
            put(&mut draft.client_idle_timeout, scalar::millis_or_none(text))
        }),
    },
    Key {
        name: "connect_timeout",
        takes: "milliseconds, at least 1",
        default: "1000",
        twemproxy: false,
        doc: "how long connecting to a server may take",
        set: Set::Text(|draft, text| {
            put(
                &mut draft.connect_timeout,
                scalar::millis_at_least_one(text),
            )
        }),
    },
    Key {
        name: "resolve_interval",
        takes: "milliseconds",
        default: "30000",
        twemproxy: false,
        doc: "how often a server's host name is resolved again; 0 is only when connecting",
        set: Set::Text(|draft, text| {
            put(&mut draft.resolve_interval, scalar::millis_or_none(text))
        }),
    },
    Key {
        name: "sentinels",
        takes: "list of \"host:port\" or \"host:port:weight [name]\"",
        default: "",
        twemproxy: false,
        doc: "Redis Sentinels that say where each server's master is; its name there is the \
              server's name, the address in `servers` a first guess",
        set: Set::Sentinels,
    },
    Key {
        name: "sentinel_user",
        takes: "a user's name",
        default: "",
        twemproxy: false,
        doc: "the user to log in as at the Sentinels; without it, their default user",
        set: Set::Text(|draft, text| put(&mut draft.sentinel_user, Ok(Some(text.into())))),
    },
    Key {
        name: "sentinel_password",
        takes: "a password",
        default: "",
        twemproxy: false,
        doc: "given to the Sentinels",
        set: Set::Text(|draft, text| {
            put(&mut draft.sentinel_password, Ok(Some(scalar::secret(text))))
        }),
    },
    Key {
        name: "require_sentinel_quorum",
        takes: "true or false",
        default: "false",
        twemproxy: false,
        doc: "refuse writes while no majority of the Sentinels is heard; with three or more",
        set: Set::Text(|draft, text| {
            put(&mut draft.require_sentinel_quorum, scalar::boolean(text))
        }),
    },
    Key {
        name: "read_from",
        takes: "master, prefer-replica or replica",
        default: "master",
        twemproxy: false,
        doc: "who answers commands that only read; replicas need `sentinels:`, which name them, and a client may not see what it has just written",
        set: Set::Text(|draft, text| put(&mut draft.read_from, scalar::read_from(text))),
    },
    Key {
        name: "replica_lag_ms",
        takes: "milliseconds, at least 1",
        default: "1000",
        twemproxy: false,
        doc: "how far a replica may be behind its master and be read, measured four times a second",
        set: Set::Text(|draft, text| {
            put(&mut draft.replica_lag, scalar::millis_at_least_one(text))
        }),
    },
    Key {
        name: "ready_servers",
        takes: "all or a number, at least 1",
        default: "1",
        twemproxy: false,
        doc: "how many servers must be usable for `/ready` to call the pool ready",
        set: Set::Text(|draft, text| put(&mut draft.ready_servers, scalar::ready_servers(text))),
    },
];

fn put<T>(field: &mut T, value: Result<T, ConfigErrorKind>) -> Result<(), ConfigErrorKind> {
    *field = value?;
    Ok(())
}

/// The row of `name`.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The key that whoever wrote `name` most likely meant: at most a third of its letters are wrong.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let lower = name.to_lowercase().replace('-', "_");
    let distance = |key: &Key| strsim::damerau_levenshtein(&lower, key.name);
    let key = KEYS.iter().min_by_key(|key| distance(key))?;
    let close = distance(key) <= (name.chars().count() / 3).max(1);
    close.then_some(key.name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_keyboard_finds_its_key() {
        for (slip, key) in [
            ("hsah", "hash"),
            ("Listen", "listen"),
            ("server-connections", "server_connections"),
            ("auto_eject_host", "auto_eject_hosts"),
            ("time_out", "timeout"),
            ("server", "servers"),
        ] {
            assert_eq!(nearest(slip), Some(key), "{slip}");
        }
        for nothing_like_a_key in ["worker_processes", "x", "", "sentinels_of_pool"] {
            assert_eq!(nearest(nothing_like_a_key), None, "{nothing_like_a_key}");
        }
    }
}
