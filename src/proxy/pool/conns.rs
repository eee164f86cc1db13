//! The connections to one server, or to one of its replicas: which one does what.
//!
//! ```text
//!   base kind      │ Shared(0) │ Shared(1) │ … │ Bypass │ Quarantine │     an array, always there
//!   another kind   │ Shared(0) │ …                                   │     while it has a connection
//! ```
//!
//! A server reads a request in the database and the protocol version that were agreed on its connection
//! first. So clients share a connection only if they want the same of it: that is its kind. Most pools
//! use one kind, and look their connections up in one array.
//!
//! Owns: which connection has which place. A place is empty before its connection is first needed and
//! after that has ended. Never: opens a connection, closes one, or knows what it carries.

use crate::base::Key;
use crate::protocol::Version;
use crate::proxy::client::way::Way;

/// What was agreed with a server on a connection, before the first request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::proxy) struct ConnKind {
    /// Of the protocol.
    pub(in crate::proxy) version: Version,
    pub(in crate::proxy) database: u32,
}

/// What a connection is there for, among those of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Lane {
    /// For the clients that share it: each has one of these, always the same one.
    Shared(usize),
    /// For those whose shared one is busy with something large of another client's.
    Bypass,
    /// For those that break connections time and again.
    Quarantine,
}

/// What tells one connection of a table from its others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) struct Place {
    pub(in crate::proxy) kind: ConnKind,
    pub(in crate::proxy) lane: Lane,
}

/// The connections of one kind. `Key::NONE` where there is none.
#[derive(Debug)]
struct Lanes {
    // Never empty.
    shared: Vec<Key>,
    bypass: Key,
    quarantine: Key,
}

/// The connections to one peer.
#[derive(Debug)]
pub(in crate::proxy) struct ConnTable {
    base_kind: ConnKind,
    base: Lanes,
    // Kinds that have a connection, in the order in which they were first used.
    others: Vec<(ConnKind, Lanes)>,
    // How many shared lanes a kind has to begin with.
    shared: usize,
}

impl Lanes {
    fn new(shared: usize) -> Lanes {
        Lanes {
            shared: vec![Key::NONE; shared],
            bypass: Key::NONE,
            quarantine: Key::NONE,
        }
    }

    #[inline]
    fn get(&self, lane: Lane) -> Key {
        match lane {
            Lane::Shared(nth) => self.shared.get(nth).copied().unwrap_or(Key::NONE),
            Lane::Bypass => self.bypass,
            Lane::Quarantine => self.quarantine,
        }
    }

    fn slot(&mut self, lane: Lane) -> &mut Key {
        match lane {
            Lane::Shared(nth) => &mut self.shared[nth],
            Lane::Bypass => &mut self.bypass,
            Lane::Quarantine => &mut self.quarantine,
        }
    }

    fn open(&self) -> impl Iterator<Item = (Lane, Key)> {
        let shared = (0..).map(Lane::Shared).zip(self.shared.iter().copied());
        let apart = [
            (Lane::Bypass, self.bypass),
            (Lane::Quarantine, self.quarantine),
        ];
        shared.chain(apart).filter(|(_, key)| *key != Key::NONE)
    }

    fn is_empty(&self) -> bool {
        self.open().next().is_none()
    }
}

/// Which of so many shared lanes is a client's.
#[inline]
fn shared_lane(client: Key, lanes: usize) -> Lane {
    Lane::Shared(match lanes {
        1 => 0,
        several => client.index as usize % several,
    })
}

impl ConnTable {
    /// Without a connection, and with so many shared lanes of each kind.
    pub(in crate::proxy) fn new(base_kind: ConnKind, shared: usize) -> ConnTable {
        let shared = shared.max(1);
        ConnTable {
            base_kind,
            base: Lanes::new(shared),
            others: Vec::new(),
            shared,
        }
    }

    #[inline]
    fn lanes(&self, kind: ConnKind) -> Option<&Lanes> {
        match kind == self.base_kind {
            true => Some(&self.base),
            false => self.other_lanes(kind),
        }
    }

    fn other_lanes(&self, kind: ConnKind) -> Option<&Lanes> {
        let found = self.others.iter().find(|(other, _)| *other == kind);
        found.map(|(_, lanes)| lanes)
    }

    fn lanes_mut(&mut self, kind: ConnKind) -> Option<&mut Lanes> {
        if kind == self.base_kind {
            return Some(&mut self.base);
        }
        let mut others = self.others.iter_mut();
        let found = others.find(|(other, _)| *other == kind);
        found.map(|(_, lanes)| lanes)
    }

    /// Which connection a client that goes this way uses: its place, and itself or `Key::NONE`.
    #[inline]
    pub(in crate::proxy) fn of_client(
        &self,
        kind: ConnKind,
        client: Key,
        way: Way,
    ) -> (Place, Key) {
        let lanes = self.lanes(kind);
        let lane = match way {
            Way::Own => shared_lane(client, lanes.map_or(self.shared, |own| own.shared.len())),
            Way::Around => Lane::Bypass,
            Way::Apart => Lane::Quarantine,
        };
        let key = lanes.map_or(Key::NONE, |lanes| lanes.get(lane));
        (Place { kind, lane }, key)
    }

    /// The connection that has a place, or `Key::NONE`.
    pub(in crate::proxy) fn get(&self, place: Place) -> Key {
        let lanes = self.lanes(place.kind);
        lanes.map_or(Key::NONE, |lanes| lanes.get(place.lane))
    }

    /// Gives a place its connection.
    pub(in crate::proxy) fn put(&mut self, place: Place, key: Key) {
        if self.lanes(place.kind).is_none() {
            self.others.push((place.kind, Lanes::new(self.shared)));
        }
        if let Some(lanes) = self.lanes_mut(place.kind) {
            let slot = lanes.slot(place.lane);
            debug_assert!(*slot == Key::NONE, "a place has one connection");
            *slot = key;
        }
    }

    /// Takes a connection out: which place it had. A kind ends with its last connection.
    pub(in crate::proxy) fn vacate(&mut self, key: Key) -> Option<Place> {
        let place = self.place_of(key)?;
        if let Some(lanes) = self.lanes_mut(place.kind) {
            *lanes.slot(place.lane) = Key::NONE;
        }
        // One that has fewer lanes than others keeps them while the server has no room for more.
        self.others
            .retain(|(_, lanes)| !lanes.is_empty() || lanes.shared.len() < self.shared);
        Some(place)
    }

    /// Which place a connection has.
    pub(in crate::proxy) fn place_of(&self, key: Key) -> Option<Place> {
        let found = self.open().find(|(_, other)| *other == key);
        found.map(|(place, _)| place)
    }

    /// The same place, or one of its kind that is there if there are fewer now.
    pub(in crate::proxy) fn nearest(&self, place: Place) -> Place {
        let lanes = self.lanes(place.kind);
        let shared = lanes.map_or(self.shared, |lanes| lanes.shared.len());
        match place.lane {
            Lane::Shared(nth) => Place {
                lane: Lane::Shared(nth.min(shared - 1)),
                ..place
            },
            Lane::Bypass | Lane::Quarantine => place,
        }
    }

    /// All connections that there are.
    pub(in crate::proxy) fn open(&self) -> impl Iterator<Item = (Place, Key)> {
        let others = self.others.iter().map(|(kind, lanes)| (*kind, lanes));
        let kinds = std::iter::once((self.base_kind, &self.base)).chain(others);
        kinds.flat_map(|(kind, lanes)| {
            let open = lanes.open();
            open.map(move |(lane, key)| (Place { kind, lane }, key))
        })
    }

    /// The shared places of the base kind that have no connection.
    pub(in crate::proxy) fn idle_shared(&self) -> Vec<Place> {
        let lanes = (0..).map(Lane::Shared).zip(&self.base.shared);
        let idle = lanes.filter(|(_, key)| **key == Key::NONE);
        let kind = self.base_kind;
        idle.map(|(lane, _)| Place { kind, lane }).collect()
    }

    /// Does without one of the shared lanes of a kind: those behind it move up.
    pub(in crate::proxy) fn remove(&mut self, place: Place) {
        if let (Lane::Shared(nth), Some(lanes)) = (place.lane, self.lanes_mut(place.kind)) {
            if lanes.shared.len() > 1 {
                lanes.shared.remove(nth);
            }
        }
    }

    /// Gives each kind as many shared lanes as it had to begin with.
    pub(in crate::proxy) fn restore(&mut self) {
        self.set_shared(self.shared);
    }

    /// Gives each kind so many shared lanes. Those that are there no longer must be empty.
    pub(in crate::proxy) fn set_shared(&mut self, count: usize) {
        self.shared = count.max(1);
        let others = self.others.iter_mut().map(|(_, lanes)| lanes);
        for lanes in others.chain([&mut self.base]) {
            let mut gone = lanes.shared.iter().skip(self.shared);
            debug_assert!(gone.all(|key| *key == Key::NONE), "a lost connection");
            lanes.shared.resize(self.shared, Key::NONE);
        }
        self.others.retain(|(_, lanes)| !lanes.is_empty());
    }

    /// What most clients want is of this kind from now on.
    pub(in crate::proxy) fn set_base(&mut self, kind: ConnKind) {
        if kind == self.base_kind {
            return;
        }
        let before = std::mem::replace(&mut self.base_kind, kind);
        let mut others = self.others.iter();
        let lanes = match others.position(|(other, _)| *other == kind) {
            Some(found) => self.others.remove(found).1,
            None => Lanes::new(self.shared),
        };
        let lanes = std::mem::replace(&mut self.base, lanes);
        if !lanes.is_empty() {
            self.others.push((before, lanes));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::Just;
    use proptest::prelude::Strategy;
    use proptest::prelude::prop_assert_eq;
    use proptest::prelude::prop_oneof;
    use proptest::proptest;

    use super::*;

    const BASE: ConnKind = ConnKind {
        version: Version::V2,
        database: 0,
    };
    const NEWER: ConnKind = ConnKind {
        version: Version::V3,
        database: 0,
    };
    const OTHER: ConnKind = ConnKind {
        version: Version::V2,
        database: 7,
    };

    fn key(index: u32) -> Key {
        Key {
            index,
            generation: 0,
        }
    }

    fn at(kind: ConnKind, lane: Lane) -> Place {
        Place { kind, lane }
    }

    fn places() -> impl Strategy<Value = Place> {
        let lane = prop_oneof![
            (0..4usize).prop_map(Lane::Shared),
            Just(Lane::Bypass),
            Just(Lane::Quarantine),
        ];
        let kind = prop_oneof![Just(BASE), Just(NEWER), Just(OTHER)];
        (kind, lane).prop_map(|(kind, lane)| Place { kind, lane })
    }

    proptest! {
        #[test]
        fn a_connection_is_found_by_its_place_and_its_place_by_it(
            shared in 1..5usize,
            wanted in vec((places(), 0..8u32), 0..20),
        ) {
            let mut table = ConnTable::new(BASE, shared);
            let mut put: Vec<(Place, Key)> = Vec::new();
            for ((place, turn), index) in wanted.into_iter().zip(0..) {
                let place = table.nearest(place);
                let before = put.iter().position(|(other, _)| *other == place);
                prop_assert_eq!(table.get(place) == Key::NONE, before.is_none());
                if let Some(before) = before {
                    let (place, old) = put.swap_remove(before);
                    prop_assert_eq!(table.place_of(old), Some(place));
                    prop_assert_eq!(table.vacate(old), Some(place));
                    prop_assert_eq!(table.vacate(old), None);
                }
                table.put(place, key(index));
                put.push((place, key(index)));
                if turn == 0 {
                    table.set_base(place.kind);
                }
                prop_assert_eq!(table.open().count(), put.len());
                for (place, key) in &put {
                    prop_assert_eq!(table.get(*place), *key);
                }
                let (own, found) = table.of_client(place.kind, key(turn), Way::Own);
                prop_assert_eq!(found, table.get(own));
            }
            for (_, key) in put {
                table.vacate(key);
            }
            prop_assert_eq!((table.open().count(), table.others.len()), (0, 0));
        }
    }

    #[test]
    fn every_client_keeps_its_own_lane_and_all_lanes_have_clients() {
        for shared in 1..5 {
            for kind in [BASE, OTHER] {
                let table = ConnTable::new(BASE, shared);
                let own = |client| table.of_client(kind, key(client), Way::Own).0.lane;
                let lanes: Vec<Lane> = (0..8).map(own).collect();
                for nth in 0..shared {
                    assert!(lanes.contains(&Lane::Shared(nth)), "{lanes:?}");
                }
                let place = |way| table.of_client(kind, key(3), way).0.lane;
                assert_eq!(place(Way::Around), Lane::Bypass);
                assert_eq!(place(Way::Apart), Lane::Quarantine);
            }
        }
    }

    #[test]
    fn a_lane_that_is_done_without_takes_no_other_connection_with_it() {
        let mut table = ConnTable::new(BASE, 3);
        for (place, index) in [
            (at(BASE, Lane::Shared(0)), 1),
            (at(BASE, Lane::Shared(2)), 2),
            (at(BASE, Lane::Bypass), 3),
            (at(OTHER, Lane::Shared(2)), 4),
        ] {
            table.put(place, key(index));
        }
        table.remove(at(BASE, Lane::Shared(1)));
        let open: Vec<(Place, Key)> = table.open().collect();
        assert_eq!(
            open,
            [
                (at(BASE, Lane::Shared(0)), key(1)),
                (at(BASE, Lane::Shared(1)), key(2)),
                (at(BASE, Lane::Bypass), key(3)),
                (at(OTHER, Lane::Shared(2)), key(4)),
            ]
        );
        table.restore();
        assert_eq!(table.idle_shared(), [at(BASE, Lane::Shared(2))]);
    }

    #[test]
    fn a_kind_that_has_fewer_lanes_than_others_keeps_to_them_without_a_connection() {
        let mut table = ConnTable::new(BASE, 2);
        table.put(at(OTHER, Lane::Shared(1)), key(1));
        table.remove(at(OTHER, Lane::Shared(0)));
        table.vacate(key(1));
        let place = table.of_client(OTHER, key(1), Way::Own).0;
        assert_eq!(place.lane, Lane::Shared(0));
        table.restore();
        let place = table.of_client(OTHER, key(1), Way::Own).0;
        assert_eq!((place.lane, table.others.len()), (Lane::Shared(1), 0));
    }
}
