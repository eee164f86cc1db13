//! A client between two requests, as bytes that another process understands.
//!
//! Owns: what of a client outlives the process that served it, and its form. Nothing of it is due
//! to the client: that is delivered before. Never: a socket.
//!
//! The form is fields: a number, a length and the bytes. The two processes may be of different
//! releases, either of them the older one, so:
//!
//! - A field keeps its number and its meaning for ever.
//! - A field that says nothing (its value is what a client has without it) is not told.
//! - Who does not know a field skips it if its number is [`SKIPPABLE`] or higher, and refuses the client
//!   if it is lower: then the client would rely on what nobody does for it. It is closed, and connects
//!   again.
//!
//! **To add a field**: add a row to [`FIELDS`], with a number below [`SKIPPABLE`] if a client that has it
//! must not be served without it. `tests/fixtures/hand_over/` has what earlier releases have said.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use crate::protocol::TopicKind;
use crate::protocol::Version;
use crate::proxy::client::mute::Mute;
use crate::proxy::client::unmet::TRANSACTION;
use crate::proxy::client::unmet::Unmet;

/// What is to be known of a client to go on serving it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientState {
    /// What `CLIENT ID` says.
    pub id: u64,
    /// It has given the pool's password. Without one it never did, and may have to yet.
    pub authenticated: bool,
    /// How long it has been connected.
    pub age: Duration,
    /// `CLIENT SETNAME`.
    pub name: Vec<u8>,
    /// `CLIENT SETINFO LIB-NAME`.
    pub library_name: Vec<u8>,
    /// `CLIENT SETINFO LIB-VER`.
    pub library_version: Vec<u8>,
    /// Its last command, as the table calls it.
    pub command: Vec<u8>,
    /// What it was refused and relies on: what follows must not be done by the next process either.
    pub unmet: Unmet,
    /// The database that it has chosen by `SELECT`; without one it is where its pool begins.
    pub database: Option<u32>,
    /// The transaction that it is within.
    pub transaction: Carried,
    /// Which version of the protocol it reads.
    pub version: Version,
    /// Which replies it wants to hear.
    pub mute: Mute,
    /// What it listens to.
    pub subscriptions: Vec<(TopicKind, Bytes)>,
    /// What it has sent and nobody has acted upon, from the beginning of a request on.
    pub input: Vec<u8>,
}

/// What is told of a client's transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Carried {
    /// It is within none.
    #[default]
    Nothing,
    /// `EXEC` will do nothing: a command was refused.
    Aborted,
    /// The commands that wait for `EXEC`, one frame behind the other.
    Open(Vec<u8>),
}

/// Why bytes are no client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StateError {
    /// A field goes beyond the end.
    #[error("field {field} is cut short")]
    CutShort {
        /// Its number, 0 if not even that is there.
        field: u8,
    },
    /// Nobody here knows what that is.
    #[error("unknown field {field}")]
    Unknown {
        /// Its number.
        field: u8,
    },
    /// Of a field of fixed length.
    #[error("field {field} has {length} bytes")]
    BadLength {
        /// Its number.
        field: u8,
        /// How many it has.
        length: usize,
    },
    /// Of a field whose values are counted.
    #[error("field {field} has a value that is not known")]
    BadValue {
        /// Its number.
        field: u8,
    },
    /// Without an id it is nobody.
    #[error("no id")]
    NoId,
}

/// Fields from here on are skipped by those who do not know them.
const SKIPPABLE: u8 = 128;

/// One thing that is told of a client.
struct Field {
    /// The same in every release.
    number: u8,
    /// `None` if there is nothing to tell.
    tell: for<'a> fn(&'a ClientState) -> Option<Cow<'a, [u8]>>,
    hear: fn(&mut ClientState, &Field, &[u8]) -> Result<(), StateError>,
}

const ID: u8 = 1;

/// All that is told of a client. The first release has told each of the first eight of every client.
const FIELDS: &[Field] = &[
    Field {
        number: ID,
        tell: |state| Some(Cow::Owned(state.id.to_le_bytes().to_vec())),
        hear: |state, field, bytes| field.number(bytes).map(|id| state.id = id),
    },
    Field {
        number: 2,
        tell: |state| Some(Cow::Owned(vec![u8::from(state.authenticated)])),
        hear: |state, _, bytes| {
            state.authenticated = bytes == [1];
            Ok(())
        },
    },
    Field {
        number: 3,
        tell: |state| {
            let micros = u64::try_from(state.age.as_micros()).unwrap_or(u64::MAX);
            Some(Cow::Owned(micros.to_le_bytes().to_vec()))
        },
        hear: |state, field, bytes| {
            let micros = field.number(bytes)?;
            state.age = Duration::from_micros(micros);
            Ok(())
        },
    },
    Field {
        number: 4,
        tell: |state| Some(Cow::Borrowed(&state.name)),
        hear: |state, _, bytes| copy(bytes, &mut state.name),
    },
    Field {
        number: 5,
        tell: |state| Some(Cow::Borrowed(&state.library_name)),
        hear: |state, _, bytes| copy(bytes, &mut state.library_name),
    },
    Field {
        number: 6,
        tell: |state| Some(Cow::Borrowed(&state.library_version)),
        hear: |state, _, bytes| copy(bytes, &mut state.library_version),
    },
    Field {
        number: 7,
        tell: |state| Some(Cow::Borrowed(&state.command)),
        hear: |state, _, bytes| copy(bytes, &mut state.command),
    },
    Field {
        number: 8,
        tell: |state| Some(Cow::Borrowed(&state.input)),
        hear: |state, _, bytes| copy(bytes, &mut state.input),
    },
    Field {
        number: 9,
        tell: |state| {
            let mut bits = state.unmet.bits();
            if state.transaction == Carried::Aborted {
                bits |= TRANSACTION;
            }
            (bits != 0).then(|| Cow::Owned(vec![bits]))
        },
        hear: |state, field, bytes| {
            let known = match bytes {
                [bits] => Unmet::of_bits(*bits),
                _ => None,
            };
            state.unmet = known.ok_or(field.bad_value())?;
            if bytes[0] & TRANSACTION != 0 {
                state.transaction = Carried::Aborted;
            }
            Ok(())
        },
    },
    Field {
        number: 11,
        tell: |state| match &state.transaction {
            Carried::Open(frames) => Some(Cow::Borrowed(frames)),
            Carried::Nothing | Carried::Aborted => None,
        },
        hear: |state, _, bytes| {
            state.transaction = Carried::Open(bytes.to_vec());
            Ok(())
        },
    },
    Field {
        number: 10,
        tell: |state| {
            let database = state.database?;
            Some(Cow::Owned(database.to_le_bytes().to_vec()))
        },
        hear: |state, field, bytes| {
            let database = bytes.try_into().map_err(|_| field.bad_length(bytes))?;
            state.database = Some(u32::from_le_bytes(database));
            Ok(())
        },
    },
    Field {
        number: 12,
        tell: |state| {
            let number = state.version.number();
            (state.version != Version::default()).then(|| Cow::Owned(vec![number]))
        },
        hear: |state, field, bytes| {
            let known = match bytes {
                [number] => Version::of_number(i64::from(*number)),
                _ => None,
            };
            state.version = known.ok_or(field.bad_value())?;
            Ok(())
        },
    },
    Field {
        number: 13,
        tell: |state| state.mute.number().map(|number| Cow::Owned(vec![number])),
        hear: |state, field, bytes| {
            let known = match bytes {
                [number] => Mute::of_number(*number),
                _ => None,
            };
            state.mute = known.ok_or(field.bad_value())?;
            Ok(())
        },
    },
    Field {
        number: 14,
        tell: |state| {
            let topics = state.subscriptions.iter();
            let told: Option<Vec<u8>> =
                topics
                    .map(topic_as_bytes)
                    .try_fold(Vec::new(), |mut all, one| {
                        all.extend(one?);
                        Some(all)
                    });
            told.filter(|told| !told.is_empty()).map(Cow::Owned)
        },
        hear: |state, field, mut bytes| {
            while !bytes.is_empty() {
                let (topic, rest) = topic_of_bytes(bytes).ok_or(field.bad_value())?;
                state.subscriptions.push(topic);
                bytes = rest;
            }
            Ok(())
        },
    },
];

/// The number of its kind, the length of its name, and that.
fn topic_as_bytes((kind, name): &(TopicKind, Bytes)) -> Option<Vec<u8>> {
    let length = u32::try_from(name.len()).ok()?.to_le_bytes();
    Some([&[*kind as u8][..], &length, name].concat())
}

fn topic_of_bytes(bytes: &[u8]) -> Option<((TopicKind, Bytes), &[u8])> {
    let (&kind, rest) = bytes.split_first()?;
    let kind = *TopicKind::ALL.get(usize::from(kind))?;
    let (length, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (name, rest) = rest.split_at_checked(length)?;
    Some(((kind, Bytes::copy_from_slice(name)), rest))
}

impl Field {
    fn number(&self, bytes: &[u8]) -> Result<u64, StateError> {
        let bytes = bytes.try_into().map_err(|_| self.bad_length(bytes))?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn bad_value(&self) -> StateError {
        StateError::BadValue { field: self.number }
    }

    fn bad_length(&self, bytes: &[u8]) -> StateError {
        StateError::BadLength {
            field: self.number,
            length: bytes.len(),
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what hears a field may fail")]
fn copy(bytes: &[u8], field: &mut Vec<u8>) -> Result<(), StateError> {
    *field = bytes.to_vec();
    Ok(())
}

impl ClientState {
    /// As bytes; `None` if one field is longer than a length can say (4 GiB), which no request is.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(96 + self.input.len());
        for field in FIELDS {
            let Some(told) = (field.tell)(self) else {
                continue;
            };
            bytes.push(field.number);
            bytes.extend_from_slice(&u32::try_from(told.len()).ok()?.to_le_bytes());
            bytes.extend_from_slice(&told);
        }
        Some(bytes)
    }

    /// What `encode` has made, of this release or another; later fields of the same number win.
    ///
    /// # Errors
    ///
    /// Whatever is no client, or one that must not be served without what nobody here knows.
    pub fn decode(mut bytes: &[u8]) -> Result<ClientState, StateError> {
        let mut state = ClientState::default();
        let mut has_id = false;
        while let Some((&number, rest)) = bytes.split_first() {
            let cut_short = StateError::CutShort { field: number };
            let (length, rest) = rest.split_first_chunk().ok_or(cut_short)?;
            let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| cut_short)?;
            let (told, rest) = rest.split_at_checked(length).ok_or(cut_short)?;
            bytes = rest;
            match FIELDS.iter().find(|field| field.number == number) {
                Some(field) => (field.hear)(&mut state, field, told)?,
                None if number >= SKIPPABLE => {}
                None => return Err(StateError::Unknown { field: number }),
            }
            has_id |= number == ID;
        }
        match has_id {
            true => Ok(state),
            false => Err(StateError::NoId),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::any;
    use proptest::prelude::prop_assert_eq;
    use proptest::proptest;

    use super::*;

    proptest! {
        #[test]
        fn a_client_comes_back_as_it_was(
            (id, authenticated, micros) in any::<(u64, bool, u64)>(),
            (watch, database, chosen, newer) in any::<(bool, bool, Option<u32>, bool)>(),
            (transaction, mute) in (0u8..3, 0u8..3),
            texts in vec(vec(any::<u8>(), 0..20), 4..5),
            input in vec(any::<u8>(), 0..200),
        ) {
            let state = ClientState {
                id,
                authenticated,
                age: Duration::from_micros(micros),
                name: texts[0].clone(),
                library_name: texts[1].clone(),
                library_version: texts[2].clone(),
                command: texts[3].clone(),
                unmet: Unmet {
                    watch,
                    database,
                },
                database: chosen,
                transaction: match transaction {
                    0 => Carried::Nothing,
                    1 => Carried::Aborted,
                    _ => Carried::Open(input.clone()),
                },
                version: if newer { Version::V3 } else { Version::V2 },
                mute: Mute::of_number(mute).unwrap_or_default(),
                subscriptions: texts
                    .iter()
                    .zip(TopicKind::ALL)
                    .filter(|_| watch)
                    .map(|(name, kind)| (kind, Bytes::copy_from_slice(name)))
                    .collect(),
                input,
            };
            let bytes = state.encode().unwrap();
            prop_assert_eq!(ClientState::decode(&bytes), Ok(state));
            // Cut anywhere it is an error or less of it, never a panic.
            for end in 0..bytes.len() {
                let _ = ClientState::decode(&bytes[..end]);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
            let _ = ClientState::decode(&bytes);
        }
    }

    #[test]
    fn what_is_no_client_is_refused() {
        assert_eq!(ClientState::decode(b""), Err(StateError::NoId));
        let short = ClientState::decode(&[ID, 8, 0, 0, 0, 1]);
        assert_eq!(short, Err(StateError::CutShort { field: ID }));
        let long = ClientState::decode(&[ID, 1, 0, 0, 0, 1]);
        assert_eq!(
            long,
            Err(StateError::BadLength {
                field: ID,
                length: 1
            })
        );
        for field in [&[9, 1, 0, 0, 0, 8][..], &[9, 0, 0, 0, 0]] {
            let bad = ClientState::decode(field);
            assert_eq!(bad, Err(StateError::BadValue { field: 9 }));
        }
        let unknown = ClientState::decode(&[99, 0, 0, 0, 0]);
        assert_eq!(unknown, Err(StateError::Unknown { field: 99 }));
    }

    #[test]
    fn what_may_be_skipped_is_and_its_own_fields_are_not() {
        let state = ClientState {
            id: 7,
            ..ClientState::default()
        };
        let mut bytes = vec![SKIPPABLE, 2, 0, 0, 0, 1, 2];
        bytes.extend(state.encode().unwrap());
        bytes.extend([u8::MAX, 0, 0, 0, 0]);
        assert_eq!(ClientState::decode(&bytes), Ok(state));
    }

    #[test]
    fn each_field_has_a_number_of_its_own() {
        for (nth, field) in FIELDS.iter().enumerate() {
            assert!(FIELDS[..nth].iter().all(|f| f.number != field.number));
        }
    }
}
