//! Reads from `/sys` and `/proc` what cores there are.
//!
//! Owns: where the system says it. Whatever it does not say is left out, and nothing fails.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use super::auto::Machine;
use super::parse_list;

/// The machine that this process may use `allowed` of.
pub(super) fn read(allowed: Vec<usize>) -> Machine {
    let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
    Machine {
        online: list("/sys/devices/system/cpu/online").unwrap_or_default(),
        siblings: siblings(&allowed),
        quota_millicores: quota(&file("/proc/self/cgroup"), &file("/proc/self/mountinfo")),
        allowed,
    }
}

/// The kernel's `Documentation/admin-guide/cputopology.rst`; the second name is the one before
/// Linux 5.4.
fn siblings(allowed: &[usize]) -> Vec<Vec<usize>> {
    let of = |core: &usize| {
        let topology = format!("/sys/devices/system/cpu/cpu{core}/topology");
        list(&format!("{topology}/core_cpus_list"))
            .or_else(|| list(&format!("{topology}/thread_siblings_list")))
    };
    let sets: BTreeSet<Vec<usize>> = allowed.iter().filter_map(of).collect();
    sets.into_iter().filter(|set| set.len() > 1).collect()
}

fn list(path: &str) -> Option<Vec<usize>> {
    parse_list(fs::read_to_string(path).ok()?.trim_end())
}

/// The narrowest quota of the control groups that this process is in, and of those around them, of
/// both versions (cgroups(7)); `groups` is `/proc/self/cgroup`, `mounts` is `/proc/self/mountinfo`.
fn quota(groups: &str, mounts: &str) -> Option<u64> {
    let mounts = mounts.lines().filter_map(Mount::parse);
    let quotas = mounts.filter_map(|mount| {
        let own = groups.lines().find_map(|line| mount.group(line))?;
        let around = own.ancestors();
        let around = around.take_while(|group| group.starts_with(mount.at));
        around.filter_map(|group| mount.quota(group)).min()
    });
    quotas.min()
}

/// A mounted hierarchy of control groups that can have a quota.
struct Mount<'a> {
    version: u8,
    // Which group is mounted: not the root's in a container.
    root: &'a str,
    at: &'a Path,
}

impl Mount<'_> {
    /// A line as described in proc_pid_mountinfo(5).
    fn parse(line: &str) -> Option<Mount<'_>> {
        let (mount, system) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, at) = (fields.next()?, Path::new(fields.next()?));
        let mut system = system.split(' ');
        let version = match (system.next()?, system.nth(1)?) {
            ("cgroup2", _) => 2,
            ("cgroup", options) if options.split(',').any(|option| option == "cpu") => 1,
            _ => return None,
        };
        Some(Mount { version, root, at })
    }

    /// Where our group of this hierarchy lies, if this line of `/proc/self/cgroup` says it.
    fn group(&self, line: &str) -> Option<PathBuf> {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let is_it = match self.version {
            2 => controllers.is_empty(),
            _ => controllers.split(',').any(|controller| controller == "cpu"),
        };
        if !is_it {
            return None;
        }
        // A container may see the path outside of it, and its own group as the root.
        let below = Path::new(path).strip_prefix(self.root);
        let below = below.ok().filter(|below| !below.starts_with(".."));
        Some(self.at.join(below.unwrap_or(Path::new(""))))
    }

    fn quota(&self, group: &Path) -> Option<u64> {
        let read = |file: &str| fs::read_to_string(group.join(file)).ok();
        let (quota, period) = match self.version {
            2 => {
                let text = read("cpu.max")?;
                let (quota, period) = text.trim_end().split_once(' ')?;
                (quota.to_owned(), period.to_owned())
            }
            _ => (read("cpu.cfs_quota_us")?, read("cpu.cfs_period_us")?),
        };
        // Without one it is `max`, or -1.
        let quota: u64 = quota.trim_end().parse().ok()?;
        quota
            .checked_mul(1000)?
            .checked_div(period.trim_end().parse().ok()?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::quota;
    use super::read;

    /// A directory with these files.
    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn the_narrowest_group_of_version_2_counts() {
        let root = tree(&[
            ("a.slice/cpu.max", "150000 100000\n"),
            ("a.slice/b.service/cpu.max", "max 100000\n"),
            ("other/cpu.max", "1000 100000\n"),
        ]);
        let mounts = |path: &str| {
            let at = root.path().display();
            format!("41 31 0:38 {path} {at} rw - cgroup2 cgroup2 rw\n")
        };
        let whole = mounts("/");
        assert_eq!(quota("0::/a.slice/b.service\n", &whole), Some(1_500));
        assert_eq!(quota("0::/\n", &whole), None);
        // A container whose root is its own group, told the path outside.
        let own = root.path().join("cpu.max");
        fs::write(own, "50000 100000\n").unwrap();
        assert_eq!(quota("0::/docker/1\n", &mounts("/docker/1")), Some(500));
        assert_eq!(quota("0::/../../x\n", &whole), Some(500));
    }

    #[test]
    fn so_does_that_of_version_1() {
        let root = tree(&[
            ("docker/1/cpu.cfs_quota_us", "200000\n"),
            ("docker/1/cpu.cfs_period_us", "100000\n"),
            ("cpu.cfs_quota_us", "-1\n"),
            ("cpu.cfs_period_us", "100000\n"),
        ]);
        let at = root.path().display();
        let mounts = format!(
            "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
             33 31 0:30 / /other rw - cgroup cgroup rw,cpuacct\n\
             32 31 0:29 / {at} rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
        );
        let groups = "3:cpuset:/\n2:cpu,cpuacct:/docker/1\n0::/docker/1\n";
        assert_eq!(quota(groups, &mounts), Some(2_000));
        assert_eq!(quota("2:cpu,cpuacct:/\n", &mounts), None);
    }

    #[test]
    fn nonsense_is_no_quota() {
        let root = tree(&[("cpu.max", "100000 0\n")]);
        let mounts = format!(
            "1 1 0:1 / {} rw - cgroup2 cgroup2 rw",
            root.path().display()
        );
        for text in ["100000 0\n", "100000\n", "", "18446744073709551615 1\n"] {
            fs::write(root.path().join("cpu.max"), text).unwrap();
            assert_eq!(quota("0::/\n", &mounts), None, "{text}");
        }
    }

    #[test]
    fn this_machine_is_read() {
        let machine = read(vec![0]);
        assert_eq!(machine.allowed, [0]);
        assert!(machine.online.contains(&0), "{machine:?}");
    }
}
