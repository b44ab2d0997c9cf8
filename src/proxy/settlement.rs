//! Settles a start by what its end proves.

use std::time::Instant;

use hyper::Response;

use crate::asteroid::answer::Proof;
use crate::facts::Outcome;
use crate::proxy::error::Error;
use crate::state::{IdempotencyOutcome, StartInFlight};

use super::answer::AnswerBody;
use super::idempotency;

/// Returns what the end of an exchange proves.
pub(super) fn proof(ended: &Result<Response<AnswerBody>, Error>) -> Proof {
    match ended {
        Ok(response) => Proof::of(response.status(), response.headers(), response.body().read_part()),
        Err(error) if error.outcome() == Outcome::NotStarted => Proof::NotStarted,
        Err(_) => Proof::Inconclusive,
    }
}

/// Settles the budget and the idempotency key of a start. Returns the outcome of the idempotency key, if the start has one.
///
/// If nothing was started, the budget is given back and the idempotency key is free again. Otherwise the budget stays spent. The
/// next start with the same idempotency key gets the same answer, if that names the execution.
pub(super) async fn settle(
    start: StartInFlight,
    proof: Proof,
    answer: Option<&Response<AnswerBody>>,
    now: Instant,
) -> Option<IdempotencyOutcome> {
    match (proof, answer) {
        (Proof::NotStarted, _) => start.not_started().await,
        (Proof::Started(_), Some(answer)) => start.answered(|| idempotency::reply(answer), now).await,
        (Proof::Started(_) | Proof::Inconclusive, _) => start.unknown(now).await,
    }
}
