//! Which cores the workers run on.
//!
//! Owns: the text of `--cores`, its resolution against what this process may use. Never: pins a
//! thread.

mod auto;
mod machine;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::str::FromStr;

use core_affinity::CoreId;
use thiserror::Error;
use tracing::info;

use auto::Choice;
use auto::Machine;
use auto::Why;

/// Cores are numbered below this (`CPU_SETSIZE`, sched_setaffinity(2)).
const CORES_MAX: usize = 1024;

/// What `--cores` says: one worker for each of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cores {
    /// What suits the machine; `cores/auto` has the rule.
    #[default]
    Auto,
    /// The first so many, physical cores before their siblings: a number alone, as in `4`.
    Count(NonZeroUsize),
    /// These: numbers and ranges with a comma or a dash, as in `0-3,6`; `5,` is core 5 alone.
    List(Vec<usize>),
}

/// Why the cores cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CoresError {
    /// sched_getaffinity(2) failed.
    #[error("the system does not say which cores this process may use; name them, as in 0-3")]
    Unknown,
    /// A count above what is there.
    #[error("{asked} cores are asked for and this process may use {} ({})", .allowed.len(), show(.allowed))]
    TooMany {
        /// What `--cores` says.
        asked: usize,
        /// What there is.
        allowed: Vec<usize>,
    },
    /// A core in the list twice.
    #[error("core {core} is listed twice")]
    Twice {
        /// Which.
        core: usize,
    },
    /// A core that this machine has not.
    #[error("there is no core {core}; this machine has {}", show(.online))]
    NoSuchCore {
        /// Which.
        core: usize,
        /// What there is.
        online: Vec<usize>,
    },
    /// A core that a cpuset or taskset(1) keeps from this process.
    #[error("this process may not use core {core}, only {}; look at its cpuset or taskset", show(.allowed))]
    NotAllowed {
        /// Which.
        core: usize,
        /// What there is.
        allowed: Vec<usize>,
    },
}

/// Why a text is not a choice of cores.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not a choice of cores; right are auto, a count (4) or a list (0-3,6){hint}", hint = hint(.0))]
pub struct NotCores(String);

impl FromStr for Cores {
    type Err = NotCores;

    fn from_str(text: &str) -> Result<Cores, NotCores> {
        let refused = || NotCores(text.to_owned());
        if text == "auto" {
            return Ok(Cores::Auto);
        }
        if !text.contains([',', '-']) {
            let count = number(text).and_then(NonZeroUsize::new);
            return count.map(Cores::Count).ok_or_else(refused);
        }
        let list = parse_list(text.strip_suffix(',').unwrap_or(text));
        list.map(Cores::List).ok_or_else(refused)
    }
}

// It is a count, of none: who says so means the core.
fn hint(text: &str) -> &'static str {
    match number(text) {
        Some(0) => "; core 0 alone is `0,`",
        _ => "",
    }
}

/// One entry for each worker, in the order of the list: its core, or `None` for one that is not
/// pinned. What was chosen and why is logged.
///
/// Must be called before the calling thread is pinned: its own affinity is what is allowed.
///
/// # Errors
///
/// When a core cannot be had.
pub fn resolve(cores: &Cores) -> Result<Vec<Option<CoreId>>, CoresError> {
    let allowed = core_affinity::get_core_ids().ok_or(CoresError::Unknown)?;
    let mut allowed: Vec<usize> = allowed.iter().map(|core| core.id).collect();
    allowed.sort_unstable();
    let Choice { cores, why } = choose(cores, &machine::read(allowed))?;
    info!(workers = cores.len(), cores = show(&cores), %why, "cores chosen");
    let pinned = |id| why.pins().then_some(CoreId { id });
    Ok(cores.into_iter().map(pinned).collect())
}

fn choose(cores: &Cores, machine: &Machine) -> Result<Choice, CoresError> {
    let asked = |cores| Choice {
        cores,
        why: Why::Asked,
    };
    match cores {
        Cores::Auto => Ok(auto::choose(machine)),
        Cores::Count(count) => {
            let first = auto::first(count.get(), machine);
            first.map(asked).ok_or_else(|| CoresError::TooMany {
                asked: count.get(),
                allowed: machine.allowed.clone(),
            })
        }
        Cores::List(list) => {
            let mut seen = BTreeSet::new();
            for &core in list {
                if !seen.insert(core) {
                    return Err(CoresError::Twice { core });
                }
                may_use(core, &machine.allowed, &machine.online)?;
            }
            Ok(asked(list.clone()))
        }
    }
}

fn may_use(core: usize, allowed: &[usize], online: &[usize]) -> Result<(), CoresError> {
    if allowed.contains(&core) {
        return Ok(());
    }
    if online.is_empty() || online.contains(&core) {
        return Err(CoresError::NotAllowed {
            core,
            allowed: allowed.to_vec(),
        });
    }
    Err(CoresError::NoSuchCore {
        core,
        online: online.to_vec(),
    })
}

/// `0-3,6`
fn parse_list(text: &str) -> Option<Vec<usize>> {
    let mut cores = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if last < first || last >= CORES_MAX {
            return None;
        }
        cores.extend(first..=last);
    }
    Some(cores)
}

fn number(text: &str) -> Option<usize> {
    let decimal = text.bytes().all(|byte| byte.is_ascii_digit());
    decimal.then(|| text.parse().ok()).flatten()
}

/// `0-3,6`
fn show(cores: &[usize]) -> String {
    let mut parts: Vec<String> = Vec::new();
    for run in cores.chunk_by(|a, b| a + 1 == *b) {
        parts.push(match run {
            [first, .., last] => format!("{first}-{last}"),
            [one] => one.to_string(),
            [] => continue,
        });
    }
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::Cores;
    use super::auto::Machine;
    use super::choose;
    use super::resolve;

    fn parse(text: &str) -> Result<Cores, String> {
        text.parse()
            .map_err(|error: super::NotCores| error.to_string())
    }

    /// What `text` chooses on a machine with cores 0 to 7 of which 0, 2, 3 and 4 are allowed.
    fn chosen(text: &str) -> Result<Vec<usize>, String> {
        let machine = Machine {
            allowed: vec![0, 2, 3, 4],
            online: (0..8).collect(),
            ..Machine::default()
        };
        let chosen = choose(&parse(text)?, &machine);
        chosen
            .map(|chosen| chosen.cores)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_number_is_a_count_and_anything_with_a_comma_or_a_dash_is_a_list() {
        assert_eq!(chosen("auto"), Ok(vec![0, 2, 3, 4]));
        assert_eq!(chosen("3"), Ok(vec![0, 2, 3]));
        assert_eq!(chosen("3,"), Ok(vec![3]));
        assert_eq!(chosen("3-3"), Ok(vec![3]));
        assert_eq!(chosen("2-4,0"), Ok(vec![2, 3, 4, 0]));
        assert_eq!(chosen("0,2-3,"), Ok(vec![0, 2, 3]));
    }

    #[test]
    fn what_is_not_a_choice_of_cores_is_refused() {
        for not in [
            "",
            "-1",
            "1-",
            "3-2",
            ",",
            ",1",
            "1,,2",
            "all",
            "0x1",
            "1.5",
            "0-1024",
            "+1",
            "0-99999999999999999999",
            " 1",
            "Auto",
        ] {
            let expected = format!(
                "`{not}` is not a choice of cores; right are auto, a count (4) or a list (0-3,6)"
            );
            assert_eq!(parse(not), Err(expected));
        }
    }

    #[test]
    fn a_count_of_none_is_refused_with_what_was_meant() {
        for none in ["0", "00"] {
            let refused = parse(none).unwrap_err();
            assert!(refused.ends_with("; core 0 alone is `0,`"), "{refused}");
        }
        assert_eq!(chosen("0,"), Ok(vec![0]));
    }

    #[test]
    fn a_core_that_cannot_be_had_is_named_with_the_reason() {
        let error = |text| chosen(text).unwrap_err();
        assert_eq!(
            error("5"),
            "5 cores are asked for and this process may use 4 (0,2-4)"
        );
        assert_eq!(error("2,3,2"), "core 2 is listed twice");
        assert_eq!(
            error("0-2"),
            "this process may not use core 1, only 0,2-4; look at its cpuset or taskset"
        );
        assert_eq!(error("2,9"), "there is no core 9; this machine has 0-7");
    }

    #[test]
    fn this_machines_own_cores_can_be_had_one_by_one_and_all_together() {
        let some = resolve(&Cores::Auto).unwrap();
        assert!(!some.is_empty());
        let all = core_affinity::get_core_ids().unwrap();
        let list = all.iter().map(|core| core.id).collect();
        let pinned: Vec<_> = all.iter().copied().map(Some).collect();
        assert_eq!(resolve(&Cores::List(list)).unwrap(), pinned);
        let count = parse(&all.len().to_string()).unwrap();
        assert_eq!(resolve(&count).unwrap().len(), all.len());
        let more = parse(&(all.len() + 1).to_string()).unwrap();
        assert!(resolve(&more).is_err());
    }
}
