//! Files that an operator names: API keys, certificates, CAs, the configuration.
//!
//! Opening or reading a file never returns if the file is a pipe or on a mount that hangs. So no runtime reads files. A separate
//! thread (`reader`) reads all of them in turn, each up to a limit, and its callers wait for a bounded time.

mod reader;
mod watched;

use std::convert::Infallible;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use tokio::sync::Notify;
use tokio::time::timeout;

use reader::READER;
use watched::WatchedFile;

/// The largest file of certificates or of a private key, in bytes: several times the certificates of all public authorities.
pub const PEM_LIMIT: usize = 4 << 20;

/// The largest configuration, in bytes: enough for tens of thousands of tenants.
pub const CONFIGURATION_LIMIT: usize = 16 << 20;

/// How long a file may take to be read.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads a whole file, which may hold a secret, on the thread for files, and returns its bytes.
///
/// # Errors
///
/// If the system refuses it, if it is larger than `limit` bytes, or if it is not a regular file. [`ErrorKind::TimedOut`] if it
/// cannot be read within five seconds.
pub async fn read(path: &Path, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let answer = READER.read(path, limit)?;
    match timeout(READ_TIMEOUT, answer).await {
        Ok(answer) => answer.unwrap_or_else(|_| Err(hung_error())),
        Err(_) => Err(hung_error()),
    }
}

/// Returns the error for a file that hangs.
fn hung_error() -> io::Error {
    let after = humantime::format_duration(READ_TIMEOUT);
    io::Error::new(ErrorKind::TimedOut, format!("no answer within {after}; check whether its file system responds"))
}

/// Reads a whole file on the current thread, which hangs if the file does, and returns its bytes. Opens only regular files, because
/// opening a pipe waits for another process, and a device may have no end.
///
/// # Errors
///
/// Those of [`read`], without a time-out.
pub fn read_whole(path: &Path, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    check_regular(&std::fs::metadata(path)?)?;
    let file = File::open(path)?;
    let found = file.metadata()?;
    check_regular(&found)?;
    let too_large = || io::Error::new(ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes"));
    let length = usize::try_from(found.len()).unwrap_or(usize::MAX);
    if length > limit {
        return Err(too_large());
    }
    // The spare bytes are for the read by which the standard library finds the end. Without them, the buffer would grow and move,
    // and leave a copy of a secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(length + 256));
    file.take(u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(too_large());
    }
    Ok(bytes)
}

fn check_regular(found: &std::fs::Metadata) -> io::Result<()> {
    if found.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    if !found.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok(())
}

/// The changes of some files, which are polled every second for as long as this lives.
#[derive(Debug)]
pub struct Changes {
    changed: Arc<Notify>,
    _files: Vec<Arc<WatchedFile>>,
}

impl Changes {
    /// Begins to watch files of at most `limit` bytes. Must be created before they are first read, so that no change in between is
    /// missed: checks and reads run in the order in which they were queued.
    #[must_use]
    pub fn of(paths: impl IntoIterator<Item = PathBuf>, limit: usize) -> Changes {
        let changed = Arc::new(Notify::new());
        let watched = |path: PathBuf| Arc::new(WatchedFile::new(&path, limit, Arc::clone(&changed)));
        let files: Vec<_> = paths.into_iter().map(watched).collect();
        for file in &files {
            READER.watch(file);
        }
        Changes { changed, _files: files }
    }

    /// Resolves when one of the files has changed since the last time. A file that can no longer be read, or not in time, counts as
    /// changed.
    pub async fn next(&self) {
        self.changed.notified().await;
    }
}

/// A watch of some files, and the action that follows each of their changes.
///
/// The action may fail while only some of the files are written. The next change repeats it.
pub struct Watch(Pin<Box<dyn Future<Output = Infallible> + Send>>);

impl Watch {
    /// Creates a watch whose action is `apply`.
    #[must_use]
    pub fn new<F>(changes: Changes, mut apply: impl FnMut() -> F + Send + 'static) -> Watch
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Watch(Box::pin(async move {
            loop {
                changes.next().await;
                apply().await;
            }
        }))
    }

    /// Runs the watch, and never ends.
    pub async fn run(self) -> Infallible {
        self.0.await
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Watch(..)")
    }
}
