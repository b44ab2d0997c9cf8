//! Waits for an answer after its time-out.
//!
//! The caller of a start with an idempotency key has been told that the outcome is unknown. An answer that still comes settles
//! the idempotency key.

use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Response;

use crate::drain::DrainSignal;
use crate::event;
use crate::facts::Outcome;
use crate::proxy::error::Error;
use crate::record::Record;
use crate::state::{IdempotencyOutcome, InFlightCount, OwnedExecutions, StartInFlight};
use crate::tasks::{TaskKind, Tasks};
use crate::tenant::Tenant;

use super::Proxy;
use super::answer::AnswerBody;
use super::settlement::{proof, settle};

/// How long an answer is awaited after its time-out.
pub(super) const GRACE_PERIOD: Duration = Duration::from_secs(120);

/// How many answers are awaited at once for a tenant without a limit of `in_flight`.
const DEFAULT_LIMIT: u32 = 32;

/// The future answer to a start that was sent.
pub(super) type PendingAnswer = Pin<Box<dyn Future<Output = Result<Response<AnswerBody>, Error>> + Send>>;

/// What is needed to await an answer after its time-out.
pub(super) struct Continuation {
    tasks: Tasks,
    draining: DrainSignal,
    overdue: Arc<InFlightCount>,
    owned: Arc<OwnedExecutions>,
    limit: Option<NonZeroU32>,
}

impl Continuation {
    /// Creates the continuation of a tenant's start. At most half of the tenant's `in_flight` may be awaited at once.
    pub(super) fn new(proxy: &Proxy, tenant: &Tenant) -> Continuation {
        Continuation {
            tasks: proxy.tasks.clone(),
            draining: proxy.draining.clone(),
            overdue: Arc::clone(&tenant.state.overdue),
            owned: Arc::clone(&tenant.owned),
            limit: limit(tenant.limits.in_flight),
        }
    }

    /// Awaits the answer in the background, if the tenant's limit allows that and no drain is under way. Returns the
    /// outcome of the idempotency key.
    ///
    /// A drain does not wait for the answer, as the caller already has one. It ends the wait, and the outcome stays unknown.
    pub(super) fn wait_in_background(
        self,
        answer: PendingAnswer,
        start: StartInFlight,
        record: &mut Record,
    ) -> IdempotencyOutcome {
        let Continuation { tasks, mut draining, overdue, owned, limit } = self;
        let limit = limit.filter(|_| !draining.is_closing());
        let Some((overdue, _)) = limit.and_then(|limit| overdue.enter(Some(limit))) else {
            return IdempotencyOutcome::Unknown;
        };
        let (request_id, tenant) = (record.facts.request_id.clone(), record.facts.tenant.clone());
        let (digest, meters, operation) = (record.facts.idempotency, record.meters.clone(), record.facts.operation);
        // The request that was sent occupies this memory until its answer comes.
        let memory = record.memory.take();
        tasks.spawn(TaskKind::Detached, async move {
            let _held = (overdue, memory);
            let ended = tokio::select! {
                biased;
                ended = answer => ended,
                () = draining.closing() => {
                    tracing::warn!(
                        event = event::START_ABANDONED,
                        request_id = request_id.as_str(),
                        tenant = tenant.as_deref(),
                        outcome = Outcome::Unknown.code(),
                        idempotency_digest = digest.map(tracing::field::display),
                        idempotency_outcome = IdempotencyOutcome::Unknown.code(),
                        "the drain aborted a start whose caller had been told of the time-out"
                    );
                    return;
                }
            };
            let proof = proof(&ended);
            let idempotency_outcome = settle(start, proof, ended.as_ref().ok(), Instant::now()).await;
            if let Some(id) = proof.execution() {
                owned.insert(id);
                if let (Some(meters), Some(operation)) = (meters, operation) {
                    meters.count_execution(operation);
                }
            }
            tracing::info!(
                event = event::START_COMPLETED_LATE,
                request_id = request_id.as_str(),
                tenant = tenant.as_deref(),
                outcome = Outcome::of(proof).code(),
                idempotency_digest = digest.map(tracing::field::display),
                idempotency_outcome = idempotency_outcome.map(IdempotencyOutcome::code),
                execution_id = proof.execution().map(tracing::field::display),
                status = ended.as_ref().ok().map(|answer| answer.status().as_u16()),
                error = ended.as_ref().err().map(|error| error.code().as_str()),
                "a start completed after its caller had been told of the time-out"
            );
        });
        IdempotencyOutcome::InFlight
    }
}

/// Returns how many answers may be awaited so at once for a tenant with this limit of `in_flight`: half of it.
fn limit(in_flight: Option<NonZeroU32>) -> Option<NonZeroU32> {
    NonZeroU32::new(in_flight.map_or(DEFAULT_LIMIT, |limit| limit.get() / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_limit_of_a_tenant_32_of_its_starts_are_read_on_and_else_half() {
        let of = |in_flight: Option<u32>| limit(in_flight.and_then(NonZeroU32::new)).map(NonZeroU32::get);
        assert_eq!([of(None), of(Some(1)), of(Some(5)), of(Some(1000))], [Some(32), None, Some(2), Some(500)]);
    }
}
