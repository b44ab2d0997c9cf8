//! A start on its way: sent, answered, and settled by what its answer proves.

use std::sync::Arc;
use std::time::Instant;

use hyper::Response;

use crate::asteroid::answer::Proof;
use crate::facts::{Decision, Outcome};
use crate::proxy::error::{Error, Form};
use crate::record::Record;
use crate::state::{IdempotencyOutcome, Limit, ReservedStart, StartInFlight};

use super::answer::Body;
use super::attempt::Attempt;
use super::listing_check::ListingProbe;
use super::overtime::{Continuation, PendingAnswer};

use super::{failed, idempotency, passed_on};

/// A request that is ready to be sent, and what it is sent with.
pub(super) struct Exchange {
    pub(super) attempt: Attempt,
    pub(super) start: ReservedStart,
    /// What awaits its answer after the time-out, if it has a key.
    pub(super) continuation: Option<Continuation>,
    /// The probe of the listing that it serves as, if one is due.
    pub(super) listing_probe: Option<Box<ListingProbe>>,
    pub(super) form: Form,
}

impl Exchange {
    /// Sends the start and returns the answer for its caller. Budget and key are settled then.
    pub(super) async fn settle(self, mut record: Box<Record>) -> Response<Body> {
        // Stands in the record if nothing else gets to be written there.
        record.facts.outcome = Outcome::Unknown;
        record.facts.idempotency_outcome = self.start.claim.as_ref().map(|_| IdempotencyOutcome::Unknown);
        record.facts.decision = Decision::Sent;
        let Exchange { attempt, start, continuation, listing_probe, form } = self;
        let start = match start.about_to_send().await {
            Ok(start) => start,
            Err(unavailable) => return failed(&unavailable.into(), form, false, record),
        };
        let (progress, timeout) = (Arc::clone(&attempt.progress), attempt.timeout);
        let mut answer: PendingAnswer = Box::pin(attempt.send());
        let ended = tokio::select! {
            biased;
            ended = &mut answer => Some(ended),
            () = progress.overdue() => None,
        };
        record.facts.fingerprint = progress.second_version.get().copied().or(record.facts.fingerprint);
        record.facts.lookup = progress.lookup.get().copied().or(record.facts.lookup);
        let Some(ended) = ended else {
            let error = Error::UpstreamTimeout(timeout);
            record.trace.ended(Some(error.slug()));
            record.facts.idempotency_outcome =
                continuation.map(|continuation| continuation.wait_in_background(answer, start, &mut record));
            return failed(&error, form, false, record);
        };
        let proof = proof(&ended);
        let now = Instant::now();
        record.facts.idempotency_outcome = settle(start, proof, ended.as_ref().ok(), now).await;
        match proof {
            Proof::NotStarted => record.facts.remaining.give_back(Limit::Budget),
            Proof::Started(_) => listing_probe.into_iter().for_each(|probe| probe.begin(now)),
            Proof::Inconclusive => {}
        }
        match ended {
            Ok(response) => passed_on(response, proof, record),
            Err(error) => failed(&error, form, false, record),
        }
    }
}

/// Returns what the end of an exchange proves.
pub(super) fn proof(ended: &Result<Response<Body>, Error>) -> Proof {
    match ended {
        Ok(response) => Proof::of(response.status(), response.headers(), response.body().whole_bytes()),
        Err(error) if error.outcome() == Outcome::NotStarted => Proof::NotStarted,
        Err(_) => Proof::Inconclusive,
    }
}

/// Settles budget and key of a start. Returns what became of the key, if the start has one.
///
/// If nothing was started, the budget is as it was before and the key is free. Otherwise the budget stays spent. The next start
/// with the key gets the same answer, if that names the execution.
pub(super) async fn settle(
    start: StartInFlight,
    proof: Proof,
    answer: Option<&Response<Body>>,
    now: Instant,
) -> Option<IdempotencyOutcome> {
    match (proof, answer) {
        (Proof::NotStarted, _) => start.not_started().await,
        (Proof::Started(_), Some(answer)) => start.answered(|| idempotency::reply(answer), now).await,
        (Proof::Started(_) | Proof::Inconclusive, _) => start.unknown(now).await,
    }
}
