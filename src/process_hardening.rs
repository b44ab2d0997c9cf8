//! Protection of a process that holds API keys: it leaves no core dump, and other processes of its user cannot read its memory.

use std::io;

use rlimit::Resource;

/// The reason why the process may still be dumped or its memory be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused to mark the process as not dumpable.
    #[error("the process cannot be marked as not dumpable")]
    Mark(#[source] io::Error),
    /// The system refused to limit the size of core dumps to 0.
    #[error("the size of core dumps cannot be limited to 0")]
    Limit(#[source] io::Error),
}

/// Forbids core dumps of this process until it ends. On Linux, also prevents all users but root from tracing it and from reading
/// its memory and environment. Must be called before an API key is read.
///
/// # Errors
///
/// If the system has no such protection or refuses it. Everything that it does permit is still done.
pub fn apply() -> Result<(), Error> {
    // The hard limit, too, so that nothing raises it again.
    let limited = Resource::CORE.set(0, 0).map_err(Error::Limit);
    mark().map_err(Error::Mark).and(limited)
}

#[cfg(target_os = "linux")]
fn mark() -> io::Result<()> {
    // If core dumps are piped to a program, the limit is ignored, but this mark is not.
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

#[cfg(not(target_os = "linux"))]
fn mark() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
