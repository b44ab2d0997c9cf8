//! The audit: a record of every start and of every change of an execution, never dropped silently.
//!
//! A start reserves an [`AuditSlot`] before anything else is decided about it. So there is always room for its record, which is
//! written after money was spent. A slot is free again when its record is written to every output.

mod batch;
mod file;
mod line;
mod output;
mod slots;
mod writer;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::facts::Facts;
use crate::state::{Hold, Share};
use output::Output;
use slots::Slots;
use writer::Writer;

pub use slots::SLOTS;

/// How long a start waits for a slot before it is refused.
pub const MAX_WAIT: Duration = Duration::from_secs(5);

/// The treatment of a start when no slot is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// It waits up to [`MAX_WAIT`] and is refused then.
    Wait,
    /// It is refused.
    Refuse,
}

/// The reason why no slot was reserved. The start must not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// All slots are taken.
    #[error(
        "the audit cannot take another record, so nothing was started or changed; retry later; if it persists, contact the operator of this gateway"
    )]
    Full,
    /// The starts of the tenant use its share of the slots.
    #[error(
        "this tenant has as many starts and changes in flight as its share of the audit allows, so nothing was started or changed; retry when some of them \
         have ended"
    )]
    Share,
}

/// The outputs of audit records. When it is dropped, they end after everything is written.
#[derive(Debug)]
pub struct Audit {
    slots: Arc<Slots>,
    writers: Vec<Arc<Writer>>,
    when_full: WhenFull,
    refused: AtomicU64,
}

impl Audit {
    /// Opens the file, if there is one, and starts a thread for each output.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened or a thread cannot be started.
    pub fn open(file: Option<&Path>, stdout: bool, when_full: WhenFull) -> io::Result<Arc<Audit>> {
        let file = file.map(file::File::open).transpose()?.map(Output::File);
        let outputs: Vec<Output> = file.into_iter().chain(stdout.then_some(Output::Stdout)).collect();
        let slots = Arc::new(Slots::new(outputs.len()));
        let start = |(number, output)| Writer::start(output, Arc::clone(&slots), number);
        let writers = outputs.into_iter().enumerate().map(start).collect::<io::Result<_>>()?;
        Ok(Arc::new(Audit { slots, writers, when_full, refused: AtomicU64::new(0) }))
    }

    /// Returns how many starts got no slot because all were taken, including those whose callers left while waiting. They have no
    /// record. Shown as `asteroid_gateway_audit_refused_total`.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Returns how many of the [`SLOTS`] are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.slots.taken()
    }

    /// Checks now whether the file was moved or replaced, and opens its path anew if it was. Each write checks that, too.
    pub fn reopen(&self) {
        self.writers.iter().for_each(|writer| writer.check_output());
    }

    /// Writes the waiting records and ends, after `timeout` at the latest. To be called when no request is left.
    ///
    /// # Errors
    ///
    /// [`MissingRecords`] if a record is not written to every output.
    pub fn close(&self, timeout: Duration) -> Result<(), MissingRecords> {
        let deadline = Instant::now() + timeout;
        self.writers.iter().for_each(|writer| writer.close());
        self.writers.iter().for_each(|writer| writer.wait_for_end(deadline));
        match self.slots.taken() {
            0 => Ok(()),
            records => Err(MissingRecords { records }),
        }
    }

    /// Reserves a slot for the record of a start. It counts against the share of its tenant, unless that `is_only`.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn reserve(self: &Arc<Self>, share: &Arc<Share>, is_only: bool) -> Result<AuditSlot, Error> {
        let share = share.hold(1, is_only).map_err(|_| Error::Share)?;
        let slot = |audit: &Arc<Audit>| AuditSlot { audit: Some(Arc::clone(audit)), _share: share };
        if self.slots.try_take() {
            return Ok(slot(self));
        }
        // Boxed, as few starts need it and all would carry its future around.
        if Box::pin(self.wait()).await { Ok(slot(self)) } else { Err(Error::Full) }
    }

    async fn wait(&self) -> bool {
        let refusal = RefusalCount(&self.refused);
        let is_taken = self.when_full == WhenFull::Wait && timeout(MAX_WAIT, self.slots.take()).await.is_ok();
        if is_taken {
            std::mem::forget(refusal);
        }
        is_taken
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.writers.iter().for_each(|writer| writer.close());
    }
}

/// Counts a start that got no slot when it is dropped: so also one whose caller left while it waited.
struct RefusalCount<'a>(&'a AtomicU64);

impl Drop for RefusalCount<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The records that could not be written before the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{records} records of starts are missing in the audit")]
pub struct MissingRecords {
    /// How many.
    pub records: usize,
}

/// A slot for one record. If it is dropped without a record, it is free again.
#[derive(Debug)]
pub struct AuditSlot {
    audit: Option<Arc<Audit>>,
    /// A part of its tenant's share, until the record is queued.
    _share: Hold,
}

impl AuditSlot {
    /// Queues the record of a start that has ended.
    pub fn write(mut self, facts: &Facts) {
        let Some(audit) = self.audit.take() else { return };
        let mut line = Vec::with_capacity(1024);
        // Writing into memory does not fail.
        drop(line::json(&mut line, facts));
        audit.writers.iter().for_each(|writer| writer.append(&line));
    }
}

impl Drop for AuditSlot {
    fn drop(&mut self) {
        if let Some(audit) = &self.audit {
            audit.slots.free(1);
        }
    }
}
