//! The other Sentinels that one names, by their run ids.
//!
//! Owns: one Sentinel's latest list of each master's Sentinels (`SENTINEL SENTINELS`). Never: trusts
//! it; that takes more than one Sentinel, see `roster`.
//!
//! A Sentinel learns of the others by messages that anybody who may publish on the Redis servers can
//! forge. So its list is a hint, and one vote at most.

use crate::base::ServerIdx;
use crate::config::HostPort;

/// A run id has 40 characters; what is longer is none.
const RUN_ID_BYTES_MAX: usize = 64;

/// Who a Sentinel is, wherever it is (redis: `sentinel myid`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RunId(Box<[u8]>);

impl RunId {
    /// The id, if it can be one.
    pub(super) fn new(text: &[u8]) -> Option<RunId> {
        let fits = !text.is_empty() && text.len() <= RUN_ID_BYTES_MAX;
        let good = fits && text.iter().all(u8::is_ascii_alphanumeric);
        good.then(|| RunId(text.into()))
    }

    /// As the Sentinels write it.
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Another Sentinel, as one names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OtherSentinel {
    pub(super) id: RunId,
    pub(super) address: HostPort,
}

/// All that one Sentinel names.
#[derive(Debug)]
pub(super) struct OtherSentinels {
    /// By server; `None` where it has not said.
    by_server: Vec<Option<Vec<OtherSentinel>>>,
    /// The server of the last word.
    latest: usize,
}

impl OtherSentinels {
    /// Nothing was said yet about so many servers.
    pub(super) fn new(servers: usize) -> OtherSentinels {
        OtherSentinels {
            by_server: vec![None; servers],
            latest: 0,
        }
    }

    /// Its word about one master's; `None` when it knows no such master.
    pub(super) fn say(&mut self, server: ServerIdx, others: Option<Vec<OtherSentinel>>) {
        if let Some(said) = self.by_server.get_mut(server.index()) {
            *said = others;
            self.latest = server.index();
        }
    }

    /// Whether it has said anything.
    pub(super) fn are_known(&self) -> bool {
        self.by_server.iter().any(Option::is_some)
    }

    /// Each of them; one that watches several masters comes several times, its newest address first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &OtherSentinel> {
        let latest = self.by_server.get(self.latest).into_iter();
        latest.chain(&self.by_server).flatten().flatten()
    }

    /// Whether it names a Sentinel.
    pub(super) fn name(&self, id: &RunId) -> bool {
        self.iter().any(|other| other.id == *id)
    }

    /// Where it takes a Sentinel to be.
    pub(super) fn address_of(&self, id: &RunId) -> Option<&HostPort> {
        let mut others = self.iter();
        let other = others.find(|other| other.id == *id)?;
        Some(&other.address)
    }

    /// Whether it takes one to be there.
    pub(super) fn are_at(&self, address: &HostPort) -> bool {
        self.iter().any(|other| other.address == *address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(id: &str, port: u16) -> OtherSentinel {
        OtherSentinel {
            id: RunId::new(id.as_bytes()).unwrap(),
            address: HostPort::Ip(([10, 0, 0, 1], port).into()),
        }
    }

    #[test]
    fn an_id_is_a_short_word() {
        for bad in ["", "a b", "a\n", "a\x1b[2J", &"a".repeat(65)] {
            assert_eq!(RunId::new(bad.as_bytes()), None, "{bad:?}");
        }
        assert!(RunId::new("0123456789abcdef0123456789abcdef01234567".as_bytes()).is_some());
    }

    #[test]
    fn the_last_word_says_where_a_sentinel_is() {
        let mut others = OtherSentinels::new(2);
        assert!(!others.are_known());
        let id = RunId::new(b"a").unwrap();
        others.say(ServerIdx(0), Some(vec![other("a", 1)]));
        others.say(ServerIdx(1), Some(vec![other("a", 2), other("b", 3)]));
        assert_eq!(others.address_of(&id), Some(&other("a", 2).address));
        others.say(ServerIdx(0), Some(vec![other("a", 1)]));
        assert_eq!(others.address_of(&id), Some(&other("a", 1).address));
        assert!(others.are_at(&other("b", 3).address) && others.name(&id));
        others.say(ServerIdx(0), None);
        others.say(ServerIdx(1), Some(Vec::new()));
        assert!(others.are_known() && !others.name(&id));
        others.say(ServerIdx(9), Some(vec![other("a", 1)]));
        assert!(!others.name(&id), "no such server");
    }
}
