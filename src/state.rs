//! What is counted and outlives a [`Snapshot`](crate::proxy::snapshot::Snapshot): kept by tenant, so that a new
//! configuration loses no count and refills no bucket whose definition did not change.

mod budget;
mod claims;
mod digest;
mod echoes;
mod in_flight;
mod meters;
mod quota;
mod rate;
mod standing;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

pub use budget::{Budget, Day, Spent};
pub use claims::{Bounds, Claim, Claimed, Claims, Refused, Reply, Sent, Usage};
pub use digest::Digest;
pub use echoes::Echoes;
pub use in_flight::{Full, InFlight};
pub use meters::{Counter, Decision, Keyed, Meters};
pub use quota::{Exhausted, Hold, Quota, Share};
pub use rate::{Bucket, Per, Rate};
pub use standing::{Limit, Standing};

/// What a tenant may do; what is absent is not limited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests of any kind.
    pub requests: Option<Rate>,
    /// Starts of executions.
    pub executions: Option<Rate>,
    /// Exchanges that are not settled, at once.
    pub in_flight: Option<NonZeroU32>,
    /// Starts of executions in a UTC calendar day.
    pub budget: Option<NonZeroU32>,
}

/// The counts of this process.
#[derive(Debug)]
pub struct State {
    tenants: Mutex<BTreeMap<String, Counts>>,
    /// What was started under idempotency keys.
    pub claims: Arc<Claims>,
    /// How much memory the process may have, in bytes.
    pub available_memory: u64,
    /// The memory that requests and their bodies may take; resized by each configuration.
    pub body_memory: Arc<Quota>,
    /// The starts that may be under way with a record of the audit to come.
    audited: Arc<Quota>,
}

/// The counts of one tenant.
#[derive(Debug, Clone)]
pub struct Counts {
    /// For [`Limits::requests`].
    pub requests: Option<Arc<Bucket>>,
    /// For [`Limits::executions`].
    pub executions: Option<Arc<Bucket>>,
    /// Counted with or without a limit.
    pub in_flight: Arc<InFlight>,
    /// Counted where there is a limit.
    pub budget: Arc<Budget>,
    /// What its requests came to.
    pub meters: Arc<Meters>,
    /// Its part of the memory that requests and their bodies may take.
    pub body_memory: Arc<Share>,
    /// Its part of the starts that may be under way with a record of the audit to come.
    pub audited: Arc<Share>,
}

impl State {
    /// Creates the state of a process in which nothing was counted yet. It may have this much memory, in bytes, and the audit
    /// has room for so many records.
    #[must_use]
    pub fn new(available_memory: u64, audit_records: usize) -> State {
        State {
            tenants: Mutex::default(),
            claims: Arc::default(),
            available_memory,
            body_memory: Arc::new(Quota::new(0)),
            audited: Arc::new(Quota::new(audit_records)),
        }
    }

    /// The counts of a tenant, the same for every snapshot that names it; a bucket is a new one where its rate is.
    #[must_use]
    pub fn counts(&self, tenant: &str, limits: &Limits) -> Counts {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = tenants.entry(tenant.to_owned()).or_insert_with(|| Counts::new(&self.body_memory, &self.audited));
        carry(&mut counts.requests, limits.requests);
        carry(&mut counts.executions, limits.executions);
        counts.clone()
    }

    /// What its requests came to, of every tenant that was ever configured.
    #[must_use]
    pub fn meters(&self) -> Vec<(String, Arc<Meters>)> {
        let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.iter().map(|(tenant, counts)| (tenant.clone(), Arc::clone(&counts.meters))).collect()
    }

    /// The tenants that have exchanges in flight, and how many, for the log.
    #[must_use]
    pub fn unsettled(&self) -> String {
        let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = tenants.iter().map(|(tenant, counts)| (tenant, counts.in_flight.count()));
        let named: Vec<String> = counts.filter(|(_, n)| *n > 0).map(|(tenant, n)| format!("{tenant}: {n}")).collect();
        named.join(", ")
    }
}

impl Counts {
    fn new(body_memory: &Arc<Quota>, audited: &Arc<Quota>) -> Counts {
        Counts {
            requests: None,
            executions: None,
            in_flight: Arc::default(),
            budget: Arc::default(),
            meters: Arc::default(),
            body_memory: Arc::new(Share::new(Arc::clone(body_memory))),
            audited: Arc::new(Share::new(Arc::clone(audited))),
        }
    }
}

fn carry(kept: &mut Option<Arc<Bucket>>, rate: Option<Rate>) {
    if kept.as_ref().map(|bucket| bucket.rate()) != rate {
        *kept = rate.map(|rate| Arc::new(Bucket::new(rate)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(burst: u32) -> Limits {
        let [amount, burst] = [1, burst].map(|n| NonZeroU32::new(n).unwrap());
        Limits { executions: Some(Rate { amount, per: Per::Day, burst }), ..Limits::default() }
    }

    #[test]
    fn a_bucket_is_refilled_by_a_new_definition_and_by_nothing_else() {
        let state = State::new(1 << 20, 10);
        let spend = |limits| state.counts("billing", &limits).executions.unwrap().take().is_ok();
        assert!(spend(limits(1)));
        assert!(!spend(limits(1)), "the same definition is the same bucket");
        assert!(state.counts("sales", &limits(1)).executions.unwrap().take().is_ok(), "each tenant has its own");
        assert!(spend(limits(2)));
        assert!(state.counts("billing", &Limits::default()).executions.is_none());
    }

    #[test]
    fn what_is_in_flight_and_what_is_spent_of_a_budget_is_counted_on_whatever_the_limits_become() {
        let state = State::new(1 << 20, 10);
        let before = state.counts("billing", &limits(1));
        let one = NonZeroU32::new(1);
        before.in_flight.enter(one).unwrap();
        let after = state.counts("billing", &Limits { in_flight: one, ..Limits::default() });
        assert!(after.in_flight.enter(one).is_err());
        assert_eq!(state.unsettled(), "billing: 1");
        before.in_flight.leave();
        assert_eq!(state.unsettled(), "");
        assert!(Arc::ptr_eq(&before.budget, &after.budget));
        assert!(Arc::ptr_eq(&before.meters, &after.meters));
    }
}
