//! The limit of a tenant that a request would exceed.

use std::sync::Arc;

use crate::state::{LOOKUP_RATE, Limit, Limits, OverLimit, Unavailable};
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
        Error::with_bound(tenant, over, bound(over.limit, &tenant.limits))
    }

    /// Creates the error that answers a request whose execution must be looked up, but may not be now.
    pub(in crate::proxy) fn of_lookup(tenant: &Tenant, over: OverLimit) -> Error {
        Error::with_bound(tenant, over, lookup_bound())
    }

    /// Creates the error that answers a long poll when as many of the tenant wait as may.
    pub(in crate::proxy) fn of_long_polls(tenant: &Tenant) -> Error {
        // It is not known when one of them ends. A retry after a second is worthwhile.
        let over = OverLimit { limit: Limit::Reads, retry_after: 1 };
        Error::with_bound(tenant, over, "long polls: as many wait as it leaves to other tenants".to_owned())
    }

    fn with_bound(tenant: &Tenant, OverLimit { limit, retry_after }: OverLimit, bound: String) -> Error {
        Error { tenant: Arc::clone(&tenant.name), limit, bound, retry_after }
    }
}

/// Returns what a limit allows.
fn bound(limit: Limit, limits: &Limits) -> String {
    let bound = match limit {
        Limit::Requests => limits.requests.map(|rate| format!("requests ({rate})")),
        Limit::Reads => limits.reads.map(|rate| format!("reads ({rate})")),
        Limit::Executions => limits.executions.map(|rate| format!("executions ({rate})")),
        Limit::InFlight => limits.in_flight.map(|max| format!("{max} requests in flight")),
        Limit::Budget => limits.budget.map(|max| format!("{max} executions per UTC day")),
    };
    bound.unwrap_or_default()
}

/// Returns what the limit on look-ups allows.
fn lookup_bound() -> String {
    format!("look-ups of executions that this gateway does not know yet ({LOOKUP_RATE})")
}

impl From<Unavailable> for super::Error {
    fn from(unavailable: Unavailable) -> super::Error {
        match unavailable {}
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use crate::state::{Per, Rate};

    use super::*;

    #[test]
    fn the_text_says_which_limit_it_is_and_what_it_allows() {
        let [one, two, three] = [1, 2, 3].map(|count| NonZeroU32::new(count).unwrap());
        let rate = |amount| Some(Rate { amount, per: Per::Hour, burst: three });
        let (requests, reads, executions) = (rate(one), rate(two), rate(three));
        let limits = Limits { requests, reads, executions, in_flight: Some(two), budget: Some(three) };
        for (limit, bound, text) in [
            (Limit::Requests, bound(Limit::Requests, &limits), "requests (1 per hour, burst 3)"),
            (Limit::Reads, bound(Limit::Reads, &limits), "reads (2 per hour, burst 3)"),
            (
                Limit::Reads,
                lookup_bound(),
                "look-ups of executions that this gateway does not know yet (20 per second, burst 200)",
            ),
            (Limit::InFlight, bound(Limit::InFlight, &limits), "2 requests in flight"),
            (Limit::Executions, bound(Limit::Executions, &limits), "executions (3 per hour, burst 3)"),
            (Limit::Budget, bound(Limit::Budget, &limits), "3 executions per UTC day"),
        ] {
            let error = Error { tenant: "billing".into(), limit, bound, retry_after: 7 };
            assert_eq!(error.to_string(), format!("tenant billing is at its limit of {text}; retry after 7 s"));
        }
    }
}
