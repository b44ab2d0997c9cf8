//! The stage that counts a request by the limits of its tenant.

use crate::facts::Facts;
use crate::proxy::error::Error as RequestError;
use crate::state::{AdmitError, Permit, StartError};
use crate::tenant::Tenant;

use super::error::limit::Error;
use super::idempotency;

/// Counts a request by its tenant's `requests` and `in_flight`.
///
/// # Errors
///
/// The error that answers a request that is not admitted.
pub(super) async fn admit(tenant: &Tenant, facts: &mut Facts) -> Result<Permit, RequestError> {
    tenant.state.admit(&tenant.limits, facts.begun, &mut facts.remaining).await.map_err(|error| match error {
        AdmitError::OverLimit(over) => Error::new(tenant, over).into(),
        AdmitError::Unavailable(unavailable) => unavailable.into(),
    })
}

/// Returns the error that answers a start that must not be sent.
pub(super) fn start_error(tenant: &Tenant, error: StartError) -> RequestError {
    match error {
        StartError::Claim(error) => idempotency::Error::from(error).into(),
        StartError::OverLimit(over) => Error::new(tenant, over).into(),
        StartError::Unavailable(unavailable) => unavailable.into(),
    }
}
