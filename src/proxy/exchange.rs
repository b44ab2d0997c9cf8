//! The exchange with the upstream: a request is sent, and settled by what its answer proves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::header::{CONNECTION, HeaderValue};
use hyper::{HeaderMap, Request, Response, Uri};

use crate::asteroid::answer::Proof;
use crate::asteroid::operation::Effect;
use crate::facts::{AuditDecision, Outcome};
use crate::proxy::error::{Error, ErrorFormat};
use crate::record::Record;
use crate::state::{IdempotencyOutcome, Limit, ReservedStart};
use crate::tenant::Tenant;
use crate::transport;

use super::Proxy;
use super::admission::Admission;
use super::answer::{AnswerBody, Beginning};
use super::attempt::{Attempt, Progress};
use super::credential::ChosenVersion;
use super::idempotency::IdempotencyDigests;
use super::judgement::Judge;
use super::late_answer::{Continuation, PendingAnswer};
use super::listing_check::ListingProbe;
use super::outgoing::{Outgoing, Payload};
use super::ownership::Ownership;
use super::query::Query;
use super::resend_check::ResendCheck;
use super::respond::{fail, pass_on, pass_on_start};
use super::settlement::{proof, settle};
use super::staging::Staging;
use super::start::PreparedStart;

/// A request that is ready to be sent.
pub(super) struct Exchange {
    attempt: Attempt,
    /// Present if it is a start.
    start: Option<StartExchange>,
    /// Present if it uploads files for a start.
    staging: Option<Staging>,
    format: ErrorFormat,
}

/// The parts that only a start has.
struct StartExchange {
    start: ReservedStart,
    tenant: Arc<Tenant>,
    /// Awaits its answer after the time-out, if it has an idempotency key.
    continuation: Option<Continuation>,
    /// Looks it up in the upstream's listing once it is answered, if a check is due.
    listing_probe: Option<Box<ListingProbe>>,
}

/// A request as its caller sent it, after every check.
pub(super) struct CheckedRequest<'a> {
    /// Its target, as sent.
    pub(super) target: &'a Uri,
    /// Its headers, as sent.
    pub(super) headers: HeaderMap,
    /// The query and the time that it is sent with.
    pub(super) query: Query,
}

impl Exchange {
    /// Creates the exchange of a start.
    ///
    /// # Errors
    ///
    /// Those of [`Outgoing::for_call`], and [`Error::NoKey`] if the last version of the credential has expired meanwhile.
    pub(super) fn of_start(
        proxy: &Proxy,
        admission: Admission<'_>,
        PreparedStart { reserved, keyed, payload, now }: PreparedStart,
        request: CheckedRequest<'_>,
        record: &mut Record,
    ) -> Result<Exchange, Error> {
        let (generation, tenant) = (admission.generation, Arc::clone(admission.tenant));
        let format = ErrorFormat::of(&request.headers);
        let resend_check = ResendCheck::new(generation, &tenant, keyed, &request.headers, record);
        let continuation = reserved.claim.is_some().then(|| Continuation::new(proxy, &tenant));
        let listing_probe = keyed
            .filter(IdempotencyDigests::is_tagged)
            .and_then(|keyed| ListingProbe::if_due(proxy, generation, &tenant, keyed.digest, now.monotonic));
        let progress = Progress::new(continuation.is_some());
        let attempt =
            Attempt { resend_check, progress, ..attempt(proxy, admission, request, Payload::Pieces(payload), record)? };
        let start = StartExchange { start: reserved, tenant, continuation, listing_probe };
        Ok(Exchange { attempt, start: Some(start), staging: None, format })
    }

    /// Creates the exchange of a read or a change, with this body. An upload is ended with the exchange.
    ///
    /// # Errors
    ///
    /// As [`Exchange::of_start`].
    pub(super) fn of_call(
        proxy: &Proxy,
        admission: Admission<'_>,
        ownership: Ownership,
        payload: Payload,
        request: CheckedRequest<'_>,
        record: &mut Record,
    ) -> Result<Exchange, Error> {
        let format = ErrorFormat::of(&request.headers);
        let staging = Staging::of(&admission);
        let judge = Judge::new(proxy, &admission, ownership, &request.headers, record);
        let attempt = Attempt { judge, ..attempt(proxy, admission, request, payload, record)? };
        Ok(Exchange { attempt, start: None, staging, format })
    }

    /// Returns the request that would be sent.
    pub(super) fn request(&self) -> Option<Request<transport::body::Body>> {
        self.attempt.request()
    }

    /// Returns whether it must run to its end, also if its caller leaves.
    pub(super) fn must_complete(&self) -> bool {
        match self.attempt.rules().effect {
            Effect::Read => false,
            Effect::Change | Effect::Start => true,
        }
    }

    /// Sends the request, settles what depends on it, and returns the answer for its caller.
    pub(super) async fn settle(self, record: Box<Record>) -> Response<AnswerBody> {
        let Exchange { attempt, start, staging, format } = self;
        match start {
            Some(start) => start.settle(attempt, format, record).await,
            None => settle_call(attempt, staging, format, record).await,
        }
    }
}

/// Creates the attempt to send a request, without what only some effects need.
fn attempt(
    proxy: &Proxy,
    Admission { generation, tenant, call, permit, audited }: Admission<'_>,
    CheckedRequest { target, headers, query }: CheckedRequest<'_>,
    payload: Payload,
    record: &mut Record,
) -> Result<Attempt, Error> {
    let request_id = record.facts.request_id.clone();
    let outgoing = Outgoing::for_call(generation, &call, target, headers, request_id, query.sent, payload)?;
    let credential = ChosenVersion::first(&tenant.credential)?;
    record.facts.fingerprint = Some(credential.fingerprint());
    record.facts.credential = Some(Arc::clone(&tenant.credential.name));
    Ok(Attempt {
        upstream: Arc::clone(&proxy.upstream),
        tasks: proxy.tasks.clone(),
        outgoing,
        timeout: query.timeout,
        credential,
        permit,
        trace: record.trace.clone(),
        beginning: Beginning::of(call.rules().answer, tenant, generation),
        judge: None,
        resend_check: None,
        progress: Progress::new(false),
        _audited: audited,
    })
}

/// Sends a read or a change, and returns the answer for its caller.
async fn settle_call(
    attempt: Attempt,
    staging: Option<Staging>,
    format: ErrorFormat,
    mut record: Box<Record>,
) -> Response<AnswerBody> {
    let progress = Arc::clone(&attempt.progress);
    let is_read = attempt.rules().effect == Effect::Read;
    if !is_read {
        // Recorded if this future is dropped before the outcome is known.
        record.facts.outcome = Outcome::Unknown;
        record.facts.decision = AuditDecision::Sent;
    }
    let upload = attempt.outgoing.upload().cloned();
    let (ended, is_unread) = attempt.send_call().await;
    record.facts.fingerprint = progress.second_version.get().copied().or(record.facts.fingerprint);
    let uploaded = upload.map(|upload| usize::try_from(upload.bytes_read()).unwrap_or(usize::MAX));
    record.facts.bytes_in = uploaded.unwrap_or(record.facts.bytes_in);
    match ended {
        Ok(response) => {
            staging.iter().for_each(|staging| staging.learn(&response));
            let outcome = if is_read { Outcome::NotStarted } else { Outcome::of_change(response.status()) };
            let mut passed = pass_on(response, outcome, record);
            if is_unread {
                passed.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            passed
        }
        Err(error) => fail(&error, format, is_unread, record),
    }
}

impl StartExchange {
    /// Sends the start, settles its budget and its idempotency key, and returns the answer for its caller.
    async fn settle(self, attempt: Attempt, format: ErrorFormat, mut record: Box<Record>) -> Response<AnswerBody> {
        // Recorded if this future is dropped before the outcome is known.
        record.facts.outcome = Outcome::Unknown;
        record.facts.idempotency_outcome = self.start.claim.as_ref().map(|_| IdempotencyOutcome::Unknown);
        record.facts.decision = AuditDecision::Sent;
        let StartExchange { start, tenant, continuation, listing_probe } = self;
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
            let error = overdue(timeout, effect, &record);
            record.facts.idempotency_outcome =
                continuation.map(|continuation| continuation.wait_in_background(answer, start, &mut record));
            return fail(&error, format, false, record);
        };
        let proof = proof(&ended);
        let now = Instant::now();
        record.facts.idempotency_outcome = settle(start, proof, ended.as_ref().ok(), now).await;
        match proof {
            Proof::NotStarted => record.facts.remaining.give_back(Limit::Budget),
            Proof::Started(id) => {
                tenant.owned.insert(id);
                listing_probe.into_iter().for_each(|probe| probe.begin(now));
            }
            Proof::Inconclusive => {}
        }
        match ended {
            Ok(response) => pass_on_start(response, proof, record),
            Err(error) => fail(&error, format, false, record),
        }
    }
}

/// Ends the trace of a start whose time-out has passed, and returns the error for its caller.
fn overdue(timeout: Duration, effect: Effect, record: &Record) -> Error {
    let error = Error::UpstreamTimeout(timeout, effect);
    record.trace.ended(Some(error.code().as_str()));
    error
}
