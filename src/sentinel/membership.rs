//! Which Sentinels the proxy connects to, and which of them get the password.
//!
//! Owns: what follows from the roster for the connections. Never: who belongs to the group, which
//! `roster` decides.

use crate::base::Time;
use crate::sentinel::instance::Sentinel;
use crate::sentinel::instance::Which;
use crate::sentinel::other_sentinels::RunId;
use crate::sentinel::output::Fact;
use crate::sentinel::output::Output;
use crate::sentinel::roster::Hearing;
use crate::sentinel::watcher::Watcher;

/// Two connections each; nobody runs more than seven Sentinels.
const PEERS_MAX: usize = 48;

impl Watcher {
    /// Who belongs to the group may have changed.
    pub(super) fn call_the_roll(&mut self, now: Time) {
        let hearing = self.hearing(now);
        let strangers = self.roster.strangers(&self.sentinels, hearing);
        for place in 0..self.sentinels.len() {
            let sentinel = &mut self.sentinels[place];
            let heard = sentinel.is_heard(hearing.within, now);
            if heard && sentinel.looks_foreign(strangers.contains(&place), now) {
                let address = sentinel.address.clone();
                self.tell(Fact::Foreign { address });
            }
        }
        self.roster.update(&self.sentinels, hearing);
        self.reconcile(now);
    }

    /// A Sentinel has said who it is.
    pub(super) fn identified(&mut self, place: usize, id: Option<RunId>, now: Time) {
        let sentinel = &mut self.sentinels[place];
        let before = sentinel.identified(id);
        if let (true, Some(before), Some(id)) = (sentinel.is_configured, before, sentinel.id()) {
            self.roster.succeed(&before, id);
        }
        if !self.sentinels[place].has_expected_id() {
            let why = "it is not the one that the other sentinels name";
            self.lose(place, Which::Query, why, true, now);
            return;
        }
        self.see_to(place, now);
    }

    // The others have only named it, perhaps because somebody has told them to: it gets a password
    // only if it asks for one, in `words`.
    pub(super) fn log_in(&mut self, place: usize, words: &str, now: Time) {
        let sentinel = &mut self.sentinels[place];
        sentinel.wants_password = true;
        match (&self.auth, sentinel.query.connection.link()) {
            (Some(auth), Some(link)) => {
                let bytes = sentinel.query.log_in(auth, now);
                self.outputs.push_back(Output::Send { link, bytes });
            }
            _ => self.lose(place, Which::Query, words, true, now),
        }
    }

    pub(super) fn hearing(&self, now: Time) -> Hearing {
        let within = self.heard_within();
        Hearing { within, now }
    }

    /// Connects to those members of the group that are not heard where most say that they are, and
    /// leaves those that are members no longer, or are heard at an address of the file.
    pub(super) fn reconcile(&mut self, now: Time) {
        let hearing = self.hearing(now);
        let missing = self.roster.missing(&self.sentinels, hearing);
        let listed = self
            .sentinels
            .iter()
            .filter(|sentinel| sentinel.is_configured);
        let heard = listed.filter(|sentinel| sentinel.is_heard(hearing.within, now));
        let heard: Vec<RunId> = heard
            .filter_map(|sentinel| sentinel.id().cloned())
            .collect();
        for place in (0..self.sentinels.len()).rev() {
            let sentinel = &self.sentinels[place];
            let id = sentinel.expected_id.as_ref();
            let elsewhere = missing.iter().find(|(missed, _)| Some(missed) == id);
            let has_left = elsewhere.is_some_and(|(_, address)| *address != sentinel.address);
            let is_twin = id.is_some_and(|id| heard.contains(id));
            let is_over = !self.roster.knows(id) || has_left || is_twin;
            if !sentinel.is_configured && is_over {
                self.close(place, Which::Query);
                self.close(place, Which::Subscription);
                self.sentinels.remove(place);
            }
        }
        self.misses_one = !missing.is_empty();
        for (id, address) in missing {
            let mut there = self
                .sentinels
                .iter_mut()
                .filter(|sentinel| sentinel.address == address);
            if let Some(sentinel) = there.next() {
                if sentinel.is_configured {
                    sentinel.expected_id = Some(id);
                }
            } else if self.sentinels.len() < PEERS_MAX {
                let reads_replicas = self
                    .servers
                    .iter()
                    .any(|watched| watched.replicas.is_some());
                let each = (self.servers.len(), reads_replicas);
                let mut sentinel = Sentinel::new(address, false, each, now);
                sentinel.expected_id = Some(id);
                self.sentinels.push(sentinel);
                self.see_to(self.sentinels.len() - 1, now);
            }
        }
    }
}
