//! How long a request is held for a server that fails.
//!
//! Owns: the time where the file has no `hold_ms`: with Sentinels as long as a failover takes, so that no
//! request fails shortly before the new master is there. Never: knows when Sentinels act; it is told.

use std::fmt;
use std::time::Duration;

/// Until Sentinels have said what they need, which is within a second of hearing them: what a
/// failover takes with the shortest `down-after-milliseconds` that is safe, 2 s, and half a second
/// to hear them first. Longer would only help where none of them can be heard, and nobody is
/// followed.
const UNTIL_HEARD: Duration = Duration::from_millis(5000);

/// What a failover takes besides the silence that is death (`down-after-milliseconds`): until the
/// Sentinels have asked each other (they do so once a second), a leader is elected (up to a second,
/// at random, so that not all of them stand at once), and the replica is promoted and says so. Some
/// 0.4 s is usual; it takes longer when hosts are busy.
pub const FAILOVER_BESIDES: Duration = Duration::from_millis(2500);

/// The longest a request is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldTime {
    /// For so long: `hold_ms`, or what it is by default without Sentinels. Zero holds nothing.
    Fixed(Duration),
    /// As long as the Sentinels need for a failover, by their own word.
    BySentinels,
}

impl HoldTime {
    /// How long that is, where the Sentinels have said that they need `needed`.
    #[must_use]
    pub fn with(self, needed: Option<Duration>) -> Duration {
        match self {
            HoldTime::Fixed(time) => time,
            HoldTime::BySentinels => needed.unwrap_or(UNTIL_HEARD),
        }
    }
}

/// For how long, and who says so.
impl fmt::Display for HoldTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HoldTime::Fixed(time) => write!(f, "{} ms (`hold_ms`)", time.as_millis()),
            HoldTime::BySentinels => write!(
                f,
                "as long as the Sentinels need, their `down-after-milliseconds` and {} ms; until \
                 they are heard {} ms",
                FAILOVER_BESIDES.as_millis(),
                UNTIL_HEARD.as_millis()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn hold_time(keys: &str) -> HoldTime {
        let text = format!(
            "alpha:\n  listen: 127.0.0.1:1\n  redis: true\n{keys}  servers: [127.0.0.1:2:1 m1]\n"
        );
        Config::parse(&text, "a.yml").unwrap().pools[0]
            .failure
            .hold_time
    }

    const SENTINELS: &str = "  sentinels: [127.0.0.1:26379]\n";

    #[test]
    fn what_the_file_says_holds_whatever_the_sentinels_need() {
        let said = hold_time(&format!("{SENTINELS}  hold_ms: 800\n"));
        let time = Duration::from_millis(800);
        assert_eq!(said, HoldTime::Fixed(time));
        assert_eq!(said.with(Some(Duration::from_secs(7))), time);
    }

    #[test]
    fn with_sentinels_it_is_what_they_need_and_without_them_a_default() {
        let needed = Duration::from_secs(7);
        let followed = hold_time(SENTINELS);
        assert_eq!(followed, HoldTime::BySentinels);
        assert_eq!(followed.with(Some(needed)), needed);
        assert_eq!(followed.with(None), UNTIL_HEARD);
        assert_eq!(hold_time("").with(Some(needed)), Duration::from_millis(800));
    }
}
