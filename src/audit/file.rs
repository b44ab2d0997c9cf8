//! A file of records, each a whole line and in one file, whether the disk is full or the file is moved away.

use std::fmt;
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::output::Pending;
use crate::event;

/// How often records are made to survive a loss of power while more of them come.
const SYNC: Duration = Duration::from_secs(1);

/// An open file, and where it was.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    file: fs::File,
    identity: (u64, u64),
    regular: bool,
    /// Whether it was left with a line that has no end, as after a loss of power.
    unended: bool,
    /// Where it ended when something was last written.
    end: u64,
    /// Since when it holds what is not on the disk.
    unsynced: Option<Instant>,
    unsyncable: bool,
}

impl File {
    /// Opens a file for appending; where there is none, it is made, for its owner to write and its group to read.
    ///
    /// # Errors
    ///
    /// What the system says; [`ErrorKind::InvalidInput`] for pipes and sockets, which nobody may be reading.
    pub(super) fn open(path: &Path) -> io::Result<File> {
        if fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo() || found.file_type().is_socket()) {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
        }
        let file = OpenOptions::new().append(true).create(true).mode(0o640).open(path)?;
        let found = file.metadata()?;
        let regular = found.is_file();
        Ok(File {
            path: path.to_owned(),
            file,
            identity: identity(&found),
            regular,
            unended: regular && is_unended(path),
            end: found.len(),
            unsynced: None,
            unsyncable: false,
        })
    }

    /// Writes what is pending to the file that is at the path now.
    pub(super) fn append(&mut self, pending: &mut Pending<'_>) -> io::Result<()> {
        // A line is begun and ended in the same file.
        if pending.fragment() == 0 {
            self.follow()?;
            if self.unended {
                self.file.write_all(b"\n")?;
                self.unended = false;
            }
        }
        let (before, begun) = (self.length()?, pending.written());
        let done = pending.write_to(&mut self.file);
        let written = u64::try_from(pending.written() - begun).unwrap_or(u64::MAX);
        if written > 0 {
            self.unsynced.get_or_insert_with(Instant::now);
            self.end = before.saturating_add(written);
        }
        if done.is_err() && pending.fragment() > 0 && self.is_elsewhere()? {
            self.take_back(pending);
        }
        done
    }

    /// Opens the path anew where another file is there, or none.
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

    /// Whether the path does not lead to this file any more.
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

    /// Has a line written from its beginning, since the file with its beginning was moved away and takes no end of it. The
    /// beginning is removed there, unless somebody else has written behind it, who should not.
    ///
    /// As long as the file is in its place, the beginning stays: who follows it as it grows would take a shorter one for new.
    fn take_back(&self, pending: &mut Pending<'_>) {
        let fragment = u64::try_from(pending.fragment()).unwrap_or(u64::MAX);
        if self.regular && self.length().is_ok_and(|length| length == self.end) {
            // What cannot be removed is a line without an end, and stands whole in the next file.
            drop(self.file.set_len(self.end.saturating_sub(fragment)));
        }
        pending.take_back();
    }

    /// See [`Output::settle`](super::output::Output::settle).
    pub(super) fn settle(&mut self, idle: bool) {
        if self.unsynced.is_some_and(|since| idle || since.elapsed() >= SYNC) {
            self.sync();
        }
    }

    /// Nothing waits for this but records that are not written yet. Where it fails, a loss of power may cost the records of
    /// the last while, and nothing can be done about it here.
    fn sync(&mut self) {
        if self.unsynced.take().is_none() || !self.regular || self.unsyncable {
            return;
        }
        if let Err(error) = self.file.sync_data() {
            self.unsyncable = true;
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

/// What cannot be read is taken to be whole.
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
