//! The counts of one tenant.

use std::sync::Arc;

use super::{Bucket, Budget, Claims, InFlightCount, Meters, Quota, Share};

/// The counts of one tenant. Each is kept whether or not the tenant has a limit for it.
///
/// Limits of spending are taken by asynchronous calls that may fail with [`Unavailable`](super::Unavailable). So gateways can
/// share them later without a change to the callers. Limits that protect this process stay local.
#[derive(Debug, Clone)]
pub struct TenantState {
    pub(super) name: Arc<str>,
    /// For [`Limits::requests`](super::Limits::requests).
    pub(super) requests: Arc<Bucket>,
    /// For [`Limits::reads`](super::Limits::reads).
    pub(super) reads: Arc<Bucket>,
    /// For look-ups of executions that this gateway does not know yet.
    pub(super) lookups: Arc<Bucket>,
    /// For [`Limits::executions`](super::Limits::executions).
    pub(super) executions: Arc<Bucket>,
    /// For [`Limits::in_flight`](super::Limits::in_flight).
    pub(super) in_flight: Arc<InFlightCount>,
    /// Its share of the long polls that may wait.
    pub(super) long_polls: Arc<Share>,
    /// For [`Limits::budget`](super::Limits::budget).
    pub(super) budget: Arc<Budget>,
    /// The idempotency keys of all tenants.
    pub(super) claims: Arc<Claims>,
    /// Exchanges in flight whose answers are still awaited, although their callers were told of the time-out.
    pub overdue: Arc<InFlightCount>,
    /// Counters of its requests, for the metrics.
    pub meters: Arc<Meters>,
    /// Its share of the memory for requests and their bodies.
    pub body_memory: Arc<Share>,
    /// Its share of the slots for audit records that are still to come.
    pub audited: Arc<Share>,
}

impl TenantState {
    pub(super) fn new(
        name: &str,
        claims: &Arc<Claims>,
        body_memory: &Arc<Quota>,
        long_polls: &Arc<Quota>,
        audited: &Arc<Quota>,
    ) -> TenantState {
        TenantState {
            name: name.into(),
            requests: Arc::default(),
            reads: Arc::default(),
            lookups: Arc::default(),
            executions: Arc::default(),
            in_flight: Arc::default(),
            long_polls: Arc::new(Share::new(Arc::clone(long_polls))),
            budget: Arc::default(),
            claims: Arc::clone(claims),
            overdue: Arc::default(),
            meters: Arc::default(),
            body_memory: Arc::new(Share::new(Arc::clone(body_memory))),
            audited: Arc::new(Share::new(Arc::clone(audited))),
        }
    }
}
