//! One Sentinel: its two connections, and what it says.
//!
//! Owns: what was last heard of it. Never: compares it with what others say.

use std::time::Duration;

use crate::base::Time;
use crate::config::HostPort;
use crate::sentinel::agreement::Claim;
use crate::sentinel::asking::Asking;
use crate::sentinel::asking::Named;
use crate::sentinel::listening::Listening;
use crate::sentinel::output::LinkId;

/// A Sentinel that another has named is forgotten when it cannot be reached for so long; it is
/// named again when it is back.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// What the log knows of a Sentinel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Unknown,
    Answers,
    Lost,
    Refuses,
}

/// One Sentinel.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) address: HostPort,
    /// It is in the file; others were named by these.
    pub(super) is_configured: bool,
    /// Its own name for itself, once it is known.
    pub(super) id: Option<Vec<u8>>,
    pub(super) asking: Asking,
    pub(super) listening: Listening,
    /// By server: what it said last, or that it knows no such master.
    pub(super) said: Vec<Option<Option<Claim>>>,
    /// By server: the replicas that it names.
    pub(super) replicas: Vec<Vec<Named>>,
    /// How many Sentinels it knows, itself included.
    pub(super) knows: Option<usize>,
    pub(super) standing: Standing,
    /// Whether the log knows that it does not let us listen.
    pub(super) refusal_told: bool,
    /// When it last answered a whole round; `None` while it is not connected.
    heard: Option<Time>,
    unreached_since: Time,
}

/// Which of the two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Asking,
    Listening,
}

impl Peer {
    pub(super) fn new(
        address: HostPort,
        is_configured: bool,
        (servers, wants_replicas): (usize, bool),
        now: Time,
    ) -> Peer {
        Peer {
            address,
            is_configured,
            id: None,
            asking: Asking::new(wants_replicas, now),
            listening: Listening::new(now),
            said: vec![None; servers],
            replicas: vec![Vec::new(); servers],
            knows: None,
            standing: Standing::Unknown,
            refusal_told: false,
            heard: None,
            unreached_since: now,
        }
    }

    /// Which of its connections `link` is.
    pub(super) fn which(&self, link: LinkId) -> Option<Which> {
        if self.asking.line.link() == Some(link) {
            return Some(Which::Asking);
        }
        (self.listening.line.link() == Some(link)).then_some(Which::Listening)
    }

    /// It has answered a whole round.
    pub(super) fn has_answered(&mut self, now: Time) {
        self.heard = Some(now);
        self.asking.line.is_good();
    }

    /// It can be asked no longer.
    pub(super) fn is_lost(&mut self, now: Time) {
        if self.heard.take().is_some() {
            self.unreached_since = now;
        }
    }

    /// Whether its last word is young enough to count.
    pub(super) fn is_heard(&self, within: Duration, now: Time) -> bool {
        self.heard.is_some_and(|heard| heard + within > now)
    }

    /// Until when its last word counts.
    pub(super) fn heard_until(&self, within: Duration) -> Option<Time> {
        self.heard.map(|heard| heard + within)
    }

    /// Whether it may be forgotten.
    pub(super) fn is_gone(&self, now: Time) -> bool {
        !self.is_configured && self.heard.is_none() && self.unreached_since + FORGET_AFTER <= now
    }

    /// When to look at it next.
    pub(super) fn due(&self) -> Option<Time> {
        [self.asking.due(), self.listening.due()]
            .into_iter()
            .flatten()
            .min()
    }
}
