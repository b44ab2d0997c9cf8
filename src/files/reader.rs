//! The thread that reads files, and the one that replaces it when a file hangs.
//!
//! ```text
//! reading ── the file was read ────→ reading the next file
//!    └────── it takes too long ────→ hung: the thread stays with that file, and another thread reads on
//! hung ───── the file was read ────→ the answer is sent, and the thread ends
//! ```
//!
//! A file that hangs costs one thread, and is not tried again before that thread returns. As soon as two files of a directory hang,
//! the same applies to the whole directory. There are at most [`MAX_HUNG`] such threads. If all of them wait, nothing is read until
//! one returns. Until then all files count as hung, so that no caller waits and no queue grows.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use secrecy::zeroize::Zeroizing;
use tokio::sync::oneshot;

use super::watched::{LastCheck, WatchedFile};
use super::{hung_error, read_whole};
use crate::event;

/// How often watched files are checked.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long reading a file may take before another thread reads on.
const HANG_TIMEOUT: Duration = Duration::from_secs(1);

/// How many threads may wait for files that hang.
const MAX_HUNG: usize = 32;

type Answer = io::Result<Zeroizing<Vec<u8>>>;

/// The reader of this process.
pub(super) static READER: LazyLock<Reader> = LazyLock::new(Reader::default);

/// A reader of files, one after the other. Its clones share one queue.
#[derive(Debug, Clone, Default)]
pub(super) struct Reader(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<ReaderState>,
    /// Notified when there is a job.
    work: Condvar,
}

#[derive(Debug, Default)]
struct ReaderState {
    jobs: VecDeque<Job>,
    watched: Vec<Weak<WatchedFile>>,
    /// How many of the watched files are not checked yet in this round.
    unchecked: usize,
    /// Whether the thread that begins the rounds is running.
    has_clock: bool,
    /// The number of the thread that reads, or 0 before there is one. A thread that finds a higher number ends.
    thread: u64,
    /// The file that this thread is reading, and since when.
    reading: Option<(Arc<Path>, Instant)>,
    /// The files that replaced threads wait for.
    hung: Vec<Arc<Path>>,
}

/// A job of the thread that reads files.
#[derive(Debug)]
enum Job {
    /// Reads a whole file.
    Read { path: Arc<Path>, limit: usize, answer: oneshot::Sender<Answer> },
    /// Checks whether a file has changed.
    Check(Arc<WatchedFile>),
}

impl Reader {
    /// Queues the reading of a file behind all earlier jobs, and returns the receiver of the answer.
    pub(super) fn read(&self, path: &Path, limit: usize) -> io::Result<oneshot::Receiver<Answer>> {
        let (answer, receiver) = oneshot::channel();
        self.queue(Job::Read { path: path.into(), limit, answer })?;
        Ok(receiver)
    }

    /// Queues a check of a file, which is repeated every second for as long as `watched` is held.
    pub(super) fn watch(&self, watched: &Arc<WatchedFile>) {
        // This fails only if no thread can be started. Then reading the file fails as well, which is reported.
        drop(self.queue(Job::Check(Arc::clone(watched))));
        self.lock().watched.push(Arc::downgrade(watched));
    }

    fn queue(&self, job: Job) -> io::Result<()> {
        let mut state = self.lock();
        if !state.has_clock {
            let clock = self.clone();
            thread::Builder::new().name("files-clock".to_owned()).spawn(move || clock.run_clock())?;
            state.has_clock = true;
        }
        if state.thread == 0 {
            self.spawn(1)?;
            state.thread = 1;
        }
        state.jobs.push_back(job);
        self.0.work.notify_one();
        Ok(())
    }

    fn spawn(&self, number: u64) -> io::Result<()> {
        let reader = self.clone();
        thread::Builder::new().name("files".to_owned()).spawn(move || reader.run(number)).map(drop)
    }

    /// Runs jobs until another thread replaces this one.
    fn run(&self, number: u64) {
        let mut state = self.lock();
        while state.thread <= number {
            let Some(job) = state.next() else {
                state = self.0.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let path = Arc::clone(job.path());
            if state.is_hung(&path) {
                drop(state);
                job.give_up();
                state = self.lock();
                continue;
            }
            state.reading = Some((Arc::clone(&path), Instant::now()));
            drop(state);
            let result = job.run();
            state = self.lock();
            if state.thread == number {
                state.reading = None;
            } else {
                state.hung.retain(|hung| !Arc::ptr_eq(hung, &path));
                tracing::info!(
                    event = event::FILE_READING_RESUMED,
                    file = %path.display(),
                    "a file that hung was read after all"
                );
            }
            // Only now: the receiver of a change reads the file at once, which fails as long as it counts as hung.
            if let Some(result) = result {
                result.deliver();
            }
        }
    }

    /// Begins a round every second. If the file that is being read hangs, replaces the thread that reads it.
    fn run_clock(&self) {
        loop {
            sleep(POLL_INTERVAL);
            let mut state = self.lock();
            self.detect_hung(&mut state, Instant::now());
            if state.unchecked == 0 {
                state.watched.retain(|watched| watched.strong_count() > 0);
                state.unchecked = state.watched.len();
            }
            self.0.work.notify_one();
        }
    }

    fn detect_hung(&self, state: &mut ReaderState, now: Instant) {
        let hangs = |since: Instant| now.saturating_duration_since(since) >= HANG_TIMEOUT;
        if state.hung.len() >= MAX_HUNG {
            if state.reading.as_ref().is_some_and(|(_, since)| hangs(*since)) {
                state.give_up_all();
            }
        } else if let Some((path, _)) = state.reading.take_if(|(_, since)| hangs(*since)) {
            self.replace(state, path);
        }
    }

    fn replace(&self, state: &mut ReaderState, path: Arc<Path>) {
        // Chosen before the new thread runs, so that the replaced one cannot take the number for its own.
        let number = state.thread + 1;
        if self.spawn(number).is_err() {
            // The next round tries again.
            state.reading = Some((path, Instant::now()));
            return;
        }
        state.thread = number;
        tracing::error!(
            event = event::FILE_READING_HUNG,
            file = %path.display(),
            hung = state.hung.len() + 1,
            max = MAX_HUNG,
            "reading a file hangs; its previous content stays in use. Check whether its file system responds"
        );
        state.hung.push(path);
        let watched: Vec<_> = state.watched.iter().filter_map(Weak::upgrade).collect();
        watched.iter().filter(|watched| state.is_hung(&watched.path)).for_each(|watched| watched.give_up());
    }

    fn lock(&self) -> MutexGuard<'_, ReaderState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReaderState {
    /// Returns the next job: a queued one, or else the next check of the round.
    fn next(&mut self) -> Option<Job> {
        if let Some(job) = self.jobs.pop_front() {
            return Some(job);
        }
        loop {
            self.unchecked = self.unchecked.checked_sub(1)?;
            if let Some(watched) = self.watched.get(self.unchecked).and_then(Weak::upgrade) {
                return Some(Job::Check(watched));
            }
        }
    }

    /// Answers every job with an error, and records every watched file as hung.
    fn give_up_all(&mut self) {
        self.jobs.drain(..).for_each(Job::give_up);
        self.watched.iter().filter_map(Weak::upgrade).for_each(|watched| watched.give_up());
    }

    fn is_hung(&self, path: &Path) -> bool {
        let beside = self.hung.iter().filter(|hung| hung.parent() == path.parent()).count();
        beside > 1 || self.hung.iter().any(|hung| **hung == *path)
    }
}

impl Job {
    fn path(&self) -> &Arc<Path> {
        match self {
            Job::Read { path, .. } => path,
            Job::Check(watched) => &watched.path,
        }
    }

    /// Reads the file, and returns the result, which is not delivered yet.
    fn run(self) -> Option<JobResult> {
        match self {
            // The caller no longer waits.
            Job::Read { answer, .. } if answer.is_closed() => None,
            Job::Read { path, limit, answer } => Some(JobResult::Read(answer, read_whole(&path, limit))),
            Job::Check(watched) => watched.check().map(|found| JobResult::Check(watched, found)),
        }
    }

    fn give_up(self) {
        match self {
            Job::Read { answer, .. } => drop(answer.send(Err(hung_error()))),
            Job::Check(watched) => watched.give_up(),
        }
    }
}

/// The result of a job.
#[derive(Debug)]
enum JobResult {
    Read(oneshot::Sender<Answer>, Answer),
    Check(Arc<WatchedFile>, LastCheck),
}

impl JobResult {
    fn deliver(self) {
        match self {
            JobResult::Read(sender, answer) => drop(sender.send(answer)),
            JobResult::Check(watched, found) => watched.record(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a reader whose thread hangs, as all earlier ones do.
    fn stuck(now: Instant) -> Reader {
        let reader = Reader::default();
        let mut state = reader.lock();
        (state.has_clock, state.thread) = (true, u64::try_from(MAX_HUNG).unwrap());
        state.hung = (0..MAX_HUNG).map(|number| Path::new(&format!("/mount-{number}/key")).into()).collect();
        state.reading = Some((Path::new("/mount/key").into(), now));
        drop(state);
        reader
    }

    #[test]
    fn if_no_thread_is_left_all_files_count_as_hung_and_no_job_waits() {
        let begun = Instant::now();
        let reader = stuck(begun);
        let changed = Arc::default();
        let watched = Arc::new(WatchedFile::new(Path::new("Cargo.toml"), 1 << 20, Arc::clone(&changed)));
        watched.record(watched.check().unwrap());
        reader.watch(&watched);
        let mut answer = reader.read(Path::new("Cargo.toml"), 1 << 20).unwrap();
        reader.detect_hung(&mut reader.lock(), begun);
        assert!(answer.try_recv().is_err() && !reader.lock().jobs.is_empty(), "it may be read in time");
        reader.detect_hung(&mut reader.lock(), begun + HANG_TIMEOUT);
        assert_eq!(answer.try_recv().unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(reader.lock().jobs.is_empty());
        let mut notified = Box::pin(changed.notified());
        assert!(notified.as_mut().enable(), "watched files may have changed unnoticed from now on");
    }
}
