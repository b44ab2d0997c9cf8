//! The limit of a tenant that a request would exceed.

use std::sync::Arc;

use crate::state::{Limit, Limits, OverLimit, Unavailable};
use crate::tenant::Tenant;

/// A limit that a request would exceed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tenant {tenant} is at its limit of {bound}; retry after {retry_after} s")]
pub struct Error {
    /// The name of the tenant.
    pub tenant: Arc<str>,
    /// The limit.
    pub limit: Limit,
    /// What the limit allows.
    pub bound: String,
    /// After how many seconds another request may pass, at least 1.
    pub retry_after: u64,
}

impl Error {
    pub(in crate::proxy) fn new(tenant: &Tenant, over: OverLimit) -> Error {
        let OverLimit { limit, retry_after } = over;
        Error { tenant: Arc::clone(&tenant.name), limit, bound: bound(limit, &tenant.limits), retry_after }
    }
}

/// Returns what a limit allows.
fn bound(limit: Limit, limits: &Limits) -> String {
    let bound = match limit {
        Limit::Requests => limits.requests.map(|rate| format!("requests ({rate})")),
        Limit::Executions => limits.executions.map(|rate| format!("executions ({rate})")),
        Limit::InFlight => limits.in_flight.map(|max| format!("{max} requests in flight")),
        Limit::Budget => limits.budget.map(|max| format!("{max} executions per UTC day")),
    };
    bound.unwrap_or_default()
}

impl From<Unavailable> for super::Error {
    fn from(unavailable: Unavailable) -> super::Error {
        match unavailable {}
    }
}
