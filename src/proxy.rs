//! The life of a request: read this first.
//!
//! - `handle` always answers.
//! - `prepare` runs every stage that can refuse a request at no cost.
//! - `settle` sends a start, which may cost money. Once begun, it runs to its end even if the caller leaves.

mod access;
mod admission;
pub mod answer;
mod attempt;
pub mod charged_body;
mod claim;
mod credential;
pub mod delivery;
pub mod dry_run;
pub mod error;
mod exchange;
pub mod generation;
pub mod guard;
pub mod idempotency;
mod inquiry;
mod judgement;
mod late_answer;
pub mod limit;
mod listing_check;
mod outgoing;
mod ownership;
pub mod payload;
mod query;
mod rate_limit_headers;
pub mod recovery;
pub mod redact;
mod resend_check;
mod respond;
mod retry_after;
mod self_description;
mod settlement;
mod staging;
mod start;
mod upload;

use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{CONNECTION, EXPECT, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response};

use crate::asteroid::operation::{self, Effect};
use crate::caller::Caller;
use crate::drain::DrainSignal;
use crate::facts::AuditDecision;
use crate::facts::request_id::RequestId;
use crate::metrics::RequestLabels;
use crate::record::{Record, Sinks};
use crate::state::Reply;
use crate::tasks::{TaskKind, Tasks};
use crate::trace::Trace;
use crate::upstream::Upstream;

use admission::Admission;
use answer::AnswerBody;
use error::{Error, ErrorFormat};
use exchange::{CheckedRequest, Exchange};
use generation::{ActiveGeneration, Generation, ListenerGeneration};
use inquiry::Inquiry;
use outgoing::Payload;
use payload::Received;
use start::StartDecision;

/// One worker's proxy.
#[derive(Debug)]
pub struct Proxy {
    /// This worker's connections to the upstream.
    pub upstream: Arc<Upstream>,
    /// Runs an exchange to its end if its caller leaves.
    pub tasks: Tasks,
    /// Whether the process drains. Callers are then told to close their connections.
    pub draining: DrainSignal,
    /// The sinks that records are written to.
    pub sinks: Arc<Sinks>,
}

impl Proxy {
    /// Answers one request.
    pub async fn handle<B>(
        &self,
        active: &ActiveGeneration,
        caller: &Caller,
        request: Request<B>,
    ) -> Response<AnswerBody>
    where
        B: hyper::body::Body<Data = Bytes, Error: Into<payload::ReadError>> + Send + Unpin + 'static,
    {
        let current = active.load();
        let (mut head, body) = request.into_parts();
        let mut body = Some(body);
        let mut record = Record::new(Arc::clone(&self.sinks), caller.peer, RequestId::of(&head.headers));
        record.labels = RequestLabels::new(caller.scheme, &head.method);
        record.facts.set_target(&head.method, head.uri.path());
        record.join(Trace::of(self.sinks.tracer.as_ref(), caller.scheme, &head));
        let mut response = match self.prepare(&current, caller, &mut head, &mut body, &mut record).await {
            Ok(Decision::Forward(exchange)) if exchange.must_complete() => {
                self.tasks.run_to_completion(TaskKind::Detached, exchange.settle(record)).await
            }
            // A read ends with its caller.
            Ok(Decision::Forward(exchange)) => Box::pin(exchange.settle(record)).await,
            Ok(Decision::Replay(reply, decision)) => respond::replay(&reply, decision, record),
            Ok(Decision::Describe(description)) => respond::describe(description, record),
            Err(error) => self.refuse(&error, &current.generation, &head, body, record),
        };
        answer::omit_content(&head.method, &mut response);
        if self.draining.is_draining() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// Runs every stage before a request is sent, and returns the decision about it. Nothing of the caller's has been sent then;
    /// look-ups may have been.
    async fn prepare<B>(
        &self,
        ListenerGeneration { listener, generation }: &ListenerGeneration,
        caller: &Caller,
        head: &mut Parts,
        body: &mut Option<B>,
        record: &mut Record,
    ) -> Result<Decision, Error>
    where
        B: hyper::body::Body<Data = Bytes, Error: Into<payload::ReadError>> + Send + Unpin + 'static,
    {
        guard::check(&listener.hosts, head)?;
        let tenant = listener.identify(caller, &head.headers)?;
        record.set_tenant(&tenant.name, &tenant.state.meters, tenant.rate_limit_policy.as_ref());
        if self_description::is_requested(&head.uri) {
            return self_description::answer(tenant, generation, head, body, record).await.map(Decision::Describe);
        }
        let call = operation::select(&head.method, &head.uri).inspect(|call| record.set_call(call));
        let admitted = limit::admit(tenant, call.as_ref().ok(), &mut record.facts).await;
        let (selected, share) = (call.as_ref().ok(), &tenant.state.audited);
        let audited = record.reserve_audit_slot(selected, &admitted, share, tenant.is_only).await?;
        // A request for an unknown operation counts against the limits, too.
        let (permit, call) = (admitted?, call?);
        access::check(tenant, generation, &call, head.uri.path())?;
        tenant.credential.check_usable()?;
        let idempotency_key = idempotency::read_header(tenant, &call, &head.headers)?;
        record.facts.idempotency = idempotency_key.as_ref().map(|key| key.digest);
        let query = query::check(&call, tenant, generation)?;
        let received = payload::receive(call.rules().body, tenant, generation, head, body, record).await?;
        let admission = Admission { generation, tenant, call, permit, audited };
        let inquiry = Inquiry::new(self, &admission, &record.facts.request_id, &record.trace, &head.headers);
        let ownership = ownership::check(&call, &inquiry).await?;
        let payload = match received {
            Received::Body(body) if call.rules().effect == Effect::Start => {
                return match start::prepare(self, &admission, idempotency_key, &body, &head.headers, record).await? {
                    StartDecision::Replay(reply, how) => Ok(Decision::Replay(reply, how)),
                    StartDecision::Send(start) => {
                        let request =
                            CheckedRequest { target: &head.uri, headers: mem::take(&mut head.headers), query };
                        Ok(Decision::Forward(Exchange::of_start(self, admission, start, request, record)?))
                    }
                };
            }
            Received::Body(body) => Payload::Pieces(body.into()),
            // Boxed, as few requests need it and its future would make every request larger.
            Received::Upload(boundary) => {
                let read = &mut record.facts.bytes_in;
                let upload = upload::begin(body, boundary, generation, head.version, &self.tasks, read);
                Payload::Upload(Box::pin(upload).await?)
            }
        };
        let request = CheckedRequest { target: &head.uri, headers: mem::take(&mut head.headers), query };
        Ok(Decision::Forward(Exchange::of_call(self, admission, ownership, payload, request, record)?))
    }

    /// Answers with an error before anything was sent. The rest of the body is read in the background.
    fn refuse<B>(
        &self,
        error: &Error,
        generation: &Generation,
        head: &Parts,
        body: Option<B>,
        mut record: Box<Record>,
    ) -> Response<AnswerBody>
    where
        B: hyper::body::Body<Data = Bytes> + Send + Unpin + 'static,
    {
        record.facts.decision = AuditDecision::Refused;
        // An upload that was begun is discarded where it is read.
        let rest = body.filter(|body| payload::has_rest(body));
        let has_rest = rest.is_some();
        // A caller waiting for `100 Continue` has not sent its body, and reading it would ask for it.
        if let Some(rest) = rest.filter(|_| !head.headers.contains_key(EXPECT)) {
            self.tasks.spawn(TaskKind::Discard, payload::discard(rest));
        }
        let has_memory = payload::charge_refusal(generation, head, &mut record);
        let response =
            respond::fail(error, ErrorFormat::of(&head.headers), has_rest || error.ends_connection(), record);
        if has_memory { response } else { response.map(AnswerBody::without_content) }
    }
}

/// The decision about a request that is not refused.
#[expect(clippy::large_enum_variant, reason = "nearly every request is the large one: a box would cost each of them")]
enum Decision {
    /// It is sent to the upstream.
    Forward(Exchange),
    /// It is answered as an earlier one with the same idempotency key was.
    Replay(Arc<Reply>, AuditDecision),
    /// It is answered with this description of the gateway.
    Describe(Bytes),
}
