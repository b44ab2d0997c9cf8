//! Protection of a process that holds API keys: it leaves no core dump, and other processes of its user cannot look into it.

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

/// Forbids core dumps of this process until it ends. On Linux, also forbids all users but root to trace it and to read its memory
/// and environment. Must be called before an API key is read.
///
/// # Errors
///
/// If the system has no such protection or refuses it. Whatever it does allow is done nevertheless.
pub fn apply() -> Result<(), Error> {
    // The hard limit too, so that nothing raises it again.
    let limited = Resource::CORE.set(0, 0).map_err(Error::Limit);
    mark().map_err(Error::Mark).and(limited)
}

#[cfg(target_os = "linux")]
fn mark() -> io::Result<()> {
    // The limit is ignored if cores are piped to a program; this mark is not.
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

#[cfg(not(target_os = "linux"))]
fn mark() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
