//! A start, from the claim of its idempotency key to the end of its exchange.
//!
//! ```text
//! start ──┬─▶ Answered: an earlier start with the idempotency key was answered; its answer is replayed
//!         ├─▶ Unknown: an earlier start with the idempotency key may have started an execution
//!         └─▶ ReservedStart ──about_to_send──▶ StartInFlight ──▶ not_started │ answered │ unknown
//! ```
//!
//! Dropping a value leaves the safe state. A [`ReservedStart`] frees its idempotency key and gives its budget back. A
//! [`StartInFlight`] stays spent, and the outcome of its idempotency key is unknown.

use std::sync::Arc;
use std::time::Instant;

use super::{
    BodyDigest, Bounds, Bucket, BudgetCharge, Claim, ClaimError, Day, IdempotencyDigest, Limit, Limits, Now,
    OverBudget, OverLimit, PriorUse, Remaining, Reply, SentClaim, SpentBudget, TenantState, Unavailable,
};

/// The idempotency key of a start, and the body that came with it.
#[derive(Debug, Clone, Copy)]
pub struct KeyedStart {
    /// The digest of the tenant and the idempotency key: unique in the process.
    pub digest: IdempotencyDigest,
    /// The digest of the body.
    pub body: BodyDigest,
    /// How long and how much is remembered.
    pub bounds: Bounds,
}

/// The result of claiming the idempotency key of a start.
#[derive(Debug)]
pub enum StartResult {
    /// The start may be the first with its idempotency key, and was counted.
    New(Claim, Reservation),
    /// An earlier start with the idempotency key was sent, and its outcome is unknown. This one was not counted.
    Unknown(Claim),
    /// An earlier start with the idempotency key was answered. This one was not counted.
    Answered(Arc<Reply>),
}

/// The reason why a start must not be sent.
#[derive(Debug)]
pub enum StartError {
    /// Its idempotency key cannot be claimed.
    Claim(ClaimError),
    /// It would exceed a limit. Its idempotency key is free.
    OverLimit(OverLimit),
    /// It could not be claimed and counted.
    Unavailable(Unavailable),
}

impl From<ClaimError> for StartError {
    fn from(error: ClaimError) -> StartError {
        StartError::Claim(error)
    }
}

impl From<OverLimit> for StartError {
    fn from(over: OverLimit) -> StartError {
        StartError::OverLimit(over)
    }
}

impl TenantState {
    /// Counts a start without an idempotency key by `executions` and `budget`.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing was counted.
    pub async fn start(
        &self,
        limits: &Limits,
        now: Now,
        remaining: &mut Remaining,
    ) -> Result<ReservedStart, StartError> {
        Ok(ReservedStart { claim: None, reservation: self.reserve(limits, now, remaining)? })
    }

    /// Claims the idempotency key of a start. If the start may be the first with it, counts it by `executions` and `budget`.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing was counted, and the idempotency key is as before.
    pub async fn start_with_key(
        &self,
        KeyedStart { digest, body, bounds }: KeyedStart,
        limits: &Limits,
        now: Now,
        remaining: &mut Remaining,
    ) -> Result<StartResult, StartError> {
        match self.claims.claim(&self.name, digest, body, bounds, now.monotonic)? {
            PriorUse::None(claim) => Ok(StartResult::New(claim, self.reserve(limits, now, remaining)?)),
            PriorUse::Unknown(claim) => Ok(StartResult::Unknown(claim)),
            PriorUse::Answered(reply) => Ok(StartResult::Answered(reply)),
        }
    }

    fn reserve(&self, limits: &Limits, now: Now, remaining: &mut Remaining) -> Result<Reservation, OverLimit> {
        let executions = &self.executions;
        // The rate is taken first. Until it is given back, other starts may be refused for a short wait. In the opposite order,
        // they could be told to wait until midnight.
        if let Err(over) = self.take(Limit::Executions, limits.executions, executions, now.monotonic, remaining) {
            let Some(max) = limits.budget else { return Err(over) };
            let (left, midnight) = (self.budget.left(max, now.wall), Day::left(now.wall).as_secs());
            remaining.record(Limit::Budget, left, Some(midnight));
            // If both limits are reached, the caller waits for the one that takes longer.
            let is_spent = left == 0 && midnight > over.retry_after;
            return Err(if is_spent { OverLimit { limit: Limit::Budget, retry_after: midnight } } else { over });
        }
        match self.charge(limits, now, remaining) {
            Ok(charge) => Ok(Reservation { charge, executions: Arc::clone(executions) }),
            Err(over) => {
                executions.give_back();
                remaining.give_back(Limit::Executions);
                Err(over)
            }
        }
    }

    fn charge(&self, limits: &Limits, now: Now, remaining: &mut Remaining) -> Result<BudgetCharge, OverLimit> {
        let taken = self.budget.take(limits.budget, now.wall);
        if limits.budget.is_none() {
            // Without a limit, this fails only after four billion starts in a day.
            return Ok(taken.map(|(charge, _)| charge).unwrap_or_default());
        }
        let midnight = Day::left(now.wall).as_secs();
        self.count_decision(Limit::Budget, taken.is_ok());
        remaining.record(Limit::Budget, taken.as_ref().map_or(0, |(_, left)| *left), Some(midnight));
        let over = |OverBudget| OverLimit { limit: Limit::Budget, retry_after: midnight };
        Ok(taken.map_err(over)?.0)
    }
}

/// A start that may be sent. Its idempotency key is claimed, if it has one, and its tenant's limits count it.
#[derive(Debug)]
pub struct ReservedStart {
    /// The claim of its idempotency key.
    pub claim: Option<Claim>,
    /// The amounts that it took from the limits.
    pub reservation: Reservation,
}

impl ReservedStart {
    /// Marks the start as sent. Called before a byte of it leaves. From then on it counts, unless it turns out that it started
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`Unavailable`]; the start must not be sent.
    pub async fn about_to_send(self) -> Result<StartInFlight, Unavailable> {
        Ok(StartInFlight { budget: self.reservation.charge.spend(), claim: self.claim.map(Claim::send) })
    }
}

/// The amounts that a start took from its tenant's limits. Dropped, it gives the budget back. It does not give the rate back,
/// which so bounds how often starts are abandoned.
#[derive(Debug)]
pub struct Reservation {
    charge: BudgetCharge,
    executions: Arc<Bucket>,
}

impl Reservation {
    /// Gives rate and budget back, because an earlier start with the idempotency key was found.
    pub async fn undo(self, remaining: &mut Remaining) {
        self.executions.give_back();
        remaining.give_back(Limit::Executions);
        self.release(remaining).await;
    }

    /// Gives the budget back, because nothing is sent.
    pub async fn release(self, remaining: &mut Remaining) {
        remaining.give_back(Limit::Budget);
    }
}

/// The outcome for the idempotency key of a start that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdempotencyOutcome {
    /// The answer is replayed to the next start with the idempotency key.
    Answered,
    /// The start may have started an execution. No start with the idempotency key is sent again.
    Unknown,
    /// Nothing was started, and the idempotency key can be used again.
    Free,
    /// The answer is still awaited, although the caller was told of the time-out.
    InFlight,
}

impl IdempotencyOutcome {
    /// Returns the code in the log, the audit and traces.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            IdempotencyOutcome::Answered => "answered",
            IdempotencyOutcome::Unknown => "unknown",
            IdempotencyOutcome::Free => "free",
            IdempotencyOutcome::InFlight => "in_flight",
        }
    }
}

/// The budget and the idempotency claim of a start that may have been sent.
#[derive(Debug)]
pub struct StartInFlight {
    budget: SpentBudget,
    claim: Option<SentClaim>,
}

impl StartInFlight {
    /// Gives the budget back and frees the idempotency key, because nothing was started. Returns the outcome for the key, if
    /// there is one.
    pub async fn not_started(self) -> Option<IdempotencyOutcome> {
        self.budget.give_back();
        self.claim?.nothing_started();
        Some(IdempotencyOutcome::Free)
    }

    /// Keeps the answer for the next start with the idempotency key. Returns the outcome for the key, if there is one.
    pub async fn answered(self, reply: impl FnOnce() -> Reply, now: Instant) -> Option<IdempotencyOutcome> {
        let is_kept = self.claim?.answered(reply(), now);
        Some(if is_kept { IdempotencyOutcome::Answered } else { IdempotencyOutcome::Unknown })
    }

    /// Leaves the outcome of the idempotency key unknown. Returns the outcome for the key, if there is one.
    pub async fn unknown(self, now: Instant) -> Option<IdempotencyOutcome> {
        self.claim?.unknown(now);
        Some(IdempotencyOutcome::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::{Duration, SystemTime};

    use hyper::StatusCode;

    use super::super::{Amount, Per, Rate, State, ready};
    use super::*;

    /// A tenant with a rate of two executions per hour and a budget of three per day, and a clock that stands still.
    struct Billing {
        state: TenantState,
        limits: Limits,
        now: Now,
    }

    impl Billing {
        fn new() -> Billing {
            let [two, three] = [2, 3].map(|count| NonZeroU32::new(count).unwrap());
            let rate = Rate { amount: two, per: Per::Hour, burst: two };
            let limits = Limits { executions: Some(rate), budget: Some(three), ..Limits::default() };
            // Half past midnight.
            let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(30 * 60);
            let now = Now { monotonic: Instant::now(), wall };
            let state = State::new(1 << 20, 10).tenant("billing", &limits, now.monotonic);
            Billing { state, limits, now }
        }

        fn start(&self) -> Result<ReservedStart, StartError> {
            ready(self.state.start(&self.limits, self.now, &mut Remaining::default()))
        }

        fn start_with_key(&self) -> Result<StartResult, StartError> {
            let bounds = Bounds { retention: Duration::from_secs(60), memory: 1 << 20, share: 1 << 20 };
            let key =
                KeyedStart { digest: IdempotencyDigest::of(&[b"k"]), body: BodyDigest::of(b"", b"", b""), bounds };
            ready(self.state.start_with_key(key, &self.limits, self.now, &mut Remaining::default()))
        }

        fn new_with_key(&self) -> ReservedStart {
            match self.start_with_key() {
                Ok(StartResult::New(claim, reservation)) => ReservedStart { claim: Some(claim), reservation },
                other => panic!("{other:?}"),
            }
        }

        fn sent(&self) -> StartInFlight {
            ready(self.new_with_key().about_to_send()).unwrap()
        }

        /// Returns how many starts are left of the day's budget.
        fn budget(&self) -> u32 {
            self.state.budget.left(self.limits.budget.unwrap(), self.now.wall)
        }
    }

    #[test]
    fn a_start_that_is_dropped_before_it_is_sent_gives_its_budget_back_and_frees_its_key() {
        let billing = Billing::new();
        let reserved = billing.new_with_key();
        assert_eq!(billing.budget(), 2);
        assert!(matches!(billing.start_with_key(), Err(StartError::Claim(ClaimError::InFlight))));
        drop(reserved);
        assert_eq!(billing.budget(), 3);
        drop(billing.new_with_key());
        assert!(matches!(billing.start(), Err(StartError::OverLimit(_))), "the rate is not given back");
    }

    #[test]
    fn a_start_that_is_dropped_after_it_was_sent_stays_spent_and_leaves_its_key_unknown() {
        let billing = Billing::new();
        drop(billing.sent());
        assert_eq!(billing.budget(), 2);
        assert!(matches!(billing.start_with_key(), Ok(StartResult::Unknown(_))));
    }

    #[test]
    fn a_start_that_started_nothing_gives_its_budget_back_and_frees_its_key() {
        let billing = Billing::new();
        assert_eq!(ready(billing.sent().not_started()), Some(IdempotencyOutcome::Free));
        assert_eq!(billing.budget(), 3);
        drop(billing.new_with_key());
    }

    #[test]
    fn an_answer_is_given_to_the_next_start_with_the_key_which_counts_by_no_limit() {
        let billing = Billing::new();
        let reply = || Reply::new(StatusCode::ACCEPTED, None, b"{}");
        let outcome = ready(billing.sent().answered(reply, billing.now.monotonic));
        assert_eq!(outcome, Some(IdempotencyOutcome::Answered));
        drop(billing.start().unwrap());
        assert!(billing.start().is_err(), "the rate is spent");
        let Ok(StartResult::Answered(kept)) = billing.start_with_key() else { panic!() };
        assert_eq!((&*kept, billing.budget()), (&reply(), 2));
    }

    #[test]
    fn an_answer_that_finds_no_room_leaves_the_key_unknown_and_it_is_said_so() {
        let billing = Billing::new();
        let long = || Reply::new(StatusCode::ACCEPTED, None, &vec![b' '; 1 << 20]);
        let outcome = ready(billing.sent().answered(long, billing.now.monotonic));
        assert_eq!(outcome, Some(IdempotencyOutcome::Unknown));
        assert!(matches!(billing.start_with_key(), Ok(StartResult::Unknown(_))));
    }

    #[test]
    fn a_start_that_was_found_at_the_upstream_counts_by_no_limit() {
        let billing = Billing::new();
        for _ in 0..3 {
            ready(billing.new_with_key().reservation.undo(&mut Remaining::default()));
        }
        assert_eq!((billing.budget(), billing.start().is_ok()), (3, true));
    }

    #[test]
    fn a_budget_that_is_spent_takes_nothing_from_the_rate_and_the_caller_is_told_to_wait_until_midnight() {
        let mut billing = Billing::new();
        billing.limits.budget = NonZeroU32::new(1);
        drop(ready(billing.start().unwrap().about_to_send()));
        let mut remaining = Remaining::default();
        for _ in 0..3 {
            let refused = ready(billing.state.start(&billing.limits, billing.now, &mut remaining));
            let Err(StartError::OverLimit(over)) = refused else { panic!("{refused:?}") };
            assert_eq!(over, OverLimit { limit: Limit::Budget, retry_after: 23 * 3600 + 1800 });
        }
        let left: Vec<(Limit, u32)> = remaining.iter().map(|(limit, Amount { count, .. })| (limit, count)).collect();
        assert_eq!(left, [(Limit::Executions, 1), (Limit::Budget, 0)]);
    }

    #[test]
    fn if_rate_and_budget_are_spent_the_caller_waits_for_the_one_that_takes_longer() {
        let mut billing = Billing::new();
        billing.limits.budget = NonZeroU32::new(2);
        (0..2).for_each(|_| drop(ready(billing.start().unwrap().about_to_send())));
        let refused = billing.start();
        let Err(StartError::OverLimit(over)) = refused else { panic!("{refused:?}") };
        assert_eq!(over, OverLimit { limit: Limit::Budget, retry_after: 23 * 3600 + 1800 });
        // A quarter past eleven in the evening.
        billing.now.wall += Duration::from_secs(22 * 3600 + 45 * 60);
        let refused = billing.start();
        let Err(StartError::OverLimit(over)) = refused else { panic!("{refused:?}") };
        assert_eq!(over, OverLimit { limit: Limit::Budget, retry_after: 45 * 60 }, "the rate takes half an hour");
        billing.now.wall += Duration::from_secs(30 * 60);
        let refused = billing.start();
        let Err(StartError::OverLimit(over)) = refused else { panic!("{refused:?}") };
        assert_eq!(over, OverLimit { limit: Limit::Executions, retry_after: 30 * 60 });
    }
}
