//! Which claims of the Sentinels may be true.
//!
//! Owns: the votes. Never: a Sentinel's connection, the time, what a server says of itself.
//!
//! A claim about a master is an address and the epoch of its configuration (redis: `config_epoch`).
//! A newer epoch wins once a majority of all Sentinels reports it, which takes a second or two. So no
//! single Sentinel can mislead the proxy, not even one of another installation. Without a majority
//! the proxy follows none: the few that it hears may be cut off together with it, or have missed the
//! last failover. The winner is used only once the server itself reports that it is a master.

use crate::config::HostPort;

/// What one Sentinel says of one master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) address: HostPort,
    pub(super) epoch: u64,
}

/// How new a configuration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) epoch: u64,
    /// Seen while it was promoted, so newer than its epoch says and older than the next.
    pub(super) promoted: bool,
}

/// An address that may be the master's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Contender {
    pub(super) address: HostPort,
    pub(super) rank: Rank,
    /// It is older than what is in use, and still what most Sentinels say.
    pub(super) only_by_majority: bool,
}

/// How many Sentinels are heard, and how many of all there are would be a majority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Electors {
    pub(super) heard: usize,
    pub(super) majority: usize,
}

impl Electors {
    fn are_heard(self) -> bool {
        self.heard >= self.majority
    }
}

/// What the claims say beside what is in use.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Newest first.
    pub(super) contenders: Vec<Contender>,
    /// The newest epoch that a majority knows what is in use by; not an older one than is known.
    pub(super) confirmed: Option<u64>,
    /// A majority is heard at all.
    pub(super) by_majority: bool,
}

/// Weighs `claims`, one of each Sentinel that is heard and knows the master, against what is in
/// use.
pub(super) fn weigh(
    claims: &[&Claim],
    in_use: Option<(&HostPort, Rank)>,
    electors: Electors,
) -> Verdict {
    let mut verdict = Verdict {
        by_majority: electors.are_heard(),
        ..Verdict::default()
    };
    let mut epochs: Vec<u64> = claims.iter().map(|claim| claim.epoch).collect();
    epochs.sort_unstable_by(|a, b| b.cmp(a));
    epochs.dedup();
    for epoch in epochs {
        let Some((address, votes)) = winner(claims, epoch) else {
            continue;
        };
        let rank = Rank {
            epoch,
            promoted: false,
        };
        let contender = |only_by_majority| Contender {
            address: address.clone(),
            rank,
            only_by_majority,
        };
        let is_majority = votes >= electors.majority;
        match in_use {
            Some((used, in_use)) if used == address => {
                if rank >= in_use && is_majority {
                    verdict.confirmed = verdict.confirmed.or(Some(epoch));
                }
            }
            Some((_, in_use)) if rank < in_use => {
                if is_majority {
                    verdict.contenders.push(contender(true));
                }
            }
            None | Some(_) => {
                if is_majority {
                    verdict.contenders.push(contender(false));
                }
            }
        }
    }
    verdict
}

/// The address that more claims of one epoch name than any other.
fn winner<'a>(claims: &[&'a Claim], epoch: u64) -> Option<(&'a HostPort, usize)> {
    let of_epoch = || claims.iter().filter(|claim| claim.epoch == epoch);
    let votes = |address: &HostPort| of_epoch().filter(|claim| claim.address == *address).count();
    let best = of_epoch().max_by_key(|claim| votes(&claim.address))?;
    let most = votes(&best.address);
    let tied =
        of_epoch().any(|claim| claim.address != best.address && votes(&claim.address) == most);
    (!tied).then_some((&best.address, most))
}

/// Whether so many of `claims` as are a majority name `address`, whatever their epochs.
pub(super) fn agree(claims: &[&Claim], address: &HostPort, majority: usize) -> bool {
    claims
        .iter()
        .filter(|claim| claim.address == *address)
        .count()
        >= majority
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> HostPort {
        HostPort::Ip(([10, 0, 0, 1], port).into())
    }

    fn rank(epoch: u64, promoted: bool) -> Rank {
        Rank { epoch, promoted }
    }

    /// Contenders as (port, epoch, only by majority), and what is confirmed.
    fn weighed(
        claims: &[(u16, u64)],
        in_use: Option<(u16, Rank)>,
    ) -> (Vec<(u16, u64, bool)>, Option<u64>) {
        let claims: Vec<Claim> = claims
            .iter()
            .map(|(port, epoch)| Claim {
                address: at(*port),
                epoch: *epoch,
            })
            .collect();
        let claims: Vec<&Claim> = claims.iter().collect();
        let used = in_use.map(|(port, rank)| (at(port), rank));
        let electors = Electors {
            heard: claims.len(),
            majority: 2,
        };
        let verdict = weigh(&claims, used.as_ref().map(|(a, rank)| (a, *rank)), electors);
        let contenders = verdict.contenders.iter().map(|c| {
            let HostPort::Ip(address) = &c.address else {
                panic!("an ip")
            };
            (address.port(), c.rank.epoch, c.only_by_majority)
        });
        (contenders.collect(), verdict.confirmed)
    }

    #[test]
    fn a_newer_epoch_wins_once_a_majority_tells_it() {
        let used = Some((1, rank(3, false)));
        assert_eq!(weighed(&[(1, 3), (1, 3), (2, 4)], used).0, []);
        assert_eq!(weighed(&[(1, 3), (2, 4), (2, 4)], used).0, [(2, 4, false)]);
        assert_eq!(weighed(&[(1, 3), (1, 3), (1, 3)], used), (vec![], Some(3)));
    }

    #[test]
    fn a_single_sentinel_leads_nobody_astray_not_even_as_the_only_one_heard() {
        let used = Some((1, rank(3, false)));
        assert_eq!(weighed(&[(1, 3), (1, 3), (9, 999)], used).0, []);
        assert_eq!(
            weighed(&[(1, 3), (1, 3), (9, 999)], None).0,
            [(1, 3, false)]
        );
        assert_eq!(weighed(&[(2, 4)], used).0, []);
        assert_eq!(weighed(&[(2, 4)], None).0, []);
    }

    #[test]
    fn a_stale_sentinel_moves_nobody() {
        let used = Some((2, rank(4, false)));
        assert_eq!(weighed(&[(1, 3), (2, 4), (2, 4)], used), (vec![], Some(4)));
        assert_eq!(weighed(&[(1, 3)], used), (vec![], None));
    }

    #[test]
    fn of_one_epoch_most_votes_win_and_a_tie_wins_nothing() {
        assert_eq!(weighed(&[(1, 3), (2, 3), (2, 3)], None).0, [(2, 3, false)]);
        assert_eq!(weighed(&[(1, 3), (2, 3)], None).0, []);
        let used = Some((1, rank(3, false)));
        assert_eq!(weighed(&[(2, 3)], used).0, [], "one vote is no majority");
        assert_eq!(weighed(&[(2, 3), (2, 3)], used).0, [(2, 3, false)]);
    }

    #[test]
    fn a_promotion_that_was_seen_is_newer_than_its_epoch_and_older_than_the_next() {
        let used = Some((2, rank(3, true)));
        assert_eq!(weighed(&[(1, 3)], used), (vec![], None));
        assert_eq!(weighed(&[(2, 4), (1, 3)], used), (vec![], None));
        assert_eq!(weighed(&[(2, 4), (2, 4), (1, 3)], used), (vec![], Some(4)));
        assert_eq!(weighed(&[(3, 4), (3, 4), (1, 3)], used).0, [(3, 4, false)]);
    }

    #[test]
    fn what_most_still_say_may_come_back_only_as_a_last_resort() {
        let used = Some((2, rank(9, false)));
        assert_eq!(weighed(&[(1, 3), (1, 3)], used).0, [(1, 3, true)]);
        assert_eq!(weighed(&[(1, 3)], used).0, []);
    }

    #[test]
    fn agreement_is_about_addresses() {
        let claims = [(1, 3), (1, 4), (2, 4)].map(|(port, epoch)| Claim {
            address: at(port),
            epoch,
        });
        let claims: Vec<&Claim> = claims.iter().collect();
        assert!(agree(&claims, &at(1), 2));
        assert!(!agree(&claims, &at(2), 2));
    }
}
