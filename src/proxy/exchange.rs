//! The exchange with the upstream: a start is sent, and settled by what its answer proves.

use std::sync::Arc;
use std::time::Instant;

use hyper::{HeaderMap, Request, Response, Uri};

use crate::asteroid::answer::Proof;
use crate::facts::{AuditDecision, Outcome};
use crate::proxy::error::{Error, ErrorFormat};
use crate::record::Record;
use crate::state::{IdempotencyOutcome, Limit, ReservedStart};
use crate::transport;

use super::Proxy;
use super::admission::Admission;
use super::answer::AnswerBody;
use super::attempt::{Attempt, Progress};
use super::credential::ChosenVersion;
use super::late_answer::{Continuation, PendingAnswer};
use super::listing_check::ListingProbe;
use super::outgoing::Outgoing;
use super::resend_check::ResendCheck;
use super::respond::{fail, pass_on};
use super::settlement::{proof, settle};
use super::start::PreparedStart;

/// A start that is ready to be sent.
pub(super) struct Exchange {
    attempt: Attempt,
    start: ReservedStart,
    /// Awaits its answer after the time-out, if it has an idempotency key.
    continuation: Option<Continuation>,
    /// Looks it up in the upstream's listing once it is answered, if a check is due.
    listing_probe: Option<Box<ListingProbe>>,
    format: ErrorFormat,
}

impl Exchange {
    /// Creates the exchange of a start that its caller sent to this target, with these headers.
    ///
    /// # Errors
    ///
    /// Those of [`Outgoing::for_call`], and [`Error::NoKey`] if the last version of the credential has expired meanwhile.
    pub(super) fn new(
        proxy: &Proxy,
        Admission { generation, tenant, call, permit, audited }: Admission<'_>,
        PreparedStart { reserved, keyed, payload, now }: PreparedStart,
        target: &Uri,
        headers: HeaderMap,
        record: &mut Record,
    ) -> Result<Exchange, Error> {
        let format = ErrorFormat::of(&headers);
        let resend_check = ResendCheck::new(generation, tenant, keyed, &headers, record);
        let outgoing =
            Outgoing::for_call(generation, &call, target, headers, record.facts.request_id.clone(), payload)?;
        let credential = ChosenVersion::first(&tenant.credential)?;
        record.facts.fingerprint = Some(credential.fingerprint());
        record.facts.credential = Some(Arc::clone(&tenant.credential.name));
        let continuation = reserved.claim.is_some().then(|| Continuation::new(proxy, tenant));
        let attempt = Attempt {
            upstream: Arc::clone(&proxy.upstream),
            outgoing,
            timeout: generation.response_timeout,
            credential,
            permit,
            trace: record.trace.clone(),
            resend_check,
            progress: Progress::new(continuation.is_some()),
            _audited: audited,
        };
        let listing_probe =
            keyed.and_then(|keyed| ListingProbe::if_due(proxy, generation, tenant, keyed.digest, now.monotonic));
        Ok(Exchange { attempt, start: reserved, continuation, listing_probe, format })
    }

    /// Returns the request that would be sent.
    pub(super) fn request(&self) -> Request<transport::body::Body> {
        self.attempt.request()
    }

    /// Sends the start, settles its budget and its idempotency key, and returns the answer for its caller.
    pub(super) async fn settle(self, mut record: Box<Record>) -> Response<AnswerBody> {
        // Recorded if this future is dropped before the outcome is known.
        record.facts.outcome = Outcome::Unknown;
        record.facts.idempotency_outcome = self.start.claim.as_ref().map(|_| IdempotencyOutcome::Unknown);
        record.facts.decision = AuditDecision::Sent;
        let Exchange { attempt, start, continuation, listing_probe, format } = self;
        let start = match start.about_to_send().await {
            Ok(start) => start,
            Err(unavailable) => return fail(&unavailable.into(), format, false, record),
        };
        let (progress, timeout, effect) = (Arc::clone(&attempt.progress), attempt.timeout, attempt.rules().effect);
        let mut answer: PendingAnswer = Box::pin(attempt.send());
        let ended = tokio::select! {
            biased;
            ended = &mut answer => Some(ended),
            () = progress.overdue() => None,
        };
        record.facts.fingerprint = progress.second_version.get().copied().or(record.facts.fingerprint);
        record.facts.lookup = progress.lookup.get().copied().or(record.facts.lookup);
        let Some(ended) = ended else {
            let error = Error::UpstreamTimeout(timeout, effect);
            record.trace.ended(Some(error.code().as_str()));
            record.facts.idempotency_outcome =
                continuation.map(|continuation| continuation.wait_in_background(answer, start, &mut record));
            return fail(&error, format, false, record);
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
            Ok(response) => pass_on(response, proof, record),
            Err(error) => fail(&error, format, false, record),
        }
    }
}
