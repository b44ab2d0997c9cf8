//! `audit`: the outputs of records, and the treatment of starts while no record can be written.

use std::path::PathBuf;

use crate::audit::WhenFull;
use crate::config::finding::{Findings, Path};
use crate::config::{file, pasted};

use super::flag;

/// The outputs of records: at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// The file to append to.
    pub file: Option<PathBuf>,
    /// Whether records are written to standard output, between the log lines.
    pub stdout: bool,
    /// The treatment of a start while there is no slot for its record.
    pub when_full: WhenFull,
}

/// Returns `None` if a fault is recorded, `Some(None)` if there is no audit.
pub(super) fn resolve(written: Option<file::Audit>, findings: &mut Findings) -> Option<Option<Audit>> {
    let path = Path::default().join("audit");
    let Some(file::Audit { file, stdout, when_full }) = written else { return Some(None) };
    let file = match file {
        Some(file) if !file.contains('/') || pasted::is_not_a_path(&file) => findings.refuse(
            &path.join("file"),
            "must be a path with a directory, such as /var/log/asteroid-gateway/audit.jsonl or ./audit.jsonl",
        ),
        file => Some(file.map(PathBuf::from)),
    };
    let stdout = flag(stdout.as_ref(), false, &path.join("stdout"), findings);
    let when_full = match when_full.as_deref() {
        None | Some("wait") => Some(WhenFull::Wait),
        Some("refuse") => Some(WhenFull::Refuse),
        Some(_) => findings.refuse(&path.join("when_full"), "must be wait or refuse"),
    };
    let (file, stdout, when_full) = (file?, stdout?, when_full?);
    if file.is_none() && !stdout {
        return findings
            .report_missing(&path, "does not say where records go; write `file: PATH`, `stdout: true` or both");
    }
    Some(Some(Audit { file, stdout, when_full }))
}
