//! The outputs that records are written to.

use std::fmt;
use std::io::{self, Write};

use super::batch::Batch;
use super::file::File;

/// An output of records.
#[derive(Debug)]
pub(super) enum Output {
    /// A file.
    File(File),
    /// Standard output, which the log uses, too.
    Stdout,
}

impl Output {
    /// Writes a batch. After a failure, the rest of it is still to be written.
    pub(super) fn append(&mut self, batch: &mut Batch<'_>) -> io::Result<()> {
        match self {
            Output::File(file) => file.append(batch),
            Output::Stdout => {
                // Locked for the whole batch, so that no line of the log comes between. It flushes by itself what an earlier
                // write could not complete.
                let mut stdout = io::stdout().lock();
                batch.write_to(&mut stdout)?;
                stdout.flush()
            }
        }
    }

    /// Flushes written records to the disk if the last flush is long enough ago, or if no record waits. To be called after each
    /// batch.
    pub(super) fn sync_if_due(&mut self, is_idle: bool) {
        if let Output::File(file) = self {
            file.sync_if_due(is_idle);
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::File(file) => fmt::Display::fmt(file, out),
            Output::Stdout => out.write_str("standard output"),
        }
    }
}
