//! A start on its way: sent, answered, and settled by what its answer proves.

use std::sync::Arc;
use std::time::Instant;

use hyper::Response;

use crate::asteroid::answer::Proof;
use crate::facts::{Decision, Outcome};
use crate::proxy::error::{Error, Form};
use crate::record::Record;
use crate::state::{Limit, ReservedStart, StartInFlight};

use super::answer::Body;
use super::attempt::Attempt;
use super::listing_check::ListingProbe;
use super::overtime::{Continuation, Rest};
use super::{failed, idempotency, passed_on};

/// A request that is ready to be sent, and what it is sent with.
pub(super) struct Exchange {
    pub(super) attempt: Attempt,
    pub(super) start: ReservedStart,
    /// How its answer is read after the time-out, if it has a key.
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
        record.facts.key = self.start.claim.as_ref().map(|_| "unknown");
        record.facts.decision = Decision::Sent;
        let Exchange { attempt, start, continuation, listing_probe, form } = self;
        let start = match start.about_to_send().await {
            Ok(start) => start,
            Err(unavailable) => return failed(&unavailable.into(), form, false, record),
        };
        let (progress, timeout) = (Arc::clone(&attempt.progress), attempt.timeout);
        let mut rest: Rest = Box::pin(attempt.send());
        let ended = tokio::select! {
            biased;
            ended = &mut rest => Some(ended),
            () = progress.overdue() => None,
        };
        record.facts.fingerprint = progress.second_version.get().copied().or(record.facts.fingerprint);
        record.facts.looked_up = progress.looked_up.get().copied().or(record.facts.looked_up);
        let Some(ended) = ended else {
            let error = Error::UpstreamTimeout(timeout);
            record.trace.ended(Some(error.slug()));
            record.facts.key = continuation.map(|continuation| continuation.read_on(rest, start, &mut record));
            return failed(&error, form, false, record);
        };
        let proof = proof(&ended);
        let now = Instant::now();
        record.facts.key = settle(start, proof, ended.as_ref().ok(), now).await;
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

/// Settles budget and key of a start. Returns what became of the key, as the log calls it.
///
/// If nothing was started, the budget is as it was before and the key is free. Otherwise the budget stays spent. The next start
/// with the key gets the same answer, if that names the execution.
pub(super) async fn settle(
    start: StartInFlight,
    proof: Proof,
    answer: Option<&Response<Body>>,
    now: Instant,
) -> Option<&'static str> {
    let has_key = start.has_key();
    let key = match (proof, answer) {
        (Proof::NotStarted, _) => {
            start.not_started().await;
            "free"
        }
        (Proof::Started(_), Some(answer)) => {
            start.answered(|| idempotency::reply(answer), now).await;
            "answered"
        }
        (Proof::Started(_) | Proof::Inconclusive, _) => {
            start.unknown(now).await;
            "unknown"
        }
    };
    has_key.then_some(key)
}
