//! That somebody has told the process to be unhealthy, and to let its clients go.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

use crate::control::clock::Micros;
use crate::control::health::UnhealthyReason;
use crate::control::main_loop::Control;

/// `ctl drain`.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Drain {
    /// It is unhealthy because of it.
    #[serde(default)]
    draining: bool,
    /// `--within`, and what is left of it.
    #[serde(default)]
    departing: Option<Left>,
}

/// Clients go, or will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Left {
    /// The first one goes then.
    after_ms: u64,
    /// The last one goes so much later.
    within_ms: u64,
}

/// Clients are to be let go between these two times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::control) struct Departing {
    begins: Micros,
    ends: Micros,
}

impl Departing {
    /// In a while, and over some time.
    pub(in crate::control) fn new(after: Duration, within: Duration, now: Micros) -> Departing {
        let begins = now.saturating_add(micros(after));
        Departing {
            begins,
            ends: begins.saturating_add(micros(within)),
        }
    }

    /// Whether all who were to go have had their time.
    pub(in crate::control) fn is_over(self, now: Micros) -> bool {
        self.ends <= now
    }

    /// How long until it begins, and how long it takes from then on; or from now on, if it has begun.
    pub(in crate::control) fn left(self, now: Micros) -> (Duration, Duration) {
        let after = self.begins.saturating_sub(now);
        let within = self.ends.saturating_sub(now.max(self.begins));
        (Duration::from_micros(after), Duration::from_micros(within))
    }
}

fn micros(time: Duration) -> Micros {
    Micros::try_from(time.as_micros()).unwrap_or(Micros::MAX)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn leave(control: &Control) -> serde_json::Result<Value> {
    let now = control.clock.now();
    let departing = control
        .departures
        .now()
        .filter(|departing| !departing.is_over(now));
    let departing = departing.map(|departing| {
        let (after, within) = departing.left(now);
        Left {
            after_ms: millis(after),
            within_ms: millis(within),
        }
    });
    serde_json::to_value(Drain {
        draining: control
            .standing
            .health
            .borrow()
            .has_reason(UnhealthyReason::Draining),
        departing,
    })
}

/// The clients that are to go are not here yet: they are let go when all have come.
pub(super) fn take(control: &mut Control, said: Value) -> serde_json::Result<()> {
    let said: Drain = serde_json::from_value(said)?;
    let now = control.clock.now();
    match said.draining {
        true => control
            .standing
            .health
            .borrow_mut()
            .add_reason(UnhealthyReason::Draining, now),
        false => control
            .standing
            .health
            .borrow_mut()
            .remove_reason(UnhealthyReason::Draining),
    }
    let departing = said.departing.map(|left| {
        let (after, within) = (left.after_ms, left.within_ms);
        Departing::new(
            Duration::from_millis(after),
            Duration::from_millis(within),
            now,
        )
    });
    control.departures.inherit(departing);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::main_loop::bequest::tests::is_understood;

    #[test]
    fn the_first_release_and_this_one_understand_each_other() {
        let drain: Drain = is_understood("drain");
        assert!(drain.draining);
        let left = drain.departing.unwrap();
        assert_eq!((left.after_ms, left.within_ms), (1000, 9000));
    }

    #[test]
    fn what_is_left_of_a_departure_is_until_its_beginning_and_then_until_its_end() {
        let second = Duration::from_secs;
        let departing = Departing::new(second(1), second(10), 5_000_000);
        assert_eq!(departing.left(5_000_000), (second(1), second(10)));
        assert_eq!(departing.left(6_000_000), (second(0), second(10)));
        assert_eq!(departing.left(9_000_000), (second(0), second(7)));
        assert_eq!(departing.left(99_000_000), (second(0), second(0)));
        assert!(departing.is_over(99_000_000) && !departing.is_over(9_000_000));
    }

    #[test]
    fn what_another_release_says_beside_it_is_skipped_and_what_it_does_not_say_is_nothing() {
        let said = r#"{"draining":true,"mood":"good"}"#;
        let drain: Drain = serde_json::from_str(said).unwrap();
        assert!(drain.draining && drain.departing.is_none());
        assert_eq!(
            serde_json::from_str::<Drain>("{}").unwrap(),
            Drain::default()
        );
    }
}
