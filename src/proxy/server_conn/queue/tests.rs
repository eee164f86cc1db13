use std::collections::HashSet;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::Just;
use proptest::prelude::Strategy;
use proptest::prelude::TestCaseError;
use proptest::prelude::any;
use proptest::prelude::prop_assert;
use proptest::prelude::prop_assert_eq;
use proptest::prelude::prop_oneof;
use proptest::proptest;

use super::*;

const READ: Terms = Terms::new(Retry::Once, ErrorsBy::Server, Expect::ONE);
const WRITE: Terms = Terms::new(Retry::Never, ErrorsBy::Server, Expect::ONE);
const TIMEOUT: Duration = Duration::from_micros(100);

fn at(micros: u64) -> Time {
    Time::from_micros(micros)
}

fn awaiter(client: u32, sequence: u32) -> Awaiter {
    Awaiter {
        client: Key {
            index: client,
            generation: 0,
        },
        sequence,
        fragment: 0,
    }
}

/// A queue with its surroundings, and a request's bytes that say which it is.
#[derive(Debug, Default)]
struct Bench {
    queue: RequestQueue,
    spare: Spare,
    gauges: ServerCounters,
    sequence: u32,
}

impl Bench {
    fn push(&mut self, client: u32, bytes: usize, terms: Terms, now: Time) -> Awaiter {
        self.sequence += 1;
        let frame = vec![mark(self.sequence); bytes];
        self.queue.writer().push_copy(&frame, &mut self.spare);
        let awaiter = awaiter(client, self.sequence);
        let pushed = self.queue.push(awaiter, terms, now, &self.gauges);
        assert_eq!(pushed, bytes);
        awaiter
    }

    fn send(&mut self) -> Vec<u8> {
        let batch = self.queue.take_batch(Time::ZERO, &self.gauges);
        let bytes = batch.slices().collect::<Vec<_>>().concat();
        self.queue.batch_sent(batch, &mut self.spare);
        bytes
    }

    fn pair(&mut self) -> Option<Awaiter> {
        let paired = self.queue.pair(&mut self.spare, &self.gauges);
        paired.map(|pending| pending.awaiter)
    }

    fn check(&self) {
        self.queue.check_invariants();
        let load = self.queue.load();
        let gauges = [
            (&self.gauges.in_queue, load.unsent),
            (&self.gauges.in_queue_bytes, load.unsent_bytes),
            (&self.gauges.out_queue, load.sent),
            (&self.gauges.out_queue_bytes, load.sent_bytes),
        ];
        for (gauge, counted) in gauges {
            assert_eq!(gauge.value(), counted as u64, "{load:?}");
        }
    }
}

fn mark(sequence: u32) -> u8 {
    (sequence % 251) as u8
}

fn with(requests: &[(usize, Terms)]) -> Bench {
    let mut bench = Bench::default();
    for (bytes, terms) in requests {
        bench.push(0, *bytes, *terms, Time::ZERO);
    }
    bench
}

/// What may happen to a queue.
#[derive(Clone, Debug)]
enum Step {
    Push {
        client: u32,
        bytes: usize,
        write: bool,
    },
    TakeBatch,
    BatchSent,
    Pair,
    Pass,
    Stream,
    BuryStreamed,
    Refuse,
    DropClient(u32),
    DropLast,
    BreakAndRetry,
    LeaveArrived,
    MoveUnbound,
    MoveAll,
    Question,
    ForgetBytes,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let push = (0..4u32, 1..40usize, any::<bool>());
    let push = push.prop_map(|(client, bytes, write)| Step::Push {
        client,
        bytes,
        write,
    });
    let step = prop_oneof![
        6 => push,
        4 => Just(Step::TakeBatch),
        3 => Just(Step::BatchSent),
        4 => Just(Step::Pair),
        2 => Just(Step::Pass),
        1 => Just(Step::Stream),
        1 => Just(Step::BuryStreamed),
        1 => Just(Step::Refuse),
        1 => (0..4u32).prop_map(Step::DropClient),
        1 => Just(Step::DropLast),
        1 => Just(Step::BreakAndRetry),
        1 => Just(Step::LeaveArrived),
        1 => Just(Step::MoveUnbound),
        1 => Just(Step::MoveAll),
        1 => Just(Step::Question),
        1 => Just(Step::ForgetBytes),
    ];
    vec(step, 1..60)
}

/// Runs steps, and knows what must become of each request.
#[derive(Debug, Default)]
struct Course {
    bench: Bench,
    now: u64,
    batch: Option<Batch>,
    pushed: Vec<Awaiter>,
    // Each has left in one way, and once.
    left: HashSet<u32>,
}

impl Course {
    fn leave(&mut self, pendings: impl IntoIterator<Item = Pending>) -> Result<(), TestCaseError> {
        for pending in pendings {
            let awaiter = pending.awaiter;
            if awaiter != Awaiter::OURS && !awaiter.is_buried() {
                prop_assert!(
                    self.left.insert(awaiter.sequence),
                    "left twice: {awaiter:?}"
                );
            }
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let Bench {
            queue,
            spare,
            gauges,
            ..
        } = &mut self.bench;
        match step {
            Step::Push {
                client,
                bytes,
                write,
            } => {
                let terms = if *write { WRITE } else { READ };
                let pushed = self.bench.push(*client, *bytes, terms, at(self.now));
                self.pushed.push(pushed);
            }
            Step::TakeBatch if self.batch.is_none() && queue.has_unsent() => {
                let batch = queue.take_batch(Time::ZERO, gauges);
                self.batch = Some(batch);
            }
            Step::BatchSent => {
                if let Some(batch) = self.batch.take() {
                    queue.batch_sent(batch, spare);
                }
            }
            Step::Pair => {
                let paired = queue.pair(spare, gauges);
                self.leave(paired)?;
            }
            Step::Pass => {
                self.now += 60;
                let expired = queue.expire(TIMEOUT, at(self.now), gauges);
                self.leave(expired.sent)?;
                self.leave(expired.unsent)?;
            }
            Step::Stream
                if queue
                    .next_sent()
                    .is_some_and(|first| !first.awaiter.is_buried()) =>
            {
                queue.stream();
                prop_assert_eq!(
                    queue.half_given(),
                    queue.next_sent().map(|first| first.awaiter)
                );
            }
            Step::BuryStreamed => {
                let buried = queue.bury_streamed();
                self.leave(buried)?;
            }
            Step::Refuse if !queue.is_streaming() && queue.may_ask_first_again() => {
                let first = queue.next_sent().copied();
                if first.is_some_and(|first| !first.awaiter.is_buried()) {
                    let refused = queue.first_refused().unwrap_or(at(self.now));
                    queue.requeue_first(refused, spare, gauges);
                }
            }
            Step::DropClient(client) => {
                let gone = |pending: &Pending| pending.awaiter.client.index == *client;
                let dropped = queue.drop_unsent(gone, spare, gauges);
                self.leave(dropped)?;
            }
            Step::DropLast => {
                let dropped = queue.drop_last(gauges);
                self.leave(dropped)?;
            }
            Step::BreakAndRetry => {
                let mut sent = queue.take_sent(gauges);
                let mut again = Requests::default();
                let mut failed = Vec::new();
                for pending in std::mem::take(&mut sent.pendings) {
                    if sent.has_next() && !pending.writes() && !pending.awaiter.is_buried() {
                        sent.resend(pending, &mut again, spare);
                    } else {
                        sent.skip(&pending);
                        failed.push(pending);
                    }
                }
                queue.requeue(again, spare, gauges);
                self.batch = None;
                self.leave(failed)?;
            }
            Step::LeaveArrived => {
                let sending = usize::from(self.batch.is_some()) * queue.sent_len();
                let mut sent = queue.take_arrived(gauges);
                prop_assert!(queue.sent_len() <= sending, "what has arrived stays");
                let pendings = std::mem::take(&mut sent.pendings);
                for pending in &pendings {
                    if let Some(bytes) = sent.take(pending, spare) {
                        prop_assert_eq!(bytes.len(), pending.bytes as usize);
                    }
                }
                self.leave(pendings)?;
            }
            Step::MoveUnbound => {
                let requests = queue.take_unbound(spare, gauges);
                // Those that have gone no longer keep their place among those that stay.
                self.leave(
                    requests
                        .each()
                        .map(|(pending, _)| pending)
                        .collect::<Vec<_>>(),
                )?;
            }
            Step::MoveAll => {
                let requests = queue.take_unsent(gauges);
                self.bench.check();
                let Bench {
                    queue,
                    spare,
                    gauges,
                    ..
                } = &mut self.bench;
                queue.append(requests, spare, gauges);
            }
            Step::Question if self.batch.is_none() => {
                let mut question = ByteQueue::default();
                question.push_copy(b"?", spare);
                queue.push_own(1, at(self.now), gauges);
                self.batch = Some(question.take());
            }
            Step::ForgetBytes => {
                let kept = queue.kept_bytes();
                prop_assert_eq!(queue.forget_kept_bytes(), kept);
                prop_assert_eq!(queue.kept_bytes(), 0);
            }
            _ => {}
        }
        Ok(())
    }

    /// Every request is inside or has left, and lies behind its own client's earlier ones.
    fn check(&self) -> Result<(), TestCaseError> {
        self.bench.check();
        let awaited = self.bench.queue.awaited();
        let inside: Vec<Awaiter> = awaited
            .map(|pending| pending.awaiter)
            .filter(|awaiter| *awaiter != Awaiter::OURS)
            .collect();
        let mut known: HashSet<u32> = self.left.clone();
        for awaiter in &inside {
            prop_assert!(known.insert(awaiter.sequence), "twice: {awaiter:?}");
        }
        prop_assert_eq!(known.len(), self.pushed.len(), "lost");
        for client in 0..4 {
            let own = inside.iter().filter(|one| one.client.index == client);
            let own: Vec<u32> = own.map(|one| one.sequence).collect();
            prop_assert!(own.is_sorted(), "client {client} is overtaken: {own:?}");
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn no_request_is_lost_doubled_or_overtaken_and_each_keeps_its_bytes(steps in steps()) {
        let mut course = Course::default();
        for step in &steps {
            course.step(step)?;
            course.check()?;
        }
        // What is left is sent in order, each with the bytes that it was pushed with.
        let queue = &course.bench.queue;
        let unsent: Vec<Pending> = queue.unsent().copied().collect();
        let bytes = course.bench.queue.take_batch(Time::ZERO, &course.bench.gauges);
        let mut bytes = bytes.slices().flatten().copied().collect::<Vec<u8>>().into_iter();
        for pending in unsent {
            let own: Vec<u8> = bytes.by_ref().take(pending.bytes as usize).collect();
            prop_assert_eq!(own, vec![mark(pending.awaiter.sequence); pending.bytes as usize]);
        }
        prop_assert_eq!(bytes.next(), None);
    }

    #[test]
    fn whatever_changes_nothing_is_kept_however_full_its_batch_is(
        sizes in vec((prop_oneof![1..100usize, (1usize << 19)..(3 << 19)], any::<bool>()), 1..12),
    ) {
        let requests: Vec<(usize, Terms)> = sizes
            .iter()
            .map(|(bytes, safe)| (*bytes, if *safe { READ } else { WRITE }))
            .collect();
        let mut bench = with(&requests);
        let mut left = &requests[..];
        while bench.queue.has_unsent() {
            let before = bench.queue.unsent;
            let (sent, kept) = (bench.send().len(), bench.queue.kept_bytes());
            let (these, rest) = left.split_at(before - bench.queue.unsent);
            left = rest;
            let bytes: usize = these.iter().map(|(bytes, _)| bytes).sum();
            prop_assert_eq!(sent, bytes);
            prop_assert!(bytes <= BATCH_BYTES_MAX || these.len() == 1);
            let reads = these.iter().any(|(_, terms)| *terms == READ);
            prop_assert!(kept == sent || !reads, "a read is not kept");
            prop_assert_eq!(kept == 0, bytes > BATCH_BYTES_MAX && !reads);
            while bench.pair().is_some() {}
        }
        prop_assert!(left.is_empty());
    }
}

#[test]
fn a_batch_ends_at_the_border_and_not_behind_it() {
    let full = (BATCH_BYTES_MAX - 10, READ);
    let sent_and_kept = |requests: &[(usize, Terms)]| {
        let mut bench = with(requests);
        bench.send();
        (bench.queue.sent_len(), bench.queue.kept_bytes() > 0)
    };
    assert_eq!(sent_and_kept(&[full, (10, WRITE)]), (2, true));
    assert_eq!(sent_and_kept(&[full, (11, WRITE)]), (1, true));
    let large = |terms| sent_and_kept(&[(BATCH_BYTES_MAX + 1, terms), full]);
    assert_eq!(large(WRITE), (1, false), "its value would stay in memory");
    assert_eq!(large(READ), (1, true), "many keys are no less a read");
}

#[test]
fn a_refused_request_waits_before_all_others_and_remembers_since_when() {
    let mut bench = Bench::default();
    let first = bench.push(1, 3, READ, at(5));
    let second = bench.push(2, 4, READ, at(6));
    bench.send();
    let later = bench.push(3, 5, READ, at(7));
    let Bench {
        queue,
        spare,
        gauges,
        ..
    } = &mut bench;
    assert!(queue.requeue_first(at(9), spare, gauges));
    assert_eq!(queue.first_refused(), None, "that is the second one's turn");
    queue.time_from_refusal(at(50));
    let since: Vec<(Awaiter, Time)> = queue
        .unsent()
        .map(|one| (one.awaiter, one.since()))
        .collect();
    assert_eq!(since, [(first, at(9)), (later, at(50))]);
    assert_eq!(bench.pair(), Some(second));
    assert_eq!(bench.send(), [1, 1, 1, 3, 3, 3, 3, 3]);
    assert_eq!(bench.queue.first_refused(), Some(at(9)));
    assert_eq!(bench.pair(), Some(first));
    assert!(bench.queue.refused.is_empty(), "nothing is kept of it");
    bench.check();
}

#[test]
fn a_tombstone_swallows_the_late_reply_and_the_unsent_is_not_sent() {
    let mut bench = Bench::default();
    bench.push(1, 3, WRITE, at(0));
    bench.send();
    let unsent = bench.push(2, 4, WRITE, at(1));
    let young = bench.push(2, 5, WRITE, at(90));
    let expired = bench.queue.expire(TIMEOUT, at(101), &bench.gauges);
    assert_eq!((expired.sent.len(), expired.unsent[0].awaiter), (1, unsent));
    assert_eq!(bench.queue.late_writers(), [awaiter(1, 1).client]);
    assert!(bench.queue.owes_nobody());
    assert_eq!(bench.send().len(), 5);
    assert!(bench.pair().is_some_and(Awaiter::is_buried));
    assert_eq!(bench.pair(), Some(young));
    assert_eq!(bench.pair(), None);
    bench.check();
}

#[test]
fn what_moves_on_keeps_bytes_order_and_refusal() {
    let (mut from, mut to) = (Bench::default(), Bench::default());
    let refused = from.push(1, 3, READ, at(0));
    from.send();
    from.push(2, 4, READ, at(1));
    assert!(
        from.queue
            .requeue_first(at(2), &mut from.spare, &from.gauges)
    );
    to.push(9, 1, READ, at(0));
    to.queue.append(
        from.queue.take_unsent(&from.gauges),
        &mut to.spare,
        &to.gauges,
    );
    from.check();
    to.check();
    assert!(from.queue.is_empty());
    assert_eq!(to.send(), [1, 1, 1, 1, 2, 2, 2, 2]);
    assert_eq!(to.pair(), Some(awaiter(9, 1)));
    assert_eq!(to.queue.first_refused(), Some(at(2)));
    assert_eq!(to.pair(), Some(refused));
}
