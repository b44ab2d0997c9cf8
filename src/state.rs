//! What is counted and outlives a [`Snapshot`](crate::proxy::generation::Snapshot): kept by tenant, so that a new
//! configuration loses no count and refills no bucket. Limits are arguments: each count goes on whatever they become.

mod budget;
mod claims;
mod control;
mod digest;
mod in_flight;
mod meters;
mod quota;
mod rate;
mod standing;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

pub use budget::{Budget, Day, Exhausted, Spent};
pub use claims::{Bounds, Claim, Claimed, Claims, Refused, Reply, Sent, Usage};
pub use control::{Control, ControlState};
pub use digest::{BodyDigest, Digest};
pub use in_flight::{Full, InFlight};
pub use meters::{Decision, Keyed, Meters};
pub use quota::{Hold, OverQuota, Quota, Share};
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
    controls: Mutex<BTreeMap<String, Arc<Control>>>,
    /// The requests that were in flight when the drain ran out of time.
    cut_off: OnceLock<String>,
    /// How much memory the process may have, in bytes.
    pub available_memory: u64,
    /// The memory that requests and their bodies may take; resized by each configuration.
    pub body_memory: Arc<Quota>,
    /// The starts that may be under way with a record of the audit to come.
    audited: Arc<Quota>,
}

/// The counts of one tenant, each counted with or without a limit.
#[derive(Debug, Clone)]
pub struct Counts {
    /// For [`Limits::requests`].
    pub requests: Arc<Bucket>,
    /// For [`Limits::executions`].
    pub executions: Arc<Bucket>,
    /// For [`Limits::in_flight`].
    pub in_flight: Arc<InFlight>,
    /// Those in flight that are read on although their callers were told of the time-out.
    pub overdue: Arc<InFlight>,
    /// For [`Limits::budget`].
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
            controls: Mutex::default(),
            cut_off: OnceLock::new(),
            claims: Arc::default(),
            available_memory,
            body_memory: Arc::new(Quota::new(0)),
            audited: Arc::new(Quota::new(audit_records)),
        }
    }

    /// Returns the counts of a tenant, the same for every snapshot that names it.
    #[must_use]
    pub fn counts(&self, tenant: &str, limits: &Limits, now: Instant) -> Counts {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = tenants.entry(tenant.to_owned()).or_insert_with(|| Counts::new(&self.body_memory, &self.audited));
        for (bucket, rate) in [(&counts.requests, limits.requests), (&counts.executions, limits.executions)] {
            rate.into_iter().for_each(|rate| bucket.define(rate, now));
        }
        counts.clone()
    }

    /// Returns the positive control of a credential.
    #[must_use]
    pub fn control(&self, credential: &str) -> Arc<Control> {
        let mut controls = self.controls.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(controls.entry(credential.to_owned()).or_default())
    }

    /// Forgets the controls of all other credentials.
    pub fn retain_controls(&self, is_wanted: impl Fn(&str) -> bool) {
        let mut controls = self.controls.lock().unwrap_or_else(PoisonError::into_inner);
        controls.retain(|credential, _| is_wanted(credential));
    }

    /// Returns how each control stands, by credential.
    #[must_use]
    pub fn controls(&self) -> Vec<(String, ControlState)> {
        let controls = self.controls.lock().unwrap_or_else(PoisonError::into_inner);
        controls.iter().map(|(credential, control)| (credential.clone(), control.state())).collect()
    }

    /// What its requests came to, of every tenant that was ever configured.
    #[must_use]
    pub fn meters(&self) -> Vec<(String, Arc<Meters>)> {
        let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.iter().map(|(tenant, counts)| (tenant.clone(), Arc::clone(&counts.meters))).collect()
    }

    /// Notes what is in flight, because it is cut off now: afterwards, nothing is. Only the first of the workers counts, since
    /// all of them cut off at the same time.
    pub fn cut_off(&self) {
        self.cut_off.get_or_init(|| self.unsettled());
    }

    /// Returns what was cut off; if nothing was, what is in flight.
    #[must_use]
    pub fn left(&self) -> String {
        self.cut_off.get().cloned().unwrap_or_else(|| self.unsettled())
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
            requests: Arc::default(),
            executions: Arc::default(),
            in_flight: Arc::default(),
            overdue: Arc::default(),
            budget: Arc::default(),
            meters: Arc::default(),
            body_memory: Arc::new(Share::new(Arc::clone(body_memory))),
            audited: Arc::new(Share::new(Arc::clone(audited))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_snapshot_that_names_a_tenant_has_the_same_counts_and_each_tenant_has_its_own() {
        let state = State::new(1 << 20, 10);
        let counts = |tenant| state.counts(tenant, &Limits::default(), Instant::now());
        let (before, after) = (counts("billing"), counts("billing"));
        before.in_flight.enter(None).unwrap();
        assert_eq!((after.in_flight.count(), state.unsettled()), (1, "billing: 1".to_owned()));
        before.in_flight.leave();
        assert_eq!(state.unsettled(), "");
        assert!(Arc::ptr_eq(&before.requests, &after.requests) && Arc::ptr_eq(&before.executions, &after.executions));
        assert!(Arc::ptr_eq(&before.budget, &after.budget) && Arc::ptr_eq(&before.meters, &after.meters));
        let other = counts("sales");
        assert!(!Arc::ptr_eq(&before.requests, &other.requests) && !Arc::ptr_eq(&before.budget, &other.budget));
    }
}
