//! Control groups for tests, in which a gateway has little memory.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::caller::TIMEOUT;

/// The mount point of both versions of the hierarchy.
const ROOT: &str = "/sys/fs/cgroup";

/// The number of groups that this process made, so that each has a unique name.
static GROUP_COUNT: AtomicU32 = AtomicU32::new(0);

/// A group with a memory limit. It must be dropped after its processes have ended, and is then removed.
#[derive(Debug)]
pub(crate) struct MemoryGroup {
    directory: PathBuf,
    is_second: bool,
}

impl MemoryGroup {
    /// Makes a group with this memory limit in bytes. If the machine does not allow that, the test fails.
    pub(crate) fn new(limit: usize) -> MemoryGroup {
        let first = Path::new(ROOT).join("memory");
        let is_second = !first.join("memory.limit_in_bytes").exists();
        let parent = if is_second { PathBuf::from(ROOT) } else { first };
        let number = GROUP_COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = parent.join(format!("asteroid-gateway-test-{}-{number}", std::process::id()));
        let group = MemoryGroup { directory, is_second };
        let reason = "this test makes control groups: run it as root, with a writable /sys/fs/cgroup";
        if is_second {
            group.write_to(&parent.join("cgroup.subtree_control"), "+memory").expect(reason);
        }
        std::fs::create_dir(&group.directory).expect(reason);
        let file = if is_second { "memory.max" } else { "memory.limit_in_bytes" };
        group.write_to(&group.directory.join(file), &limit.to_string()).expect(reason);
        group
    }

    /// Returns the shell commands with which a process enters the group.
    pub(crate) fn preparation(&self) -> String {
        format!("echo $$ > '{}'", self.directory.join("cgroup.procs").display())
    }

    /// Returns the peak memory of its processes, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        let file = if self.is_second { "memory.peak" } else { "memory.max_usage_in_bytes" };
        self.read(file).trim().parse().unwrap()
    }

    /// Returns the number of its processes that the kernel killed because memory was used up.
    pub(crate) fn killed(&self) -> u64 {
        let file = if self.is_second { "memory.events" } else { "memory.oom_control" };
        let text = self.read(file);
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.unwrap_or_else(|| panic!("{file} has no oom_kill: {text}")).parse().unwrap()
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.directory.join(file)).unwrap()
    }

    fn write_to(&self, file: &Path, text: &str) -> std::io::Result<()> {
        std::fs::write(file, text)
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // A killed process stays in the group for a moment.
        let until = Instant::now() + TIMEOUT;
        while std::fs::remove_dir(&self.directory).is_err() && self.directory.exists() && Instant::now() < until {
            std::thread::yield_now();
        }
    }
}
