//! What becomes of one request when its server connection ends.
//!
//! | the connection | not sent | sent, changes nothing | sent, changes something |
//! |---|---|---|---|
//! | broke | next connection | next connection, once | error: the outcome is unknown |
//! | broke for a request that the server could not read | next connection | next connection | next connection |
//! | could not be made | held, or error | – | – |
//! | to a replica, any of these | another server | another server | another server |
//!
//! What was sent can be sent again only while its bytes are kept. Nobody is told of a request that was
//! given up before (a tombstone), or that the proxy has asked itself.
//!
//! Owns: this table. Never: moves a request, looks at anything but its arguments.

use crate::base::Key;
use crate::proxy::failure::Failure;
use crate::proxy::failure::Outcome;
use crate::proxy::server_conn::queue::Pending;
use crate::proxy::server_conn::queue::Retry;

/// Why a server connection ends.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) enum Cause<'a> {
    /// It worked, and broke.
    Broke(&'a Failure),
    /// The same, after a request that its server could not read: nothing behind that one was executed.
    Unreadable(&'a Failure),
    /// The attempt to make it has failed.
    NotMade,
}

/// How far a request had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Stage {
    /// It was not sent.
    Unsent,
    /// It was sent.
    Sent {
        /// Its bytes are still there.
        kept: bool,
        /// Its reply was the next to come.
        next: bool,
    },
}

/// Whom the connection led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Peer {
    /// The server itself; whether requests are held while it cannot be reached.
    Master { holds: bool },
    /// One of its replicas: all that is asked there can be asked elsewhere.
    Replica,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Disposition {
    /// It is sent on the next connection.
    Requeue,
    /// The same, and not a second time.
    Resend,
    /// Another server is asked.
    Reroute,
    /// Its client gets an error.
    Fail(Outcome),
    /// Nobody awaits it.
    Forget,
}

/// What becomes of a request on a connection that ends.
pub(in crate::proxy) fn disposition(
    pending: &Pending,
    stage: Stage,
    cause: Cause<'_>,
    peer: Peer,
) -> Disposition {
    let is_awaited = !pending.awaiter.is_buried() && pending.awaiter.client != Key::NONE;
    match (stage, peer) {
        (Stage::Sent { .. }, _) if !is_awaited => Disposition::Forget,
        (Stage::Unsent, Peer::Replica) => Disposition::Reroute,
        (Stage::Unsent, Peer::Master { holds: false }) if matches!(cause, Cause::NotMade) => {
            Disposition::Fail(Outcome::NotDone)
        }
        (Stage::Unsent, Peer::Master { .. }) => Disposition::Requeue,
        (Stage::Sent { kept, next }, Peer::Master { .. }) => {
            of_sent(pending.retry(), kept, next, cause)
        }
        (Stage::Sent { kept, next }, Peer::Replica) => {
            // What is no reply would be none elsewhere, either, and end the master's connection too.
            let is_bad = next && is_bad_reply(cause);
            match kept && !is_bad {
                true => Disposition::Reroute,
                false => Disposition::Fail(Outcome::NotDone),
            }
        }
    }
}

fn of_sent(retry: Retry, kept: bool, next: bool, cause: Cause<'_>) -> Disposition {
    match (cause, retry) {
        (Cause::Unreadable(_), _) if kept => Disposition::Requeue,
        (Cause::Unreadable(_), _) => Disposition::Fail(Outcome::NotDone),
        (Cause::Broke(failure), Retry::Once) if kept && failure.allows_retry(next) => {
            Disposition::Resend
        }
        (_, Retry::Never) => Disposition::Fail(Outcome::Unknown),
        (_, Retry::Once | Retry::Used) => Disposition::Fail(Outcome::NotDone),
    }
}

fn is_bad_reply(cause: Cause<'_>) -> bool {
    match cause {
        Cause::Broke(failure) | Cause::Unreadable(failure) => {
            matches!(failure, Failure::BadReply(_))
        }
        Cause::NotMade => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::base::Time;
    use crate::protocol::Expect;
    use crate::protocol::Protocol;
    use crate::protocol::command::ErrorsBy;
    use crate::proxy::client::Awaiter;
    use crate::proxy::server_conn::queue::Terms;

    use super::Disposition::Requeue;
    use super::Disposition::Reroute;
    use super::Disposition::Resend;
    use super::*;
    use crate::protocol::Version;

    const UNKNOWN: Disposition = Disposition::Fail(Outcome::Unknown);
    const NOT_DONE: Disposition = Disposition::Fail(Outcome::NotDone);
    const FAILS: Peer = Peer::Master { holds: false };
    const HOLDS: Peer = Peer::Master { holds: true };
    const CLOSED: Failure = Failure::ClosedByServer;

    fn bad_reply() -> Failure {
        let cut = Protocol::Resp.cut_reply(Version::V2, Expect::ONE, b":12a\r\n");
        Failure::BadReply(cut.unwrap_err())
    }

    fn request(retry: Retry) -> Pending {
        let client = Key {
            index: 1,
            generation: 0,
        };
        let awaiter = Awaiter {
            client,
            sequence: 7,
            fragment: 0,
        };
        let terms = Terms::new(retry, ErrorsBy::Server, Expect::ONE);
        Pending::new(awaiter, 9, terms, Time::ZERO)
    }

    /// What becomes of a request that was sent: of a read (the next one, a later one, one that was
    /// sent again) and of a write; where the bytes are kept, and where they are not.
    fn of_sent_ones(cause: Cause<'_>, peer: Peer) -> ([Disposition; 4], [Disposition; 4]) {
        let of = |kept, retry, next| {
            disposition(&request(retry), Stage::Sent { kept, next }, cause, peer)
        };
        let row = |kept| {
            [
                of(kept, Retry::Once, true),
                of(kept, Retry::Once, false),
                of(kept, Retry::Used, false),
                of(kept, Retry::Never, true),
            ]
        };
        (row(true), row(false))
    }

    #[test]
    fn what_was_sent_to_a_master_goes_on_if_it_changes_nothing_or_was_not_executed() {
        let lost = [NOT_DONE, NOT_DONE, NOT_DONE, UNKNOWN];
        let (bad, unasked) = (bad_reply(), Failure::Unasked);
        for peer in [FAILS, HOLDS] {
            for (cause, kept, gone) in [
                (
                    Cause::Broke(&CLOSED),
                    [Resend, Resend, NOT_DONE, UNKNOWN],
                    lost,
                ),
                (
                    Cause::Broke(&bad),
                    [NOT_DONE, Resend, NOT_DONE, UNKNOWN],
                    lost,
                ),
                (Cause::Broke(&unasked), lost, lost),
                (Cause::Unreadable(&CLOSED), [Requeue; 4], [NOT_DONE; 4]),
                (Cause::NotMade, lost, lost),
            ] {
                assert_eq!(of_sent_ones(cause, peer), (kept, gone), "{cause:?}");
            }
        }
    }

    #[test]
    fn what_was_sent_to_a_replica_is_asked_elsewhere_but_for_what_gave_no_reply() {
        let bad = bad_reply();
        for (cause, kept) in [
            (Cause::Broke(&CLOSED), [Reroute; 4]),
            (Cause::Unreadable(&CLOSED), [Reroute; 4]),
            (Cause::Broke(&bad), [NOT_DONE, Reroute, Reroute, NOT_DONE]),
            (Cause::NotMade, [Reroute; 4]),
        ] {
            assert_eq!(of_sent_ones(cause, Peer::Replica), (kept, [NOT_DONE; 4]));
        }
    }

    #[test]
    fn what_was_not_sent_goes_on_unless_the_attempt_has_failed_and_nothing_is_held() {
        for retry in [Retry::Once, Retry::Used, Retry::Never] {
            let of = |cause, peer| disposition(&request(retry), Stage::Unsent, cause, peer);
            for cause in [Cause::Broke(&CLOSED), Cause::Unreadable(&CLOSED)] {
                assert_eq!((of(cause, FAILS), of(cause, HOLDS)), (Requeue, Requeue));
                assert_eq!(of(cause, Peer::Replica), Reroute);
            }
            assert_eq!(of(Cause::NotMade, FAILS), NOT_DONE);
            assert_eq!(of(Cause::NotMade, HOLDS), Requeue);
            assert_eq!(of(Cause::NotMade, Peer::Replica), Reroute);
        }
    }

    #[test]
    fn a_tombstone_and_the_proxys_own_question_are_forgotten() {
        for retry in [Retry::Once, Retry::Used, Retry::Never] {
            let mut buried = request(retry);
            buried.awaiter = buried.awaiter.buried();
            let mut own = request(retry);
            own.awaiter = Awaiter::OURS;
            for pending in [buried, own] {
                for kept in [true, false] {
                    for cause in [Cause::Broke(&CLOSED), Cause::Unreadable(&CLOSED)] {
                        for peer in [FAILS, HOLDS, Peer::Replica] {
                            let stage = Stage::Sent { kept, next: true };
                            let becomes = disposition(&pending, stage, cause, peer);
                            assert_eq!(becomes, Disposition::Forget);
                        }
                    }
                }
            }
        }
    }
}
