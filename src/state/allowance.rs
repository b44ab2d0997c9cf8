//! The allowances of a tenant's limits, for a caller that asks: how much they allow, and how much is left.

use std::num::NonZeroU32;

use serde::Serialize;

use super::admission::whole_seconds;
use super::{Bucket, Day, Limit, Limits, Now, Per, Rate, TenantState};

/// How much a limit allows, and how much of that is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Allowance {
    /// How many it allows: in the window, or at once.
    pub limit: NonZeroU32,
    /// The seconds in which that many may come; absent if they are counted at once.
    #[serde(rename = "window_seconds", skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
    /// How many may come at once after a pause, if it is a rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<NonZeroU32>,
    /// How many are left now.
    pub remaining: u32,
    /// The seconds until as many are left as ever, if nothing more is counted; absent if it is not known.
    #[serde(rename = "resets_in_seconds", skip_serializing_if = "Option::is_none")]
    pub resets_in: Option<u64>,
}

impl TenantState {
    /// Returns each limit that is set with its allowance, in the order of all limits. Counts nothing.
    #[must_use]
    pub fn allowances(&self, limits: &Limits, now: Now) -> Vec<(Limit, Allowance)> {
        let of = |limit| match limit {
            Limit::Requests => limits.requests.map(|rate| of_rate(rate, &self.requests, now)),
            Limit::Reads => limits.reads.map(|rate| of_rate(rate, &self.reads, now)),
            Limit::Executions => limits.executions.map(|rate| of_rate(rate, &self.executions, now)),
            Limit::InFlight => limits.in_flight.map(|limit| Allowance {
                limit,
                window: None,
                burst: None,
                remaining: limit.get().saturating_sub(self.in_flight.count()),
                resets_in: None,
            }),
            Limit::Budget => limits.budget.map(|limit| Allowance {
                limit,
                window: Some(Per::Day.seconds()),
                burst: None,
                remaining: self.budget.left(limit, now.wall),
                resets_in: Some(Day::left(now.wall).as_secs()),
            }),
        };
        Limit::ALL.into_iter().filter_map(|limit| of(limit).map(|allowance| (limit, allowance))).collect()
    }
}

fn of_rate(rate: Rate, bucket: &Bucket, now: Now) -> Allowance {
    let (remaining, fills_in) = bucket.left(rate, now.monotonic);
    Allowance {
        limit: rate.amount,
        window: Some(rate.per.seconds()),
        burst: Some(rate.burst),
        remaining,
        resets_in: Some(if fills_in.is_zero() { 0 } else { whole_seconds(fills_in) }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, SystemTime};

    use super::super::{CallKind, Remaining, State, ready};
    use super::*;

    #[test]
    fn each_limit_that_is_set_says_what_is_left_and_asking_takes_nothing() {
        let [two, five, nine] = [2, 5, 9].map(|count| NonZeroU32::new(count).unwrap());
        let limits = Limits {
            requests: Some(Rate { amount: nine, per: Per::Minute, burst: five }),
            executions: Some(Rate { amount: two, per: Per::Hour, burst: two }),
            in_flight: Some(nine),
            budget: Some(five),
            ..Limits::default()
        };
        let midday = SystemTime::UNIX_EPOCH + Duration::from_secs(12 * 60 * 60);
        let now = Now { monotonic: Instant::now(), wall: midday };
        let tenant = State::new(1 << 20, 10).tenant("billing", &limits, now.monotonic);
        let asked =
            || tenant.allowances(&limits, now).into_iter().map(|(limit, left)| (limit, left.remaining, left.resets_in));
        let untouched = [
            (Limit::Requests, 5, Some(0)),
            (Limit::InFlight, 9, None),
            (Limit::Executions, 2, Some(0)),
            (Limit::Budget, 5, Some(12 * 60 * 60)),
        ];
        assert!((0..20).all(|_| asked().eq(untouched)));

        let mut remaining = Remaining::default();
        let admission = tenant.admit(CallKind::Ordinary, &limits, now.monotonic, &mut remaining);
        let _permit = ready(admission).unwrap();
        let (charge, _) = tenant.budget.take(limits.budget, midday).unwrap();
        drop(charge.spend());
        assert_eq!(tenant.executions.take(limits.executions.unwrap(), now.monotonic), Ok(1));
        let counted = [
            (Limit::Requests, 4, Some(7)),
            (Limit::InFlight, 8, None),
            (Limit::Executions, 1, Some(1800)),
            (Limit::Budget, 4, Some(12 * 60 * 60)),
        ];
        assert!(asked().eq(counted), "{:?}", asked().collect::<Vec<_>>());
        let later = Now { monotonic: now.monotonic + Duration::from_secs(7), wall: midday };
        let (_, requests) = tenant.allowances(&limits, later)[0];
        assert_eq!((requests.remaining, requests.resets_in), (5, Some(0)));
    }
}
