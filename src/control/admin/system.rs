//! What the system says of this process: `process_*`, named as Prometheus' client libraries name
//! them, and the CPU time of each worker's thread.
//!
//! Owns: the lines of `/proc/self` that these are read from. Never: a worker; the system counts for
//! them. What cannot be read (no `/proc`) has no series.

use std::fs;
use std::path::Path;

use rustix::param::clock_ticks_per_second;
use rustix::param::page_size;
use rustix::process::Resource;
use rustix::process::getrlimit;

use crate::stats::Exposition;
use crate::stats::Kind;

/// How threads of workers are called, before their number.
const WORKER: &str = "worker-";

/// The line of a process or a thread (proc_pid_stat(5)).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    name: String,
    cpu_ticks: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn read(path: &Path) -> Option<Stat> {
        Stat::parse(&fs::read_to_string(path).ok()?)
    }

    // A name may have blanks and brackets: the last bracket ends it.
    fn parse(line: &str) -> Option<Stat> {
        let (begin, rest) = line.rsplit_once(')')?;
        let (_, name) = begin.split_once('(')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // The manual counts from 1, and the state, the first one here, is its third.
        let number = |manual: usize| fields.get(manual - 3)?.parse::<u64>().ok();
        Some(Stat {
            name: name.to_owned(),
            cpu_ticks: number(14)?.saturating_add(number(15)?),
            start_ticks: number(22)?,
            virtual_bytes: number(23)?,
            resident_pages: number(24)?,
        })
    }

    fn resident_bytes(&self) -> u64 {
        self.resident_pages.saturating_mul(page_size() as u64)
    }
}

/// What the process has in memory.
pub(super) fn resident_bytes() -> Option<u64> {
    Some(Stat::read(Path::new("/proc/self/stat"))?.resident_bytes())
}

/// Writes all of it.
pub(super) fn put_system(out: &mut Exposition) {
    if let Some(stat) = Stat::read(Path::new("/proc/self/stat")) {
        put_stat(out, &stat);
    }
    if let Some(open) = open_descriptors() {
        let help = "Number of open file descriptors.";
        out.family("process_open_fds", Kind::Gauge, help);
        out.sample(&[], open);
    }
    let help = "Maximum number of open file descriptors.";
    out.family("process_max_fds", Kind::Gauge, help);
    let limit = getrlimit(Resource::Nofile).current;
    out.sample(&[], limit.unwrap_or(u64::MAX));
    let help = "CPU time of the worker's thread, user and system.";
    out.family("coremux_worker_cpu_seconds_total", Kind::Counter, help);
    for (worker, time) in worker_cpu() {
        out.micros(&[("worker", &worker.to_string())], time);
    }
    let busy = worker_busy();
    if !busy.is_empty() {
        let help =
            "Time for which the worker had something to do: it had a core, or waited for one.";
        out.family("coremux_worker_busy_seconds_total", Kind::Counter, help);
    }
    for (worker, time) in busy {
        out.micros(&[("worker", &worker.to_string())], time);
    }
}

fn put_stat(out: &mut Exposition, stat: &Stat) {
    let help = "Total user and system CPU time spent in seconds.";
    out.family("process_cpu_seconds_total", Kind::Counter, help);
    out.micros(&[], micros(stat.cpu_ticks));
    let help = "Resident memory size in bytes.";
    out.family("process_resident_memory_bytes", Kind::Gauge, help);
    out.sample(&[], stat.resident_bytes());
    let help = "Virtual memory size in bytes.";
    out.family("process_virtual_memory_bytes", Kind::Gauge, help);
    out.sample(&[], stat.virtual_bytes);
    if let Some(boot) = boot_seconds() {
        let help = "Start time of the process since unix epoch in seconds.";
        out.family("process_start_time_seconds", Kind::Timestamp, help);
        let since_boot = micros(stat.start_ticks);
        out.micros(
            &[],
            boot.saturating_mul(1_000_000).saturating_add(since_boot),
        );
    }
}

/// The CPU time of each worker, by its number, in microseconds.
pub(in crate::control) fn worker_cpu() -> Vec<(u32, u64)> {
    of_workers(|_, stat| Some(micros(stat.cpu_ticks)))
}

/// How long each worker did not sleep, by its number, in microseconds: it ran, or was kept waiting for a
/// core by others. None where the kernel does not say.
pub(in crate::control) fn worker_busy() -> Vec<(u32, u64)> {
    of_workers(|thread, _| busy(&fs::read_to_string(thread.join("schedstat")).ok()?))
}

/// Of a line of schedstat (Documentation/scheduler/sched-stats.rst), which counts in nanoseconds.
fn busy(line: &str) -> Option<u64> {
    let mut numbers = line.split_ascii_whitespace();
    let mut next = || numbers.next()?.parse::<u64>().ok();
    let (ran, waited) = (next()?, next()?);
    Some(ran.saturating_add(waited) / 1_000)
}

fn of_workers(number: impl Fn(&Path, &Stat) -> Option<u64>) -> Vec<(u32, u64)> {
    let Ok(threads) = fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    let numbers = threads.filter_map(|thread| {
        let thread = thread.ok()?.path();
        let stat = Stat::read(&thread.join("stat"))?;
        let worker = stat.name.strip_prefix(WORKER)?.parse().ok()?;
        Some((worker, number(&thread, &stat)?))
    });
    let mut workers: Vec<(u32, u64)> = numbers.collect();
    workers.sort_unstable();
    workers
}

fn open_descriptors() -> Option<u64> {
    // Linux 6.2 and later say it as the folder's size; with many clients counting takes long.
    let folder = Path::new("/proc/self/fd");
    match fs::metadata(folder).ok()?.len() {
        // The one that the folder is read by does not count.
        0 => Some((fs::read_dir(folder).ok()?.count() as u64).saturating_sub(1)),
        count => Some(count),
    }
}

fn boot_seconds() -> Option<u64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

fn micros(ticks: u64) -> u64 {
    ticks.saturating_mul(1_000_000) / clock_ticks_per_second().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_brackets_moves_no_number() {
        let line =
            "7 (a) R (b) S 1 2 3 4 5 6 7 8 9 10 40 2 0 0 20 0 1 0 900 4096 33 18446744073709551615";
        let stat = Stat::parse(line).unwrap();
        let expected = Stat {
            name: "a) R (b".to_owned(),
            cpu_ticks: 42,
            start_ticks: 900,
            virtual_bytes: 4096,
            resident_pages: 33,
        };
        assert_eq!(stat, expected);
        assert_eq!(Stat::parse("7 (a) S 1 2"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn who_waits_for_a_core_is_busy() {
        assert_eq!(busy("406931484 638230981 145\n"), Some(1_045_162));
        assert_eq!(busy(""), None);
    }

    #[test]
    fn the_system_says_all_of_it_of_this_process() {
        let mut out = Exposition::default();
        put_system(&mut out);
        let text = out.finish();
        let number = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let line = line.unwrap_or_else(|| panic!("{name} in {text}"));
            line.trim().parse().unwrap()
        };
        let resident = number("process_resident_memory_bytes ");
        assert!(resident > 1e6 && resident < number("process_virtual_memory_bytes "));
        let open = number("process_open_fds ");
        assert!(open >= 3.0 && open <= number("process_max_fds "));
        assert!(number("process_cpu_seconds_total ") >= 0.0);
        assert!(number("process_start_time_seconds ") > 1.7e9);
    }
}
