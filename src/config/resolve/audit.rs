//! `audit`: where a record of every start is kept, and what happens to starts while no record can be.

use std::path::PathBuf;

use crate::audit::WhenFull;
use crate::config::finding::{Findings, Path};
use crate::config::{file, pasted};

/// Where records go: at least one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// A file that is appended to.
    pub file: Option<PathBuf>,
    /// Whether they stand on standard output, between the lines of the log.
    pub stdout: bool,
    /// What becomes of a start that finds no room for its record.
    pub when_full: WhenFull,
}

/// `None` where a fault is recorded, `Some(None)` where there is no audit.
pub(super) fn resolve(written: Option<file::Audit>, findings: &mut Findings) -> Option<Option<Audit>> {
    let path = Path::default().key("audit");
    let Some(file::Audit { file, stdout, when_full }) = written else { return Some(None) };
    let file = match file {
        Some(file) if !file.contains('/') || pasted::is_no_path(&file) => findings.fault(
            &path.key("file"),
            "must be a path with a directory, such as /var/log/asteroid-gateway/audit.jsonl or ./audit.jsonl",
        ),
        file => Some(file.map(PathBuf::from)),
    };
    let stdout = match stdout.as_ref().map(|file::Flag(text)| text.as_str()) {
        None | Some("false") => Some(false),
        Some("true") => Some(true),
        Some(_) => findings.fault(&path.key("stdout"), "must be true or false"),
    };
    let when_full = match when_full.as_deref() {
        None | Some("wait") => Some(WhenFull::Wait),
        Some("refuse") => Some(WhenFull::Refuse),
        Some(_) => findings.fault(&path.key("when_full"), "must be wait or refuse"),
    };
    let (file, stdout, when_full) = (file?, stdout?, when_full?);
    if file.is_none() && !stdout {
        return findings.missing(&path, "does not say where records go; write `file: PATH`, `stdout: true` or both");
    }
    Some(Some(Audit { file, stdout, when_full }))
}
