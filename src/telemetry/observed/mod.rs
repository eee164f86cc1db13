//! What somebody has asked to see of requests as they come: the hottest keys, the largest, or a tail of them.
//!
//! Nothing of it is recorded unless somebody has asked, and no longer than he waits. An [`Observer`] says
//! what is wanted; each worker has [`Observers`], and gives what they have [`Seen`] when it is asked.
//!
//! Owns: what is kept for an observer, and its bounds. Never: a value; a clock.

mod big;
mod hot;
mod line;
mod tail;

use std::fmt;
use std::hash::RandomState;
use std::net::IpAddr;
use std::net::SocketAddr;

use crate::base::PoolIdx;

pub use big::BIG_BYTES_MIN;
pub use big::Big;
pub use big::BigKeys;
pub use big::What;
pub use hot::HotKey;
pub use hot::HotKeys;
pub use hot::Use;
pub use line::ARGUMENTS_MAX;
pub use line::Line;
pub use tail::Lines;
pub use tail::Tail;

use super::slow::KEY_BYTES_MAX;

/// Which observer, in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObserverId(pub u64);

/// Somebody who wants to see requests.
#[derive(Clone, Debug)]
pub struct Observer {
    /// Who.
    pub id: ObserverId,
    /// Of these pools.
    pub pools: Vec<PoolIdx>,
    /// What of them.
    pub wants: Wants,
}

/// What an observer wants to see.
#[derive(Clone, Debug)]
pub enum Wants {
    /// The keys that are used most.
    HotKeys(RandomState),
    /// The largest replies and values.
    BigKeys,
    /// The requests themselves.
    Requests(Filter),
}

/// Which requests somebody wants to see; all that is `None` lets every one through.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Of this client.
    pub client: Option<ClientFilter>,
    /// Of this command, or of this one and its subcommands, as the table has it.
    pub command: Option<String>,
    /// With a key that this glob matches.
    pub key: Option<Vec<u8>>,
    /// So many of them each time that they are asked for.
    pub most: usize,
    /// Each with the name of its pool.
    pub names_pools: bool,
}

/// How somebody names a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFilter {
    id: Option<u64>,
    address: Option<SocketAddr>,
    host: Option<IpAddr>,
    name: Vec<u8>,
}

impl ClientFilter {
    /// By its number, its address with or without the port, or what it calls itself.
    #[must_use]
    pub fn new(text: &str) -> ClientFilter {
        ClientFilter {
            id: text.parse().ok(),
            address: text.parse().ok(),
            host: text.parse().ok(),
            name: text.as_bytes().to_vec(),
        }
    }

    /// Whether it is this one.
    #[must_use]
    pub fn is(&self, id: u64, peer: Option<SocketAddr>, name: &[u8]) -> bool {
        let of_peer = peer.is_some_and(|peer| {
            self.address == Some(peer) || self.host == Some(peer.ip().to_canonical())
        });
        of_peer || self.id == Some(id) || self.name == name
    }
}

/// What was seen for an observer since he asked last.
#[derive(Clone, Debug)]
pub enum Seen {
    /// The keys that were used most.
    HotKeys(HotKeys),
    /// The largest replies and values.
    BigKeys(BigKeys),
    /// Requests.
    Lines(Lines),
}

impl Seen {
    /// Adds what another worker has seen for the same observer.
    pub fn merge(&mut self, other: Seen) {
        match (self, other) {
            (Seen::HotKeys(all), Seen::HotKeys(other)) => all.merge(other),
            (Seen::BigKeys(all), Seen::BigKeys(other)) => all.merge(other),
            (Seen::Lines(all), Seen::Lines(other)) => all.merge(other),
            _ => debug_assert!(false, "an observer sees one thing"),
        }
    }
}

/// What is kept for one observer on one worker.
#[derive(Debug)]
pub struct Observing {
    observer: Observer,
    /// It.
    pub kept: Kept,
}

/// What is kept until it is asked for.
#[derive(Debug)]
pub enum Kept {
    /// The keys that are used most.
    HotKeys(Box<HotKeys>),
    /// The largest replies and values.
    BigKeys(BigKeys),
    /// Requests that this filter lets through.
    Requests(Filter, Tail),
}

/// Everybody for whom one worker keeps something.
#[derive(Debug, Default)]
pub struct Observers {
    all: Vec<Observing>,
}

impl Observers {
    /// Whether nobody wants to see anything.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Keeps what `observer` wants, from now on.
    pub fn add(&mut self, observer: &Observer) {
        let kept = match &observer.wants {
            Wants::HotKeys(hasher) => Kept::HotKeys(Box::new(HotKeys::new(hasher.clone()))),
            Wants::BigKeys => Kept::BigKeys(BigKeys::default()),
            Wants::Requests(filter) => {
                let tail = Tail::new(filter.most, observer.id.0);
                Kept::Requests(filter.clone(), tail)
            }
        };
        self.all.push(Observing {
            observer: observer.clone(),
            kept,
        });
    }

    /// Keeps nothing for this one any more.
    pub fn remove(&mut self, id: ObserverId) {
        self.all.retain(|one| one.observer.id != id);
    }

    /// What is kept of requests of `pool`.
    pub fn of(&mut self, pool: PoolIdx) -> impl Iterator<Item = &mut Kept> {
        let of_pool = self
            .all
            .iter_mut()
            .filter(move |one| one.observer.pools.contains(&pool));
        of_pool.map(|one| &mut one.kept)
    }

    /// Whether somebody wants to see large replies of `pool`.
    #[must_use]
    pub fn want_replies(&self, pool: PoolIdx) -> bool {
        let mut all = self.all.iter();
        all.any(|one| matches!(one.kept, Kept::BigKeys(_)) && one.observer.pools.contains(&pool))
    }

    /// What was kept for this one since it was asked for last.
    pub fn take(&mut self, id: ObserverId) -> Option<Seen> {
        let one = self.all.iter_mut().find(|one| one.observer.id == id)?;
        Some(match &mut one.kept {
            Kept::HotKeys(keys) => Seen::HotKeys(keys.take()),
            Kept::BigKeys(keys) => Seen::BigKeys(std::mem::take(keys)),
            Kept::Requests(_, tail) => Seen::Lines(tail.take()),
        })
    }
}

/// How a key begins, in place: it is kept for many keys, and shown for few.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CutKey {
    bytes: [u8; KEY_BYTES_MAX],
    len: u8,
    is_cut: bool,
}

impl CutKey {
    /// Of this key.
    #[must_use]
    pub fn of(key: &[u8]) -> CutKey {
        let head = &key[..key.len().min(KEY_BYTES_MAX)];
        let mut bytes = [0; KEY_BYTES_MAX];
        bytes[..head.len()].copy_from_slice(head);
        #[expect(clippy::cast_possible_truncation, reason = "it is 64 at most")]
        let len = head.len() as u8;
        CutKey {
            bytes,
            len,
            is_cut: head.len() < key.len(),
        }
    }
}

/// Without a byte that a terminal obeys; three dots say that there is more.
impl fmt::Display for CutKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = &self.bytes[..usize::from(self.len)];
        write!(f, "{}", bytes.escape_ascii())?;
        f.write_str(if self.is_cut { "..." } else { "" })
    }
}

impl fmt::Debug for CutKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_known_by_number_address_or_name() {
        let peer: Option<SocketAddr> = "10.0.0.7:4000".parse().ok();
        let is = |text: &str| ClientFilter::new(text).is(12, peer, b"jobs");
        for right in ["12", "10.0.0.7", "10.0.0.7:4000", "jobs"] {
            assert!(is(right), "{right}");
        }
        for wrong in ["1", "10.0.0.70", "10.0.0.7:4001", "job", "", "4000"] {
            assert!(!is(wrong), "{wrong}");
        }
        assert!(ClientFilter::new("").is(1, None, b""), "without a name");
    }

    #[test]
    fn nothing_is_kept_for_who_has_gone_and_only_of_the_pools_that_are_asked_for() {
        let mut all = Observers::default();
        let observer = |id, wants| Observer {
            id: ObserverId(id),
            pools: vec![PoolIdx(2)],
            wants,
        };
        all.add(&observer(1, Wants::BigKeys));
        all.add(&observer(2, Wants::HotKeys(RandomState::new())));
        assert!(all.want_replies(PoolIdx(2)) && !all.want_replies(PoolIdx(1)));
        assert_eq!(
            (all.of(PoolIdx(2)).count(), all.of(PoolIdx(0)).count()),
            (2, 0)
        );
        all.remove(ObserverId(1));
        assert!(!all.want_replies(PoolIdx(2)) && all.take(ObserverId(1)).is_none());
        assert!(all.take(ObserverId(2)).is_some());
        all.remove(ObserverId(2));
        assert!(all.is_empty());
    }

    #[test]
    fn a_key_is_cut_and_has_nothing_that_a_terminal_obeys() {
        assert_eq!(CutKey::of(b"a\x1b[2J\n").to_string(), "a\\x1b[2J\\n");
        assert_eq!(CutKey::of(&[b'k'; 64]).to_string(), "k".repeat(64));
        let cut = CutKey::of(&[b'k'; 65]);
        assert_eq!(cut.to_string(), "k".repeat(64) + "...");
        assert_ne!(cut, CutKey::of(&[b'k'; 64]));
    }
}
