//! The audit: a record of every start, never dropped silently.
//!
//! A start needs a [`Place`] for its record before anything else is decided about it, so that a record always has room
//! when it is made, which is after money was spent. A place is free again once its record is written everywhere.

mod file;
mod journal;
mod line;
mod output;
mod room;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::timeout;

use crate::facts::Facts;
use crate::state::{Hold, Share};
use journal::Journal;
use output::Output;
use room::Room;

pub use room::PLACES;

/// How long a start waits for a place before it is refused.
pub const WAIT: Duration = Duration::from_secs(5);

/// What becomes of a start that finds no room for its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// It waits up to [`WAIT`], and is refused then.
    Wait,
    /// It is refused.
    Refuse,
}

/// No place for another record: the start must not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// All places are taken.
    #[error(
        "the audit cannot take another record, so nothing was started; try again later, or have its operator look at the log"
    )]
    Everywhere,
    /// The tenant has as many starts under way as there are places left for others.
    #[error(
        "this tenant has as many starts under way as its share of the audit allows, so nothing was started; wait until some of \
         them have ended"
    )]
    Share,
}

/// Where records are written. Dropped, it ends the writing once everything is written.
#[derive(Debug)]
pub struct Audit {
    room: Arc<Room>,
    journals: Vec<Arc<Journal>>,
    when_full: WhenFull,
    refused: AtomicU64,
}

impl Audit {
    /// Opens the file, if there is one, and begins to write.
    ///
    /// # Errors
    ///
    /// Where the file cannot be opened or a thread cannot be started.
    pub fn open(file: Option<&Path>, stdout: bool, when_full: WhenFull) -> io::Result<Arc<Audit>> {
        let file = file.map(file::File::open).transpose()?.map(Output::File);
        let outputs: Vec<Output> = file.into_iter().chain(stdout.then_some(Output::Stdout)).collect();
        let room = Arc::new(Room::new(outputs.len()));
        let begin = |(number, output)| Journal::begin(output, Arc::clone(&room), number);
        let journals = outputs.into_iter().enumerate().map(begin).collect::<io::Result<_>>()?;
        Ok(Arc::new(Audit { room, journals, when_full, refused: AtomicU64::new(0) }))
    }

    /// How many starts were refused, or given up by their callers, because there was no room for their records:
    /// `asteroid_gateway_audit_refused_total`. They have no record.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// How many places for records are taken, of [`PLACES`].
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.room.taken()
    }

    /// Looks at once whether the file is still where it was opened, and opens it anew where it is not. What is written next
    /// does so by itself.
    pub fn reopen(&self) {
        self.journals.iter().for_each(|journal| journal.look());
    }

    /// Writes what is waiting and ends; gives up after `patience`. To be called when no request is left.
    ///
    /// # Errors
    ///
    /// [`Unwritten`]: starts that were made and have no record, or not everywhere.
    pub fn close(&self, patience: Duration) -> Result<(), Unwritten> {
        let end = std::time::Instant::now() + patience;
        self.journals.iter().for_each(|journal| journal.close());
        self.journals.iter().for_each(|journal| journal.ended(end));
        match self.room.taken() {
            0 => Ok(()),
            records => Err(Unwritten { records }),
        }
    }

    /// Takes a place for the record of a start, also of its tenant's share of them.
    ///
    /// # Errors
    ///
    /// [`Full`].
    pub async fn place(self: &Arc<Self>, starts: &Arc<Share>, only: bool) -> Result<Place, Full> {
        let start = starts.hold(1, only).map_err(|_| Full::Share)?;
        let place = |audit: &Arc<Audit>| Place { audit: Some(Arc::clone(audit)), _start: start };
        if self.room.try_take() {
            return Ok(place(self));
        }
        // Boxed, as few starts need it and all would carry its future around.
        if Box::pin(self.wait()).await { Ok(place(self)) } else { Err(Full::Everywhere) }
    }

    async fn wait(&self) -> bool {
        let unrecorded = Unrecorded(&self.refused);
        let taken = self.when_full == WhenFull::Wait && timeout(WAIT, self.room.take()).await.is_ok();
        if taken {
            std::mem::forget(unrecorded);
        }
        taken
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.journals.iter().for_each(|journal| journal.close());
    }
}

/// Counts a start that got no place, also where its caller did not wait for the answer.
struct Unrecorded<'a>(&'a AtomicU64);

impl Drop for Unrecorded<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Records that are missing at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{records} records of starts are missing in the audit")]
pub struct Unwritten {
    /// How many.
    pub records: usize,
}

/// Room for one record. Dropped without one, it is free again.
#[derive(Debug)]
pub struct Place {
    audit: Option<Arc<Audit>>,
    /// Of its tenant's share, until the record is made.
    _start: Hold,
}

impl Place {
    /// Puts the record there.
    pub fn fill(mut self, facts: &Facts) {
        let Some(audit) = self.audit.take() else { return };
        let mut line = Vec::with_capacity(1024);
        // Writing into memory does not fail.
        drop(line::json(&mut line, facts));
        audit.journals.iter().for_each(|journal| journal.append(&line));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(audit) = &self.audit {
            audit.room.free(1);
        }
    }
}
