//! How much memory this process may use: the limit of its control group, or else that of the machine.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The most that is read of one of the kernel's files, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The limit that is assumed if the system reports none, in bytes.
const DEFAULT_LIMIT: u64 = 1 << 30;

/// Returns how much memory this process may use, in bytes.
#[must_use]
pub fn limit() -> u64 {
    let machine = total_of_machine(&read("/proc/meminfo").unwrap_or_default());
    let group = limit_of_group();
    machine.into_iter().chain(group).min().unwrap_or(DEFAULT_LIMIT)
}

/// Returns the lowest limit of the process's control group and those above it.
fn limit_of_group() -> Option<u64> {
    let (groups, mounts) = (read("/proc/self/cgroup").ok()?, read("/proc/self/mountinfo").ok()?);
    let group = Group::find(&groups, &mounts)?;
    group.directories().iter().filter_map(|directory| group.version.limit(directory)).min()
}

/// A version of the hierarchy of control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    fn limit(self, directory: &Path) -> Option<u64> {
        match self {
            Version::One => read(directory.join("memory.limit_in_bytes")).ok()?.trim().parse().ok(),
            // "max" is no limit.
            Version::Two => read(directory.join("memory.max")).ok()?.trim().parse().ok(),
        }
    }
}

/// The control group that counts this process's memory.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    version: Version,
    mount: PathBuf,
    /// Its path below the mount.
    path: PathBuf,
}

impl Group {
    /// Finds the group in `/proc/self/cgroup` and `/proc/self/mountinfo`, and returns it. Version 1 is tried first: a machine with
    /// both versions counts memory in only one of them.
    fn find(groups: &str, mounts: &str) -> Option<Group> {
        let in_version = |version: Version| {
            let path = groups.lines().find_map(|line| path_of(line, version))?;
            let (root, mount) = mounts.lines().find_map(|line| mount_of(line, version))?;
            // In a container, the mount often shows only the container's part of the hierarchy.
            let path = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
            Some(Group { version, mount: mount.into(), path: path.to_owned() })
        };
        in_version(Version::One).or_else(|| in_version(Version::Two))
    }

    /// Returns its directory and every one above it, up to the mount.
    fn directories(&self) -> Vec<PathBuf> {
        self.path.ancestors().map(|path| self.mount.join(path.strip_prefix("/").unwrap_or(path))).collect()
    }
}

/// Returns the group's path if a line of `/proc/self/cgroup` is about memory.
fn path_of(line: &str, version: Version) -> Option<&str> {
    let mut fields = line.splitn(3, ':');
    let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let is_memory = match version {
        Version::One => controllers.split(',').any(|controller| controller == "memory"),
        Version::Two => controllers.is_empty(),
    };
    is_memory.then_some(path)
}

/// Returns the part of the hierarchy that is mounted, and its path, if a line of `/proc/self/mountinfo` is about memory.
fn mount_of(line: &str, version: Version) -> Option<(&str, &str)> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(3);
    let (root, at) = (fields.next()?, fields.next()?);
    let mut fields = file_system.split(' ');
    let (kind, options) = (fields.next()?, fields.nth(1)?);
    let is_memory = match version {
        Version::One => kind == "cgroup" && options.split(',').any(|option| option == "memory"),
        Version::Two => kind == "cgroup2",
    };
    is_memory.then_some((root, at))
}

/// Returns the machine's memory, in bytes, from `/proc/meminfo`.
fn total_of_machine(meminfo: &str) -> Option<u64> {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    total.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn read(path: impl AsRef<Path>) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory";
    const V1_OF_CONTAINER: &str = "35 31 0:32 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory";
    const V2: &str = "30 24 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";

    fn directories(groups: &str, mounts: &str) -> Vec<String> {
        let group = Group::find(groups, mounts).unwrap();
        group.directories().iter().map(|directory| directory.display().to_string()).collect()
    }

    #[test]
    fn the_limits_of_the_group_and_of_every_one_above_it_count() {
        let above = ["/sys/fs/cgroup/memory/a/b", "/sys/fs/cgroup/memory/a", "/sys/fs/cgroup/memory/"];
        assert_eq!(directories("5:devices:/\n4:memory:/a/b\n0::/", &format!("{V2}\n{V1}")), above);
        assert_eq!(directories("0::/kubepods/x", V2).first().unwrap(), "/sys/fs/cgroup/kubepods/x");
        assert_eq!(directories("0::/", V2), ["/sys/fs/cgroup/"]);
    }

    #[test]
    fn in_a_container_that_sees_only_its_own_part_the_mount_is_the_group() {
        assert_eq!(directories("4:memory:/docker/ab", V1_OF_CONTAINER), ["/sys/fs/cgroup/memory/"]);
        assert_eq!(directories("4:memory:/docker/ab/c", V1_OF_CONTAINER).first().unwrap(), "/sys/fs/cgroup/memory/c");
        assert_eq!(directories("0::/../elsewhere", V2).last().unwrap(), "/sys/fs/cgroup/");
    }

    #[test]
    fn a_system_that_reports_no_group_has_none() {
        for (groups, mounts) in [("", V2), ("0::/", ""), ("nonsense", "nonsense"), ("1:cpu:/", V1)] {
            assert_eq!(Group::find(groups, mounts), None, "{groups} {mounts}");
        }
    }

    #[test]
    fn the_machine_reports_its_memory_in_units_of_1024_bytes() {
        assert_eq!(total_of_machine("MemTotal:       24683736 kB\nMemFree: 1 kB"), Some(24_683_736 * 1024));
        assert_eq!(total_of_machine("MemTotal: much"), None);
        assert!(limit() >= 1 << 20);
    }
}
