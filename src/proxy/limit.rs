//! A tenant's limits, as proofs: nothing is sent with the key without a [`Permit`], and no start without a
//! [`Reservation`].

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::state::{Bucket, Day, DaySpend, InFlight, Limit, LimitDecision, Rate, Remaining};

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
pub struct Permit(Option<Arc<InFlight>>);

impl Permit {
    /// Returns a permit for a look-up of the gateway's own, in the background, which no tenant is charged for.
    #[must_use]
    pub fn of_nobody() -> Permit {
        Permit(None)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.iter().for_each(|in_flight| in_flight.leave());
    }
}

/// Counts a request of a tenant by `requests` and `in_flight`.
///
/// # Errors
///
/// The limit that it would go beyond. A request that `in_flight` refuses was a request all the same.
pub fn admit(tenant: &Tenant, now: Instant, remaining: &mut Remaining) -> Result<Permit, Exceeded> {
    take(tenant, Limit::Requests, tenant.limits.requests, &tenant.state.requests, now, remaining)?;
    let limit = tenant.limits.in_flight;
    let entered = tenant.state.in_flight.enter(limit);
    if let Some(most) = limit {
        decided(tenant, Limit::InFlight, entered.is_ok());
        remaining.record(Limit::InFlight, entered.unwrap_or(0), None);
        // When one of them ends is not known: a second is worth trying.
        entered.map_err(|_| exceeded(tenant, Limit::InFlight, format!("{most} requests in flight"), 1))?;
    }
    Ok(Permit(Some(Arc::clone(&tenant.state.in_flight))))
}

/// The present time by the clock that rates are measured with, and by the one that says which day it is.
#[derive(Debug, Clone, Copy)]
pub struct Now(pub Instant, pub SystemTime);

impl Now {
    /// Reads both clocks.
    #[must_use]
    pub fn read() -> Now {
        Now(Instant::now(), SystemTime::now())
    }
}

/// Counts a valid start by `executions` and `budget`.
///
/// # Errors
///
/// The limit that it would go beyond; the other is left as it was.
pub fn reserve(tenant: &Tenant, Now(now, wall): Now, remaining: &mut Remaining) -> Result<Reservation, Exceeded> {
    let executions = &tenant.state.executions;
    // The rate is taken first. While it is held for a start that the budget refuses, others may be told to wait for the rate. A
    // budget that is held for a start that the rate refuses could send others away until midnight.
    if let Err(exceeded) = take(tenant, Limit::Executions, tenant.limits.executions, executions, now, remaining) {
        let Some(most) = tenant.limits.budget else { return Err(exceeded) };
        let (left, tomorrow) = (tenant.state.budget.left(most, wall), Day::left(wall).as_secs());
        remaining.record(Limit::Budget, left, Some(tomorrow));
        // Of two limits that are reached, the caller waits for the one that is longer.
        return Err(if left == 0 && tomorrow > exceeded.after { spent(tenant, most, tomorrow) } else { exceeded });
    }
    match charge(tenant, wall, remaining) {
        Ok(spent) => Ok(Reservation { spent: Some(spent), executions: Arc::clone(executions) }),
        Err(exceeded) => {
            executions.give_back();
            remaining.give_back(Limit::Executions);
            Err(exceeded)
        }
    }
}

fn take(
    tenant: &Tenant,
    limit: Limit,
    rate: Option<Rate>,
    bucket: &Bucket,
    now: Instant,
    remaining: &mut Remaining,
) -> Result<(), Exceeded> {
    let Some(rate) = rate else {
        bucket.count(now);
        return Ok(());
    };
    let taken = bucket.take(rate, now);
    decided(tenant, limit, taken.is_ok());
    match taken {
        Ok(left) => {
            remaining.record(limit, left, None);
            Ok(())
        }
        Err(wait) => {
            let after = whole_seconds(wait);
            remaining.record(limit, 0, Some(after));
            Err(exceeded(tenant, limit, format!("{} ({rate})", limit.code()), after))
        }
    }
}

fn charge(tenant: &Tenant, now: SystemTime, remaining: &mut Remaining) -> Result<DaySpend, Exceeded> {
    let limit = tenant.limits.budget;
    let taken = tenant.state.budget.take(limit, now);
    if let Some(most) = limit {
        let tomorrow = Day::left(now).as_secs();
        decided(tenant, Limit::Budget, taken.is_ok());
        remaining.record(Limit::Budget, taken.as_ref().map_or(0, |(_, left)| *left), Some(tomorrow));
        return Ok(taken.map_err(|_| spent(tenant, most, tomorrow))?.0);
    }
    // Without a limit, this fails only after four billion starts in a day.
    Ok(taken.map(|(spent, _)| spent).unwrap_or_default())
}

fn decided(tenant: &Tenant, limit: Limit, allowed: bool) {
    tenant.state.meters.count_decision(limit, if allowed { LimitDecision::Allowed } else { LimitDecision::Refused });
}

fn spent(tenant: &Tenant, most: NonZeroU32, tomorrow: u64) -> Exceeded {
    exceeded(tenant, Limit::Budget, format!("{most} executions a UTC day"), tomorrow)
}

fn exceeded(tenant: &Tenant, limit: Limit, bound: String, after: u64) -> Exceeded {
    Exceeded { tenant: Arc::clone(&tenant.name), limit, bound, after }
}

/// What `Retry-After` can say: rounded up, and never at once.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// A start that was counted and not sent: dropped, it gives its budget back.
#[derive(Debug)]
pub struct Reservation {
    spent: Option<DaySpend>,
    executions: Arc<Bucket>,
}

impl Reservation {
    /// Gives rate and budget back, because an earlier start with the key was found.
    pub fn undo(self, remaining: &mut Remaining) {
        self.executions.give_back();
        remaining.give_back(Limit::Executions);
        self.release(remaining);
    }

    /// Gives the budget back, because nothing is sent. What was taken from the rate bounds how often that happens.
    pub fn release(self, remaining: &mut Remaining) {
        remaining.give_back(Limit::Budget);
    }

    /// The start is about to be sent: from here on it counts, unless it is known to have started nothing.
    #[must_use]
    pub fn spend(mut self) -> SpentBudget {
        SpentBudget(self.spent.take())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.spent.iter().for_each(DaySpend::give_back);
    }
}

/// A start that may have been sent: dropped, it stays spent.
#[derive(Debug)]
pub struct SpentBudget(Option<DaySpend>);

impl SpentBudget {
    /// Nothing was started.
    pub fn give_back(self) {
        self.0.iter().for_each(DaySpend::give_back);
    }
}
