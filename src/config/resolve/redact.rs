//! `redact`: the parts that are taken out of the upstream's answers.

use crate::config::file;
use crate::config::finding::{Findings, Path};

use super::flag;

/// Returns whether `triggerContext` is taken out.
pub(super) fn trigger_context(written: &file::Redact, findings: &mut Findings) -> Option<bool> {
    let path = Path::default().join("redact").join("trigger_context");
    let is_redacted = flag(written.trigger_context.as_ref(), true, &path, findings)?;
    if !is_redacted {
        findings
            .warnings
            .push(&path, "shows every caller with which API key an execution was started, and whose it is");
    }
    Some(is_redacted)
}
