//! The stage that counts a request by the limits of its tenant.

use std::time::Instant;

use crate::asteroid::operation::{Call, Effect, Rules};
use crate::asteroid::query::QueryRule;
use crate::facts::Facts;
use crate::proxy::error::Error as RequestError;
use crate::state::{AdmitError, CallKind, Permit, StartError};
use crate::tenant::Tenant;

use super::error::limit::Error;
use super::idempotency;

/// Counts a request by its tenant's `requests` or `reads`, and by `in_flight`, as its call asks for.
///
/// # Errors
///
/// The error that answers a request that is not admitted.
pub(super) async fn admit(tenant: &Tenant, call: Option<&Call<'_>>, facts: &mut Facts) -> Result<Permit, RequestError> {
    admit_as(kind(call), tenant, facts).await
}

/// Counts a request that the gateway answers itself, as a read.
///
/// # Errors
///
/// As [`admit`].
pub(super) async fn admit_own_read(tenant: &Tenant, facts: &mut Facts) -> Result<Permit, RequestError> {
    admit_as(CallKind::Read, tenant, facts).await
}

async fn admit_as(kind: CallKind, tenant: &Tenant, facts: &mut Facts) -> Result<Permit, RequestError> {
    tenant.state.admit(kind, &tenant.limits, facts.begun, &mut facts.remaining).await.map_err(|error| match error {
        AdmitError::OverLimit(over) => Error::new(tenant, over).into(),
        AdmitError::TooManyLongPolls => Error::of_long_polls(tenant).into(),
        AdmitError::Unavailable(unavailable) => unavailable.into(),
    })
}

/// Returns the kind of a call, as far as limits differ by it. A request for no operation counts as any other.
fn kind(call: Option<&Call<'_>>) -> CallKind {
    match call.map(Call::rules) {
        Some(Rules { query: QueryRule::Sync, .. }) => CallKind::LongPoll,
        Some(Rules { effect: Effect::Read, .. }) => CallKind::Read,
        Some(Rules { effect: Effect::Change | Effect::Start, .. }) | None => CallKind::Ordinary,
    }
}

/// Counts a look-up of an execution that this gateway does not know yet.
///
/// # Errors
///
/// The error that answers a request whose execution may not be looked up now.
pub(super) fn admit_lookup(tenant: &Tenant, now: Instant) -> Result<(), RequestError> {
    tenant.state.admit_lookup(now).map_err(|over| Error::of_lookup(tenant, over).into())
}

/// Returns the error that answers a start that must not be sent.
pub(super) fn start_error(tenant: &Tenant, error: StartError) -> RequestError {
    match error {
        StartError::Claim(error) => idempotency::Error::from(error).into(),
        StartError::OverLimit(over) => Error::new(tenant, over).into(),
        StartError::Unavailable(unavailable) => unavailable.into(),
    }
}
