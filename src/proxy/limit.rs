//! A tenant's limits, as proofs: nothing is sent with the key without a [`Permit`], and no start without a
//! [`Reservation`].

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::state::{Bucket, Budget, Day, Decision, InFlight, Limit, Standing};

use super::snapshot::Tenant;

/// A limit that a request would have gone beyond.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{tenant} is at its limit of {bound}; try again in {after} s")]
pub struct Exceeded {
    /// Whose limit.
    pub tenant: Arc<str>,
    /// Which.
    pub limit: Limit,
    /// What it allows.
    pub bound: String,
    /// After how many seconds another request can pass, at least 1.
    pub after: u64,
}

/// An admitted request. Held until its exchange is settled, also where the caller has left.
#[derive(Debug)]
pub struct Permit(Arc<InFlight>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Counts a request of a tenant by `requests` and `in_flight`.
///
/// # Errors
///
/// The limit that it would go beyond. A request that `in_flight` refuses was a request all the same.
pub fn admit(tenant: &Tenant, standing: &mut Standing) -> Result<Permit, Exceeded> {
    standing.begin(tenant.policy.as_ref());
    take(tenant, Limit::Requests, tenant.counts.requests.as_deref(), standing)?;
    let limit = tenant.limits.in_flight;
    let entered = tenant.counts.in_flight.enter(limit);
    if let Some(most) = limit {
        decided(tenant, Limit::InFlight, entered.is_ok());
        standing.note(Limit::InFlight, entered.unwrap_or(0), None);
        // When one of them ends is not known: a second is worth trying.
        entered.map_err(|_| exceeded(tenant, Limit::InFlight, format!("{most} requests in flight"), 1))?;
    }
    Ok(Permit(Arc::clone(&tenant.counts.in_flight)))
}

/// Counts a valid start by `budget` and `executions`.
///
/// # Errors
///
/// The limit that it would go beyond; the other is left as it was.
pub fn reserve(tenant: &Tenant, now: SystemTime, standing: &mut Standing) -> Result<Reservation, Exceeded> {
    // Only the budget can be given back, so it is taken first: dropped with the reservation if the rate refuses.
    let reservation = match tenant.limits.budget {
        Some(limit) => Reservation { charge: Some(charge(tenant, limit, now, standing)?) },
        None => Reservation { charge: None },
    };
    if let Err(exceeded) = take(tenant, Limit::Executions, tenant.counts.executions.as_deref(), standing) {
        standing.give_back();
        return Err(exceeded);
    }
    Ok(reservation)
}

fn take(tenant: &Tenant, limit: Limit, bucket: Option<&Bucket>, standing: &mut Standing) -> Result<(), Exceeded> {
    let Some(bucket) = bucket else { return Ok(()) };
    let taken = bucket.take();
    decided(tenant, limit, taken.is_ok());
    match taken {
        Ok(left) => {
            standing.note(limit, left, None);
            Ok(())
        }
        Err(wait) => {
            let after = whole_seconds(wait);
            standing.note(limit, 0, Some(after));
            Err(exceeded(tenant, limit, format!("{} ({})", limit.name(), bucket.rate()), after))
        }
    }
}

fn charge(tenant: &Tenant, most: NonZeroU32, now: SystemTime, standing: &mut Standing) -> Result<Charge, Exceeded> {
    let budget = &tenant.counts.budget;
    let tomorrow = Day::left(now).as_secs();
    let taken = budget.take(most, now);
    decided(tenant, Limit::Budget, taken.is_ok());
    standing.note(Limit::Budget, taken.map_or(0, |(_, left)| left), Some(tomorrow));
    match taken {
        Ok((day, _)) => Ok(Charge { budget: Arc::clone(budget), day }),
        Err(_spent) => Err(exceeded(tenant, Limit::Budget, format!("{most} executions a UTC day"), tomorrow)),
    }
}

fn decided(tenant: &Tenant, limit: Limit, allowed: bool) {
    tenant.counts.meters.decided(limit, if allowed { Decision::Allowed } else { Decision::Refused });
}

fn exceeded(tenant: &Tenant, limit: Limit, bound: String, after: u64) -> Exceeded {
    Exceeded { tenant: Arc::clone(&tenant.name), limit, bound, after }
}

/// What `Retry-After` can say: rounded up, and never at once.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// One start taken from a budget.
#[derive(Debug)]
struct Charge {
    budget: Arc<Budget>,
    day: Day,
}

impl Charge {
    fn give_back(&self) {
        self.budget.give_back(self.day);
    }
}

/// A start that was counted and not sent: dropped, it gives its budget back.
#[derive(Debug)]
pub struct Reservation {
    charge: Option<Charge>,
}

impl Reservation {
    /// The start is about to be sent: from here on it counts, unless it is known to have started nothing.
    #[must_use]
    pub fn spend(mut self) -> Expense {
        Expense(self.charge.take())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(charge) = &self.charge {
            charge.give_back();
        }
    }
}

/// A start that may have been sent: dropped, it stays spent.
#[derive(Debug)]
pub struct Expense(Option<Charge>);

impl Expense {
    /// Nothing was started.
    pub fn give_back(self) {
        if let Some(charge) = self.0 {
            charge.give_back();
        }
    }
}
