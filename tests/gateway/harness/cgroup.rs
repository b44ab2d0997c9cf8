//! Control groups of the tests' own, in which a gateway has little memory.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::caller::TIMEOUT;

/// Where both versions of the hierarchy are mounted.
const ROOT: &str = "/sys/fs/cgroup";

/// Groups that were made by this process, so that each has a name of its own.
static GROUP_COUNT: AtomicU32 = AtomicU32::new(0);

/// A group with a limit of memory. Dropped after its processes have ended, it is removed.
#[derive(Debug)]
pub(crate) struct MemoryGroup {
    directory: PathBuf,
    is_second: bool,
}

impl MemoryGroup {
    /// Makes a group whose processes may have so many bytes; fails the test if the machine does not let it.
    pub(crate) fn new(limit: usize) -> MemoryGroup {
        let first = Path::new(ROOT).join("memory");
        let is_second = !first.join("memory.limit_in_bytes").exists();
        let parent = if is_second { PathBuf::from(ROOT) } else { first };
        let number = GROUP_COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = parent.join(format!("asteroid-gateway-test-{}-{number}", std::process::id()));
        let group = MemoryGroup { directory, is_second };
        let reason = "this test needs to make control groups: run it as root where their hierarchy can be written to";
        if is_second {
            group.write_to(&parent.join("cgroup.subtree_control"), "+memory").expect(reason);
        }
        std::fs::create_dir(&group.directory).expect(reason);
        let file = if is_second { "memory.max" } else { "memory.limit_in_bytes" };
        group.write_to(&group.directory.join(file), &limit.to_string()).expect(reason);
        group
    }

    /// The commands of the shell by which it enters the group.
    pub(crate) fn preparation(&self) -> String {
        format!("echo $$ > '{}'", self.directory.join("cgroup.procs").display())
    }

    /// The most memory that its processes have had, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        let file = if self.is_second { "memory.peak" } else { "memory.max_usage_in_bytes" };
        self.read(file).trim().parse().unwrap()
    }

    /// How many processes the kernel has killed in it for want of memory.
    pub(crate) fn killed(&self) -> u64 {
        let file = if self.is_second { "memory.events" } else { "memory.oom_control" };
        let text = self.read(file);
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.unwrap_or_else(|| panic!("{file} does not say it: {text}")).parse().unwrap()
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
        // A process that has just been killed is in it for a moment more.
        let until = Instant::now() + TIMEOUT;
        while std::fs::remove_dir(&self.directory).is_err() && self.directory.exists() && Instant::now() < until {
            std::thread::yield_now();
        }
    }
}
