//! A Unix socket at a path: made so that nobody connects who may not, and removed again.
//!
//! The socket is made in a directory that nobody else can enter, given its permissions, listened on, and then renamed to
//! its path. So it is never more open than it is to be, whatever the umask; whoever finds it can connect at once; and a
//! stale one is replaced without a moment in which there is none. The name that the system goes on to show (`ss -xl`) is
//! the one that it was made under.

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
const PATIENCE: Duration = Duration::from_secs(5);

/// The file that is locked while a gateway starts at a path of its directory.
const LOCK_FILE: &str = ".asteroid-gateway.lock";

/// How often it is looked whether it has.
const EVERY: Duration = Duration::from_millis(10);

/// Why a path cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody is there already.
    #[error("another process listens there; stop it, or choose another path")]
    Live,
    /// It may be somebody's.
    #[error("there is a socket of which nobody can say whether a process listens; if none does, remove it")]
    Unclear(#[source] io::Error),
    /// It is left alone.
    #[error("there is something that is no socket, and it is left alone; remove it, or choose another path")]
    Taken,
    /// The lock file stays locked, or belongs to another user.
    #[error("{} is there for longer than a start takes; if no gateway is being started there, remove it", .0.display())]
    Locked(PathBuf),
    /// The directory is missing, or nothing can be made there.
    #[error("{} cannot be used; make that directory, and let the gateway's user read and write there", .0.display())]
    Directory(PathBuf, #[source] io::Error),
    /// The system refused a socket.
    #[error("no socket can be made")]
    System(#[from] io::Error),
}

/// Listens at a path for whoever `mode` allows; a socket that nobody listens on is replaced. Called inside a runtime.
///
/// # Errors
///
/// Where a process listens there, something else is there, or the directory cannot be written to.
pub fn bind(path: &Path, mode: u32) -> Result<(UnixListener, Name), Error> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let unusable = |error| Error::Directory(directory.to_owned(), error);
    // Else two gateways that start at once could both find the same socket stale.
    let _lock = Lock::acquire(directory)?;
    let stale = is_stale(path)?;
    let room = Room::make(directory).map_err(unusable)?;
    let made = room.0.join(path.file_name().unwrap_or_default());
    let socket = UnixSocket::new_stream()?;
    socket.bind(&made)?;
    fs::set_permissions(&made, Permissions::from_mode(mode))?;
    let socket = socket.listen(BACKLOG)?.into_std()?;
    let made_as = fs::symlink_metadata(&made)?;
    let name =
        Name { path: path.to_owned(), device: made_as.dev(), inode: made_as.ino(), _socket: socket.try_clone()? };
    fs::rename(&made, path).map_err(unusable)?;
    if stale {
        tracing::info!(event = event::LISTENER_SOCKET_REPLACED, path = %path.display(), "a socket that nobody listened on was replaced");
    }
    Ok((socket, name))
}

/// The path of a socket that listens; dropped, it is removed, if it is still that socket's.
#[derive(Debug)]
pub struct Name {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// As long as it listens, no other gateway takes the path, and no other file gets its inode.
    _socket: UnixListener,
}

impl Drop for Name {
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode))
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(event = event::LISTENER_SOCKET_REMOVAL_FAILED, path = %self.path.display(), %error, "the socket could not be removed");
        }
    }
}

/// A directory that only the gateway's user can enter; dropped, it is removed.
struct Room(PathBuf);

impl Room {
    fn make(directory: &Path) -> io::Result<Room> {
        // Short, since a socket's path is.
        let random = Uuid::new_v4().simple().to_string();
        let path = directory.join(format!(".{}", random.get(..6).unwrap_or_default()));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Room(path))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // Only a path that could not be taken leaves something in it.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A file of the gateway's own in the socket's directory, locked while a path there is looked at and taken; dropped, it is
/// removed. The directory itself is not locked: each user that may read it could do so, and keep gateways from starting.
struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    /// Waits for gateways that are being started in the same directory.
    fn acquire(directory: &Path) -> Result<Lock, Error> {
        let path = directory.join(LOCK_FILE);
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Lock::try_acquire(&path) {
                Ok(Some(file)) => return Ok(Lock { path, file }),
                Ok(None) if Instant::now() < deadline => sleep(EVERY),
                Ok(None) => return Err(Error::Locked(path)),
                Err(error) => return Err(Error::Directory(directory.to_owned(), error)),
            }
        }
    }

    /// Returns nothing if another process has it.
    fn try_acquire(path: &Path) -> io::Result<Option<File>> {
        // Locking needs an open file, and only the gateway's user may open this one. A link is not followed.
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = match made {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match open_existing(path) {
                Ok(file) => file,
                // It was removed meanwhile, or belongs to a gateway of another user.
                Err(error) if is_others(&error) => return Ok(None),
                Err(error) => return Err(error),
            },
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            // Not every file system has locks; two gateways at once are a mistake that is then not found out.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        // The one before may have removed the file after it was opened here: then the lock is on nothing.
        let (locked, named) = (file.metadata()?, fs::symlink_metadata(path));
        let is_same = named.is_ok_and(|named| (named.dev(), named.ino()) == (locked.dev(), locked.ino()));
        Ok(is_same.then_some(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is locked, so that no other gateway locks a file that is then removed.
        drop(fs::remove_file(&self.path));
        drop(self.file.unlock());
    }
}

/// Opening a pipe would wait for another process.
fn open_existing(path: &Path) -> io::Result<File> {
    if fs::symlink_metadata(path)?.is_file() {
        OpenOptions::new().write(true).open(path)
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

fn is_others(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
}

/// Whether there is a socket that nobody listens on, rather than nothing.
fn is_stale(path: &Path) -> Result<bool, Error> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(Error::Taken),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Error::Directory(path.parent().unwrap_or(path).to_owned(), error)),
    }
    match knock(path) {
        Ok(()) => Err(Error::Live),
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => Ok(true),
            io::ErrorKind::NotFound => Ok(false),
            // Its queue is full.
            io::ErrorKind::WouldBlock => Err(Error::Live),
            _ => Err(Error::Unclear(error)),
        },
    }
}

/// Whether somebody would accept a connection; std's would wait for whoever listens and does not accept.
fn knock(path: &Path) -> io::Result<()> {
    let connecting = pin!(UnixSocket::new_stream()?.connect(path));
    match connecting.poll(&mut Context::from_waker(Waker::noop())) {
        // Connected, though the runtime has not heard of it yet.
        Poll::Pending => Ok(()),
        Poll::Ready(connected) => connected.map(drop),
    }
}
