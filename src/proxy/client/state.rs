//! A client between two requests, as bytes that another process understands.
//!
//! Owns: what of a client outlives the process that served it, and its form. Nothing of it is due
//! to the client: that is delivered before. Never: a socket.
//!
//! The form is fields: a number, a length and the bytes. It is versioned by the hand-over that it
//! is part of: both sides know the same fields, and what one does not know it refuses.

use std::time::Duration;

use thiserror::Error;

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
    /// What it has sent and nobody has acted upon, from the beginning of a request on.
    pub input: Vec<u8>,
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

const ID: u8 = 1;
const AUTHENTICATED: u8 = 2;
const AGE_MICROS: u8 = 3;
const NAME: u8 = 4;
const LIBRARY_NAME: u8 = 5;
const LIBRARY_VERSION: u8 = 6;
const COMMAND: u8 = 7;
const INPUT: u8 = 8;
const UNMET: u8 = 9;

impl ClientState {
    /// As bytes; `None` if one field is longer than a length can say (4 GiB), which no request is.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        let age = u64::try_from(self.age.as_micros()).unwrap_or(u64::MAX);
        let mut bytes = Vec::with_capacity(96 + self.input.len());
        let unmet = [self.unmet.bits()];
        let fields: [(u8, &[u8]); 9] = [
            (ID, &self.id.to_le_bytes()),
            (AUTHENTICATED, &[u8::from(self.authenticated)]),
            (AGE_MICROS, &age.to_le_bytes()),
            (NAME, &self.name),
            (LIBRARY_NAME, &self.library_name),
            (LIBRARY_VERSION, &self.library_version),
            (COMMAND, &self.command),
            (INPUT, &self.input),
            (UNMET, &unmet),
        ];
        // Who knows nothing of the last field takes every client of which it says nothing.
        let told = if self.unmet.is_nothing() { 8 } else { 9 };
        for (number, field) in fields.into_iter().take(told) {
            bytes.push(number);
            bytes.extend_from_slice(&u32::try_from(field.len()).ok()?.to_le_bytes());
            bytes.extend_from_slice(field);
        }
        Some(bytes)
    }

    /// What `encode` has made; later fields of the same number win.
    ///
    /// # Errors
    ///
    /// Whatever it cannot have made.
    pub fn decode(mut bytes: &[u8]) -> Result<ClientState, StateError> {
        let mut state = ClientState::default();
        let mut has_id = false;
        while let Some((&number, rest)) = bytes.split_first() {
            let cut_short = StateError::CutShort { field: number };
            let (length, rest) = rest.split_first_chunk().ok_or(cut_short)?;
            let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| cut_short)?;
            let (field, rest) = rest.split_at_checked(length).ok_or(cut_short)?;
            bytes = rest;
            match number {
                ID => (state.id, has_id) = (whole_number(number, field)?, true),
                AUTHENTICATED => state.authenticated = field == [1],
                AGE_MICROS => state.age = Duration::from_micros(whole_number(number, field)?),
                NAME => state.name = field.to_vec(),
                LIBRARY_NAME => state.library_name = field.to_vec(),
                LIBRARY_VERSION => state.library_version = field.to_vec(),
                COMMAND => state.command = field.to_vec(),
                INPUT => state.input = field.to_vec(),
                UNMET => {
                    let known = match field {
                        [bits] => Unmet::of_bits(*bits),
                        _ => None,
                    };
                    state.unmet = known.ok_or(StateError::BadValue { field: number })?;
                }
                field => return Err(StateError::Unknown { field }),
            }
        }
        match has_id {
            true => Ok(state),
            false => Err(StateError::NoId),
        }
    }
}

fn whole_number(field: u8, bytes: &[u8]) -> Result<u64, StateError> {
    let length = bytes.len();
    let bytes = bytes.try_into();
    bytes
        .map(u64::from_le_bytes)
        .map_err(|_| StateError::BadLength { field, length })
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
            (transaction, database) in any::<(bool, bool)>(),
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
                    transaction,
                    database,
                },
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
        for field in [&[UNMET, 1, 0, 0, 0, 4][..], &[UNMET, 0, 0, 0, 0]] {
            let bad = ClientState::decode(field);
            assert_eq!(bad, Err(StateError::BadValue { field: UNMET }));
        }
        let unknown = ClientState::decode(&[99, 0, 0, 0, 0]);
        assert_eq!(unknown, Err(StateError::Unknown { field: 99 }));
    }
}
