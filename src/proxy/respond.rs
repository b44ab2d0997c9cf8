//! The answer that a caller gets, whatever it comes from: the upstream, an earlier start or the gateway itself.

use bytes::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, Version};

use crate::asteroid::answer::{Proof, execution_id};
use crate::facts::{AuditDecision, Outcome, request_id};
use crate::record::Record;
use crate::state::Reply;

use super::answer::{self, AnswerBody, outcome};
use super::error::{Error, ErrorFormat, FailedRequest};
use super::idempotency;
use super::rate_limit_headers::RateLimitHeaders;

/// Returns the upstream's answer to a start as the caller gets it.
pub(super) fn pass_on_start(
    response: Response<AnswerBody>,
    proof: Proof,
    mut record: Box<Record>,
) -> Response<AnswerBody> {
    record.facts.execution_id = proof.execution().or_else(|| execution_id(response.body().buffered()));
    pass_on(response, Outcome::of(proof), record)
}

/// Returns the upstream's answer as the caller gets it.
pub(super) fn pass_on(
    response: Response<AnswerBody>,
    outcome: Outcome,
    mut record: Box<Record>,
) -> Response<AnswerBody> {
    let (mut head, body) = response.into_parts();
    head.version = Version::HTTP_11;
    answer::strip_hop_headers(&mut head.headers);
    head.headers.remove(idempotency::REPLAYED);
    record.facts.outcome = outcome;
    record.facts.status = head.status.as_u16();
    finish(Response::from_parts(head, body), record)
}

/// Returns the answer that an earlier start with the same idempotency key got.
pub(super) fn replay(reply: &Reply, decision: AuditDecision, mut record: Box<Record>) -> Response<AnswerBody> {
    record.facts.decision = decision;
    record.facts.replayed = true;
    record.facts.status = reply.status.as_u16();
    record.facts.outcome = Outcome::Answered;
    record.facts.execution_id = execution_id(&reply.body);
    finish(idempotency::replay_response(reply), record)
}

/// Returns the gateway's description of itself, which is JSON.
pub(super) fn describe(description: Bytes, mut record: Box<Record>) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::whole(description));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // The allowances change with each request.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    record.facts.status = response.status().as_u16();
    finish(response, record)
}

/// Returns the gateway's own answer to a request that failed. With `close`, it also ends the connection.
pub(super) fn fail(error: &Error, format: ErrorFormat, close: bool, mut record: Box<Record>) -> Response<AnswerBody> {
    let response = error.answer(FailedRequest {
        id: record.facts.request_id.as_str(),
        has_idempotency_key: record.facts.idempotency.is_some(),
        format,
        ends_connection: close,
    });
    // A caller that has left gets no status.
    record.facts.status = if let Error::CallerLeft(_) = error { 0 } else { response.status().as_u16() };
    record.facts.outcome = error.outcome();
    record.facts.error = Some(error.code());
    record.facts.detail = Some(error.logged());
    let mut response = response.map(AnswerBody::whole);
    if let Error::CallerLeft(_) = error {
        // No caller waits for this answer, so its record is written now.
        add_common_headers(&mut response, &record);
        return response;
    }
    finish(response, record)
}

/// Adds the headers that every answer has, and ties the record to its end.
fn finish(mut response: Response<AnswerBody>, record: Box<Record>) -> Response<AnswerBody> {
    add_common_headers(&mut response, &record);
    response.map(|body| body.with_record(record))
}

fn add_common_headers(response: &mut Response<AnswerBody>, record: &Record) {
    response.headers_mut().insert(request_id::NAME, record.facts.request_id.header_value());
    let limits = RateLimitHeaders { policy: record.rate_limit_policy.as_ref(), remaining: &record.facts.remaining };
    limits.write_to(response.headers_mut());
    outcome::mark(record.facts.outcome, response.headers_mut());
}
