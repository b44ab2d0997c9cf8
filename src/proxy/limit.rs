//! The answer to a request that a limit of its tenant refuses.

use std::sync::Arc;

use crate::facts::Facts;
use crate::proxy::error::Error as RequestError;
use crate::state::{AdmitError, Limit, Limits, OverLimit, Permit, StartError, Unavailable};
use crate::tenant::Tenant;

use super::idempotency;

/// A limit that a request would exceed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tenant {tenant} is at its limit of {bound}; retry after {retry_after} s")]
pub struct Error {
    /// The name of the tenant.
    pub tenant: Arc<str>,
    /// The limit.
    pub limit: Limit,
    /// The amount that the limit allows.
    pub bound: String,
    /// The number of seconds after which another request may pass, at least 1.
    pub retry_after: u64,
}

impl Error {
    pub(super) fn new(tenant: &Tenant, over: OverLimit) -> Error {
        let OverLimit { limit, retry_after } = over;
        Error { tenant: Arc::clone(&tenant.name), limit, bound: bound(limit, &tenant.limits), retry_after }
    }
}

/// Returns a text for the amount that a limit allows.
fn bound(limit: Limit, limits: &Limits) -> String {
    let bound = match limit {
        Limit::Requests => limits.requests.map(|rate| format!("requests ({rate})")),
        Limit::Executions => limits.executions.map(|rate| format!("executions ({rate})")),
        Limit::InFlight => limits.in_flight.map(|max| format!("{max} requests in flight")),
        Limit::Budget => limits.budget.map(|max| format!("{max} executions per UTC day")),
    };
    bound.unwrap_or_default()
}

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

impl From<Unavailable> for RequestError {
    fn from(unavailable: Unavailable) -> RequestError {
        match unavailable {}
    }
}
