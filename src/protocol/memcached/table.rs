//! Every command of memcached's protocol (memcached: doc/protocol.txt), and what becomes of it.

use crate::protocol::Expect;
use crate::protocol::Request;
use crate::protocol::command::Access;
use crate::protocol::command::Args;
use crate::protocol::command::Command;
use crate::protocol::command::CommandError;
use crate::protocol::command::Gather;
use crate::protocol::command::Handling;
use crate::protocol::command::Local;
use crate::protocol::command::Refusal;
use crate::protocol::memcached::fault::Fault;
use crate::protocol::memcached::meta;
use crate::protocol::memcached::reply::Form;
use crate::protocol::memcached::reply::tag_of;
use crate::protocol::memcached::request_assembly::FAULTY;
use crate::protocol::memcached::request_assembly::QUIET;

/// A command, and what is told of it.
#[derive(Debug)]
pub struct Row {
    /// What the data plane reads.
    pub command: Command,
    /// How it is written.
    pub shape: &'static str,
    form: Form,
}

const READ: Access = Access::Read;
const WRITE: Access = Access::Write;
const GATHER: Handling = Handling::Split(Gather::Concat);
const FORWARD: Handling = Handling::Forward;
const REFUSE: Handling = Handling::Refuse(Refusal::Administration);

const fn row(
    (name, shape): (&'static str, &'static str),
    access: Access,
    (keys, form): (Keyed, Form),
    handling: Handling,
    summary: &'static str,
) -> Row {
    let keys = match keys {
        Keyed::No => None,
        Keyed::One => Some((1, 0)),
        Keyed::Many(first) => Some((first, -1)),
    };
    Row {
        command: Command::of_words(name, access, keys, handling, summary),
        shape,
        form,
    }
}

/// Refused unless the pool's configuration allows it.
const fn on_leave(row: Row) -> Row {
    Row {
        command: row.command.on_leave(),
        ..row
    }
}

/// Where a command's keys are.
#[derive(Clone, Copy)]
enum Keyed {
    No,
    One,
    Many(u8),
}

use Keyed::Many;
use Keyed::No;
use Keyed::One;

/// Laid out by hand: a row takes as few lines as it can.
#[rustfmt::skip]
static ROWS: [Row; 37] = [
    row(("get", "get key…"), READ, (Many(1), Form::Values), GATHER,
        "Each server gets the keys that live there; values come in the order of the keys, with one `END`."),
    row(("gets", "gets key…"), READ, (Many(1), Form::ValuesCas), GATHER, "As `get`."),
    row(("set", "set key flags exptime bytes [noreply]"), WRITE, (One, Form::Stored), FORWARD,
        "To the server of its key."),
    row(("add", "add key flags exptime bytes [noreply]"), WRITE, (One, Form::Stored), FORWARD, "As `set`."),
    row(("replace", "replace key flags exptime bytes [noreply]"), WRITE, (One, Form::Stored), FORWARD, "As `set`."),
    row(("append", "append key flags exptime bytes [noreply]"), WRITE, (One, Form::Stored), FORWARD, "As `set`."),
    row(("prepend", "prepend key flags exptime bytes [noreply]"), WRITE, (One, Form::Stored), FORWARD, "As `set`."),
    row(("cas", "cas key flags exptime bytes version [noreply]"), WRITE, (One, Form::Stored), FORWARD, "As `set`."),
    row(("delete", "delete key [0] [noreply]"), WRITE, (One, Form::Deleted), FORWARD, "To the server of its key."),
    row(("incr", "incr key value [noreply]"), WRITE, (One, Form::Number), FORWARD, "To the server of its key."),
    row(("decr", "decr key value [noreply]"), WRITE, (One, Form::Number), FORWARD, "As `incr`."),
    row(("touch", "touch key exptime [noreply]"), WRITE, (One, Form::Touched), FORWARD, "To the server of its key."),
    row(("gat", "gat exptime key…"), WRITE, (Many(2), Form::Values), GATHER,
        "As `get`; it is not sent a second time, because it changes when a value expires."),
    row(("gats", "gats exptime key…"), WRITE, (Many(2), Form::ValuesCas), GATHER, "As `gat`."),
    row(("mg", "mg key flag…"), READ, (One, Form::MetaGet), FORWARD,
        "To the server of its key, which is decoded first if it is base64. What `q` leaves unsaid, the proxy does not pass on."),
    row(("mg", "mg key flag…, with `E`, `N`, `R` or `T`"), WRITE, (One, Form::MetaGet), FORWARD,
        "The same; it is not sent a second time, because it changes something."),
    row(("ms", "ms key bytes flag…"), WRITE, (One, Form::MetaStored), FORWARD, "As `mg`."),
    row(("md", "md key flag…"), WRITE, (One, Form::MetaDeleted), FORWARD, "As `mg`."),
    row(("ma", "ma key flag…"), WRITE, (One, Form::MetaCounted), FORWARD, "As `mg`."),
    row(("me", "me key [b]"), READ, (One, Form::MetaDebug), FORWARD, "To the server of its key."),
    row(("mn", "mn"), Access::Unstated, (No, Form::Line), Handling::Local(Local::Ping),
        "Its `MN` comes behind the replies to all that was asked before, of whatever servers."),
    row(("version", "version"), READ, (No, Form::Version), Handling::ForwardAnywhere,
        "As in twemproxy, to the server of the key `placeholder`."),
    row(("quit", "quit"), Access::Unstated, (No, Form::Line), Handling::Local(Local::Quit),
        "Closes behind the replies that are due."),
    row(("verbosity", "verbosity level [noreply]"), Access::Unstated, (No, Form::Done), Handling::AskAll(Gather::AllOk),
        "To every server."),
    on_leave(row(("flush_all", "flush_all [delay] [noreply]"), WRITE, (No, Form::Done), Handling::AskAll(Gather::AllOk),
        "To every server, if the pool has `allow: [flush_all]`; refused else.")),
    row(("stats", "stats"), READ, (No, Form::Stats), Handling::AskAll(Gather::Chain),
        "Of every server: `STAT server:name value`; of one that fails `STAT server:error text`."),
    row(("stats", "stats what"), READ, (No, Form::Line), Handling::Refuse(Refusal::EachItsOwn),
        "It makes sense of one server only (`coremux ctl stats POOL SERVER what`), or (`reset`, `detail`) changes it."),
    row(("shutdown", "shutdown [graceful]"), Access::Unstated, (No, Form::Line), REFUSE, "Servers are to be administered directly."),
    row(("cache_memlimit", "cache_memlimit megabytes"), Access::Unstated, (No, Form::Line), REFUSE, "As `shutdown`."),
    row(("lru", "lru …"), Access::Unstated, (No, Form::Line), REFUSE, "As `shutdown`."),
    row(("lru_crawler", "lru_crawler …"), Access::Unstated, (No, Form::Line), REFUSE, "As `shutdown`."),
    row(("slabs", "slabs …"), Access::Unstated, (No, Form::Line), REFUSE, "As `shutdown`."),
    row(("watch", "watch …"), Access::Unstated, (No, Form::Line), REFUSE, "As `shutdown`."),
    row(("extstore", "extstore …"), Access::Unstated, (No, Form::Line), REFUSE, "As `shutdown`."),
    row(("refresh_certs", "refresh_certs"), Access::Unstated, (No, Form::Line), REFUSE, "As `shutdown`."),
    row(("debugtime", "debugtime …"), Access::Unstated, (No, Form::Line), REFUSE, "As `shutdown`."),
    row(("misbehave", "misbehave"), Access::Unstated, (No, Form::Line), REFUSE, "As `shutdown`."),
];

/// Every command, in the order of the documentation.
#[must_use]
pub fn rows() -> &'static [Row] {
    &ROWS
}

/// The row of this name.
#[must_use]
pub fn lookup(name: &[u8]) -> Option<&'static Command> {
    let mut rows = ROWS.iter();
    rows.find(|row| row.command.name.as_bytes() == name)
        .map(|row| &row.command)
}

/// The words of the line in `head`, how a request begins; the last one may be cut.
#[must_use]
pub fn leading_args(head: &[u8]) -> Vec<&[u8]> {
    let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).next();
    let words = line.unwrap_or_default().split(|byte| *byte == b' ');
    words.filter(|word| !word.is_empty()).collect()
}

/// Whether a line of this command has no key in it.
pub(super) fn is_keyless(name: &[u8]) -> bool {
    let command = lookup(name);
    command.is_none_or(|command| command.keys.is_none())
}

/// The row of a request.
///
/// # Errors
/// There is none, or the request is faulty.
#[inline]
pub fn resolve(request: &Request<'_>) -> Result<&'static Command, CommandError> {
    let first = request.args[0];
    if first.body == FAULTY {
        let fault = Fault::numbered(first.start).unwrap_or(Fault::Command);
        return Err(CommandError::Broken(fault.line()));
    }
    let name = request.arg(0);
    // Of `mg` and `stats` there are two.
    let is_second = match name {
        b"mg" => (2..request.len()).any(|index| meta::changes(request.arg(index))),
        b"stats" => request.len() > 1,
        _ => false,
    };
    let rows = ROWS.iter();
    let mut rows = rows.filter(|row| row.command.name.as_bytes() == name);
    let row = rows.nth(usize::from(is_second));
    row.map(|row| &row.command)
        .ok_or(CommandError::Broken(Fault::Command.line()))
}

/// Whether its client wants to hear nothing of a request, or not everything.
pub(super) fn is_quiet(request: &Request<'_>) -> bool {
    request.args.last().is_some_and(|last| last.body == QUIET)
}

/// What comes for a request.
#[inline]
#[must_use]
pub fn expect(command: &Command, request: &Request<'_>) -> Expect {
    let mut rows = ROWS.iter();
    let row = rows.find(|row| std::ptr::eq(&row.command, command));
    let form = row.map_or(Form::Line, |row| row.form);
    let manner = match is_quiet(request) {
        false => Expect::ONE,
        true if form.is_meta() => Expect::MAYBE,
        true => Expect::UNHEARD,
    };
    let first = match form {
        Form::Values | Form::ValuesCas => usize::from(command.name.starts_with("gat")) + 1,
        _ => return manner.of_form(form as u8, 0),
    };
    match request.len() - first {
        1 => manner.of_form(form.of_one() as u8, tag_of(request.arg(first))),
        keys => Expect::PART.of_form(form as u8, u16::try_from(keys).unwrap_or(u16::MAX)),
    }
}

/// Whether it is a meta command, which an older server takes for an error, and the data behind it for
/// commands.
#[must_use]
pub fn is_newer(expect: Expect) -> bool {
    let form = Form::of(expect);
    form.is_meta() || form == Form::MetaDebug
}

/// Whether a client gets this reply that begins so, though it has asked for quiet.
#[must_use]
pub fn passes(expect: Expect, reply: &[u8]) -> bool {
    let left_unsaid: &[&[u8]] = match Form::of(expect) {
        Form::MetaGet => &[b"EN"],
        Form::MetaStored | Form::MetaDeleted => &[b"HD"],
        Form::MetaCounted => &[b"HD", b"VA"],
        _ => return !expect.is_unheard(),
    };
    !left_unsaid.iter().any(|code| reply.starts_with(code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::memcached::cut_request;

    #[test]
    fn the_first_words_of_a_request_are_those_of_its_line_and_none_of_its_value() {
        let words: [&[u8]; 5] = [b"set", b"key", b"0", b"0", b"5"];
        assert_eq!(leading_args(b"set key 0 0 5\r\nvalue\r\n"), words);
        assert_eq!(leading_args(b"get ke"), [&b"get"[..], b"ke"]);
        assert!(leading_args(b"").is_empty());
    }

    fn resolved(line: &str) -> (&'static Command, Expect) {
        let frame = [line.as_bytes(), b"\r\n"].concat();
        let mut args = Vec::new();
        let cut = cut_request(&frame, &mut args).unwrap();
        assert_eq!(cut, Some(frame.len()), "{line}");
        let request = Request::whole(&frame, &args);
        let command = resolve(&request).unwrap();
        (command, expect(command, &request))
    }

    #[test]
    fn a_read_is_sent_again_unless_its_flags_change_something() {
        for line in [
            "get a",
            "gets a b",
            "mg a v t s h l c k Oq",
            "me a",
            "version",
        ] {
            assert!(resolved(line).0.safe_to_retry(), "{line}");
        }
        for line in [
            "mg a N30 v",
            "mg a v R30",
            "mg a T0",
            "mg a E5",
            "gat 0 a",
            "touch a 1",
        ] {
            assert!(!resolved(line).0.safe_to_retry(), "{line}");
        }
    }

    #[test]
    fn what_is_expected_depends_on_the_command_and_its_keys() {
        let form = |line| Form::of(resolved(line).1);
        assert_eq!(form("get a"), Form::Value);
        assert_eq!(form("gat 1 a"), Form::Value);
        assert_eq!(form("gats 1 a b"), Form::ValuesCas);
        assert_eq!(form("mg a v"), Form::MetaGet);
        assert_eq!(form("incr a 1"), Form::Number);
        let (one, other) = (resolved("get a").1, resolved("get b").1);
        assert_ne!(one, other);
        assert!(resolved("get a b").1.is_of_part() && !one.is_of_part());
    }

    #[test]
    fn the_meta_commands_that_are_forwarded_are_newer_and_no_others() {
        for line in [
            "mg a",
            "mg a T0",
            "ms a 0\r\n",
            "ms a 0 F1\r\n",
            "md a",
            "ma a N0",
            "me a",
        ] {
            assert!(is_newer(resolved(line).1), "{line}");
        }
        for line in [
            "get a",
            "get a b",
            "set a 0 0 0\r\n",
            "delete a",
            "gat 0 a",
            "version",
        ] {
            assert!(!is_newer(resolved(line).1), "{line}");
        }
    }

    #[test]
    fn every_row_is_told_of() {
        for row in rows() {
            assert!(row.shape.starts_with(row.command.name), "{}", row.shape);
            assert!(row.command.about.summary.ends_with('.'), "{}", row.shape);
        }
    }
}
