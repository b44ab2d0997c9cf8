//! A watched file, which is polled. Notifications are not enough: they miss the link in the path that Kubernetes swaps.

use std::fs::{self, Metadata};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustix::io::Errno;
use tokio::sync::Notify;

use super::read_whole;

/// How old the last change of a file must be so that its attributes are certain to show the next one. Their clock is coarse.
const SETTLE_TIME: Duration = Duration::from_secs(2);

/// How long a file is not read again if its attributes stay the same. Not every file system keeps them up to date.
const MAX_AGE: Duration = Duration::from_secs(10);

/// The hash function of this process. It has a random seed, so a hash reveals nothing about a private key, which itself is not kept.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A watched file.
#[derive(Debug)]
pub(super) struct WatchedFile {
    pub(super) path: Arc<Path>,
    limit: usize,
    changed: Arc<Notify>,
    last: Mutex<LastCheck>,
}

/// The state of a file when it was last checked.
#[derive(Debug, Default)]
pub(super) struct LastCheck {
    content: Content,
    /// Its attributes when it was last read, and the time. Absent if these attributes might not show the next change.
    read: Option<(Attributes, Instant)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Content {
    /// It was not checked yet.
    #[default]
    Unknown,
    /// Reading it hangs.
    Hung,
    /// It cannot be read.
    Unreadable(ErrorKind),
    /// It was read, and its content has this hash.
    Hash(u64),
}

/// The attributes that change with every write, and with every file that replaces this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Attributes {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl WatchedFile {
    pub(super) fn new(path: &Path, limit: usize, changed: Arc<Notify>) -> WatchedFile {
        WatchedFile { path: path.into(), limit, changed, last: Mutex::default() }
    }

    /// Checks the file on the current thread, and returns its state. Returns nothing if that is known, or if the process has no file
    /// descriptor left.
    pub(super) fn check(&self) -> Option<LastCheck> {
        let found = fs::metadata(&self.path).map(|found| Attributes::of(&found));
        let (content, read) = match found {
            Ok(found) if self.lock().needs_no_reading(found) => return None,
            Ok(found) => {
                let begun = (SystemTime::now(), Instant::now());
                match read_whole(&self.path, self.limit) {
                    Ok(bytes) => {
                        let read = found.are_settled(begun.0).then_some((found, begun.1));
                        (Content::Hash(HASHER.hash_one(bytes.as_slice())), read)
                    }
                    Err(error) if lacks_descriptors(&error) => return None,
                    Err(error) => (Content::Unreadable(error.kind()), None),
                }
            }
            Err(error) => (Content::Unreadable(error.kind()), None),
        };
        Some(LastCheck { content, read })
    }

    /// Records that the file hangs, or cannot be checked because other files hang.
    pub(super) fn give_up(&self) {
        self.record(LastCheck { content: Content::Hung, read: None });
    }

    /// Records the state of the file, and notifies if it has changed.
    pub(super) fn record(&self, found: LastCheck) {
        let content = found.content;
        let before = std::mem::replace(&mut *self.lock(), found).content;
        if before != content && before != Content::Unknown {
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, LastCheck> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LastCheck {
    fn needs_no_reading(&self, found: Attributes) -> bool {
        self.read.is_some_and(|(attributes, read)| attributes == found && read.elapsed() < MAX_AGE)
    }
}

impl Attributes {
    fn of(found: &Metadata) -> Attributes {
        Attributes {
            device: found.dev(),
            inode: found.ino(),
            length: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }

    /// Returns whether the next change is certain to change the times.
    fn are_settled(&self, now: SystemTime) -> bool {
        let changed = u64::try_from(self.changed.0).ok().and_then(|seconds| {
            let since = Duration::new(seconds, u32::try_from(self.changed.1).ok()?);
            SystemTime::UNIX_EPOCH.checked_add(since)
        });
        changed.and_then(|changed| now.duration_since(changed).ok()).is_some_and(|age| age >= SETTLE_TIME)
    }
}

/// Returns whether an error says that the process, or the machine, has no file descriptor left.
fn lacks_descriptors(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    async fn has_changed(watched: &WatchedFile) -> bool {
        watched.check().into_iter().for_each(|found| watched.record(found));
        poll_fn(|context| Poll::Ready(pin!(watched.changed.notified()).poll(context).is_ready())).await
    }

    #[tokio::test]
    async fn a_change_behind_swapped_links_is_seen_once_and_so_is_a_file_that_goes_and_comes() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (version, content) in [("1", "old"), ("2", "new")] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("key"), content).unwrap();
        }
        std::os::unix::fs::symlink("1", at("..data")).unwrap();
        std::os::unix::fs::symlink("..data/key", at("key")).unwrap();
        let watched = WatchedFile::new(&at("key"), 100, Arc::default());
        let once = async || (has_changed(&watched).await, has_changed(&watched).await);
        assert_eq!(once().await, (false, false));
        std::os::unix::fs::symlink("2", at("..new")).unwrap();
        fs::rename(at("..new"), at("..data")).unwrap();
        assert_eq!(once().await, (true, false));
        fs::remove_file(at("2/key")).unwrap();
        assert_eq!(once().await, (true, false));
        fs::write(at("2/key"), "new").unwrap();
        assert_eq!(once().await, (true, false));
        fs::write(at("2/key"), "n".repeat(101)).unwrap();
        assert_eq!(once().await, (true, false), "it is too large");
        watched.give_up();
        assert!(poll_fn(|context| Poll::Ready(pin!(watched.changed.notified()).poll(context).is_ready())).await);
        assert_eq!(once().await, (true, false), "it can be read again");
    }

    #[tokio::test]
    async fn a_file_whose_attributes_tell_nothing_yet_is_read_and_one_that_is_old_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        fs::write(&file, "old").unwrap();
        let watched = WatchedFile::new(&file, 100, Arc::default());
        watched.record(watched.check().unwrap());
        assert!(watched.lock().read.is_none(), "the next change may come within the same tick of the clock");
        let found = Attributes::of(&fs::metadata(&file).unwrap());
        assert!(!found.are_settled(SystemTime::now()));
        assert!(found.are_settled(SystemTime::now() + SETTLE_TIME));
        assert!(!found.are_settled(SystemTime::UNIX_EPOCH), "a clock that was set back tells nothing");
        let known = LastCheck { content: Content::Unknown, read: Some((found, Instant::now())) };
        assert!(known.needs_no_reading(found));
        for other in [
            Attributes { inode: found.inode + 1, ..found },
            Attributes { length: found.length + 1, ..found },
            Attributes { changed: (found.changed.0, found.changed.1 + 1), ..found },
        ] {
            assert!(!known.needs_no_reading(other));
        }
        let long_ago = Instant::now().checked_sub(MAX_AGE).unwrap();
        assert!(!LastCheck { content: Content::Unknown, read: Some((found, long_ago)) }.needs_no_reading(found));
    }
}
