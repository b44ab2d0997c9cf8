//! One request and its answer, with the faults between them.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};

use super::cut::ConnectionCut;
use super::fault::{Fault, FaultAction, FaultStage, ScriptedAnswer};
use super::received::ReceivedRequest;
use super::route::ApiAnswer;
use super::{Simulator, control};

/// The largest body that is read.
const MAX_BODY: usize = 32 * 1024 * 1024;

/// Numbers the requests of this process.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

/// The error that makes hyper reset the stream of a request, and not its connection.
#[derive(Debug, thiserror::Error)]
#[error("reset on command")]
pub(super) struct StreamReset;

pub(super) async fn answer(
    simulator: &Simulator,
    connection: u64,
    cut: &Arc<ConnectionCut>,
    request: Request<Incoming>,
) -> Result<Response<Body>, StreamReset> {
    let (head, body) = request.into_parts();
    if head.uri.path().starts_with(control::PREFIX) {
        return Ok(control::answer(simulator, &head, body).await.map(Body::whole));
    }
    // Subscribed before the request is recorded, so that no release is missed.
    let mut released = simulator.released.subscribe();
    let authenticated = simulator.is_authenticated(&head.headers);
    let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
    let (body, fault) = match simulator.take_fault(FaultStage::Head, Some(&head.method)) {
        Some(fault) => (Bytes::new(), Some(fault)),
        None => match Limited::new(body, MAX_BODY).collect().await {
            Ok(body) => (body.to_bytes(), simulator.take_fault(FaultStage::Body, Some(&head.method))),
            Err(_) => return Ok(refuse(StatusCode::PAYLOAD_TOO_LARGE, "the body is broken or longer than 32 MiB")),
        },
    };
    simulator.record_request(ReceivedRequest::new(number, connection, &head, authenticated, &body));
    let fault = fault.unwrap_or(Fault { run: true, ..Fault::default() });
    let mut decision = simulator.decide(&head, authenticated, &body);
    let is_carried_out = fault.run || matches!(fault.then, FaultAction::Proceed | FaultAction::Stall);
    let execution = decision.execution.take().filter(|_| is_carried_out);
    if let Some(execution) = &execution {
        simulator.record_execution(execution.clone());
    }
    tokio::time::sleep(fault.delay()).await;
    if matches!(fault.then, FaultAction::Stall) {
        drop(released.changed().await);
    }
    let record = |answer: String| simulator.record_answer(number, answer, execution.as_ref());
    respond(fault.then, &decision, cut, record).await
}

/// Answers, or fails, as `then` says. `record` is called with a description of the answer before.
async fn respond(
    then: FaultAction,
    decision: &ApiAnswer,
    cut: &Arc<ConnectionCut>,
    record: impl Fn(String),
) -> Result<Response<Body>, StreamReset> {
    let status = decision.status;
    let ordinary = serde_json::to_vec(&decision.body).unwrap_or_default();
    match then {
        FaultAction::Proceed | FaultAction::Stall => {
            record(status.as_u16().to_string());
            Ok(json(status, Body::whole(ordinary.into())))
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
            record(format!("half of {}, then a close", status.as_u16()));
            Ok(json(status, Body::half(ordinary, Some(Arc::clone(cut)))))
        }
        FaultAction::StallMidAnswer => {
            record(format!("half of {}, then nothing", status.as_u16()));
            Ok(json(status, Body::half(ordinary, None)))
        }
        FaultAction::Answer(scripted) => {
            record(scripted.status.to_string());
            Ok(script(&scripted))
        }
    }
}

fn json(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn refuse(status: StatusCode, message: &str) -> Response<Body> {
    let body = serde_json::json!({ "code": status.as_u16(), "message": message }).to_string();
    json(status, Body::whole(body.into()))
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

/// A body that may break off.
pub(super) struct Body {
    bytes: Option<Bytes>,
    length: u64,
    /// If the bytes are only a part of the body: the cut that follows them, or `Some(None)` if nothing follows.
    then: Option<Option<Arc<ConnectionCut>>>,
}

impl Body {
    fn whole(bytes: Bytes) -> Body {
        Body { length: bytes.len() as u64, bytes: Some(bytes), then: None }
    }

    fn half(mut bytes: Vec<u8>, cut: Option<Arc<ConnectionCut>>) -> Body {
        let length = bytes.len() as u64;
        bytes.truncate(bytes.len() / 2);
        Body { bytes: Some(bytes.into()), length, then: Some(cut) }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match (self.bytes.take(), &self.then) {
            (Some(bytes), _) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            (None, None) => Poll::Ready(None),
            (None, Some(cut)) => {
                if let Some(cut) = cut {
                    cut.request(ConnectionCut::CLOSE);
                }
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none() && self.then.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}
