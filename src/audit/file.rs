//! A file of records. Each record is one complete line in one file, even if the disk fills up or the file is moved away.

use std::fmt;
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::batch::Batch;
use crate::event;

/// The time between two flushes to the disk while records come without a pause.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// An open file and its path.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    file: fs::File,
    identity: (u64, u64),
    is_regular: bool,
    /// Whether its last line has no end, as after a loss of power.
    is_unended: bool,
    /// Its length after the last write.
    end: u64,
    /// The time of the first write that is not flushed to the disk.
    unsynced: Option<Instant>,
    cannot_sync: bool,
}

impl File {
    /// Opens a file for appending. If there is none, creates it; its owner may write it and its group may read it.
    ///
    /// # Errors
    ///
    /// The system's error; [`ErrorKind::InvalidInput`] for pipes and sockets, as nothing may be reading them.
    pub(super) fn open(path: &Path) -> io::Result<File> {
        if fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo() || found.file_type().is_socket()) {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it is a pipe or a socket, not a regular file"));
        }
        let file = OpenOptions::new().append(true).create(true).mode(0o640).open(path)?;
        let found = file.metadata()?;
        let is_regular = found.is_file();
        Ok(File {
            path: path.to_owned(),
            file,
            identity: identity(&found),
            is_regular,
            is_unended: is_regular && is_unended(path),
            end: found.len(),
            unsynced: None,
            cannot_sync: false,
        })
    }

    /// Writes a batch to the file that is at the path now.
    pub(super) fn append(&mut self, batch: &mut Batch<'_>) -> io::Result<()> {
        // A line begins and ends in the same file.
        if batch.fragment() == 0 {
            self.follow()?;
            if self.is_unended {
                self.file.write_all(b"\n")?;
                self.is_unended = false;
            }
        }
        let (before, begun) = (self.length()?, batch.written());
        let done = batch.write_to(&mut self.file);
        let written = u64::try_from(batch.written() - begun).unwrap_or(u64::MAX);
        if written > 0 {
            self.unsynced.get_or_insert_with(Instant::now);
            self.end = before.saturating_add(written);
        }
        if done.is_err() && batch.fragment() > 0 && self.is_elsewhere()? {
            self.retract_fragment(batch);
        }
        done
    }

    /// Opens the path anew if it leads to another file or to none.
    fn follow(&mut self) -> io::Result<()> {
        if !self.is_elsewhere()? {
            return Ok(());
        }
        let next = File::open(&self.path)?;
        self.sync();
        *self = next;
        tracing::info!(
            event = event::AUDIT_FILE_REOPENED,
            file = %self,
            "the audit file was moved or replaced; writing goes on in the one at its path"
        );
        Ok(())
    }

    /// Returns whether the path leads to another file or to none.
    fn is_elsewhere(&self) -> io::Result<bool> {
        match fs::metadata(&self.path) {
            Ok(found) => Ok(identity(&found) != self.identity),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Has an incomplete line written again from its beginning, as the file that has its beginning was moved away. Removes the
    /// beginning there, unless another process has written after it.
    ///
    /// A file that was not moved keeps it: a reader that follows the file would take a shorter file for a new one.
    fn retract_fragment(&self, batch: &mut Batch<'_>) {
        let fragment = u64::try_from(batch.fragment()).unwrap_or(u64::MAX);
        if self.is_regular && self.length().is_ok_and(|length| length == self.end) {
            // If it cannot be removed, an incomplete line stays there. The complete one is in the next file.
            drop(self.file.set_len(self.end.saturating_sub(fragment)));
        }
        batch.retract_fragment();
    }

    /// Flushes to the disk if the last flush is long enough ago, or if no record waits.
    pub(super) fn sync_if_due(&mut self, is_idle: bool) {
        if self.unsynced.is_some_and(|since| is_idle || since.elapsed() >= SYNC_INTERVAL) {
            self.sync();
        }
    }

    /// Flushes to the disk. Only records that are not written yet wait for it. If it fails, a loss of power may cost the latest
    /// records.
    fn sync(&mut self) {
        if self.unsynced.take().is_none() || !self.is_regular || self.cannot_sync {
            return;
        }
        if let Err(error) = self.file.sync_data() {
            self.cannot_sync = true;
            tracing::error!(
                event = event::AUDIT_SYNCING_FAILED,
                file = %self,
                reason = %error,
                "audit records cannot be flushed to the disk; a loss of power may cost the last ones. Check the file system"
            );
        }
    }
}

impl fmt::Display for File {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.path.display(), out)
    }
}

fn identity(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

/// Returns whether the last line of a file has no end. A file that cannot be read counts as complete.
fn is_unended(path: &Path) -> bool {
    let last = || {
        let mut file = fs::File::open(path)?;
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        Ok::<_, io::Error>(last)
    };
    last().is_ok_and(|last| last != *b"\n")
}
