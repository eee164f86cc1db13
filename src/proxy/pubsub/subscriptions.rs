//! What one client listens to, and what it has asked for that is not confirmed yet.
//!
//! Owns: these topics, their count, and that a client is told of each request once, when all servers have
//! confirmed it. Never: knows a connection but by its key.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use bytes::Bytes;

use crate::base::Key;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::protocol::TopicKind;

/// What a topic costs in memory beside its name, here and in the table of its feed: two nodes and the
/// owner of the bytes.
const TOPIC_BYTES: usize = 256;

/// A topic: how its name is meant, and the name.
pub(in crate::proxy) type Topic = (TopicKind, Bytes);

/// What a client listens to.
#[derive(Debug)]
pub(in crate::proxy) struct Subscriptions {
    topics: BTreeSet<Topic>,
    topic_bytes: usize,
    counts: [usize; 3],
    /// Whether it listens on connections that others share: as its pool said when it began.
    pub(in crate::proxy) is_shared: bool,
    /// If not, on these.
    pub(in crate::proxy) feeds: BTreeMap<ServerIdx, Key>,
    pending: Option<Pending>,
    /// Since when more than a little waits for it to be taken.
    pub(in crate::proxy) behind_since: Option<Time>,
}

/// One request that servers have to confirm.
#[derive(Debug)]
struct Pending {
    kind: TopicKind,
    begins: bool,
    // As asked, repetitions too.
    names: Vec<Bytes>,
    // Those of them that change something.
    changes: BTreeSet<Bytes>,
    // So many confirmations are to come.
    left: usize,
    since: Time,
    // Messages of topics that servers have confirmed, and the client has not been told of.
    early: Vec<Bytes>,
    early_bytes: usize,
}

/// What a client is told of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::proxy) struct Confirmation {
    pub(in crate::proxy) kind: TopicKind,
    pub(in crate::proxy) begins: bool,
    /// `None` if there was none to end.
    pub(in crate::proxy) topic: Option<Bytes>,
    /// How many topics it listens to now: channels and patterns together, those of shards apart.
    pub(in crate::proxy) count: usize,
}

/// All that a client is told when its request is confirmed.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Settled {
    pub(in crate::proxy) confirmations: Vec<Confirmation>,
    /// Messages that came before.
    pub(in crate::proxy) early: Vec<Bytes>,
}

/// What is to be done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Passage {
    /// The client gets it.
    Now,
    /// It gets it behind the confirmation that is to come.
    Later,
    /// It has not asked for it.
    Never,
}

impl Subscriptions {
    pub(in crate::proxy) fn new(is_shared: bool) -> Subscriptions {
        Subscriptions {
            topics: BTreeSet::new(),
            topic_bytes: 0,
            counts: [0; 3],
            is_shared,
            feeds: BTreeMap::new(),
            pending: None,
            behind_since: None,
        }
    }

    /// Whether it listens to nothing, has asked for nothing, and holds no connection.
    pub(in crate::proxy) fn is_empty(&self) -> bool {
        self.topics.is_empty() && self.pending.is_none() && self.feeds.is_empty()
    }

    /// How many topics of each kind it listens to.
    pub(in crate::proxy) fn counts(&self) -> [usize; 3] {
        self.counts
    }

    /// What it costs in memory.
    pub(in crate::proxy) fn bytes(&self) -> usize {
        let pending = self.pending.as_ref();
        let asked = pending.map_or(0, |pending| cost(&pending.names) + pending.early_bytes);
        self.topic_bytes + asked
    }

    /// Messages that wait for a confirmation.
    pub(in crate::proxy) fn early_bytes(&self) -> usize {
        self.pending.as_ref().map_or(0, |it| it.early_bytes)
    }

    /// All topics.
    pub(in crate::proxy) fn topics(&self) -> &BTreeSet<Topic> {
        &self.topics
    }

    /// Those of one kind.
    pub(in crate::proxy) fn names(&self, kind: TopicKind) -> Vec<Bytes> {
        let of_kind = self.topics.iter().filter(|(of, _)| *of == kind);
        of_kind.map(|(_, name)| name.clone()).collect()
    }

    /// What these names would cost that it does not listen to yet.
    pub(in crate::proxy) fn cost_of(&self, kind: TopicKind, names: &[Bytes]) -> usize {
        let new = |name: &&Bytes| !self.topics.contains(&(kind, Bytes::clone(name)));
        names
            .iter()
            .filter(new)
            .map(|name| name.len() + TOPIC_BYTES)
            .sum()
    }

    /// Topics that are asked for and not confirmed.
    pub(in crate::proxy) fn asked_for(&self) -> Vec<Topic> {
        let pending = self.pending.as_ref().filter(|pending| pending.begins);
        let names = pending.map(|it| it.changes.iter().map(|name| (it.kind, name.clone())));
        names.into_iter().flatten().collect()
    }

    /// What it is to listen to when all is confirmed, and whether that is to be told.
    pub(in crate::proxy) fn wanted(&self) -> Vec<(Topic, bool)> {
        let ending = self.pending.as_ref().filter(|pending| !pending.begins);
        let ends = |(kind, name): &&Topic| {
            ending.is_some_and(|it| it.kind == *kind && it.changes.contains(name))
        };
        let stays = self.topics.iter().filter(|topic| !ends(topic));
        let stays = stays.map(|topic| (topic.clone(), false));
        let begins = self.asked_for().into_iter().map(|topic| (topic, true));
        stays.chain(begins).collect()
    }

    /// A request begins: which of its names change something.
    pub(in crate::proxy) fn begin(
        &mut self,
        (kind, begins): (TopicKind, bool),
        names: Vec<Bytes>,
        now: Time,
    ) -> BTreeSet<Bytes> {
        debug_assert!(self.pending.is_none(), "one at a time");
        let changes = names.iter().cloned();
        let changes: BTreeSet<Bytes> = changes
            .filter(|name| self.topics.contains(&(kind, name.clone())) != begins)
            .collect();
        self.pending = Some(Pending {
            kind,
            begins,
            names,
            changes: changes.clone(),
            left: 0,
            since: now,
            early: Vec::new(),
            early_bytes: 0,
        });
        changes
    }

    /// Whether no request is under way.
    pub(in crate::proxy) fn is_settled(&self) -> bool {
        self.pending.is_none()
    }

    /// Whether one is under way that ends something.
    pub(in crate::proxy) fn is_ending(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| !pending.begins)
    }

    /// When the request that is under way was made.
    pub(in crate::proxy) fn pending_since(&self) -> Option<Time> {
        self.pending.as_ref().map(|pending| pending.since)
    }

    /// One more server has to confirm it.
    pub(in crate::proxy) fn await_one(&mut self) {
        if let Some(pending) = &mut self.pending {
            pending.left += 1;
        }
    }

    /// A server has confirmed, or cannot and need not: whether it was the last.
    pub(in crate::proxy) fn confirmed_one(&mut self) -> bool {
        let Some(pending) = &mut self.pending else {
            return false;
        };
        debug_assert!(pending.left > 0, "nothing is confirmed twice");
        pending.left = pending.left.saturating_sub(1);
        pending.left == 0
    }

    /// Whether a request is under way that nobody has to confirm any more.
    pub(in crate::proxy) fn is_confirmed(&self) -> bool {
        self.pending.as_ref().is_some_and(|it| it.left == 0)
    }

    /// The request is done: what its client is told.
    pub(in crate::proxy) fn settle(&mut self) -> Settled {
        let Some(pending) = self.pending.take() else {
            return Settled::default();
        };
        let (kind, begins) = (pending.kind, pending.begins);
        let told = |count, topic| Confirmation {
            kind,
            begins,
            topic,
            count,
        };
        let mut confirmations = Vec::with_capacity(pending.names.len().max(1));
        for name in pending.names {
            match begins {
                true => self.add((kind, name.clone())),
                false => self.remove(&(kind, name.clone())),
            }
            confirmations.push(told(self.count_of(kind), Some(name)));
        }
        if confirmations.is_empty() {
            confirmations.push(told(self.count_of(kind), None));
        }
        Settled {
            confirmations,
            early: pending.early,
        }
    }

    /// The request is not done: the topics that it would have begun.
    pub(in crate::proxy) fn give_up(&mut self) -> Vec<Topic> {
        let topics = self.asked_for();
        self.pending = None;
        topics
    }

    /// Listens to it, whoever has confirmed that.
    pub(in crate::proxy) fn add(&mut self, topic: Topic) {
        let (kind, bytes) = (topic.0, topic.1.len() + TOPIC_BYTES);
        if self.topics.insert(topic) {
            self.topic_bytes += bytes;
            self.counts[kind as usize] += 1;
        }
    }

    fn remove(&mut self, topic: &Topic) {
        if self.topics.remove(topic) {
            self.topic_bytes -= topic.1.len() + TOPIC_BYTES;
            self.counts[topic.0 as usize] -= 1;
        }
    }

    fn count_of(&self, kind: TopicKind) -> usize {
        let [channels, patterns, shards] = self.counts;
        match kind {
            TopicKind::Shard => shards,
            TopicKind::Channel | TopicKind::Pattern => channels + patterns,
        }
    }

    /// Whether it gets messages of a topic.
    pub(in crate::proxy) fn passage(&self, topic: &Topic) -> Passage {
        match &self.pending {
            _ if self.topics.contains(topic) => Passage::Now,
            Some(it) if it.begins && it.kind == topic.0 && it.changes.contains(&topic.1) => {
                Passage::Later
            }
            _ => Passage::Never,
        }
    }

    /// Keeps a message until the request that is under way is confirmed.
    pub(in crate::proxy) fn keep(&mut self, message: Bytes) {
        if let Some(pending) = &mut self.pending {
            pending.early_bytes += message.len();
            pending.early.push(message);
        }
    }
}

fn cost(names: &[Bytes]) -> usize {
    names.iter().map(|name| name.len() + TOPIC_BYTES).sum()
}

#[cfg(test)]
mod tests {
    use super::TopicKind::Channel;
    use super::TopicKind::Pattern;
    use super::TopicKind::Shard;
    use super::*;

    fn names(names: &[&'static str]) -> Vec<Bytes> {
        names
            .iter()
            .map(|name| Bytes::from_static(name.as_bytes()))
            .collect()
    }

    fn ask(
        subscriptions: &mut Subscriptions,
        kind: TopicKind,
        begins: bool,
        topics: &[&'static str],
    ) -> Vec<(Option<Bytes>, usize)> {
        subscriptions.begin((kind, begins), names(topics), Time::ZERO);
        let settled = subscriptions.settle();
        let told = settled.confirmations.into_iter();
        told.inspect(|it| assert_eq!((it.kind, it.begins), (kind, begins)))
            .map(|it| (it.topic, it.count))
            .collect()
    }

    fn told(topic: &'static str, count: usize) -> (Option<Bytes>, usize) {
        (Some(Bytes::from_static(topic.as_bytes())), count)
    }

    #[test]
    fn a_client_is_told_how_many_it_listens_to_as_redis_counts_them() {
        let mut it = Subscriptions::new(false);
        assert_eq!(
            ask(&mut it, Channel, true, &["a", "b", "a"]),
            [told("a", 1), told("b", 2), told("a", 2)]
        );
        assert_eq!(ask(&mut it, Pattern, true, &["a*"]), [told("a*", 3)]);
        // Those of shards are counted apart.
        assert_eq!(ask(&mut it, Shard, true, &["a"]), [told("a", 1)]);
        assert_eq!(it.counts(), [2, 1, 1]);
        assert_eq!(
            ask(&mut it, Channel, false, &["x", "a"]),
            [told("x", 3), told("a", 2)]
        );
        assert_eq!(ask(&mut it, Channel, false, &["b"]), [told("b", 1)]);
        assert_eq!(ask(&mut it, Channel, false, &[]), [(None, 1)]);
        assert_eq!(ask(&mut it, Pattern, false, &["a*"]), [told("a*", 0)]);
        assert_eq!(ask(&mut it, Shard, false, &["a"]), [told("a", 0)]);
        assert!(it.is_empty());
        assert_eq!(it.bytes(), 0);
    }

    #[test]
    fn only_what_changes_something_has_to_be_confirmed_and_by_all() {
        let mut it = Subscriptions::new(false);
        ask(&mut it, Channel, true, &["a"]);
        let changes = it.begin((Channel, true), names(&["a", "b", "b"]), Time::ZERO);
        assert_eq!(changes.into_iter().collect::<Vec<_>>(), names(&["b"]));
        assert!(it.is_confirmed());
        it.await_one();
        it.await_one();
        assert!(!it.is_confirmed());
        assert!(!it.confirmed_one());
        assert!(it.confirmed_one() && it.is_confirmed());
        assert_eq!(it.settle().confirmations.len(), 3);
        let changes = it.begin((Channel, false), names(&["a", "x"]), Time::ZERO);
        assert_eq!(changes.into_iter().collect::<Vec<_>>(), names(&["a"]));
    }

    #[test]
    fn a_message_comes_behind_the_confirmation_and_never_unasked() {
        let topic = |kind, name: &'static str| (kind, Bytes::from_static(name.as_bytes()));
        let mut it = Subscriptions::new(false);
        assert_eq!(it.passage(&topic(Channel, "a")), Passage::Never);
        ask(&mut it, Channel, true, &["a"]);
        it.begin((Channel, true), names(&["b"]), Time::ZERO);
        it.await_one();
        assert_eq!(it.passage(&topic(Channel, "a")), Passage::Now);
        assert_eq!(it.passage(&topic(Channel, "b")), Passage::Later);
        assert_eq!(it.passage(&topic(Pattern, "b")), Passage::Never);
        it.keep(Bytes::from_static(b"m"));
        assert_eq!(it.early_bytes(), 1);
        assert_eq!(it.settle().early, names(&["m"]));
        assert_eq!(it.passage(&topic(Channel, "b")), Passage::Now);
        // What is to end goes on until that is confirmed.
        it.begin((Channel, false), names(&["b"]), Time::ZERO);
        assert_eq!(it.passage(&topic(Channel, "b")), Passage::Now);
        it.settle();
        assert_eq!(it.passage(&topic(Channel, "b")), Passage::Never);
        it.begin((Channel, true), names(&["c"]), Time::ZERO);
        assert_eq!(it.give_up(), [topic(Channel, "c")]);
        assert_eq!(it.passage(&topic(Channel, "c")), Passage::Never);
    }
}
