//! The stage that claims the idempotency key of a start and counts the start by its tenant's limits.

use std::sync::Arc;
use std::time::Instant;

use crate::facts::LookupOutcome;
use crate::proxy::error::Error as RequestError;
use crate::state::{Claim, IdempotencyResult, KeyedStart, Now, Remaining, Reply, ReservedStart, StartResult};

use super::idempotency::{self, Error, IdempotencyDigests};
use super::inquiry::Inquiry;
use super::limit;
use super::recovery::{self, LookupResult};

/// The result of the stage.
#[derive(Debug)]
pub(super) enum ClaimResult {
    /// The start may be sent: it is the first with its idempotency key, or has none.
    Send(ReservedStart),
    /// An earlier start with the same idempotency key got this answer.
    Replay(Arc<Reply>),
    /// An earlier start with the same idempotency key was found at the upstream, and must have got this answer.
    Recovered(Arc<Reply>),
}

impl ClaimResult {
    fn metric(&self) -> IdempotencyResult {
        match self {
            ClaimResult::Send(_) => IdempotencyResult::New,
            ClaimResult::Replay(_) => IdempotencyResult::Replayed,
            ClaimResult::Recovered(_) => IdempotencyResult::Recovered,
        }
    }
}

/// Claims the idempotency key of a start, if it has one. Counts the start by its tenant's limits, if it may be the first with
/// that key.
///
/// With `recovery`, an unknown idempotency key is looked up at the upstream. That comes after the limits, so that a start that
/// they refuse costs the upstream nothing.
///
/// # Errors
///
/// [`Error::InFlight`], [`Error::Mismatch`], [`Error::Full`], [`Error::Unknown`], [`Error::Several`], [`Error::Lookup`], and a
/// limit that is reached. The idempotency key keeps its state, except after [`Error::Several`], which makes its outcome unknown.
pub(super) async fn claim(
    keyed: Option<IdempotencyDigests>,
    inquiry: &Inquiry<'_>,
    now: Now,
    outcome: &mut Option<LookupOutcome>,
    remaining: &mut Remaining,
) -> Result<ClaimResult, RequestError> {
    let tenant = inquiry.tenant;
    let Some(keyed) = keyed else {
        let start = tenant.state.start(&tenant.limits, now, remaining).await;
        return start.map(ClaimResult::Send).map_err(|error| limit::start_error(tenant, error));
    };
    let result = claim_key(keyed, inquiry, now, outcome, remaining).await;
    let metric = match &result {
        Ok(result) => Some(result.metric()),
        Err(RequestError::Idempotency(error)) => error.metric(),
        // A limit refused the start, so its idempotency key was new.
        Err(_) => Some(IdempotencyResult::New),
    };
    metric.into_iter().for_each(|metric| tenant.state.meters.count_idempotency(metric));
    result
}

async fn claim_key(
    keyed: IdempotencyDigests,
    inquiry: &Inquiry<'_>,
    now: Now,
    outcome: &mut Option<LookupOutcome>,
    remaining: &mut Remaining,
) -> Result<ClaimResult, RequestError> {
    let Inquiry { generation, tenant, .. } = *inquiry;
    let recovery = generation.idempotency.recovery && keyed.is_tagged();
    let start = KeyedStart { digest: keyed.claim, body: keyed.body, bounds: generation.idempotency.bounds };
    let result = tenant.state.start_with_key(start, &tenant.limits, now, remaining).await;
    match result.map_err(|error| limit::start_error(tenant, error))? {
        StartResult::Answered(reply) => Ok(ClaimResult::Replay(reply)),
        StartResult::Unknown(_) if !recovery => Err(idempotency::unknown(generation, keyed))?,
        // Boxed, as few starts need it and its future would make every start larger.
        StartResult::Unknown(claim) => match Box::pin(recover(claim, keyed, inquiry, outcome)).await? {
            Ok(reply) => Ok(ClaimResult::Recovered(reply)),
            Err(_not_listed) => Err(idempotency::unknown(generation, keyed))?,
        },
        StartResult::New(claim, reservation) if recovery => {
            match Box::pin(recover(claim, keyed, inquiry, outcome)).await {
                Ok(Ok(reply)) => {
                    reservation.undo(remaining).await;
                    Ok(ClaimResult::Recovered(reply))
                }
                Ok(Err(claim)) => Ok(ClaimResult::Send(ReservedStart { claim: Some(claim), reservation })),
                Err(error) => {
                    reservation.release(remaining).await;
                    Err(error.into())
                }
            }
        }
        StartResult::New(claim, reservation) => {
            Ok(ClaimResult::Send(ReservedStart { claim: Some(claim), reservation }))
        }
    }
}

/// Looks for the first start with an idempotency key at the upstream. Returns the answer that it must have got, or the claim if there is no
/// such start.
async fn recover(
    claim: Claim,
    keyed: IdempotencyDigests,
    inquiry: &Inquiry<'_>,
    outcome: &mut Option<LookupOutcome>,
) -> Result<Result<Arc<Reply>, Claim>, Error> {
    let result = recovery::find(inquiry, keyed).await;
    let now = Instant::now();
    *outcome = Some(recovery::outcome(&result));
    match result.map_err(Error::Lookup)? {
        LookupResult::One { id, body, status } => {
            inquiry.tenant.owned.insert(id);
            let reply = Arc::new(idempotency::recovered(id, status.as_deref(), keyed));
            claim.found(Arc::clone(&reply), body, now).await;
            if keyed.differs_from(body) { Err(Error::Mismatch) } else { Ok(Ok(reply)) }
        }
        LookupResult::None => Ok(Err(claim)),
        LookupResult::Several => {
            claim.unknown(now).await;
            Err(idempotency::several(inquiry.generation, keyed))
        }
    }
}
