//! The queue of one output, and the thread that writes it in batches. It retries until a batch is written.
//!
//! Each output has its own: if one stalls, the other gets every record until all slots are taken.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::batch::Batch;
use super::output::Output;
use super::slots::{SLOTS, Slots};
use crate::event;

/// The pause between two batches.
const FLUSH_INTERVAL: Duration = Duration::from_millis(20);

/// The pause after a failed write.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// The records that wait for one output.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Mutex<Queue>,
    changed: Condvar,
    slots: Arc<Slots>,
    number: usize,
}

/// Bounded by the number of slots.
#[derive(Debug, Default)]
struct Queue {
    lines: Vec<u8>,
    records: usize,
    must_check: bool,
    closed: bool,
    ended: bool,
}

impl Writer {
    /// Starts a thread that writes to an output. `number` is that of the output among the slots.
    pub(super) fn start(output: Output, slots: Arc<Slots>, number: usize) -> io::Result<Arc<Writer>> {
        let writer = Writer { queue: Mutex::default(), changed: Condvar::new(), slots, number };
        let writer = Arc::new(writer);
        let thread = Arc::clone(&writer);
        std::thread::Builder::new().name("audit".into()).spawn(move || thread.write_to(output))?;
        Ok(writer)
    }

    /// Queues a record that has a slot.
    pub(super) fn append(&self, line: &[u8]) {
        let mut queue = self.lock();
        queue.lines.extend_from_slice(line);
        queue.records += 1;
        if queue.records == 1 {
            self.changed.notify_all();
        }
    }

    /// Has the thread write again now, which checks whether the file was moved or replaced.
    pub(super) fn check_output(&self) {
        self.lock().must_check = true;
        self.changed.notify_all();
    }

    /// Ends the thread after everything is written.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits until the thread has ended or the deadline has passed.
    pub(super) fn wait_for_end(&self, deadline: Instant) {
        let timeout = deadline.saturating_duration_since(Instant::now());
        drop(self.changed.wait_timeout_while(self.lock(), timeout, |queue| !queue.ended));
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, mut output: Output) {
        let mut batch = Vec::new();
        loop {
            let is_idle = |queue: &mut Queue| queue.lines.is_empty() && !queue.must_check && !queue.closed;
            let mut queue = self.changed.wait_while(self.lock(), is_idle).unwrap_or_else(PoisonError::into_inner);
            let closed = queue.closed;
            queue.must_check = false;
            std::mem::swap(&mut batch, &mut queue.lines);
            let records = std::mem::take(&mut queue.records);
            drop(queue);
            self.write(&mut output, &batch);
            self.slots.record_written(self.number, records);
            // Keeps the memory that the next batch probably needs, and returns that of a burst.
            let needed = batch.len();
            batch.clear();
            batch.shrink_to((2 * needed).max(16 * 1024));
            let is_idle = self.lock().lines.is_empty();
            output.sync_if_due(is_idle);
            if closed && is_idle {
                self.lock().ended = true;
                self.changed.notify_all();
                return;
            }
            if !closed {
                std::thread::sleep(FLUSH_INTERVAL);
            }
        }
    }

    /// Writes all of a batch, and retries until it is done.
    fn write(&self, output: &mut Output, lines: &[u8]) {
        let mut batch = Batch::new(lines);
        let mut failing: Option<Instant> = None;
        while let Err(error) = output.append(&mut batch) {
            if failing.is_none() {
                failing = Some(Instant::now());
                tracing::error!(
                    event = event::AUDIT_WRITING_FAILED,
                    %output,
                    reason = %error,
                    "audit records cannot be written. None is lost, but starts wait or are refused once {SLOTS} \
                     records wait. Free space, or let the gateway's user write there; writing then resumes"
                );
            }
            drop(
                self.changed
                    .wait_timeout_while(self.lock(), RETRY_INTERVAL, |queue| !std::mem::take(&mut queue.must_check)),
            );
        }
        if let Some(since) = failing {
            let outage = humantime::format_duration(Duration::from_secs(since.elapsed().as_secs()));
            tracing::info!(event = event::AUDIT_WRITING_RESUMED, %output, %outage, "audit records are written again");
        }
    }
}
