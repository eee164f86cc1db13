//! How often the same may be said: a flood of events is no flood of lines.
//!
//! Owns: what "the same" is, how much of it is written, and what becomes of the rest: it is counted,
//! and the last of it is written with the count. Never: a file, a clock.
//!
//! It stands before every line at once, so no place in the code has to think of who can make it log,
//! and how often.

use std::collections::HashMap;
use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::time::Duration;

use tracing::Metadata;

use super::fact::Fact;
use super::fact::Value;

/// So many lines of the same come through at once: a trouble is seen as it happened.
const BURST: u32 = 10;

/// Then one in this time. What happens less often is always written.
const PERIOD: Duration = Duration::from_secs(10);

/// Fields that say of what a line speaks. Each value has its own pace: a server that comes and goes
/// hides nothing of another one.
const SUBJECTS: &[&str] = &[
    "pool", "server", "replica", "sentinel", "name", "address", "door", "path",
];

/// Subjects may come from the network, and so without end: beyond these, all lines that one place in
/// the code writes have one pace together.
const SUBJECTS_MAX: usize = 1024;

/// What a line is the same as.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sameness {
    place: u64,
    subject: u64,
}

impl Sameness {
    /// Of what this place in the code says: its words, and the subjects of which it speaks.
    pub(super) fn of(metadata: &'static Metadata<'static>, fact: &Fact) -> Self {
        let mut place = DefaultHasher::new();
        metadata.callsite().hash(&mut place);
        let mut subject = place.clone();
        fact.message.hash(&mut subject);
        for (name, value) in &fact.fields {
            if let (true, Value::Text(value)) = (SUBJECTS.contains(name), value) {
                value.hash(&mut subject);
            }
        }
        Sameness {
            place: place.finish(),
            subject: subject.finish(),
        }
    }
}

#[derive(Debug)]
struct Allowance {
    lines: u32,
    // When `lines` was true.
    at: Duration,
    left_out: u64,
    last: Option<Fact>,
}

impl Allowance {
    fn renew(&mut self, now: Duration) {
        let more = now.saturating_sub(self.at).as_secs() / PERIOD.as_secs();
        let more = u32::try_from(more).unwrap_or(BURST);
        self.at += PERIOD * more;
        self.lines = self.lines.saturating_add(more);
        if self.lines >= BURST {
            (self.lines, self.at) = (BURST, now);
        }
    }

    fn is_unused(&self) -> bool {
        self.lines == BURST && self.left_out == 0
    }
}

/// The pace of everything that is said.
#[derive(Debug, Default)]
pub(super) struct Pace {
    allowances: HashMap<u64, Allowance>,
    waiting: usize,
    swept_at: Option<Duration>,
}

impl Pace {
    /// The line as it may be written now, or nothing: it is counted, and written later as the last of
    /// several.
    pub(super) fn admit(&mut self, same: Sameness, fact: Fact, now: Duration) -> Option<Fact> {
        let key = self.key(same, now);
        let allowance = self.allowances.entry(key).or_insert(Allowance {
            lines: BURST,
            at: now,
            left_out: 0,
            last: None,
        });
        allowance.renew(now);
        if allowance.lines == 0 {
            self.waiting += usize::from(allowance.last.replace(fact).is_none());
            allowance.left_out += 1;
            return None;
        }
        allowance.lines -= 1;
        self.waiting -= usize::from(allowance.last.take().is_some());
        Some(Fact {
            more: std::mem::take(&mut allowance.left_out),
            ..fact
        })
    }

    // A map that is full is swept once a second at most: who floods it must not make it costly.
    fn key(&mut self, same: Sameness, now: Duration) -> u64 {
        let full = self.allowances.len() >= SUBJECTS_MAX;
        if !full || self.allowances.contains_key(&same.subject) {
            return same.subject;
        }
        let swept = self.swept_at.replace(now);
        if swept.is_none_or(|at| now >= at + Duration::from_secs(1)) {
            self.allowances.retain(|_, allowance| {
                allowance.renew(now);
                !allowance.is_unused()
            });
        } else {
            self.swept_at = swept;
        }
        match self.allowances.len() < SUBJECTS_MAX {
            true => same.subject,
            false => same.place,
        }
    }

    /// Until the next line that was left out may be written; nothing if none was.
    pub(super) fn due_in(&self, now: Duration) -> Option<Duration> {
        if self.waiting == 0 {
            return None;
        }
        let waiting = self.allowances.values().filter(|a| a.last.is_some());
        let due = waiting.map(|allowance| (allowance.at + PERIOD).saturating_sub(now));
        due.min()
    }

    /// Those that may be written now, each for all of its kind.
    pub(super) fn due(&mut self, now: Duration) -> Vec<Fact> {
        let mut due = Vec::new();
        if self.waiting == 0 {
            return due;
        }
        for allowance in self.allowances.values_mut() {
            allowance.renew(now);
            if allowance.lines > 0 {
                due.extend(allowance.give());
            }
        }
        self.waiting -= due.len();
        due
    }

    /// All that was left out, whatever the time: nothing is said after it.
    pub(super) fn rest(&mut self) -> Vec<Fact> {
        self.waiting = 0;
        let allowances = self.allowances.values_mut();
        allowances.filter_map(Allowance::give).collect()
    }
}

impl Allowance {
    fn give(&mut self) -> Option<Fact> {
        let last = self.last.take()?;
        self.lines = self.lines.saturating_sub(1);
        // It is one of those that it stands for.
        Some(Fact {
            more: std::mem::take(&mut self.left_out) - 1,
            ..last
        })
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn same(place: u64, subject: u64) -> Sameness {
        Sameness { place, subject }
    }

    fn text(message: impl ToString) -> Fact {
        Fact::new(Level::WARN, message.to_string())
    }

    fn said(lines: &[Fact]) -> Vec<(&str, u64)> {
        let said = lines.iter().map(|line| (line.message.as_str(), line.more));
        said.collect()
    }

    #[test]
    fn of_a_flood_the_beginning_is_written_then_the_last_with_how_many_there_were() {
        let mut pace = Pace::default();
        let mut written = Vec::new();
        for nth in 0..15_000 {
            let admitted = pace.admit(same(1, 2), text(format!("line {nth}")), seconds(1));
            written.extend(admitted);
        }
        assert_eq!(written.len(), 10);
        assert_eq!(pace.due_in(seconds(4)), Some(seconds(7)));
        assert_eq!(pace.due(seconds(10)), []);
        assert_eq!(said(&pace.due(seconds(11))), [("line 14999", 14_989)]);
        assert_eq!(pace.due_in(seconds(11)), None);
        assert_eq!(pace.due(seconds(1000)), []);
    }

    #[test]
    fn what_is_rare_is_always_written_and_a_flood_hides_no_other_subject() {
        let mut pace = Pace::default();
        for nth in 0..100 {
            let now = seconds(nth * 10);
            assert_eq!(
                pace.admit(same(1, 1), text("rare"), now),
                Some(text("rare"))
            );
        }
        for _ in 0..100 {
            let _ = pace.admit(same(1, 2), text("flood"), seconds(1000));
        }
        let other = pace.admit(same(1, 3), text("other"), seconds(1000));
        assert_eq!(other, Some(text("other")));
    }

    #[test]
    fn every_line_is_written_or_counted() {
        let mut pace = Pace::default();
        let mut random = crate::base::Random::new(7);
        let (mut said, mut told) = (0, 0);
        let mut count = |lines: &[Fact]| {
            for line in lines {
                told += 1 + line.more;
            }
        };
        let mut now = Duration::ZERO;
        for _ in 0..20_000 {
            now += Duration::from_millis(random.next_u64() % 400);
            said += 1;
            let same = same(1, random.next_u64() % 5);
            let admitted = pace.admit(same, text("x"), now);
            count(admitted.as_slice());
            if random.next_u64().is_multiple_of(3) {
                count(&pace.due(now));
            }
        }
        count(&pace.rest());
        assert_eq!(told, said);
        assert_eq!(pace.due_in(now), None);
    }

    #[test]
    fn subjects_without_end_take_no_memory_without_end_and_have_one_pace() {
        let mut pace = Pace::default();
        let mut written = 0;
        for nth in 0..100_000 {
            written += u32::from(
                pace.admit(same(1, nth + 2), text("x"), seconds(1))
                    .is_some(),
            );
        }
        assert!(
            (1024..1024 + 2 * BURST).contains(&written),
            "{written} lines"
        );
        assert!(pace.allowances.len() <= SUBJECTS_MAX + 1);
        // Once they are old they make room for others.
        let late = pace.admit(same(1, u64::MAX), text("x"), seconds(200));
        assert_eq!(late, Some(text("x")));
        assert!(pace.allowances.len() < 10);
    }
}
