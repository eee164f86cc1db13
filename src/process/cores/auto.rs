//! What `--cores auto` chooses on a machine.
//!
//! Owns: the choice, and its reason in words. Never: asks the system.

use std::fmt::Display;
use std::fmt::Formatter;

use super::show;

/// What the system says of its cores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Machine {
    /// Those that this process may run on, sorted: its affinity, narrowed by its cpuset.
    pub(super) allowed: Vec<usize>,
    /// All of them, sorted; empty where the system does not tell.
    pub(super) online: Vec<usize>,
    /// Those that are one physical core (SMT); a core in none of them stands alone.
    pub(super) siblings: Vec<Vec<usize>>,
    /// How much processor time the control group gets, in thousandths of a core.
    pub(super) quota_millicores: Option<u64>,
}

/// One worker for each of the cores, and why these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) cores: Vec<usize>,
    pub(super) why: Why,
}

/// Why the cores were chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// By the user.
    Asked,
    /// There is no other.
    OnlyCore,
    /// The machine is ours: its first core, where interrupts and other programs are most often, is
    /// left to them.
    FirstIsLeft { core: usize },
    /// One worker a physical core. Two that share one get a fifth to a third more done than one,
    /// and the system has work of its own for the other half: every packet.
    PhysicalCores { siblings: Vec<usize> },
    /// Somebody has chosen for us, and left the others to others.
    AllAllowed,
    /// So much processor time is given. More workers than that would stop each other in the middle
    /// of a pass. They are not pinned: others with a quota would be pinned to the same cores.
    Quota { millicores: u64 },
}

impl Why {
    /// Whether the workers stay on the cores, or run on any of them.
    pub(super) fn pins(&self) -> bool {
        !matches!(self, Why::Quota { .. })
    }
}

impl Display for Why {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Why::Asked => write!(f, "as --cores says"),
            Why::OnlyCore => write!(f, "there is no other"),
            Why::FirstIsLeft { core } => {
                write!(
                    f,
                    "core {core} is left to the system and to what runs beside"
                )
            }
            Why::PhysicalCores { siblings } => write!(
                f,
                "one worker per physical core; {} are left to the system and to what runs beside",
                show(siblings)
            ),
            Why::AllAllowed => write!(f, "all that the cpuset or taskset allows"),
            Why::Quota { millicores } => write!(
                f,
                "the control group's quota is {}.{:02} cores; workers are not pinned",
                millicores / 1000,
                millicores % 1000 / 10
            ),
        }
    }
}

/// Chooses for a process of which nothing else is known.
pub(super) fn choose(machine: &Machine) -> Choice {
    let (firsts, siblings) = by_physical_core(machine);
    let is_whole = machine.allowed == machine.online;
    let mut choice = match (firsts.as_slice(), siblings.as_slice()) {
        (_, [_, ..]) => Choice {
            why: Why::PhysicalCores { siblings },
            cores: firsts,
        },
        ([core, rest @ ..], []) if is_whole && !rest.is_empty() => Choice {
            cores: rest.to_vec(),
            why: Why::FirstIsLeft { core: *core },
        },
        ([_], []) => Choice {
            cores: firsts,
            why: Why::OnlyCore,
        },
        _ => Choice {
            cores: firsts,
            why: Why::AllAllowed,
        },
    };
    if let Some(millicores) = machine.quota_millicores {
        // What is left of a core is for the control plane and the log.
        let worth = usize::try_from(millicores / 1000).unwrap_or(usize::MAX);
        if worth < choice.cores.len() {
            choice.cores.truncate(worth.max(1));
            choice.why = Why::Quota { millicores };
        }
    }
    choice
}

/// The first `count`, physical cores before their siblings; `None` if there are fewer.
pub(super) fn first(count: usize, machine: &Machine) -> Option<Vec<usize>> {
    let (mut cores, siblings) = by_physical_core(machine);
    cores.extend(siblings);
    let first = cores.get(..count)?;
    Some(first.to_vec())
}

/// One allowed core of each physical one, and the rest of the allowed.
fn by_physical_core(machine: &Machine) -> (Vec<usize>, Vec<usize>) {
    let mut firsts: Vec<usize> = Vec::new();
    let mut rest = Vec::new();
    for &core in &machine.allowed {
        let same = machine.siblings.iter().find(|same| same.contains(&core));
        let is_taken = same.is_some_and(|same| firsts.iter().any(|first| same.contains(first)));
        match is_taken {
            true => rest.push(core),
            false => firsts.push(core),
        }
    }
    (firsts, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine whose cores are all ours, and stand alone.
    fn plain(cores: usize) -> Machine {
        let all: Vec<usize> = (0..cores).collect();
        Machine {
            allowed: all.clone(),
            online: all,
            ..Machine::default()
        }
    }

    /// Core `n` and core `n + cores / 2` are one.
    fn with_smt(cores: usize) -> Machine {
        let half = cores / 2;
        Machine {
            siblings: (0..half).map(|core| vec![core, core + half]).collect(),
            ..plain(cores)
        }
    }

    fn chosen(machine: &Machine) -> (String, String) {
        let Choice { cores, why } = choose(machine);
        (show(&cores), why.to_string())
    }

    fn says(cores: &str, why: &str) -> (String, String) {
        (cores.to_owned(), why.to_owned())
    }

    #[test]
    fn a_whole_machine_leaves_its_first_core_to_what_runs_beside() {
        let left = "core 0 is left to the system and to what runs beside";
        assert_eq!(chosen(&plain(1)), says("0", "there is no other"));
        assert_eq!(chosen(&plain(2)), says("1", left));
        assert_eq!(chosen(&plain(4)), says("1-3", left));
        assert_eq!(chosen(&plain(8)), says("1-7", left));
    }

    #[test]
    fn siblings_are_left_to_what_runs_beside() {
        assert_eq!(
            chosen(&with_smt(64)),
            says(
                "0-31",
                "one worker per physical core; 32-63 are left to the system and to what runs beside"
            )
        );
        // The smallest machine of most clouds: one core, seen twice.
        assert_eq!(chosen(&with_smt(2)).0, "0");
        // Other machines number siblings side by side.
        let mut pairs = plain(8);
        pairs.siblings = (0..4).map(|n| vec![2 * n, 2 * n + 1]).collect();
        assert_eq!(chosen(&pairs).0, "0,2,4,6");
    }

    #[test]
    fn a_cpuset_is_used_whole_holes_and_all() {
        let mut machine = plain(8);
        machine.allowed = vec![2, 3, 5];
        let all = "all that the cpuset or taskset allows";
        assert_eq!(chosen(&machine), says("2-3,5", all));
        machine.allowed = vec![5];
        assert_eq!(chosen(&machine), says("5", "there is no other"));
        // Of the second core only the sibling is there.
        let mut machine = with_smt(8);
        machine.allowed = vec![0, 4, 5];
        let why = "one worker per physical core; 4 are left to the system and to what runs beside";
        assert_eq!(chosen(&machine), says("0,5", why));
    }

    #[test]
    fn a_quota_has_as_many_workers_as_it_is_worth() {
        let quota = |mut machine: Machine, millicores| {
            machine.quota_millicores = Some(millicores);
            let choice = choose(&machine);
            (choice.cores.len(), choice.why.pins())
        };
        assert_eq!(quota(with_smt(64), 2_000), (2, false));
        assert_eq!(quota(plain(64), 1_500), (1, false));
        assert_eq!(quota(plain(64), 100), (1, false));
        // One that is wider than what is chosen anyway changes nothing.
        assert_eq!(quota(plain(4), 3_000), (3, true));
        assert_eq!(quota(plain(2), 1_500), (1, true));
        assert_eq!(quota(with_smt(8), 64_000), (4, true));
        let mut machine = plain(64);
        machine.quota_millicores = Some(1_500);
        let why = "the control group's quota is 1.50 cores; workers are not pinned";
        assert_eq!(choose(&machine).why.to_string(), why);
    }

    #[test]
    fn a_system_that_tells_little_is_used_whole() {
        let mut machine = plain(4);
        machine.online = Vec::new();
        assert_eq!(chosen(&machine).0, "0-3");
    }

    #[test]
    fn a_count_takes_physical_cores_before_their_siblings() {
        let of = |count| first(count, &with_smt(8)).map(|cores| show(&cores));
        assert_eq!(of(3).as_deref(), Some("0-2"));
        let mut pairs = plain(8);
        pairs.siblings = (0..4).map(|n| vec![2 * n, 2 * n + 1]).collect();
        assert_eq!(first(5, &pairs), Some(vec![0, 2, 4, 6, 1]));
        assert_eq!(of(9), None);
    }
}
