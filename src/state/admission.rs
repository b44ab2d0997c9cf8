//! Admission: counts a request by the limits that hold for requests of any kind.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::{Bucket, Hold, InFlight, Limit, LimitDecision, Limits, Per, Rate, Remaining, TenantState, Unavailable};

/// The rate of a tenant's look-ups of executions that this gateway does not know yet. Each costs a request to the upstream, so
/// it keeps a tenant that guesses ids from using up what the upstream allows the API key that tenants share.
pub const LOOKUP_RATE: Rate =
    Rate { amount: NonZeroU32::MIN.saturating_add(19), per: Per::Second, burst: NonZeroU32::MIN.saturating_add(199) };

/// The kind of a call, as far as limits differ by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// A call that may start or change something.
    Ordinary,
    /// A call that only reads.
    Read,
    /// A call that only reads, and waits for news. It is idle for most of its time, so it is not in flight; long polls have a bound
    /// of their own.
    LongPoll,
}

/// An admitted request: no credential is injected without one. It is held until the exchange is settled, even if the caller
/// has left by then.
#[derive(Debug)]
pub struct Permit {
    /// Absent if the request is the gateway's own, or a long poll.
    _in_flight: Option<InFlight>,
    /// Present if the request is a long poll.
    _long_poll: Option<Hold>,
}

impl Permit {
    /// Creates a permit for a background request of the gateway's own, which is charged to no tenant.
    #[must_use]
    pub fn internal() -> Permit {
        Permit { _in_flight: None, _long_poll: None }
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
    /// The long polls of the tenant use its share of those that may wait: see [`State::long_polls`](super::State::long_polls).
    TooManyLongPolls,
    /// It could not be counted.
    Unavailable(Unavailable),
}

impl From<OverLimit> for AdmitError {
    fn from(over: OverLimit) -> AdmitError {
        AdmitError::OverLimit(over)
    }
}

impl TenantState {
    /// Counts a request by `requests`, or by `reads` if it only reads and that limit is configured, and by `in_flight`.
    ///
    /// # Errors
    ///
    /// [`AdmitError`]. A request that `in_flight` refuses stays counted by the rate.
    pub async fn admit(
        &self,
        kind: CallKind,
        limits: &Limits,
        now: Instant,
        remaining: &mut Remaining,
    ) -> Result<Permit, AdmitError> {
        let long_poll = match kind {
            CallKind::LongPoll => Some(self.long_polls.hold(1, false).map_err(|_| AdmitError::TooManyLongPolls)?),
            CallKind::Ordinary | CallKind::Read => None,
        };
        if kind != CallKind::Ordinary {
            self.take(Limit::Reads, limits.reads, &self.reads, now, remaining)?;
        }
        if kind == CallKind::Ordinary || limits.reads.is_none() {
            self.take(Limit::Requests, limits.requests, &self.requests, now, remaining)?;
        }
        if long_poll.is_some() {
            return Ok(Permit { _in_flight: None, _long_poll: long_poll });
        }
        let entered = self.in_flight.enter(limits.in_flight);
        if limits.in_flight.is_some() {
            self.count_decision(Limit::InFlight, entered.is_some());
            remaining.record(Limit::InFlight, entered.as_ref().map_or(0, |(_, left)| *left), None);
        }
        // It is not known when one of them ends. A retry after a second is worthwhile.
        let (in_flight, _) = entered.ok_or(OverLimit { limit: Limit::InFlight, retry_after: 1 })?;
        Ok(Permit { _in_flight: Some(in_flight), _long_poll: None })
    }

    /// Counts a look-up of an execution that this gateway does not know yet, by [`LOOKUP_RATE`].
    ///
    /// # Errors
    ///
    /// If there were too many. The limit is `reads`, whose decisions in the metrics show those that were refused.
    pub fn admit_lookup(&self, now: Instant) -> Result<(), OverLimit> {
        self.lookups.take(LOOKUP_RATE, now).map(drop).map_err(|wait| {
            self.count_decision(Limit::Reads, false);
            OverLimit { limit: Limit::Reads, retry_after: whole_seconds(wait) }
        })
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
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::super::{Amount, State, ready};
    use super::*;

    /// The limit that refuses a request, and what is left of the limits that counted it.
    type Admitted = (Result<Permit, OverLimit>, Vec<(Limit, u32)>);

    fn admit(tenant: &TenantState, kind: CallKind, limits: &Limits, now: Instant) -> Admitted {
        let mut remaining = Remaining::default();
        let admitted = ready(tenant.admit(kind, limits, now, &mut remaining)).map_err(|error| match error {
            AdmitError::OverLimit(over) => over,
            AdmitError::TooManyLongPolls => panic!("too many long polls"),
            AdmitError::Unavailable(unavailable) => match unavailable {},
        });
        let left = remaining.iter().map(|(limit, Amount { count, .. })| (limit, count)).collect();
        (admitted, left)
    }

    fn per_minute(amount: u32) -> Option<Rate> {
        NonZeroU32::new(amount).map(|amount| Rate { amount, per: Per::Minute, burst: amount })
    }

    #[test]
    fn a_request_that_in_flight_refuses_stays_counted_by_requests_and_a_permit_that_is_dropped_admits_another() {
        let limits = Limits { requests: per_minute(3), in_flight: NonZeroU32::new(1), ..Limits::default() };
        let now = Instant::now();
        let tenant = State::new(1 << 20, 10).tenant("billing", &limits, now);
        let admit = |now| admit(&tenant, CallKind::Ordinary, &limits, now);
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

    #[test]
    fn reads_count_by_their_own_limit_instead_of_requests_if_there_is_one_and_long_polls_hold_nothing_in_flight() {
        use CallKind::{LongPoll, Ordinary, Read};
        let (now, in_flight) = (Instant::now(), NonZeroU32::new(1));
        let both = Limits { requests: per_minute(9), reads: per_minute(5), in_flight, ..Limits::default() };
        let of_requests = Limits { reads: None, ..both.clone() };
        let of_reads = Limits { requests: None, ..both.clone() };
        let (requests, reads) = ((Limit::Requests, 8), (Limit::Reads, 4));
        let one_in_flight = (Limit::InFlight, 0);
        for (kind, limits, expected) in [
            (Ordinary, &both, &[requests, one_in_flight][..]),
            (Ordinary, &of_requests, &[requests, one_in_flight]),
            (Ordinary, &of_reads, &[one_in_flight]),
            (Read, &both, &[reads, one_in_flight]),
            (Read, &of_requests, &[requests, one_in_flight]),
            (Read, &of_reads, &[reads, one_in_flight]),
            (LongPoll, &both, &[reads]),
            (LongPoll, &of_requests, &[requests]),
            (LongPoll, &of_reads, &[reads]),
        ] {
            let tenant = State::new(1 << 20, 10).tenant("billing", limits, now);
            let (permit, left) = admit(&tenant, kind, limits, now);
            assert_eq!(left, expected, "{kind:?} by {limits:?}");
            let held = u32::from(kind != LongPoll);
            assert_eq!((permit.is_ok(), tenant.in_flight.count()), (true, held), "{kind:?} by {limits:?}");
        }
        let tenant = State::new(1 << 20, 10).tenant("billing", &both, now);
        let (_permit, _) = admit(&tenant, Ordinary, &both, now);
        assert!(admit(&tenant, LongPoll, &both, now).0.is_ok(), "although as many are in flight as may be");
        assert_eq!(admit(&tenant, Read, &both, now).0.unwrap_err().limit, Limit::InFlight);
    }

    #[test]
    fn as_many_long_polls_of_a_tenant_wait_at_once_as_it_leaves_to_others() {
        let (state, now, limits) = (State::new(1 << 20, 10), Instant::now(), Limits::default());
        state.long_polls.resize(100);
        let poll = |tenant: &TenantState| {
            let mut remaining = Remaining::default();
            ready(tenant.admit(CallKind::LongPoll, &limits, now, &mut remaining))
        };
        let [tenant, other] = ["billing", "sales"].map(|tenant| state.tenant(tenant, &limits, now));
        let mut waiting: Vec<Permit> = std::iter::repeat_with(|| poll(&tenant)).map_while(Result::ok).collect();
        assert_eq!(waiting.len(), 50);
        assert!(matches!(poll(&tenant), Err(AdmitError::TooManyLongPolls)));
        assert!(poll(&other).is_ok());
        waiting.pop();
        assert!(poll(&tenant).is_ok(), "one that ends admits another");
    }

    #[test]
    fn reads_that_no_limit_counts_are_missing_if_it_is_configured_again() {
        let now = Instant::now();
        let limits = Limits { reads: per_minute(3), ..Limits::default() };
        let tenant = State::new(1 << 20, 10).tenant("billing", &limits, now);
        for (limits, left) in [(&limits, Some(2)), (&Limits::default(), None), (&limits, Some(0))] {
            let (_, counted) = admit(&tenant, CallKind::Read, limits, now);
            assert_eq!(counted, left.map(|left| (Limit::Reads, left)).as_slice());
        }
        let (refused, _) = admit(&tenant, CallKind::Read, &limits, now);
        assert_eq!(refused.unwrap_err(), OverLimit { limit: Limit::Reads, retry_after: 20 });
    }

    #[test]
    fn a_reload_carries_over_what_requests_and_reads_have_taken_and_later_refills_at_the_new_rate() {
        let (state, now) = (State::new(1 << 20, 10), Instant::now());
        let daily = NonZeroU32::new(2).map(|two| Rate { amount: two, per: Per::Day, burst: two });
        let limits = |rate| Limits { requests: rate, reads: rate, ..Limits::default() };
        let old = state.tenant("billing", &limits(per_minute(60)), now);
        for kind in [CallKind::Ordinary, CallKind::Read] {
            assert!(admit(&old, kind, &limits(per_minute(60)), now).0.is_ok());
        }
        let reloaded = state.tenant("billing", &limits(daily), now);
        for (kind, limit) in [(CallKind::Ordinary, Limit::Requests), (CallKind::Read, Limit::Reads)] {
            let (_, left) = admit(&reloaded, kind, &limits(daily), now + Duration::from_secs(60));
            assert_eq!(left, [(limit, 0)]);
        }
    }

    #[test]
    fn look_ups_of_unknown_executions_have_a_bucket_of_their_own_for_each_tenant() {
        let (state, now) = (State::new(1 << 20, 10), Instant::now());
        let limits = Limits { reads: per_minute(1), ..Limits::default() };
        let tenant = state.tenant("billing", &limits, now);
        let granted = |now| std::iter::repeat_with(|| tenant.admit_lookup(now)).take_while(Result::is_ok).count();
        assert_eq!(granted(now), 200);
        assert_eq!(tenant.admit_lookup(now), Err(OverLimit { limit: Limit::Reads, retry_after: 1 }));
        assert_eq!(granted(now + Duration::from_secs(1)), 20);
        assert!(state.tenant("sales", &limits, now).admit_lookup(now).is_ok());
        assert!(admit(&tenant, CallKind::Read, &limits, now).0.is_ok(), "`reads` is another bucket");
        assert_eq!(LOOKUP_RATE.to_string(), "20 per second, burst 200");
        let decisions = tenant.meters.decisions().filter(|(limit, ..)| *limit == "reads").collect::<Vec<_>>();
        assert_eq!(decisions, [("reads", "allowed", 1), ("reads", "refused", 3)], "a look-up is not another read");
    }
}
