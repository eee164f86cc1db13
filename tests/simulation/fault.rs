//! Faults that touch a server, for how long, and which error replies each of them explains.

use std::time::Duration;

use coremux::base::Time;

use crate::tally::Happening;

/// A server was touched by a fault.
#[derive(Debug)]
pub struct Touch {
    pub pool: usize,
    pub server: usize,
    pub fault: Happening,
    pub from: Time,
    /// `None` while it lasts.
    pub until: Option<Time>,
}

impl Touch {
    pub fn overlaps(&self, from: Time, to: Time) -> bool {
        self.from <= to && self.until.is_none_or(|until| until + REMEMBERED >= from)
    }

    /// Whether the rest of a reply may be lost, or late, because of the fault.
    pub fn breaks_replies(&self) -> bool {
        [CLOSED, TIMED_OUT]
            .iter()
            .any(|text| texts(self.fault).contains(text))
    }

    /// Whether a client may be told this because of the fault.
    pub fn explains(&self, reply: &[u8]) -> bool {
        let Some(text) = reply
            .strip_prefix(b"-")
            .and_then(|text| text.strip_suffix(b"\r\n"))
        else {
            return false;
        };
        let text = text.strip_suffix(OUTCOME_UNKNOWN).unwrap_or(text);
        if text == TOO_MANY_HELD {
            return true;
        }
        let held = text
            .strip_prefix(HELD)
            .map(|cause| [b"ERR ", cause].concat());
        let text = held.as_deref().unwrap_or(text);
        texts(self.fault)
            .iter()
            .any(|known| match known.strip_suffix(b"*") {
                Some(beginning) => text.starts_with(beginning),
                None => text == *known,
            })
    }
}

/// A failed attempt to connect speaks for the server until the next one has its end: a wait, and
/// the longest connect_timeout, which is the default one.
pub const REMEMBERED: Duration = Duration::from_millis(1100);

/// Behind an error: the request may have been executed.
pub const OUTCOME_UNKNOWN: &[u8] = b"; the outcome is unknown";
/// Before the cause: the request has waited as long as it might.
pub const HELD: &[u8] = b"ERR Server unavailable: ";

const TOO_MANY_HELD: &[u8] = b"ERR Server unavailable: too many requests wait for it";

const REFUSED: &[u8] = b"ERR Connection refused";
const TIMED_OUT: &[u8] = b"ERR Connection timed out";
const CLOSED: &[u8] = b"ERR Server closed the connection";
const RESET: &[u8] = b"ERR Connection reset by peer";
const BROKEN_PIPE: &[u8] = b"ERR Broken pipe";
pub const WRONG_PASSWORD: &[u8] = b"WRONGPASS invalid username-password pair or user is disabled.";
pub const NO_SUCH_DATABASE: &[u8] = b"ERR DB index is out of range";

const NO_ROUTE: &[u8] = b"ERR No route to host";
const NO_DESCRIPTOR: &[u8] = b"ERR Too many open files";
const BAD_REPLY: &[u8] = b"ERR Server sent a bad reply: *";
const BAD_PART: &[u8] = b"ERR Server gave an unexpected reply to a part of the request";
const NO_NAME: &[u8] = b"ERR Host is down";

/// The error replies that a fault may cause; `*` stands for anything.
fn texts(fault: Happening) -> &'static [&'static [u8]] {
    match fault {
        Happening::ConnectRefused => &[REFUSED],
        Happening::ConnectUnreachable => &[NO_ROUTE],
        Happening::ConnectFailsAtOnce => &[NO_DESCRIPTOR],
        Happening::ConnectSilent
        | Happening::Stalled
        | Happening::SlowReplies
        | Happening::SlowReads
        | Happening::NameSlow
        | Happening::WireFrozen => &[TIMED_OUT],
        Happening::Killed
        | Happening::Reset
        | Happening::ClosedMidReply
        | Happening::ClosedBeforeReply
        | Happening::ClosedIdle => &[CLOSED, RESET, BROKEN_PIPE],
        Happening::Moved => &[CLOSED, RESET, BROKEN_PIPE, REFUSED, TIMED_OUT],
        Happening::Garbage => &[BAD_REPLY],
        Happening::BadFragment => &[BAD_PART],
        Happening::AuthRefused => &[WRONG_PASSWORD],
        Happening::SelectRefused => &[NO_SUCH_DATABASE],
        Happening::NameUnknown => &[NO_NAME, TIMED_OUT],
        // A reply that nobody asked for fails no request, a transient error is the server's own
        // reply, and clients' doings touch no server.
        _ => &[],
    }
}
