//! One Sentinel: its two connections, and what it says.
//!
//! Owns: what was last heard of it. Never: compares it with what others say.

use std::time::Duration;

use crate::base::Time;
use crate::config::HostPort;
use crate::sentinel::agreement::Claim;
use crate::sentinel::other_sentinels::OtherSentinels;
use crate::sentinel::other_sentinels::RunId;
use crate::sentinel::output::LinkId;
use crate::sentinel::query::Named;
use crate::sentinel::query::Query;
use crate::sentinel::roster;
use crate::sentinel::subscription::Subscription;

/// What the log knows of a Sentinel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reachability {
    Unknown,
    Answers,
    Lost,
    Refuses,
}

/// One Sentinel.
#[derive(Debug)]
pub(super) struct Sentinel {
    pub(super) address: HostPort,
    /// It is in the file; others were named by these.
    pub(super) is_configured: bool,
    /// Its run id, as it reports it itself.
    own_id: Option<RunId>,
    /// The run id that most of the Sentinels expect at this address.
    pub(super) expected_id: Option<RunId>,
    /// Since it is connected, it has reported its run id, or is too old to have one.
    pub(super) is_identified: bool,
    pub(super) query: Query,
    pub(super) subscription: Subscription,
    /// By server: its latest claim, or that it knows no such master.
    pub(super) claims: Vec<Option<Option<Claim>>>,
    /// By server: the replicas that it names.
    pub(super) replicas: Vec<Vec<Named>>,
    /// By server: after what silence it takes the master for dead.
    pub(super) down_after: Vec<Option<Duration>>,
    /// The other Sentinels that it names.
    pub(super) others: OtherSentinels,
    /// Whether it wants the password; one that is in the file gets it unasked.
    pub(super) wants_password: bool,
    pub(super) reachability: Reachability,
    /// Whether the log knows that it does not let us listen.
    pub(super) refusal_told: bool,
    /// When it last answered a whole round; `None` while it is not connected.
    heard: Option<Time>,
    /// Since when it looks like one of another installation.
    foreign_since: Option<Time>,
    is_foreign: bool,
    foreign_told: bool,
}

/// Which of the two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Query,
    Subscription,
}

impl Sentinel {
    pub(super) fn new(
        address: HostPort,
        is_configured: bool,
        (servers, wants_replicas): (usize, bool),
        now: Time,
    ) -> Sentinel {
        Sentinel {
            address,
            is_configured,
            own_id: None,
            expected_id: None,
            is_identified: false,
            query: Query::new(servers, wants_replicas, now),
            subscription: Subscription::new(now),
            claims: vec![None; servers],
            replicas: vec![Vec::new(); servers],
            down_after: vec![None; servers],
            others: OtherSentinels::new(servers),
            wants_password: is_configured,
            reachability: Reachability::Unknown,
            refusal_told: false,
            heard: None,
            foreign_since: None,
            is_foreign: false,
            foreign_told: false,
        }
    }

    /// Who it is: by its own word, or, while it has not said, by that of most others.
    pub(super) fn id(&self) -> Option<&RunId> {
        self.own_id.as_ref().or(self.expected_id.as_ref())
    }

    /// It has said who it is; who it was before, if that was another.
    pub(super) fn identified(&mut self, id: Option<RunId>) -> Option<RunId> {
        self.is_identified = true;
        let before = std::mem::replace(&mut self.own_id, id);
        before.filter(|before| Some(before) != self.own_id.as_ref())
    }

    /// Whether it is who the others have said that it is; one of the file may be anybody.
    pub(super) fn has_expected_id(&self) -> bool {
        self.is_configured || self.own_id.is_none() || self.own_id == self.expected_id
    }

    /// Whether to connect for its events: not before it is known to be one of the group.
    pub(super) fn may_subscribe(&self) -> bool {
        self.is_configured || self.is_identified
    }

    /// Whether it is one of another installation.
    pub(super) fn is_foreign(&self) -> bool {
        self.is_foreign
    }

    /// It looks like one of another installation, or not; whether that is certain for the first time.
    pub(super) fn looks_foreign(&mut self, foreign: bool, now: Time) -> bool {
        if !foreign {
            (self.foreign_since, self.is_foreign) = (None, false);
            return false;
        }
        let since = *self.foreign_since.get_or_insert(now);
        self.is_foreign = roster::foreign_from(since) <= now;
        self.is_foreign && !std::mem::replace(&mut self.foreign_told, true)
    }

    /// Which of its connections `link` is.
    pub(super) fn which(&self, link: LinkId) -> Option<Which> {
        if self.query.connection.link() == Some(link) {
            return Some(Which::Query);
        }
        (self.subscription.connection.link() == Some(link)).then_some(Which::Subscription)
    }

    /// It has answered a whole round.
    pub(super) fn has_answered(&mut self, now: Time) {
        self.heard = Some(now);
        self.query.connection.is_good();
    }

    /// It can be asked no longer.
    pub(super) fn is_lost(&mut self) {
        self.heard = None;
        self.is_identified = false;
    }

    /// Whether its last word is young enough to count.
    pub(super) fn is_heard(&self, within: Duration, now: Time) -> bool {
        self.heard.is_some_and(|heard| heard + within > now)
    }

    /// Until when its last word counts.
    pub(super) fn heard_until(&self, within: Duration) -> Option<Time> {
        self.heard.map(|heard| heard + within)
    }

    /// When to look at it next.
    pub(super) fn due(&self) -> Option<Time> {
        let subscription = self.may_subscribe() || self.subscription.connection.link().is_some();
        let subscription = self.subscription.due().filter(|_| subscription);
        [self.query.due(), subscription].into_iter().flatten().min()
    }
}
