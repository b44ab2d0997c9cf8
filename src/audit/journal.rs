//! One output's queue and the thread that writes it, in batches. What cannot be written stays, and is tried again.
//!
//! Each output has its own, so that one that stalls keeps nothing from the other but room for more.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::output::{Output, Pending};
use super::room::{PLACES, Room};
use crate::event;

/// How long records gather before they are written.
const GATHER: Duration = Duration::from_millis(20);

/// How long after a failure writing is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// Records on their way to one output.
#[derive(Debug)]
pub(super) struct Journal {
    queue: Mutex<Queue>,
    changed: Condvar,
    room: Arc<Room>,
    number: usize,
}

/// Bounded by the places of the room.
#[derive(Debug, Default)]
struct Queue {
    lines: Vec<u8>,
    records: usize,
    look: bool,
    closed: bool,
    ended: bool,
}

impl Journal {
    /// Begins to write to an output, which has this number in the room.
    pub(super) fn begin(output: Output, room: Arc<Room>, number: usize) -> io::Result<Arc<Journal>> {
        let journal = Journal { queue: Mutex::default(), changed: Condvar::new(), room, number };
        let journal = Arc::new(journal);
        let writer = Arc::clone(&journal);
        std::thread::Builder::new().name("audit".into()).spawn(move || writer.write_to(output))?;
        Ok(journal)
    }

    /// Appends a record, which has a place.
    pub(super) fn append(&self, line: &[u8]) {
        let mut queue = self.lock();
        queue.lines.extend_from_slice(line);
        queue.records += 1;
        if queue.records == 1 {
            self.changed.notify_all();
        }
    }

    /// Has the output looked after now.
    pub(super) fn look(&self) {
        self.lock().look = true;
        self.changed.notify_all();
    }

    /// Ends once everything is written.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits for the end, which may never come.
    pub(super) fn ended(&self, until: Instant) {
        let patience = until.saturating_duration_since(Instant::now());
        drop(self.changed.wait_timeout_while(self.lock(), patience, |queue| !queue.ended));
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, mut output: Output) {
        let mut batch = Vec::new();
        loop {
            let nothing = |queue: &mut Queue| queue.lines.is_empty() && !queue.look && !queue.closed;
            let mut queue = self.changed.wait_while(self.lock(), nothing).unwrap_or_else(PoisonError::into_inner);
            let closed = queue.closed;
            queue.look = false;
            std::mem::swap(&mut batch, &mut queue.lines);
            let records = std::mem::take(&mut queue.records);
            drop(queue);
            self.write(&mut output, &batch);
            self.room.written(self.number, records);
            // What the last batch needed the next one may, and what one burst needed is not kept for the rest of the day.
            let needed = batch.len();
            batch.clear();
            batch.shrink_to((2 * needed).max(16 * 1024));
            let idle = self.lock().lines.is_empty();
            output.settle(idle);
            if closed && idle {
                self.lock().ended = true;
                self.changed.notify_all();
                return;
            }
            if !closed {
                std::thread::sleep(GATHER);
            }
        }
    }

    /// Writes all of a batch, however long it takes.
    fn write(&self, output: &mut Output, batch: &[u8]) {
        let mut pending = Pending::new(batch);
        let mut failing: Option<Instant> = None;
        while let Err(error) = output.append(&mut pending) {
            if failing.is_none() {
                failing = Some(Instant::now());
                tracing::error!(
                    event = event::AUDIT_WRITING_FAILED,
                    %output,
                    reason = %error,
                    "audit records cannot be written. None is lost, but starts wait or are refused once {PLACES} \
                     records wait. Free space, or let the gateway's user write there; writing then resumes"
                );
            }
            drop(self.changed.wait_timeout_while(self.lock(), RETRY, |queue| !std::mem::take(&mut queue.look)));
        }
        if let Some(since) = failing {
            let outage = humantime::format_duration(Duration::from_secs(since.elapsed().as_secs()));
            tracing::info!(event = event::AUDIT_WRITING_RESUMED, %output, %outage, "audit records are written again");
        }
    }
}
