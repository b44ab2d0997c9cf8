//! The life of a request: read this first.
//!
//! `handle` always answers. `prepare` is everything that can still be refused for nothing, and may fail with `?`.
//! `settle` is what may cost money: once begun it is finished, whether the caller stays or not.

pub mod answer;
mod attempt;
mod claim;
mod credential;
pub mod delivery;
pub mod dry_run;
pub mod error;
mod exchange;
pub mod generation;
pub mod guard;
pub mod idempotency;
pub mod limit;
mod listing_check;
mod outgoing;
mod overtime;
pub mod payload;
mod rate_limit_headers;
pub mod recovery;
pub mod redact;
mod resend_check;
mod settlement;
mod start;

use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{CONNECTION, EXPECT, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, Version};

use crate::asteroid::answer::{Proof, execution_id};
use crate::asteroid::operation;
use crate::caller::Caller;
use crate::drain::DrainSignal;
use crate::facts::request_id::{self, RequestId};
use crate::facts::{AuditDecision, Outcome};

use crate::metrics::Asked;
use crate::record::{Record, Sinks};
use crate::state::Reply;
use crate::tasks::{Kind, Tasks};
use crate::trace::Trace;
use crate::upstream::Upstream;

use answer::{Body, outcome};

use error::{Error, Form};
use exchange::{Admission, Exchange};
use generation::{Current, Served};

use rate_limit_headers::RateLimitHeaders;

use start::StartDecision;

/// One worker's proxy.
#[derive(Debug)]
pub struct Proxy {
    /// This worker's connections to the upstream.
    pub upstream: Arc<Upstream>,
    /// Where an exchange goes whose caller has left.
    pub tasks: Tasks,
    /// Whether callers are to go elsewhere.
    pub draining: DrainSignal,
    /// Where records go.
    pub sinks: Arc<Sinks>,
}

impl Proxy {
    /// Answers one request.
    pub async fn handle<B>(&self, current: &Current, caller: &Caller, request: Request<B>) -> Response<Body>
    where
        B: hyper::body::Body<Data = Bytes, Error: Into<payload::Failure>> + Send + Unpin + 'static,
    {
        let served = current.load();
        let (mut head, mut body) = request.into_parts();
        let mut record = Record::new(Arc::clone(&self.sinks), caller.peer, RequestId::of(&head.headers));
        record.asked = Asked::new(caller.scheme, &head.method);
        record.join(Trace::of(self.sinks.tracer.as_ref(), caller.scheme, &head));
        let mut response = match self.prepare(&served, caller, &mut head, &mut body, &mut record).await {
            Ok(Decision::Forward(exchange)) => {
                self.tasks.run_to_completion(Kind::Detached, exchange.settle(record)).await
            }
            Ok(Decision::Replay(reply, decision)) => replayed(&reply, decision, record),
            Err(error) => self.refuse(&error, &served, &head, body, record),
        };
        answer::omit_content(&head.method, &mut response);
        if self.draining.is_draining() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn prepare<B>(
        &self,
        Served { listener, snapshot }: &Served,
        caller: &Caller,
        head: &mut Parts,
        body: &mut B,
        record: &mut Record,
    ) -> Result<Decision, Error>
    where
        B: hyper::body::Body<Data = Bytes, Error: Into<payload::Failure>> + Unpin,
    {
        guard::check(&listener.hosts, head)?;
        let tenant = listener.identify(caller, &head.headers)?;
        record.set_tenant(&tenant.name, &tenant.state.meters, tenant.rate_limit_policy.as_ref());
        let call = operation::select(&head.method, &head.uri).inspect(|call| record.set_call(call));
        let admitted = limit::admit(tenant, &mut record.facts).await;
        // A start that a limit refuses is recorded, too.
        let entered = record.enter(&tenant.state.audited, tenant.is_only).await?;
        // A request for an unknown operation counts against the limits, too.
        let (permit, call) = (admitted?, call?);
        tenant.credential.check_usable()?;
        let key = idempotency::key(tenant, &call, &head.headers)?;
        record.facts.idempotency = key.as_ref().map(|key| key.digest);
        let body = payload::read(tenant, snapshot, head, body, record).await?;
        let admission = Admission { snapshot, tenant, call, permit, entered };
        match start::prepare(self, &admission, key, &body, &head.headers, record).await? {
            StartDecision::Replay(reply, how) => Ok(Decision::Replay(reply, how)),
            StartDecision::Send(start) => {
                let headers = mem::take(&mut head.headers);
                Ok(Decision::Forward(Exchange::new(self, admission, start, &head.uri, headers, record)?))
            }
        }
    }

    /// Answers with an error before anything was sent; what is left of the body is read in the background.
    fn refuse<B>(
        &self,
        error: &Error,
        served: &Served,
        head: &Parts,
        body: B,
        mut record: Box<Record>,
    ) -> Response<Body>
    where
        B: hyper::body::Body<Data = Bytes> + Send + Unpin + 'static,
    {
        record.facts.decision = AuditDecision::Refused;
        let has_rest = payload::has_rest(&body);
        // Who waits for 100 Continue has not sent the body, and reading it would ask for it.
        if has_rest && !head.headers.contains_key(EXPECT) {
            self.tasks.spawn(Kind::Discard, payload::discard(body));
        }
        let has_room = payload::make_room(&served.snapshot, head, &mut record);
        let response = failed(error, Form::of(&head.headers), has_rest || error.ends_connection(), record);
        if has_room { response } else { response.map(Body::without_content) }
    }
}

/// The decision about a request that is not refused.
#[expect(clippy::large_enum_variant, reason = "nearly every request is the large one: a box would cost each of them")]
enum Decision {
    /// It is sent to the upstream.
    Forward(Exchange),
    /// It is answered as an earlier one with the same key was.
    Replay(Arc<Reply>, AuditDecision),
}

/// The upstream's answer as the caller gets it.
fn passed_on(response: Response<Body>, proof: Proof, mut record: Box<Record>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    head.version = Version::HTTP_11;
    answer::end_to_end(&mut head.headers);
    head.headers.remove(idempotency::REPLAYED);
    let execution = proof.execution().or_else(|| execution_id(body.buffered()));
    record.facts.outcome = Outcome::of(proof);
    record.facts.execution_id = execution.map(|id| id.to_string());
    record.facts.status = head.status.as_u16();
    closing(Response::from_parts(head, body), record)
}

/// The answer of an earlier start with the same key.
fn replayed(reply: &Reply, decision: AuditDecision, mut record: Box<Record>) -> Response<Body> {
    record.facts.decision = decision;
    record.facts.replayed = true;
    record.facts.status = reply.status.as_u16();
    record.facts.outcome = Outcome::Answered;
    record.facts.execution_id = execution_id(&reply.body).map(|id| id.to_string());
    closing(idempotency::replayed(reply), record)
}

/// The gateway's own answer.
fn failed(error: &Error, form: Form, close: bool, mut record: Box<Record>) -> Response<Body> {
    let response = error.answer(record.facts.request_id.as_str(), form, close);
    // A caller that has left gets no status.
    record.facts.status = if let Error::CallerLeft(_) = error { 0 } else { response.status().as_u16() };
    record.facts.outcome = error.outcome();
    record.facts.error = Some(error.slug());
    record.facts.detail = Some(error.logged());
    let mut response = response.map(Body::whole);
    if let Error::CallerLeft(_) = error {
        // No caller waits for this answer, so its record is written now.
        add_common_headers(&mut response, &record);
        return response;
    }
    closing(response, record)
}

/// Adds the headers that every answer has, and ties the record to its end.
fn closing(mut response: Response<Body>, record: Box<Record>) -> Response<Body> {
    add_common_headers(&mut response, &record);
    response.map(|body| body.closing(record))
}

fn add_common_headers(response: &mut Response<Body>, record: &Record) {
    response.headers_mut().insert(request_id::NAME, record.facts.request_id.header_value());
    let limits = RateLimitHeaders { policy: record.rate_limit_policy.as_ref(), remaining: &record.facts.remaining };
    limits.write_to(response.headers_mut());
    outcome::tell(record.facts.outcome, response.headers_mut());
}
