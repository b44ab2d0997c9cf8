//! The files that callers uploaded, which are kept in bounded memory.
//!
//! Of a file, its size, its SHA-256 and the first MiB are kept. Together, the kept bytes are at most 64 MiB, and there are at
//! most 1,000 files: the oldest make room for new ones, whoever uploaded them. If uploads that are not finished take all of
//! the memory, less of a file is kept. A download has zeros in place of the bytes that are not kept.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::digest::{self, Context, SHA256};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::plan::LifeDuration;

/// The bytes that are kept of one file.
const MAX_KEPT: usize = 1024 * 1024;

/// The bytes that are kept of all files.
const MAX_KEPT_TOTAL: usize = 64 * 1024 * 1024;

/// The number of files.
const MAX_FILES: usize = 1000;

/// For how long what the storage gives away is valid.
///
/// As JSON: `{"staged_for": "1h", "signed_for": "5m"}`; all members are optional.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageBehaviour {
    /// The time for which a staged file can be used in starts.
    pub staged_for: LifeDuration,
    /// The time for which a signed URL is valid from its making.
    pub signed_for: LifeDuration,
}

impl Default for StorageBehaviour {
    fn default() -> StorageBehaviour {
        let minutes = |minutes: u64| LifeDuration(Some(Duration::from_secs(60 * minutes)));
        StorageBehaviour { staged_for: minutes(60), signed_for: minutes(5) }
    }
}

/// The content of a file.
#[derive(Debug)]
pub(super) struct FileContent {
    pub(super) size: u64,
    /// Its first bytes.
    pub(super) head: Bytes,
    /// In hexadecimal digits.
    pub(super) sha256: String,
    /// The memory of the first bytes; `None` if they were made here.
    _memory: Option<OwnedSemaphorePermit>,
}

impl FileContent {
    /// Returns content that begins with a text, and has zeros behind it.
    pub(super) fn made(text: String, size: u64) -> FileContent {
        let head = Bytes::from(text);
        FileContent { size: size.max(head.len() as u64), head, sha256: String::new(), _memory: None }
    }
}

/// A file that is being received.
pub(super) struct FileWriter {
    name: String,
    media_type: String,
    size: u64,
    head: Vec<u8>,
    sum: Context,
    memory: Option<OwnedSemaphorePermit>,
}

impl FileWriter {
    pub(super) fn new(name: String, media_type: String) -> FileWriter {
        FileWriter { name, media_type, size: 0, head: Vec::new(), sum: Context::new(&SHA256), memory: None }
    }

    /// Adds bytes. `acquire` returns the memory for so many of them, if it is there.
    pub(super) fn write(&mut self, bytes: &[u8], acquire: impl FnOnce(usize) -> Option<OwnedSemaphorePermit>) {
        self.sum.update(bytes);
        let is_kept_so_far = self.head.len() as u64 == self.size;
        self.size += bytes.len() as u64;
        let kept = bytes.get(..MAX_KEPT - self.head.len()).unwrap_or(bytes);
        if !is_kept_so_far || kept.is_empty() {
            return;
        }
        let Some(memory) = acquire(kept.len()) else { return };
        match &mut self.memory {
            Some(all) => all.merge(memory),
            None => self.memory = Some(memory),
        }
        self.head.extend_from_slice(kept);
    }

    pub(super) fn finish(mut self) -> NewFile {
        self.head.shrink_to_fit();
        let content = FileContent {
            size: self.size,
            head: self.head.into(),
            sha256: written_sum(self.sum),
            _memory: self.memory,
        };
        NewFile { name: self.name, media_type: self.media_type, content: Arc::new(content) }
    }
}

/// Returns a checksum in hexadecimal digits.
pub(super) fn written_sum(sum: Context) -> String {
    let sum: digest::Digest = sum.finish();
    sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file that was received and is not stored yet.
#[derive(Debug, Clone)]
pub(super) struct NewFile {
    pub(super) name: String,
    pub(super) media_type: String,
    pub(super) content: Arc<FileContent>,
}

/// A stored file.
#[derive(Debug, Clone)]
pub(super) struct StoredFile {
    pub(super) id: String,
    pub(super) file: NewFile,
    pub(super) owner: FileOwner,
    pub(super) stored_at: SystemTime,
}

/// That to which a file belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FileOwner {
    /// Executions to come; it was staged at this time.
    Staged(Instant),
    /// The execution with this id.
    Execution(String),
}

/// All stored files, oldest first.
#[derive(Debug)]
pub(super) struct FileStore {
    files: VecDeque<StoredFile>,
    memory: Arc<Semaphore>,
    pub(super) behaviour: StorageBehaviour,
    /// What makes signatures of URLs different from those of others.
    pub(super) secret: Uuid,
    /// The number of downloads with a signed URL.
    pub(super) downloads: u64,
    /// The number of requests for a signed URL that also had a credential in a header.
    pub(super) leaked_credentials: u64,
}

impl Default for FileStore {
    fn default() -> FileStore {
        FileStore {
            files: VecDeque::new(),
            memory: Arc::new(Semaphore::new(MAX_KEPT_TOTAL)),
            behaviour: StorageBehaviour::default(),
            secret: Uuid::new_v4(),
            downloads: 0,
            leaked_credentials: 0,
        }
    }
}

impl FileStore {
    /// Returns the memory for so many bytes; the oldest files make room for them.
    pub(super) fn acquire(&mut self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).ok()?;
        loop {
            if let Ok(memory) = Arc::clone(&self.memory).try_acquire_many_owned(bytes) {
                return Some(memory);
            }
            self.files.pop_front()?;
        }
    }

    /// Stores a file, and returns its id.
    pub(super) fn add(&mut self, file: NewFile, owner: FileOwner) -> String {
        let id = Uuid::new_v4().to_string();
        if self.files.len() == MAX_FILES {
            self.files.pop_front();
        }
        self.files.push_back(StoredFile { id: id.clone(), file, owner, stored_at: SystemTime::now() });
        id
    }

    /// Gives an execution its own copies of the staged files among these. Unknown ids are ignored.
    pub(super) fn attach(&mut self, staged: &[String], execution: &str) {
        for id in staged {
            let found = self.all().find(|file| file.id == *id && matches!(file.owner, FileOwner::Staged(_)));
            if let Some(file) = found.map(|found| found.file.clone()) {
                self.add(file, FileOwner::Execution(execution.to_owned()));
            }
        }
    }

    /// Removes the files of an execution.
    pub(super) fn remove_execution(&mut self, execution: &str) {
        self.files.retain(|file| !matches!(&file.owner, FileOwner::Execution(id) if id == execution));
    }

    /// Returns the files whose time has not come.
    pub(super) fn all(&mut self) -> impl Iterator<Item = &StoredFile> {
        let lasts = self.behaviour.staged_for.0;
        let is_over = |since: &Instant| lasts.is_some_and(|lasts| since.elapsed() >= lasts);
        self.files.retain(|file| !matches!(&file.owner, FileOwner::Staged(since) if is_over(since)));
        self.files.iter()
    }

    /// Returns the files of an execution, oldest first.
    pub(super) fn of_execution<'a>(&'a mut self, execution: &'a str) -> impl Iterator<Item = &'a StoredFile> {
        self.all().filter(move |file| matches!(&file.owner, FileOwner::Execution(id) if id == execution))
    }

    /// Returns the kept bytes of all files, including those that are being received.
    pub(super) fn kept_bytes(&self) -> usize {
        MAX_KEPT_TOTAL - self.memory.available_permits()
    }
}
