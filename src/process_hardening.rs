//! A process that holds a key leaves no core dump, and other processes of its user cannot look into it.

use std::io;

use rlimit::Resource;

/// Why the process may still be dumped or looked into.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused to mark the process as not dumpable.
    #[error("it cannot be marked as not dumpable")]
    Mark(#[source] io::Error),
    /// The system refused to limit core dumps to nothing.
    #[error("its core dumps cannot be limited to nothing")]
    Limit(#[source] io::Error),
}

/// Forbids core dumps of this process, and on Linux also that it is traced or its memory and environment are read by
/// whoever is not root. Called before a key is read; holds until the process ends.
///
/// # Errors
///
/// Where the system knows no such mark or refuses it. Whatever it does allow is done nevertheless.
pub fn forbid() -> Result<(), Error> {
    // The hard limit too, so that nothing raises it again.
    let limited = Resource::CORE.set(0, 0).map_err(Error::Limit);
    mark().map_err(Error::Mark).and(limited)
}

#[cfg(target_os = "linux")]
fn mark() -> io::Result<()> {
    // The limit is not looked at where cores are piped to a program; this mark is.
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

#[cfg(not(target_os = "linux"))]
fn mark() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
