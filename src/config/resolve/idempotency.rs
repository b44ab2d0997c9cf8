//! `idempotency`, `tenants.*.idempotency` and `tagging.idempotency_key`: the memory of idempotency keys, and their tag.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::asteroid::body::is_alike;
use crate::config::finding::{Findings, Path};
use crate::config::{file, suggestion};
use crate::state::Bounds;

use super::{Idempotency, IdempotencyMode, Section, Tenant, flag, is_tenant_name};

/// The default name of the digest's tag, which no service uses by chance.
const TAG: &str = "idempotency_digest";

/// The name of the tag with the body's digest, which distinguishes bodies with the same idempotency key.
pub const BODY_TAG: &str = "idempotency_body";

const DAY: u64 = 24 * 60 * 60;

pub(super) fn resolve(written: file::Idempotency, tag: Option<String>, findings: &mut Findings) -> Option<Idempotency> {
    let mut section = Section { findings, path: Path::default().join("idempotency") };
    let bounds = Duration::from_secs(60)..=Duration::from_secs(30 * DAY);
    let retention = section.duration("retention", written.retention.as_ref(), DAY, bounds);
    let memory = section.size("memory", written.memory, 64 << 20, 1 << 20, 16 << 30);
    let recovery = flag(written.recovery.as_ref(), false, &section.path.join("recovery"), section.findings);
    let memory = memory?;
    let bounds = Bounds { retention: retention?, memory, share: memory };
    Some(Idempotency { bounds, recovery: recovery?, tag: tag? })
}

/// The smallest share that a tenant should have, in bytes: 256 starts of unknown outcome.
const MIN_SHARE: usize = 64 * 1024;

/// Warns if each tenant's share of the memory is small, because there are many tenants.
pub(super) fn warn_of_small_shares(
    idempotency: &Idempotency,
    tenants: &BTreeMap<String, Tenant>,
    findings: &mut Findings,
) {
    let tenants = tenants.values().filter(|tenant| tenant.idempotency != IdempotencyMode::Off).count();
    let share = idempotency.bounds.shared_by(tenants).share;
    if share < MIN_SHARE {
        let path = Path::default().join("idempotency").join("memory");
        let says = format!(
            "guarantees each of {tenants} tenants only {} KiB, which few failing starts fill; write at least 64KiB per tenant",
            share / 1024
        );
        findings.warnings.push(&path, says);
    }
}

/// Warns of a section without effect: a start without an idempotency key is never looked up.
pub(super) fn warn_of_needless_recovery(
    idempotency: &Idempotency,
    tenants: &BTreeMap<String, Tenant>,
    findings: &mut Findings,
) {
    if idempotency.recovery && tenants.values().all(|tenant| tenant.idempotency == IdempotencyMode::Off) {
        let path = Path::default().join("idempotency").join("recovery");
        findings.warnings.push(&path, "has no effect: `idempotency` is off for every tenant");
    }
}

/// Reads the name of the digest's tag. It becomes part of a query to the upstream, so it has only characters that need
/// no encoding.
pub(super) fn tag(written: &file::Tagging, findings: &mut Findings) -> Option<String> {
    let tag = written.idempotency_key.as_deref().unwrap_or(TAG);
    let path = Path::default().join("tagging").join("idempotency_key");
    if is_alike(tag, BODY_TAG) {
        return findings.refuse(&path, "this tag carries the digest of the body; choose another name");
    }
    if is_tenant_name(tag) {
        return Some(tag.to_owned());
    }
    findings.refuse(&path, "must be 1 to 128 of A-Z, a-z, 0-9, ., _ and -")
}

pub(super) fn mode(written: Option<&file::Mode>, path: &Path, findings: &mut Findings) -> Option<IdempotencyMode> {
    match written.map(|file::Mode(text)| text.as_str()) {
        None | Some("optional") => Some(IdempotencyMode::Optional),
        Some("required") => Some(IdempotencyMode::Required),
        Some("off" | "false") => Some(IdempotencyMode::Off),
        Some(other) => {
            let question = suggestion::question(other, ["off", "optional", "required"]);
            findings.refuse(path, format!("must be off, optional or required{question}"))
        }
    }
}
