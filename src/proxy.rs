//! The life of a request: read this first.
//!
//! `handle` always answers. `prepare` is everything that can still be refused for nothing, and may fail with `?`.
//! `settle` is what may cost money: once begun it is finished, whether the caller stays or not.

pub mod answer;
pub mod body;
pub mod caller;
pub mod credential;
pub mod limit;
pub mod outgoing;
pub mod snapshot;
pub mod tenant;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::body::Incoming;
use hyper::header::{CONNECTION, EXPECT, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, Version};

use crate::asteroid::{answer as asteroid_answer, operation, start};
use crate::drain::Draining;
use crate::error::{Error, Form};
use crate::json;
use crate::tasks::{Kind, Tasks};
use crate::telemetry::log::Log;
use crate::telemetry::record::{Outcome, Record};
use crate::telemetry::request_id::{self, RequestId};
use crate::upstream::{self, Failure, Upstream};

use answer::Body;
use limit::{Expense, Permit, Reservation};
use snapshot::{Listener, Snapshot};

/// One worker's proxy.
#[derive(Debug)]
pub struct Proxy {
    /// What requests are served by.
    pub snapshot: Arc<Snapshot>,
    /// This worker's connections to the upstream.
    pub upstream: Arc<Upstream>,
    /// Where an exchange goes whose caller has left.
    pub tasks: Tasks,
    /// Whether callers are to go elsewhere.
    pub draining: Draining,
    /// Where records go, if they are wanted.
    pub log: Option<Log>,
}

impl Proxy {
    /// Answers one request.
    pub async fn handle(&self, listener: &Listener, peer: SocketAddr, request: Request<Incoming>) -> Response<Body> {
        let (head, mut body) = request.into_parts();
        let mut record = Record::new(self.log.clone(), peer, RequestId::of(&head.headers));
        let mut response = match self.prepare(listener, &head, &mut body, &mut record).await {
            Ok(exchange) => self.tasks.finish(Kind::Exchange, exchange.settle(record)).await,
            Err(error) => self.refuse(&error, &head, body, record),
        };
        if self.draining.is_leaving() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn prepare(
        &self,
        listener: &Listener,
        head: &Parts,
        body: &mut Incoming,
        record: &mut Record,
    ) -> Result<Exchange, Error> {
        let snapshot = &self.snapshot;
        caller::check(&listener.hosts, head)?;
        let tenant = listener.tenant.identify(record.line.peer.ip(), &head.headers)?;
        record.line.tenant = Some(Arc::clone(&tenant.name));
        let call = operation::select(&head.method, &head.uri);
        if let Ok(call) = &call {
            record.line.set_call(call);
        }
        let permit = limit::admit(tenant, &mut record.standing)?;
        // Judged behind the count: who asks for what is not there asks, too.
        let call = call?;
        body::check_media_type(&head.headers)?;
        let read = &mut record.line.bytes_in;
        let body = body::collect(body, snapshot.body_limit, snapshot.body_timeout, read).await?;
        let changes = start::validate(&body, &tenant.tags, tenant.on_conflict)?;
        let reservation = limit::reserve(tenant, SystemTime::now(), &mut record.standing)?;
        let tagged = json::splice(&body, changes)?;
        let mut request = outgoing::build(snapshot, &call, head, &record.line.request_id, tagged.into())?;
        tenant.credential.inject(&permit, &mut request);
        record.line.credential = Some(Arc::clone(&tenant.credential.name));
        let upstream = Arc::clone(&self.upstream);
        let (patience, form) = (snapshot.response_timeout, Form::of(&head.headers));
        Ok(Exchange { request, permit, reservation, upstream, patience, form })
    }

    /// Answers with an error before anything was sent; what is left of the body is read in the background.
    fn refuse(&self, error: &Error, head: &Parts, body: Incoming, record: Box<Record>) -> Response<Body> {
        let has_rest = body::has_rest(&body);
        // Who waits for 100 Continue has not sent the body, and reading it would ask for it.
        if has_rest && !head.headers.contains_key(EXPECT) {
            self.tasks.spawn(Kind::Discard, body::discard(body));
        }
        failed(error, Form::of(&head.headers), has_rest || error.ends_connection(), record)
    }
}

/// A request that is ready to be sent, and what it is sent with.
struct Exchange {
    request: Request<upstream::body::Body>,
    permit: Permit,
    reservation: Reservation,
    upstream: Arc<Upstream>,
    patience: Duration,
    form: Form,
}

impl Exchange {
    async fn settle(self, mut record: Box<Record>) -> Response<Body> {
        // Stands in the record if nothing else gets to be written there.
        record.line.outcome = Outcome::Unknown;
        let Exchange { request, permit, reservation, upstream, patience, form } = self;
        let expense = reservation.spend();
        match send(&upstream, request, permit, patience).await {
            Ok(response) => {
                if response.status().is_client_error() {
                    give_back(expense, &mut record);
                }
                passed_on(response, record)
            }
            Err(error) => {
                if error.outcome() == Outcome::NotStarted {
                    give_back(expense, &mut record);
                }
                failed(&error, form, false, record)
            }
        }
    }
}

async fn send(
    upstream: &Upstream,
    request: Request<upstream::body::Body>,
    permit: Permit,
    patience: Duration,
) -> Result<Response<Body>, Error> {
    let (response, lease, deadline) = match upstream.send(request, patience).await {
        Ok(answered) => answered,
        Err(Failure::NotSent(reason)) => return Err(Error::Unreachable(reason)),
        Err(Failure::Broke(reason)) => return Err(Error::UpstreamBroke(reason.to_string())),
        Err(Failure::Timeout) => return Err(Error::UpstreamTimeout(patience)),
    };
    if response.status().is_informational() {
        return Err(Error::UpstreamBroke(format!("it switched protocols unasked: {}", response.status())));
    }
    if asteroid_answer::refuses_key(response.status()) {
        return Err(Error::KeyRefused);
    }
    let (head, body) = response.into_parts();
    let body = Body::begin(body, lease, permit, deadline, patience).await?;
    Ok(Response::from_parts(head, body))
}

/// Nothing was started: the budget is as it was before.
fn give_back(expense: Expense, record: &mut Record) {
    expense.give_back();
    record.standing.give_back();
}

/// The upstream's answer as the caller gets it.
fn passed_on(response: Response<Body>, mut record: Box<Record>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    head.version = Version::HTTP_11;
    answer::end_to_end(&mut head.headers);
    record.line.status = head.status.as_u16();
    record.line.outcome = Outcome::Answered;
    record.line.execution_id = asteroid_answer::execution_id(body.buffered());
    closing(Response::from_parts(head, body), record)
}

/// The gateway's own answer.
fn failed(error: &Error, form: Form, close: bool, mut record: Box<Record>) -> Response<Body> {
    let response = error.answer(record.line.request_id.as_str(), form, close);
    record.line.status = response.status().as_u16();
    record.line.outcome = error.outcome();
    record.line.error = Some(error.slug());
    record.line.detail = Some(error.logged());
    closing(response.map(Body::whole), record)
}

/// Adds what every answer says, and ties the record to its end.
fn closing(mut response: Response<Body>, record: Box<Record>) -> Response<Body> {
    response.headers_mut().insert(request_id::NAME, record.line.request_id.header_value());
    record.standing.tell(response.headers_mut());
    response.map(|body| body.closing(record))
}
