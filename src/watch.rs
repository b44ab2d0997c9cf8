//! Files that change while the gateway runs: read again now and then and compared, because Kubernetes swaps a link
//! above them, which watching the file itself misses.

use std::convert::Infallible;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::time::Duration;

use crate::files;

/// What the system says where the process, or the machine, has no descriptor left.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

/// How often files are compared.
pub const EVERY: Duration = Duration::from_secs(1);

/// Some files that belong together, as they were when they were last looked at.
#[derive(Debug)]
pub struct Files {
    files: Vec<PathBuf>,
    // Of a process's own hasher: says nothing of a private key, which must not be held for this.
    seen: Vec<Option<u64>>,
    hasher: RandomState,
}

impl Files {
    /// Remembers the files as they are. To be made before they are read, so that no change in between is missed.
    #[must_use]
    pub fn new(files: Vec<PathBuf>) -> Files {
        let mut files = Files { files, seen: Vec::new(), hasher: RandomState::new() };
        files.seen = files.read();
        files
    }

    /// Whether one of them differs from what it was when this was last asked.
    pub fn have_changed(&mut self) -> bool {
        let now = self.read();
        now != std::mem::replace(&mut self.seen, now.clone())
    }

    /// A file that cannot be read differs from every one that can; where the process has no descriptor left to look with,
    /// it is what it was.
    fn read(&self) -> Vec<Option<u64>> {
        let before = self.seen.iter().copied().chain(std::iter::repeat(None));
        let read = |(file, before): (&PathBuf, Option<u64>)| match files::read(file) {
            Ok(bytes) => Some(self.hasher.hash_one(bytes.as_slice())),
            Err(error) if matches!(error.raw_os_error(), Some(EMFILE | ENFILE)) => before,
            Err(_) => None,
        };
        self.files.iter().zip(before).map(read).collect()
    }
}

/// Files, and what is done when one of them has changed.
///
/// What is done may fail, where only half of the files are written yet: it is done again at the next change.
pub struct Watch {
    files: Files,
    changed: Box<dyn FnMut() + Send>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Watch").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Watch {
    /// See [`Files::new`].
    #[must_use]
    pub fn new(files: Vec<PathBuf>, changed: impl FnMut() + Send + 'static) -> Watch {
        Watch { files: Files::new(files), changed: Box::new(changed) }
    }

    /// Compares the files [`EVERY`] so often; never ends.
    pub async fn run(mut self) -> Infallible {
        let mut tick = tokio::time::interval(EVERY);
        loop {
            tick.tick().await;
            self.compare();
        }
    }

    fn compare(&mut self) {
        if self.files.have_changed() {
            (self.changed)();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_change_behind_swapped_links_is_seen_once_and_so_is_a_file_that_goes_and_comes() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (version, content) in [("1", "old"), ("2", "new")] {
            std::fs::create_dir(at(version)).unwrap();
            std::fs::write(at(version).join("key"), content).unwrap();
        }
        std::os::unix::fs::symlink("1", at("..data")).unwrap();
        std::os::unix::fs::symlink("..data/key", at("key")).unwrap();
        let changes = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&changes);
        let mut watch = Watch::new(vec![at("key")], move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let mut seen = || {
            watch.compare();
            watch.compare();
            changes.load(Ordering::Relaxed)
        };
        assert_eq!(seen(), 0);
        std::os::unix::fs::symlink("2", at("..new")).unwrap();
        std::fs::rename(at("..new"), at("..data")).unwrap();
        assert_eq!(seen(), 1);
        std::fs::remove_file(at("2/key")).unwrap();
        assert_eq!(seen(), 2);
        std::fs::write(at("2/key"), "new").unwrap();
        assert_eq!(seen(), 3);
    }
}
