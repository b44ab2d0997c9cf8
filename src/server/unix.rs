//! A Unix socket at a path: created so that only permitted users can connect, and removed at the end.
//!
//! The socket is created in a private directory, gets its permissions, begins to listen, and is then renamed to its path. So it is
//! never more open than its mode, whatever the umask. A caller that finds it can connect at once, and a stale socket is replaced
//! without a gap. The system keeps showing the path at which it was created (`ss -xl`).

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio::net::UnixSocket;
use uuid::Uuid;

use super::bounds::BACKLOG;
use crate::event;

/// How long another gateway may take to start at a path in the same directory.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The file that is locked while a gateway starts at a path of its directory.
const LOCK_FILE: &str = ".asteroid-gateway.lock";

/// How often the lock is tried.
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The reason why a path cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process listens there.
    #[error("another process listens there; stop it, or choose another path")]
    InUse,
    /// There is a socket, and connecting to it failed for an unexpected reason.
    #[error("there is a socket, and it cannot be told whether a process listens on it; if none does, remove it")]
    Unknown(#[source] io::Error),
    /// A file of another type is there.
    #[error("there is a file that is not a socket; remove it, or choose another path")]
    NotASocket,
    /// The lock file stays locked, or belongs to another user.
    #[error("another gateway seems to be starting there: {} stayed locked; if none is, remove that file", .0.display())]
    Locked(PathBuf),
    /// The directory is missing, or nothing can be created in it.
    #[error("{} cannot be used; create that directory, and let the gateway's user read and write there", .0.display())]
    Directory(PathBuf, #[source] io::Error),
    /// The system refused a socket.
    #[error("a socket cannot be created")]
    System(#[from] io::Error),
}

/// Listens at a path with the permissions `mode`, and returns the socket and its path. Replaces a socket on which no process
/// listens. Must be called inside a runtime.
///
/// # Errors
///
/// If a process listens there, another file is there, or the directory cannot be written to.
pub fn bind(path: &Path, mode: u32) -> Result<(UnixListener, SocketPath), Error> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let unusable = |error| Error::Directory(directory.to_owned(), error);
    // Without the lock, two gateways that start at once could both find the same socket stale.
    let _lock = Lock::acquire(directory)?;
    let stale = is_stale(path)?;
    let private = PrivateDirectory::create(directory).map_err(unusable)?;
    let created = private.0.join(path.file_name().unwrap_or_default());
    let socket = UnixSocket::new_stream()?;
    socket.bind(&created)?;
    fs::set_permissions(&created, Permissions::from_mode(mode))?;
    let socket = socket.listen(BACKLOG)?.into_std()?;
    let found = fs::symlink_metadata(&created)?;
    let socket_path =
        SocketPath { path: path.to_owned(), device: found.dev(), inode: found.ino(), _socket: socket.try_clone()? };
    fs::rename(&created, path).map_err(unusable)?;
    if stale {
        tracing::info!(
            event = event::LISTENER_SOCKET_REPLACED,
            path = %path.display(),
            "a stale socket was replaced: no process listened on it"
        );
    }
    Ok((socket, socket_path))
}

/// The path of a listening socket. Dropping it removes the file, unless another socket has replaced it.
#[derive(Debug)]
pub struct SocketPath {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// While it is open, no other gateway takes the path, and no other file gets its inode.
    _socket: UnixListener,
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode))
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(
                event = event::LISTENER_SOCKET_REMOVAL_FAILED,
                path = %self.path.display(),
                %error,
                "the socket could not be removed"
            );
        }
    }
}

/// A directory that only the gateway's user can enter; dropping it removes the directory.
struct PrivateDirectory(PathBuf);

impl PrivateDirectory {
    fn create(directory: &Path) -> io::Result<PrivateDirectory> {
        // Short, because a socket's path is bounded.
        let random = Uuid::new_v4().simple().to_string();
        let path = directory.join(format!(".{}", random.get(..6).unwrap_or_default()));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(PrivateDirectory(path))
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        // It is empty, unless the socket could not be renamed.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A lock file in the socket's directory, held while a path there is checked and taken; dropping it removes the file. The
/// directory itself is not locked, because any user that may read it could then keep gateways from starting.
struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    /// Acquires the lock, and waits for gateways that are starting in the same directory.
    fn acquire(directory: &Path) -> Result<Lock, Error> {
        let path = directory.join(LOCK_FILE);
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            match Lock::try_acquire(&path) {
                Ok(Some(file)) => return Ok(Lock { path, file }),
                Ok(None) if Instant::now() < deadline => sleep(LOCK_POLL_INTERVAL),
                Ok(None) => return Err(Error::Locked(path)),
                Err(error) => return Err(Error::Directory(directory.to_owned(), error)),
            }
        }
    }

    /// Returns the locked file, or nothing if another process holds the lock.
    fn try_acquire(path: &Path) -> io::Result<Option<File>> {
        // Only the gateway's user may open this file, so no other user can lock it. A link is not followed.
        let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = match created {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match open_existing(path) {
                Ok(file) => file,
                // It was removed in the meantime, or belongs to another user's gateway.
                Err(error) if belongs_to_another(&error) => return Ok(None),
                Err(error) => return Err(error),
            },
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            // Not every file system has locks. Without them, two gateways that start at once do not notice each other.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        // The last holder may have removed the file after it was opened here. Then the lock protects nothing.
        let (locked, named) = (file.metadata()?, fs::symlink_metadata(path));
        let is_same = named.is_ok_and(|named| (named.dev(), named.ino()) == (locked.dev(), locked.ino()));
        Ok(is_same.then_some(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed before it is unlocked, so that no other gateway locks a file that is then removed.
        drop(fs::remove_file(&self.path));
        drop(self.file.unlock());
    }
}

/// Opens a file, but only a regular one, because opening a pipe waits for another process.
fn open_existing(path: &Path) -> io::Result<File> {
    if fs::symlink_metadata(path)?.is_file() {
        OpenOptions::new().write(true).open(path)
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

/// Returns whether an error says that the file is gone or belongs to another user.
fn belongs_to_another(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
}

/// Returns whether there is a socket on which no process listens. Returns false if there is nothing.
fn is_stale(path: &Path) -> Result<bool, Error> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(Error::NotASocket),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Error::Directory(path.parent().unwrap_or(path).to_owned(), error)),
    }
    match probe(path) {
        Ok(()) => Err(Error::InUse),
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => Ok(true),
            io::ErrorKind::NotFound => Ok(false),
            // The listener's queue is full.
            io::ErrorKind::WouldBlock => Err(Error::InUse),
            _ => Err(Error::Unknown(error)),
        },
    }
}

/// Tries to connect. A socket of the standard library would wait for a process that listens but does not accept.
fn probe(path: &Path) -> io::Result<()> {
    let connecting = pin!(UnixSocket::new_stream()?.connect(path));
    match connecting.poll(&mut Context::from_waker(Waker::noop())) {
        // It is connected, although the runtime has not learnt of it yet.
        Poll::Pending => Ok(()),
        Poll::Ready(connected) => connected.map(drop),
    }
}
