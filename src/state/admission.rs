//! Admission: counts a request by the limits that hold for requests of any kind.

use std::time::{Duration, Instant};

use super::{Bucket, InFlight, Limit, LimitDecision, Limits, Rate, Remaining, TenantState, Unavailable};

/// An admitted request: no credential is injected without one. It is held until the exchange is settled, even if the caller
/// has left by then.
#[derive(Debug)]
pub struct Permit {
    /// Absent if the request is the gateway's own.
    _in_flight: Option<InFlight>,
}

impl Permit {
    /// Creates a permit for a background request of the gateway's own, which is charged to no tenant.
    #[must_use]
    pub fn internal() -> Permit {
        Permit { _in_flight: None }
    }
}

/// A limit that a request would exceed. The request was not counted by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverLimit {
    /// The limit.
    pub limit: Limit,
    /// After how many seconds another request may pass, at least 1.
    pub retry_after: u64,
}

/// The reason why a request is not admitted.
#[derive(Debug)]
pub enum AdmitError {
    /// It would exceed a limit.
    OverLimit(OverLimit),
    /// It could not be counted.
    Unavailable(Unavailable),
}

impl From<OverLimit> for AdmitError {
    fn from(over: OverLimit) -> AdmitError {
        AdmitError::OverLimit(over)
    }
}

impl TenantState {
    /// Counts a request by `requests` and `in_flight`.
    ///
    /// # Errors
    ///
    /// [`AdmitError`]. A request that `in_flight` refuses stays counted by `requests`.
    pub async fn admit(&self, limits: &Limits, now: Instant, remaining: &mut Remaining) -> Result<Permit, AdmitError> {
        self.take(Limit::Requests, limits.requests, &self.requests, now, remaining)?;
        let entered = self.in_flight.enter(limits.in_flight);
        if limits.in_flight.is_some() {
            self.count_decision(Limit::InFlight, entered.is_some());
            remaining.record(Limit::InFlight, entered.as_ref().map_or(0, |(_, left)| *left), None);
        }
        // It is not known when one of them ends. A retry after a second is worthwhile.
        let (in_flight, _) = entered.ok_or(OverLimit { limit: Limit::InFlight, retry_after: 1 })?;
        Ok(Permit { _in_flight: Some(in_flight) })
    }

    /// Takes a token from a bucket.
    pub(super) fn take(
        &self,
        limit: Limit,
        rate: Option<Rate>,
        bucket: &Bucket,
        now: Instant,
        remaining: &mut Remaining,
    ) -> Result<(), OverLimit> {
        let Some(rate) = rate else {
            bucket.count(now);
            return Ok(());
        };
        let taken = bucket.take(rate, now);
        self.count_decision(limit, taken.is_ok());
        match taken {
            Ok(left) => {
                remaining.record(limit, left, None);
                Ok(())
            }
            Err(wait) => {
                let retry_after = whole_seconds(wait);
                remaining.record(limit, 0, Some(retry_after));
                Err(OverLimit { limit, retry_after })
            }
        }
    }

    pub(super) fn count_decision(&self, limit: Limit, is_allowed: bool) {
        self.meters.count_decision(limit, if is_allowed { LimitDecision::Allowed } else { LimitDecision::Refused });
    }
}

/// Returns a duration for `Retry-After`: rounded up to seconds, and at least one.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::super::{Amount, Per, State, ready};
    use super::*;

    #[test]
    fn a_request_that_in_flight_refuses_stays_counted_by_requests_and_a_permit_that_is_dropped_admits_another() {
        let [one, three] = [1, 3].map(NonZeroU32::new);
        let rate = three.map(|three| Rate { amount: three, per: Per::Minute, burst: three });
        let limits = Limits { requests: rate, in_flight: one, ..Limits::default() };
        let now = Instant::now();
        let tenant = State::new(1 << 20, 10).tenant("billing", &limits, now);
        let admit = |now| {
            let mut remaining = Remaining::default();
            let admitted = ready(tenant.admit(&limits, now, &mut remaining)).map_err(|error| match error {
                AdmitError::OverLimit(over) => over,
                AdmitError::Unavailable(unavailable) => match unavailable {},
            });
            let left = remaining.iter().map(|(limit, Amount { count, .. })| (limit, count)).collect::<Vec<_>>();
            (admitted, left)
        };
        let (permit, left) = admit(now);
        assert_eq!(left, [(Limit::Requests, 2), (Limit::InFlight, 0)]);
        let (refused, left) = admit(now);
        assert_eq!(refused.unwrap_err(), OverLimit { limit: Limit::InFlight, retry_after: 1 });
        assert_eq!(left, [(Limit::Requests, 1), (Limit::InFlight, 0)]);
        drop(permit);
        assert!(admit(now).0.is_ok());
        let (refused, left) = admit(now + Duration::from_millis(500));
        let over = OverLimit { limit: Limit::Requests, retry_after: 20 };
        assert_eq!(refused.unwrap_err(), over, "of 19.5 seconds, the rest of the last one is waited for, too");
        assert_eq!(left, [(Limit::Requests, 0)]);
    }
}
