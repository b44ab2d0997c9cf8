//! The tenants that staged files for later starts.
//!
//! The upstream lets any start with the organisation's API key use a staged file if it knows the file's id. So the gateway remembers the
//! tenant of each file for as long as the upstream keeps it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

/// How long the upstream keeps a staged file.
const RETENTION: Duration = Duration::from_mins(60);

/// How many files are known for all tenants together. An entry takes about 120 bytes.
const MAX_FILES: usize = 64 * 1024;

/// How many a tenant may have at least, however many tenants there are.
const MIN_SHARE: usize = 64;

/// The staged files of all tenants at one upstream.
#[derive(Debug)]
pub struct StagedFiles(Mutex<Known>);

#[derive(Debug)]
struct Known {
    files: HashMap<Uuid, StagedFile>,
    /// The files of each tag, in the order in which they became known.
    by_tag: HashMap<Arc<str>, VecDeque<Uuid>>,
    /// How many a tenant may have.
    share: usize,
}

#[derive(Debug)]
struct StagedFile {
    tag: Arc<str>,
    until: Instant,
}

impl StagedFiles {
    fn new() -> StagedFiles {
        StagedFiles(Mutex::new(Known { files: HashMap::new(), by_tag: HashMap::new(), share: MIN_SHARE }))
    }

    /// Records that the tenant with this tag staged a file. If it has too many, the one that has been known longest is forgotten.
    /// A tag that is not configured any more has none.
    pub fn insert(&self, tag: &str, id: Uuid, now: Instant) {
        let mut known = self.lock();
        known.expire(tag, now);
        let is_known = known.files.get(&id).is_some_and(|file| now < file.until);
        let Some((tag, _)) = known.by_tag.get_key_value(tag).filter(|_| !is_known) else { return };
        let tag = Arc::clone(tag);
        known.files.insert(id, StagedFile { tag: Arc::clone(&tag), until: now + RETENTION });
        if let Some(order) = known.by_tag.get_mut(&tag) {
            order.push_back(id);
        }
        known.shrink(&tag);
    }

    /// Returns whether another tenant than the one with this tag is known to have staged a file.
    #[must_use]
    pub fn is_foreign(&self, tag: &str, id: Uuid, now: Instant) -> bool {
        self.lock().files.get(&id).is_some_and(|file| *file.tag != *tag && now < file.until)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Forgets the files of a tag that the upstream keeps no longer.
    fn expire(&mut self, tag: &str, now: Instant) {
        let Some(order) = self.by_tag.get_mut(tag) else { return };
        while let Some(oldest) = order.front() {
            if self.files.get(oldest).is_some_and(|file| *file.tag == *tag && now < file.until) {
                return;
            }
            forget(&mut self.files, tag, order.pop_front());
        }
    }

    /// Forgets the oldest files of a tag that are too many.
    fn shrink(&mut self, tag: &str) {
        let Some(order) = self.by_tag.get_mut(tag) else { return };
        while order.len() > self.share {
            forget(&mut self.files, tag, order.pop_front());
        }
    }

    /// Divides the memory among these tags. Forgets the files of all others.
    fn divide<'a>(&mut self, tags: impl IntoIterator<Item = &'a str>) {
        let mut before = std::mem::take(&mut self.by_tag);
        let known = |tag: &'a str| before.remove_entry(tag).unwrap_or_else(|| (tag.into(), VecDeque::new()));
        self.by_tag = tags.into_iter().map(known).collect();
        self.files.retain(|_, file| self.by_tag.contains_key(&file.tag));
        self.share = (MAX_FILES / self.by_tag.len().max(1)).max(MIN_SHARE);
        let tags: Vec<Arc<str>> = self.by_tag.keys().cloned().collect();
        tags.iter().for_each(|tag| self.shrink(tag));
    }
}

/// Forgets a file if it is still that of the tag.
fn forget(files: &mut HashMap<Uuid, StagedFile>, tag: &str, id: Option<Uuid>) {
    if let Some(id) = id.filter(|id| files.get(id).is_some_and(|file| *file.tag == *tag)) {
        files.remove(&id);
    }
}

/// The staged files at the upstream of the configuration.
#[derive(Debug, Default)]
pub(super) struct StagedFilesAtUpstream(Mutex<Option<(String, Arc<StagedFiles>)>>);

impl StagedFilesAtUpstream {
    /// Returns the staged files at an upstream, in equal shares for these tags. Forgets all if the upstream is another one, and those
    /// of all other tags.
    pub(super) fn divide<'a>(&self, upstream: &str, tags: impl IntoIterator<Item = &'a str>) -> Arc<StagedFiles> {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = current.take().filter(|(of, _)| of == upstream);
        let (of, files) = kept.unwrap_or_else(|| (upstream.to_owned(), Arc::new(StagedFiles::new())));
        files.lock().divide(tags);
        *current = Some((of, Arc::clone(&files)));
        files
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tags: &[&str]) -> (StagedFilesAtUpstream, Arc<StagedFiles>) {
        let at_upstream = StagedFilesAtUpstream::default();
        let files = at_upstream.divide("https://upstream", tags.iter().copied());
        (at_upstream, files)
    }

    fn counts(files: &StagedFiles) -> (usize, usize) {
        let known = files.lock();
        (known.files.len(), known.by_tag.values().map(VecDeque::len).sum())
    }

    #[test]
    fn a_file_is_foreign_to_every_tenant_but_the_one_that_staged_it_and_for_an_hour() {
        let (_, files) = of(&["a", "b"]);
        let (now, [one, unknown]) = (Instant::now(), [1, 2].map(Uuid::from_u128));
        files.insert("a", one, now);
        files.insert("b", one, now);
        let last = now + RETENTION - Duration::from_nanos(1);
        for at in [now, last] {
            assert_eq!(["a", "b", "c"].map(|tag| files.is_foreign(tag, one, at)), [false, true, true]);
            assert!(!files.is_foreign("b", unknown, at), "nobody is known to have staged it");
        }
        assert!(!files.is_foreign("b", one, now + RETENTION));
        files.insert("b", one, now + RETENTION);
        assert_eq!(["a", "b"].map(|tag| files.is_foreign(tag, one, now + RETENTION)), [true, false]);
        files.insert("a", unknown, now + RETENTION);
        assert!(
            files.is_foreign("a", one, now + RETENTION),
            "a file that another tenant staged anew is not forgotten with the first one's"
        );
        assert_eq!(counts(&files), (2, 2));
    }

    #[test]
    fn what_is_known_of_staged_files_has_a_bound_that_no_tenant_takes_from_another() {
        let (at_upstream, files) = of(&["a", "b"]);
        let (now, first) = (Instant::now(), Uuid::from_u128(u128::MAX));
        files.insert("b", first, now);
        for n in 0..MAX_FILES as u128 {
            files.insert("a", Uuid::from_u128(n), now);
        }
        let share = MAX_FILES / 2;
        assert_eq!(counts(&files), (share + 1, share + 1));
        assert!(files.is_foreign("a", first, now) && !files.is_foreign("b", Uuid::nil(), now));
        assert!(files.is_foreign("b", Uuid::from_u128(share as u128), now), "the oldest are forgotten");
        let again = at_upstream.divide("https://upstream", ["a", "b", "c"]);
        assert!(Arc::ptr_eq(&files, &again));
        assert_eq!(counts(&files), (MAX_FILES / 3 + 1, MAX_FILES / 3 + 1), "a reload divides anew");
        files.insert("a", first, now + RETENTION);
        assert_eq!(counts(&files).1, 2, "what is old takes no memory once there is something new");
    }

    #[test]
    fn another_upstream_knows_nothing_and_what_a_removed_tenant_staged_is_forgotten() {
        let (at_upstream, files) = of(&["a", "b"]);
        let (now, [one, two]) = (Instant::now(), [1, 2].map(Uuid::from_u128));
        files.insert("a", one, now);
        files.insert("b", two, now);
        let without = at_upstream.divide("https://upstream", ["b"]);
        without.insert("a", one, now);
        assert!(!without.is_foreign("b", one, now) && without.is_foreign("a", two, now));
        assert_eq!(counts(&without), (1, 1));
        let elsewhere = at_upstream.divide("https://elsewhere", ["a", "b"]);
        assert!(!elsewhere.is_foreign("a", two, now) && !Arc::ptr_eq(&files, &elsewhere));
        let back = at_upstream.divide("https://upstream", ["a", "b"]);
        assert!(!back.is_foreign("a", two, now));
    }
}
