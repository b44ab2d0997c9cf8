//! Counts and claims that outlive a [`Generation`](crate::proxy::generation::Generation). They are kept by tenant, so that a
//! new configuration loses no count and refills no bucket. Limits are arguments, so each count continues when they change.

mod admission;
mod allowance;
mod budget;
mod claims;
mod digest;
mod in_flight;
mod limits;
mod listing_check;
mod meters;
mod now;
mod ownership;
mod quota;
mod rate;
mod staged_files;
mod start;
mod tenant;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

pub use admission::{AdmitError, CallKind, LOOKUP_RATE, OverLimit, Permit};
pub use allowance::Allowance;
pub use budget::{Budget, BudgetCharge, Day, OverBudget, SpentBudget};
pub use claims::{Bounds, Claim, ClaimError, Claims, PriorUse, Reply, SentClaim, Usage};
pub use digest::{BodyDigest, IdempotencyDigest};
pub use in_flight::{InFlight, InFlightCount};
pub use limits::{Amount, Limit, Limits, Remaining};
pub use listing_check::{ListingCheck, ListingCheckState, LookupFailure, NotFound};
pub use meters::{IdempotencyResult, LimitDecision, Meters};
pub use now::Now;
pub use ownership::OwnedExecutions;
pub use quota::{Hold, OverQuota, Quota, Share};
pub use rate::{Bucket, Per, Rate};
pub use staged_files::StagedFiles;
pub use start::{IdempotencyOutcome, KeyedStart, Reservation, ReservedStart, StartError, StartInFlight, StartResult};
pub use tenant::TenantState;

use ownership::Owners;
use staged_files::StagedFilesAtUpstream;

/// How many long polls may wait at once until it is known how many connections callers may have.
const DEFAULT_LONG_POLLS: usize = 1000;

/// The reason why counts and claims cannot be reached. It has no values, as they are in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {}

/// The counts of this process.
#[derive(Debug)]
pub struct State {
    tenants: Mutex<BTreeMap<String, TenantState>>,
    /// The idempotency keys of all tenants.
    pub claims: Arc<Claims>,
    listing_checks: Mutex<BTreeMap<String, Arc<ListingCheck>>>,
    owners: Owners,
    staged_files: StagedFilesAtUpstream,
    /// The exchanges that were in flight when the drain ran out of time.
    cut_off: OnceLock<String>,
    /// The memory that the process may have, in bytes.
    pub available_memory: u64,
    /// The memory that requests and their bodies may take; each configuration resizes it.
    pub body_memory: Arc<Quota>,
    /// The long polls that may wait at once, of all tenants; resized to half of the connections that callers may have.
    pub long_polls: Arc<Quota>,
    /// The slots for audit records that are still to come.
    audited: Arc<Quota>,
}

impl State {
    /// Creates the state of a process that has counted nothing yet. `available_memory` is in bytes; `audit_records` is how many
    /// records the audit can take.
    #[must_use]
    pub fn new(available_memory: u64, audit_records: usize) -> State {
        State {
            tenants: Mutex::default(),
            listing_checks: Mutex::default(),
            owners: Owners::default(),
            staged_files: StagedFilesAtUpstream::default(),
            cut_off: OnceLock::new(),
            claims: Arc::default(),
            available_memory,
            body_memory: Arc::new(Quota::new(0)),
            long_polls: Arc::new(Quota::new(DEFAULT_LONG_POLLS)),
            audited: Arc::new(Quota::new(audit_records)),
        }
    }

    /// Returns the counts of a tenant, the same for every generation that names it.
    #[must_use]
    pub fn tenant(&self, tenant: &str, limits: &Limits, now: Instant) -> TenantState {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || TenantState::new(tenant, &self.claims, &self.body_memory, &self.long_polls, &self.audited);
        let tenant = tenants.entry(tenant.to_owned()).or_insert_with(new);
        for (bucket, rate) in [
            (&tenant.requests, limits.requests),
            (&tenant.reads, limits.reads),
            (&tenant.executions, limits.executions),
        ] {
            rate.into_iter().for_each(|rate| bucket.define(rate, now));
        }
        tenant.clone()
    }

    /// Returns the listing check of a credential.
    #[must_use]
    pub fn listing_check(&self, credential: &str) -> Arc<ListingCheck> {
        let mut listing_checks = self.listing_checks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(listing_checks.entry(credential.to_owned()).or_default())
    }

    /// Returns the executions that are known to carry each of these tags at an upstream, by tag. Forgets those of all others.
    #[must_use]
    pub fn owned_executions<'a>(
        &self,
        upstream: &str,
        tags: impl IntoIterator<Item = &'a str>,
    ) -> BTreeMap<String, Arc<OwnedExecutions>> {
        self.owners.divide(upstream, tags)
    }

    /// Returns the files that the tenants with these tags are known to have staged at an upstream. Forgets those of all others.
    #[must_use]
    pub fn staged_files<'a>(&self, upstream: &str, tags: impl IntoIterator<Item = &'a str>) -> Arc<StagedFiles> {
        self.staged_files.divide(upstream, tags)
    }

    /// Forgets the listing checks of the credentials that are not wanted.
    pub fn retain_listing_checks(&self, is_wanted: impl Fn(&str) -> bool) {
        let mut listing_checks = self.listing_checks.lock().unwrap_or_else(PoisonError::into_inner);
        listing_checks.retain(|credential, _| is_wanted(credential));
    }

    /// Returns the state of each listing check, by credential.
    #[must_use]
    pub fn listing_checks(&self) -> Vec<(String, ListingCheckState)> {
        let listing_checks = self.listing_checks.lock().unwrap_or_else(PoisonError::into_inner);
        listing_checks.iter().map(|(credential, check)| (credential.clone(), check.state())).collect()
    }

    /// Returns the meters of every tenant that was ever configured.
    #[must_use]
    pub fn meters(&self) -> Vec<(String, Arc<Meters>)> {
        let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.iter().map(|(tenant, counts)| (tenant.clone(), Arc::clone(&counts.meters))).collect()
    }

    /// Records the exchanges in flight before they are cut off. Only the first call counts, since all workers do so at the same
    /// time.
    pub fn record_cut_off(&self) {
        self.cut_off.get_or_init(|| self.unsettled());
    }

    /// Returns the exchanges that were cut off, or those in flight if none were, as [`State::unsettled`] does.
    #[must_use]
    pub fn unfinished(&self) -> String {
        self.cut_off.get().cloned().unwrap_or_else(|| self.unsettled())
    }

    /// Returns the tenants with exchanges in flight, and how many each has, for the log.
    #[must_use]
    pub fn unsettled(&self) -> String {
        let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = tenants.iter().map(|(tenant, counts)| (tenant, counts.in_flight.count()));
        let named: Vec<String> = counts.filter(|(_, n)| *n > 0).map(|(tenant, n)| format!("{tenant}: {n}")).collect();
        named.join(", ")
    }
}

/// Returns the output of a future that is ready at once. Those of the local state are.
#[cfg(test)]
fn ready<F: Future>(future: F) -> F::Output {
    futures_util::FutureExt::now_or_never(future).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generation_that_names_a_tenant_has_the_same_counts_and_each_tenant_has_its_own() {
        let state = State::new(1 << 20, 10);
        let counts = |tenant| state.tenant(tenant, &Limits::default(), Instant::now());
        let (before, after) = (counts("billing"), counts("billing"));
        let entered = before.in_flight.enter(None).unwrap();
        assert_eq!((after.in_flight.count(), state.unsettled()), (1, "billing: 1".to_owned()));
        drop(entered);
        assert_eq!(state.unsettled(), "");
        assert!(Arc::ptr_eq(&before.requests, &after.requests) && Arc::ptr_eq(&before.executions, &after.executions));
        assert!(Arc::ptr_eq(&before.reads, &after.reads) && Arc::ptr_eq(&before.lookups, &after.lookups));
        assert!(Arc::ptr_eq(&before.budget, &after.budget) && Arc::ptr_eq(&before.meters, &after.meters));
        let other = counts("sales");
        assert!(!Arc::ptr_eq(&before.requests, &other.requests) && !Arc::ptr_eq(&before.budget, &other.budget));
    }
}
