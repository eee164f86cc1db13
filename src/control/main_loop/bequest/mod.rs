//! What a process was told or has learnt, and no file says: it goes to the one that takes over.
//!
//! Owns: the list of sections, and who writes and reads each. Never: a byte of the talk between two
//! processes (`reactor::hand_over`), what a section means.
//!
//! The form is JSON, an object with a member for each section. Both processes may be of other
//! releases, so a section that this one does not know is skipped, one that is not there changes
//! nothing, and fields are added with `#[serde(default)]` and never change their meaning. Pools and
//! servers go by their names: numbers are a process's own, and the new one may serve another file.
//!
//! It is told twice: before the new process is ready, so that it begins with it, and at the moment
//! at which it begins to serve, as things are then. So `take` is given everything as it is now, not
//! what has changed, and to take the same again changes nothing.
//!
//! **To add a section**: write a file below `bequest/` with `leave` and `take`, and add a row to
//! [`SECTIONS`]. `leave` says all of it, also when it is nothing ("drains no longer" must be said);
//! `take` runs in the new process's loop, before it serves, and may change all of [`Control`].

mod drain;
mod level;
mod masters;
mod switched;

use serde_json::Value;
use tracing::warn;

use crate::reactor::hand_over::Sections;

use crate::control::main_loop::Control;

pub(super) use drain::Departing;

/// One thing that is told.
struct Section {
    /// Of the member; it stays the same in every release.
    name: &'static str,
    /// How it is with it now.
    leave: fn(&Control) -> serde_json::Result<Value>,
    /// Makes it so here.
    take: fn(&mut Control, Value) -> serde_json::Result<()>,
}

const SECTIONS: &[Section] = &[
    Section {
        name: "drain",
        leave: drain::leave,
        take: drain::take,
    },
    Section {
        name: "log_level",
        leave: level::leave,
        take: level::take,
    },
    Section {
        name: "masters",
        leave: masters::leave,
        take: masters::take,
    },
    Section {
        name: "switched_masters",
        leave: switched::leave,
        take: switched::take,
    },
];

impl Control {
    /// All that another process needs to know.
    pub(super) fn bequest(&self) -> Sections {
        let mut sections = Sections::new();
        for section in SECTIONS {
            match (section.leave)(self) {
                Ok(said) => _ = sections.insert(section.name.to_owned(), said),
                Err(error) => warn!(section = section.name, %error, "not handed over"),
            }
        }
        sections
    }

    /// What another process has told.
    pub(super) fn inherit(&mut self, mut sections: Sections) {
        for section in SECTIONS {
            let Some(said) = sections.remove(section.name) else {
                continue;
            };
            if let Err(error) = (section.take)(self, said) {
                warn!(section = section.name, %error, "not understood, not taken over");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde::Serialize;
    use serde_json::Value;

    use super::SECTIONS;

    /// What the first release tells, with everything set.
    const KNOWN: &str = include_str!("../../../../tests/fixtures/hand_over/known-0.1.json");

    /// A section of the first release is understood, and what is told now says all of it, so that the
    /// first release understands that, too.
    pub(super) fn is_understood<T: Serialize + for<'a> Deserialize<'a>>(name: &str) -> T {
        let known: Value = serde_json::from_str(KNOWN).unwrap();
        let before = &known[name];
        let read: T = serde_json::from_value(before.clone()).unwrap();
        let now = serde_json::to_value(&read).unwrap();
        assert!(
            still_says(&now, before),
            "{now} does not say all of {before}"
        );
        read
    }

    fn still_says(now: &Value, before: &Value) -> bool {
        match (now, before) {
            (Value::Object(now), Value::Object(before)) => before
                .iter()
                .all(|(name, before)| now.get(name).is_some_and(|now| still_says(now, before))),
            (Value::Array(now), Value::Array(before)) => {
                let mut pairs = now.iter().zip(before);
                now.len() == before.len() && pairs.all(|(now, before)| still_says(now, before))
            }
            (now, before) => now == before,
        }
    }

    #[test]
    fn every_section_of_the_first_release_is_still_read() {
        let known: Value = serde_json::from_str(KNOWN).unwrap();
        for name in known.as_object().unwrap().keys() {
            assert!(
                SECTIONS.iter().any(|section| section.name == name),
                "{name}"
            );
        }
    }

    #[test]
    fn each_section_has_a_name_of_its_own() {
        for (nth, section) in SECTIONS.iter().enumerate() {
            assert!(SECTIONS[..nth].iter().all(|s| s.name != section.name));
        }
    }
}
