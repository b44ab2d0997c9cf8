//! One request and its answer, with the faults between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use tokio::sync::watch;

use super::answer::{ApiAnswer, ApiRequest, Content};
use super::body::Body;
use super::cut::ConnectionCut;
use super::fault::{Fault, FaultAction, FaultStage, FaultTarget, ScriptedAnswer};
use super::reading::{BodyError, BodyReader};
use super::received::ReceivedRequest;
use super::{Simulator, control, distort, storage};

/// Numbers the requests of this process.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

/// The error that makes hyper reset the stream of a request, and not its connection.
#[derive(Debug, thiserror::Error)]
#[error("reset on command")]
pub(super) struct StreamReset;

/// The connection over which a request came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// Its number, counted from 0.
    pub(super) number: u64,
    pub(super) scheme: &'static str,
    pub(super) cut: &'a Arc<ConnectionCut>,
}

pub(super) async fn answer(
    simulator: &Simulator,
    line: Line<'_>,
    request: Request<Incoming>,
) -> Result<Response<Body>, StreamReset> {
    let (head, body) = request.into_parts();
    if head.uri.path().starts_with(control::PREFIX) {
        return Ok(control::answer(simulator, &head, body).await.map(Body::whole));
    }
    if head.uri.path().starts_with(storage::PREFIX) {
        return Ok(storage::answer(simulator, &head));
    }
    // Subscribed before the request is recorded, so that no release is missed.
    let mut released = simulator.released.subscribe();
    let authenticated = simulator.is_authenticated(&head.headers);
    let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
    let received = ReceivedRequest::new(number, line.number, &head, authenticated);
    let mut body = BodyReader::new(&head, body);
    let Ok(fault) = read(simulator, &head, &mut body, received, &mut released).await else {
        return Ok(refuse(StatusCode::PAYLOAD_TOO_LARGE, "the body is broken or longer than 32 MiB"));
    };
    let fault = fault.unwrap_or(Fault { run: true, ..Fault::default() });
    // What is not read stays so until the answer.
    let (bytes, files, _unread) = body.into_parts();
    let base = base(line.scheme, &head);
    let request = ApiRequest {
        head: &head,
        body: &bytes,
        files: files.as_ref(),
        base: &base,
        authenticated,
        is_carried_out: fault.carries_out(),
    };
    let mut answer = simulator.decide(request);
    let started = answer.execution.is_some();
    let execution = answer.execution.take().filter(|_| request.is_carried_out);
    if let Some(execution) = &execution {
        simulator.record_execution(execution.clone());
    }
    tokio::time::sleep(fault.delay()).await;
    if matches!(fault.then, FaultAction::Stall) {
        drop(released.changed().await);
    }
    // A start that is not carried out has no execution whose end could be waited for.
    let can_wait = fault.answers() && (execution.is_some() || !started);
    if let Some(wait) = answer.wait.take().filter(|_| can_wait) {
        answer = simulator.wait(&wait, request.path()).await;
    }
    let record = |answer: String| simulator.record_answer(number, answer, execution.as_ref());
    respond(fault.then, answer, line.cut, record).await
}

/// Reads a request as far as its fault says, records it, and returns the fault. A fault in the middle of the body waits there.
async fn read(
    simulator: &Simulator,
    head: &Parts,
    body: &mut BodyReader,
    mut received: ReceivedRequest,
    released: &mut watch::Receiver<()>,
) -> Result<Option<Fault>, BodyError> {
    let (number, target) = (received.number, FaultTarget::of(&head.method, head.uri.path()));
    let is_early = |stage| matches!(stage, FaultStage::Head | FaultStage::Bytes(_));
    let mut fault = simulator.take_fault(is_early, target);
    match &mut fault {
        Some(Fault { when: FaultStage::Bytes(count), .. }) => body.read_until(*count, simulator).await?,
        Some(_) => {}
        None => {
            body.read_all(simulator).await?;
            fault = simulator.take_fault(|stage| stage == FaultStage::Body, target);
        }
    }
    let (bytes, upload) = body.received();
    received.set_body(bytes, upload);
    simulator.record_request(received);
    let Some(middle) = fault.as_mut().filter(|fault| matches!(fault.when, FaultStage::Bytes(_)) && fault.answers())
    else {
        return Ok(fault);
    };
    tokio::time::sleep(middle.delay()).await;
    middle.delay_ms = 0;
    if matches!(middle.then, FaultAction::Stall) {
        drop(released.changed().await);
        middle.then = FaultAction::Proceed;
    }
    body.read_all(simulator).await?;
    let (bytes, upload) = body.received();
    simulator.record_body(number, bytes, upload);
    Ok(fault)
}

/// Returns what the URLs begin with that lead back to this server, as the client named it.
fn base(scheme: &str, head: &Parts) -> String {
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = head.uri.authority().map(|authority| authority.as_str()).or(host);
    format!("{scheme}://{}", host.unwrap_or("localhost"))
}

/// Answers, or fails, as `then` says. `record` is called with a description of the answer before.
async fn respond(
    then: FaultAction,
    mut answer: ApiAnswer,
    cut: &Arc<ConnectionCut>,
    record: impl Fn(String),
) -> Result<Response<Body>, StreamReset> {
    let code = answer.status.as_u16();
    match then {
        FaultAction::Proceed | FaultAction::Stall => {
            record(code.to_string());
            Ok(ordinary(&answer, |bytes| Body::whole(bytes.into())))
        }
        FaultAction::Close => {
            record("by a close of the connection".to_owned());
            match cut.request_and_wait(ConnectionCut::CLOSE).await {}
        }
        FaultAction::Reset if cut.http2 => {
            record("by a reset of the stream".to_owned());
            Err(StreamReset)
        }
        FaultAction::Reset => {
            record("by a reset of the connection".to_owned());
            match cut.request_and_wait(ConnectionCut::RESET).await {}
        }
        FaultAction::CloseMidAnswer => {
            record(format!("half of {code}, then a close"));
            Ok(ordinary(&answer, |bytes| Body::half(bytes, Some(Arc::clone(cut)))))
        }
        FaultAction::StallMidAnswer => {
            record(format!("half of {code}, then nothing"));
            Ok(ordinary(&answer, |bytes| Body::half(bytes, None)))
        }
        FaultAction::Answer(scripted) => {
            record(scripted.status.to_string());
            Ok(script(&scripted))
        }
        FaultAction::OtherId => {
            record(format!("{code} of another execution"));
            if let Content::Json(body) = &mut answer.content {
                distort::replace_id(body);
            }
            Ok(ordinary(&answer, |bytes| Body::whole(bytes.into())))
        }
        FaultAction::Pad(length) => {
            record(format!("{code}, padded"));
            if let Content::Json(body) = &mut answer.content {
                distort::pad(body, length);
            }
            Ok(ordinary(&answer, |bytes| Body::whole(bytes.into())))
        }
        FaultAction::Trickle(trickle) => {
            record(format!("{code}, slowly"));
            Ok(ordinary(&answer, |bytes| Body::trickling(bytes.into(), trickle)))
        }
    }
}

/// Makes the response of an answer, with a body of its bytes.
fn ordinary(answer: &ApiAnswer, body: impl FnOnce(Vec<u8>) -> Body) -> Response<Body> {
    let (bytes, media_type) = match &answer.content {
        Content::Json(value) => (serde_json::to_vec(value).unwrap_or_default(), Some("application/json")),
        Content::Text(text) => (text.as_bytes().to_vec(), Some("text/plain; charset=utf-8")),
        Content::Empty => (Vec::new(), None),
    };
    let mut response = Response::new(body(bytes));
    *response.status_mut() = answer.status;
    if let Some(media_type) = media_type {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    if let Some(location) = answer.location.as_ref().and_then(|url| HeaderValue::try_from(url).ok()) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

fn refuse(status: StatusCode, message: &str) -> Response<Body> {
    let body = serde_json::json!({ "code": status.as_u16(), "message": message });
    ordinary(&ApiAnswer::json(status, body), |bytes| Body::whole(bytes.into()))
}

fn script(answer: &ScriptedAnswer) -> Response<Body> {
    let Ok(status) = StatusCode::from_u16(answer.status) else {
        return refuse(StatusCode::INTERNAL_SERVER_ERROR, "the scripted status is not an HTTP status");
    };
    let mut response = Response::new(Body::whole(answer.body.clone().into()));
    *response.status_mut() = status;
    for (name, value) in &answer.headers {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
            return refuse(StatusCode::INTERNAL_SERVER_ERROR, "a scripted header is not a valid HTTP header");
        };
        response.headers_mut().append(name, value);
    }
    response
}
