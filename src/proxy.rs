//! The life of a request: read this first.
//!
//! `handle` always answers. `prepare` is everything that can still be refused for nothing, and may fail with `?`.
//! `settle` is what may cost money: once begun it is finished, whether the caller stays or not.

pub mod answer;
mod attempt;
pub mod body;
mod claim;
mod credential;
pub mod delivery;
pub mod error;
mod exchange;
pub mod generation;
pub mod guard;
pub mod idempotency;
pub mod limit;
mod listing_check;
mod outgoing;
mod overtime;
mod rate_limit_headers;
pub mod recovery;
pub mod redact;
pub mod rehearsal;
mod resend_check;

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{CONNECTION, EXPECT, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, Version};

use crate::asteroid::answer::{Proof, execution_id};
use crate::asteroid::{operation, start};
use crate::caller::Peer;
use crate::drain::DrainSignal;
use crate::facts::request_id::{self, RequestId};
use crate::facts::{Decision, Facts, Outcome};
use crate::json;
use crate::metrics::Asked;
use crate::record::{Record, Sinks};
use crate::state::{Now, Reply};
use crate::tasks::{Kind, Tasks};
use crate::trace::Trace;
use crate::upstream::Upstream;

use answer::{Body, outcome};
use attempt::{Attempt, Progress};
use claim::ClaimResult;
use credential::ChosenVersion;
use error::{Error, Form};
use exchange::Exchange;
use generation::{Current, Served};
use listing_check::ListingProbe;
use outgoing::Outgoing;
use overtime::Continuation;
use rate_limit_headers::RateLimitHeaders;
use recovery::Lookup;
use resend_check::ResendCheck;

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
    pub async fn handle<B>(&self, current: &Current, peer: Peer, request: Request<B>) -> Response<Body>
    where
        B: hyper::body::Body<Data = Bytes, Error: Into<body::Failure>> + Send + Unpin + 'static,
    {
        let served = current.load();
        let (mut head, mut body) = request.into_parts();
        let mut record = Record::new(Arc::clone(&self.sinks), peer, RequestId::of(&head.headers));
        record.asked = Asked::new(served.listener.scheme, &head.method);
        record.join(Trace::of(self.sinks.tracer.as_ref(), served.listener.scheme, &head));
        let mut response = match self.prepare(&served, &mut head, &mut body, &mut record).await {
            Ok(Prepared::Send(exchange)) => self.tasks.run_to_completion(Kind::Detached, exchange.settle(record)).await,
            Ok(Prepared::Replay(reply, decision)) => replayed(&reply, decision, record),
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
        head: &mut Parts,
        body: &mut B,
        record: &mut Record,
    ) -> Result<Prepared, Error>
    where
        B: hyper::body::Body<Data = Bytes, Error: Into<body::Failure>> + Unpin,
    {
        guard::check(&listener.hosts, head)?;
        let now = Now::read();
        let tenant = listener.tenant.identify(record.facts.peer, &head.headers)?;
        record.facts.tenant = Some(Arc::clone(&tenant.name));
        record.meters = Some(Arc::clone(&tenant.state.meters));
        record.rate_limit_policy.clone_from(&tenant.rate_limit_policy);
        let call = operation::select(&head.method, &head.uri);
        if let Ok(call) = &call {
            record.set_call(call);
        }
        let admitted = tenant.state.admit(&tenant.limits, now, &mut record.facts.remaining).await;
        // A start that a limit refuses is recorded, too.
        let entered = record.enter(&tenant.state.audited, tenant.is_only).await?;
        let permit = admitted.map_err(|error| limit::not_admitted(tenant, error))?;
        // Judged behind the count: who asks for what is not there asks, too.
        let call = call?;
        tenant.credential.check_usable()?;
        let key = idempotency::key(tenant, &call, &head.headers)?;
        record.facts.idempotency = key.as_ref().map(|key| key.digest);
        body::check_media_type(&head.headers)?;
        record.memory = Some(body::charge(tenant, head)?);
        let (hold, read) = (body::hold(tenant)?, &mut record.facts.bytes_in);
        let body = body::collect(body, head.version, hold, snapshot.body_limit, snapshot.body_timeout, read).await?;
        let keyed = key.map(|key| key.with(&body));
        let changes = start::validate(&body, &idempotency::tags(tenant, keyed), tenant.on_conflict)?;
        let Record { facts: Facts { request_id, lookup: outcome, remaining, .. }, trace, .. } = &mut *record;
        let (upstream, caller) = (&self.upstream, &head.headers);
        let lookup = Lookup { upstream, snapshot, tenant, permit: &permit, request_id, trace, caller };
        // Read again, as the body may have taken long to arrive.
        let now = Now::read();
        let start = match claim::claim(keyed, &lookup, now, outcome, remaining).await? {
            ClaimResult::Send(start) => start,
            ClaimResult::Replay(reply) => return Ok(Prepared::Replay(reply, Decision::Replayed)),
            ClaimResult::Recovered(reply) => return Ok(Prepared::Replay(reply, Decision::Recovered)),
        };
        let payload = json::splice(&body, changes)?;
        let resend_check = ResendCheck::new(snapshot, tenant, keyed, head, record);
        let form = Form::of(&head.headers);
        let headers = std::mem::take(&mut head.headers);
        let outgoing = Outgoing::for_call(snapshot, &call, head, headers, record.facts.request_id.clone(), payload)?;
        let credential = ChosenVersion::first(&tenant.credential)?;
        record.facts.fingerprint = Some(credential.fingerprint());
        record.facts.credential = Some(Arc::clone(&tenant.credential.name));
        let continuation = start.claim.is_some().then(|| Continuation::new(self, tenant));
        let attempt = Attempt {
            upstream: Arc::clone(&self.upstream),
            outgoing,
            timeout: snapshot.response_timeout,
            credential,
            permit,
            trace: record.trace.clone(),
            resend_check,
            progress: Progress::new(continuation.is_some()),
            _entered: entered,
        };
        let listing_probe =
            keyed.and_then(|keyed| ListingProbe::of(self, snapshot, tenant, keyed.digest, now.monotonic));
        Ok(Prepared::Send(Exchange { attempt, start, continuation, listing_probe, form }))
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
        record.facts.decision = Decision::Refused;
        let has_rest = body::has_rest(&body);
        // Who waits for 100 Continue has not sent the body, and reading it would ask for it.
        if has_rest && !head.headers.contains_key(EXPECT) {
            self.tasks.spawn(Kind::Discard, body::discard(body));
        }
        let has_room = body::make_room(&served.snapshot, head, &mut record);
        let response = failed(error, Form::of(&head.headers), has_rest || error.ends_connection(), record);
        if has_room { response } else { response.map(Body::without_content) }
    }
}

/// What a request comes to that nothing speaks against.
#[expect(clippy::large_enum_variant, reason = "nearly every request is the large one: a box would cost each of them")]
enum Prepared {
    Send(Exchange),
    Replay(Arc<Reply>, Decision),
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
fn replayed(reply: &Reply, decision: Decision, mut record: Box<Record>) -> Response<Body> {
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
