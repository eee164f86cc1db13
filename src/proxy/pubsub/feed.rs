//! What one server connection listens to, for whom, and what its server has yet to confirm.
//!
//! ```text
//!   join ──► asked, if it is the first ──► confirmed ──► who waits is told
//!   leave ─► asked, if it was the last ──► confirmed ──► who waits is told, and the topic is gone
//!   lost ──► nothing is asked ──► live ──► all is asked anew
//! ```
//!
//! Each topic is asked for by a request of its own, so that a refusal is about one. Owns: this table.
//! Never: a connection, a client.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;

use crate::base::Key;
use crate::base::Time;
use crate::proxy::pubsub::subscriptions::Topic;

/// What one server connection listens to.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Feed {
    topics: BTreeMap<Topic, Entry>,
    // What the server is to confirm, in order: whether it begins, and of which topic.
    expected: VecDeque<(bool, Topic)>,
    is_live: bool,
    /// It has lost a connection, and is not on another.
    pub(in crate::proxy) is_lost: bool,
    /// Since when the server has not answered whether it lives.
    pub(in crate::proxy) pinged: Option<Time>,
    /// Since when nobody listens; of one that is shared.
    pub(in crate::proxy) idle_since: Option<Time>,
}

/// One topic.
#[derive(Debug, Default)]
struct Entry {
    listeners: BTreeSet<Key>,
    // Clients that are told when all that is asked is confirmed: listeners that were not before, and
    // others that were and are not any more.
    waiting: BTreeSet<Key>,
    // So many confirmations are to come.
    asked: u32,
}

/// What follows when a client joins or leaves a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) struct Change {
    /// The server is to be asked.
    pub(in crate::proxy) asks: bool,
    /// The client is told when it is done.
    pub(in crate::proxy) waits: bool,
}

/// A server has refused.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::proxy) struct Refused {
    pub(in crate::proxy) topic: Topic,
    /// Who has just asked for it.
    pub(in crate::proxy) waiting: Vec<Key>,
    /// Who has listened to it before.
    pub(in crate::proxy) listeners: Vec<Key>,
}

impl Feed {
    /// Whether its server listens to nothing for anybody, and has nothing to confirm.
    pub(in crate::proxy) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// Whether the server has something to say.
    pub(in crate::proxy) fn awaits(&self) -> bool {
        !self.expected.is_empty()
    }

    /// How many topics it listens to.
    pub(in crate::proxy) fn len(&self) -> usize {
        self.topics.len()
    }

    /// A client listens; whether it has to be told when that is so.
    pub(in crate::proxy) fn join(&mut self, topic: &Topic, client: Key, tells: bool) -> Change {
        let entry = self.topics.entry(topic.clone()).or_default();
        let asks = self.is_live && entry.listeners.is_empty();
        entry.listeners.insert(client);
        if asks {
            entry.asked += 1;
            self.expected.push_back((true, topic.clone()));
        }
        let waits = tells && (!self.is_live || entry.asked > 0);
        if waits {
            entry.waiting.insert(client);
        }
        Change { asks, waits }
    }

    /// It listens no longer.
    pub(in crate::proxy) fn leave(&mut self, topic: &Topic, client: Key, tells: bool) -> Change {
        let nothing = Change {
            asks: false,
            waits: false,
        };
        let Some(entry) = self.topics.get_mut(topic) else {
            return nothing;
        };
        entry.waiting.remove(&client);
        if !entry.listeners.remove(&client) || !entry.listeners.is_empty() {
            return nothing;
        }
        if !self.is_live {
            self.topics.remove(topic);
            return nothing;
        }
        entry.asked += 1;
        if tells {
            entry.waiting.insert(client);
        }
        self.expected.push_back((false, topic.clone()));
        Change {
            asks: true,
            waits: tells,
        }
    }

    /// Whether a client listens to a topic here.
    pub(in crate::proxy) fn has(&self, topic: &Topic, client: Key) -> bool {
        let entry = self.topics.get(topic);
        entry.is_some_and(|entry| entry.listeners.contains(&client))
    }

    /// Whether it waits for a topic.
    pub(in crate::proxy) fn is_awaited(&self, topic: &Topic, client: Key) -> bool {
        let entry = self.topics.get(topic);
        entry.is_some_and(|entry| entry.waiting.contains(&client))
    }

    /// Requests can be sent: all topics, to be asked for.
    pub(in crate::proxy) fn live(&mut self) -> Vec<Topic> {
        debug_assert!(!self.is_live && self.expected.is_empty(), "it begins once");
        self.is_live = true;
        let topics: Vec<Topic> = self.topics.keys().cloned().collect();
        for topic in &topics {
            if let Some(entry) = self.topics.get_mut(topic) {
                entry.asked = 1;
            }
            self.expected.push_back((true, topic.clone()));
        }
        topics
    }

    /// The connection is gone. Who has waited to listen to something no longer does not: these.
    pub(in crate::proxy) fn lose(&mut self) -> Vec<Key> {
        self.is_lost |= self.is_live;
        self.is_live = false;
        self.pinged = None;
        self.expected.clear();
        let mut free = Vec::new();
        self.topics.retain(|_, entry| {
            let gone = entry.waiting.difference(&entry.listeners);
            free.extend(gone.copied());
            entry
                .waiting
                .retain(|client| entry.listeners.contains(client));
            entry.asked = 0;
            !entry.listeners.is_empty()
        });
        free
    }

    /// The server confirms what it says here: who is to be told. `None` if nothing of it was asked.
    pub(in crate::proxy) fn confirmed(&mut self, begins: bool, topic: &Topic) -> Option<Vec<Key>> {
        let (expected, of) = self.expected.front()?;
        if *expected != begins || of != topic {
            return None;
        }
        self.expected.pop_front();
        Some(self.answered(topic))
    }

    /// The next thing that was asked is answered: who has waited for that.
    fn answered(&mut self, topic: &Topic) -> Vec<Key> {
        let Some(entry) = self.topics.get_mut(topic) else {
            return Vec::new();
        };
        entry.asked = entry.asked.saturating_sub(1);
        if entry.asked > 0 {
            return Vec::new();
        }
        let told = std::mem::take(&mut entry.waiting);
        if entry.listeners.is_empty() {
            self.topics.remove(topic);
        }
        told.into_iter().collect()
    }

    /// The server refuses the next thing that was asked; `None` if nothing was, or if that was to end:
    /// then nobody knows any more what it listens to.
    pub(in crate::proxy) fn refused(&mut self) -> Option<Refused> {
        let (begins, topic) = self.expected.pop_front()?;
        if !begins {
            return None;
        }
        let entry = self.topics.get_mut(&topic)?;
        if entry.asked > 1 {
            // It was asked for once more since: that answer counts.
            entry.asked -= 1;
            return Some(Refused {
                topic,
                waiting: Vec::new(),
                listeners: Vec::new(),
            });
        }
        let (waiting, listeners): (Vec<Key>, Vec<Key>) = entry
            .listeners
            .iter()
            .partition(|client| entry.waiting.contains(*client));
        // Who waits to have left has.
        let left = entry.waiting.difference(&entry.listeners);
        let waiting = waiting.into_iter().chain(left.copied()).collect();
        self.topics.remove(&topic);
        Some(Refused {
            topic,
            waiting,
            listeners,
        })
    }

    /// Who gets a message of a topic: who listens, but for those whom the server has not confirmed that,
    /// and who waits to listen no longer.
    pub(in crate::proxy) fn hear(&self, topic: &Topic, into: &mut Vec<Key>) {
        if let Some(entry) = self.topics.get(topic) {
            match entry.waiting.is_empty() {
                true => into.extend(&entry.listeners),
                false => into.extend(entry.listeners.symmetric_difference(&entry.waiting)),
            }
        }
    }

    /// A client waits no longer for what servers have yet to confirm.
    pub(in crate::proxy) fn forget(&mut self, client: Key) {
        for entry in self.topics.values_mut() {
            entry.waiting.remove(&client);
        }
    }

    /// Who waits for something to begin here.
    pub(in crate::proxy) fn beginners(&self) -> BTreeSet<Key> {
        let entries = self.topics.values();
        let waiting = entries.flat_map(|it| it.waiting.intersection(&it.listeners));
        waiting.copied().collect()
    }

    /// Everybody who listens, and to what.
    #[cfg(debug_assertions)]
    pub(in crate::proxy) fn listeners(&self) -> impl Iterator<Item = (&Topic, Key)> {
        let entries = self.topics.iter();
        entries.flat_map(|(topic, it)| it.listeners.iter().map(move |client| (topic, *client)))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::protocol::TopicKind;

    fn client(index: u32) -> Key {
        Key {
            index,
            generation: 0,
        }
    }

    fn topic(kind: TopicKind, name: &'static [u8]) -> Topic {
        (kind, Bytes::from_static(name))
    }

    fn news() -> Topic {
        topic(TopicKind::Channel, b"news")
    }

    fn change(asks: bool, waits: bool) -> Change {
        Change { asks, waits }
    }

    fn hear(feed: &Feed) -> Vec<Key> {
        let mut heard = Vec::new();
        feed.hear(&news(), &mut heard);
        heard
    }

    fn live() -> Feed {
        let mut feed = Feed::default();
        assert!(feed.live().is_empty());
        feed
    }

    #[test]
    fn a_server_is_asked_by_the_first_and_by_the_last_and_all_wait_for_its_word() {
        let mut feed = live();
        let [a, b, c] = [1, 2, 3].map(client);
        assert_eq!(feed.join(&news(), a, true), change(true, true));
        // Asked already, and not confirmed: a late one waits as well.
        assert_eq!(feed.join(&news(), b, true), change(false, true));
        assert!(
            hear(&feed).is_empty(),
            "not before its server has confirmed"
        );
        assert_eq!(feed.confirmed(true, &news()), Some(vec![a, b]));
        assert_eq!(feed.join(&news(), c, true), change(false, false));
        assert_eq!(hear(&feed), [a, b, c]);
        assert_eq!(feed.leave(&news(), a, true), change(false, false));
        assert_eq!(feed.leave(&news(), c, false), change(false, false));
        assert_eq!(feed.leave(&news(), b, true), change(true, true));
        assert_eq!(hear(&feed), [b], "until its server has confirmed");
        assert_eq!(feed.confirmed(false, &news()), Some(vec![b]));
        assert!(feed.is_empty() && !feed.awaits());
    }

    #[test]
    fn who_joins_while_the_last_one_leaves_is_told_when_all_is_confirmed() {
        let mut feed = live();
        let [a, b] = [1, 2].map(client);
        feed.join(&news(), a, true);
        feed.confirmed(true, &news());
        assert_eq!(feed.leave(&news(), a, true), change(true, true));
        assert_eq!(feed.join(&news(), b, true), change(true, true));
        assert_eq!(hear(&feed), [a], "the old one's, and not yet the new one's");
        assert_eq!(feed.confirmed(false, &news()), Some(vec![]));
        assert_eq!(feed.confirmed(true, &news()), Some(vec![a, b]));
        assert_eq!(hear(&feed), [b]);
    }

    #[test]
    fn what_was_not_asked_is_not_confirmed() {
        let mut feed = live();
        assert_eq!(feed.confirmed(true, &news()), None);
        feed.join(&news(), client(1), true);
        assert_eq!(feed.confirmed(false, &news()), None);
        assert_eq!(
            feed.confirmed(true, &topic(TopicKind::Pattern, b"news")),
            None
        );
        assert_eq!(feed.refused().map(|it| it.waiting), Some(vec![client(1)]));
        assert_eq!(feed.refused(), None);
    }

    #[test]
    fn a_lost_connection_ends_what_was_to_end_and_the_next_one_asks_for_the_rest() {
        let mut feed = live();
        let [a, b, c] = [1, 2, 3].map(client);
        let sport = topic(TopicKind::Pattern, b"sport*");
        feed.join(&news(), a, true);
        feed.confirmed(true, &news());
        feed.join(&sport, b, true);
        feed.confirmed(true, &sport);
        feed.join(&sport, c, true);
        feed.leave(&news(), a, true);
        assert_eq!(feed.lose(), [a]);
        assert!(feed.is_lost && !feed.awaits());
        // Meanwhile one comes and waits, one comes and goes.
        assert_eq!(feed.join(&news(), c, true), change(false, true));
        assert_eq!(feed.join(&news(), b, true), change(false, true));
        assert_eq!(feed.leave(&news(), b, true), change(false, false));
        assert_eq!(feed.beginners().into_iter().collect::<Vec<_>>(), [c]);
        assert_eq!(feed.live(), [news(), sport.clone()]);
        assert_eq!(feed.confirmed(true, &news()), Some(vec![c]));
        assert_eq!(feed.confirmed(true, &sport), Some(vec![]));
        assert_eq!(hear(&feed), [c]);
    }

    #[test]
    fn who_waits_no_longer_is_not_told_and_its_topic_ends_all_the_same() {
        let mut feed = live();
        let a = client(1);
        feed.join(&news(), a, true);
        feed.confirmed(true, &news());
        feed.leave(&news(), a, true);
        feed.forget(a);
        assert!(hear(&feed).is_empty());
        assert_eq!(feed.confirmed(false, &news()), Some(vec![]));
        assert!(feed.is_empty());
    }

    #[test]
    fn a_refusal_is_told_to_who_has_asked_and_ends_it_for_who_listens() {
        let mut feed = live();
        let [a, b] = [1, 2].map(client);
        feed.join(&news(), a, true);
        feed.confirmed(true, &news());
        feed.lose();
        feed.join(&news(), b, true);
        feed.live();
        let refused = Refused {
            topic: news(),
            waiting: vec![b],
            listeners: vec![a],
        };
        assert_eq!(feed.refused(), Some(refused));
        assert!(feed.is_empty());
    }
}
