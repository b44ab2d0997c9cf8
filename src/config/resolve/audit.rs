//! `audit`: the outputs of records, and the treatment of starts while none can be written.

use std::path::PathBuf;

use crate::audit::WhenFull;
use crate::config::finding::{Findings, Path};
use crate::config::{file, pasted};

/// The outputs of records: at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// The file to append to.
    pub file: Option<PathBuf>,
    /// Whether records are written to standard output, between the log lines.
    pub stdout: bool,
    /// The treatment of a start without a slot for its record.
    pub when_full: WhenFull,
}

/// Returns `None` if a fault is recorded, `Some(None)` if there is no audit.
pub(super) fn resolve(written: Option<file::Audit>, findings: &mut Findings) -> Option<Option<Audit>> {
    let path = Path::default().key("audit");
    let Some(file::Audit { file, stdout, when_full }) = written else { return Some(None) };
    let file = match file {
        Some(file) if !file.contains('/') || pasted::is_not_a_path(&file) => findings.fault(
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
