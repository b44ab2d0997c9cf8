//! The stage of a start: validates its body, claims its idempotency key, counts it by its tenant's limits, and tags it.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hyper::HeaderMap;

use crate::asteroid::operation::BodyRule;
use crate::asteroid::start::{self, References, StartKind, ValidStart};
use crate::facts::{AuditDecision, Facts};
use crate::json::{self, Pieces};
use crate::proxy::error::Error;
use crate::record::Record;
use crate::state::{Now, Reply, ReservedStart};

use super::Proxy;
use super::admission::Admission;
use super::claim::{self, ClaimResult};
use super::idempotency::{self, IdempotencyDigests, IdempotencyKey};
use super::inquiry::Inquiry;
use super::ownership;

/// A start that may be sent.
pub(super) struct PreparedStart {
    /// The claim of its idempotency key, and what it reserved of the limits.
    pub(super) reserved: ReservedStart,
    /// The digests of its idempotency key and its body, if it has such a key.
    pub(super) keyed: Option<IdempotencyDigests>,
    /// Its body with the tags of its tenant.
    pub(super) payload: Pieces,
    /// The time at which it was counted.
    pub(super) now: Now,
}

/// The result of the stage.
#[expect(clippy::large_enum_variant, reason = "nearly every start is the large one: a box would cost each of them")]
pub(super) enum StartDecision {
    /// The start may be sent.
    Send(PreparedStart),
    /// An earlier start with the same idempotency key got this answer.
    Replay(Arc<Reply>, AuditDecision),
}

/// Prepares a start with this body. `caller` holds the caller's headers.
///
/// # Errors
///
/// [`Error::Body`], those of [`ownership::check_execution`] and [`claim::claim`], and [`Error::Tagging`].
pub(super) async fn prepare(
    proxy: &Proxy,
    admission: &Admission<'_>,
    idempotency_key: Option<IdempotencyKey<'_>>,
    body: &Bytes,
    caller: &HeaderMap,
    record: &mut Record,
) -> Result<StartDecision, Error> {
    let keyed = idempotency_key.map(|key| key.with_body(body));
    let ValidStart { changes, references } = validate(admission, keyed, body)?;
    let Record { facts: Facts { request_id, lookup: outcome, remaining, .. }, trace, .. } = record;
    let inquiry = Inquiry::new(proxy, admission, request_id, trace, caller);
    check_references(&references, &inquiry).await?;
    let keyed = keyed.map(|keyed| IdempotencyDigests { parent: references.parent, ..keyed });
    let now = Now::read();
    let reserved = match claim::claim(keyed, &inquiry, now, outcome, remaining).await? {
        ClaimResult::Send(reserved) => reserved,
        ClaimResult::Replay(reply) => return Ok(StartDecision::Replay(reply, AuditDecision::Replayed)),
        ClaimResult::Recovered(reply) => return Ok(StartDecision::Replay(reply, AuditDecision::Recovered)),
    };
    Ok(StartDecision::Send(PreparedStart { reserved, keyed, payload: json::splice(body, changes)?, now }))
}

/// Checks the body of a start by the rule of its operation, and returns the changes that tag it. A rerun cannot be tagged: it gets
/// the metadata of the execution that it repeats.
fn validate(
    Admission { generation, tenant, call, .. }: &Admission<'_>,
    keyed: Option<IdempotencyDigests>,
    body: &[u8],
) -> Result<ValidStart, Error> {
    let kind = match call.rules().body {
        BodyRule::SyncStart => StartKind::Sync,
        BodyRule::VersionStart => StartKind::Version(generation.era),
        BodyRule::Rerun => {
            let references = if body.is_empty() { References::default() } else { start::check_rerun(body)? };
            return Ok(ValidStart { references, ..ValidStart::default() });
        }
        BodyRule::Start | BodyRule::None | BodyRule::Status | BodyRule::Message | BodyRule::Files => StartKind::Agent,
    };
    Ok(start::validate(body, kind, &idempotency::tags(tenant, keyed), tenant.on_conflict)?)
}

/// Checks that the execution and the files that the body names belong to the tenant.
async fn check_references(references: &References, inquiry: &Inquiry<'_>) -> Result<(), Error> {
    let (tenant, now) = (inquiry.tenant, Instant::now());
    references.check_files(|id| tenant.staged.is_foreign(&tenant.tag, id, now))?;
    match references.parent {
        Some(parent) => ownership::check_execution(parent, inquiry).await,
        None => Ok(()),
    }
}
