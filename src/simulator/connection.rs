//! One connection, over HTTP/1.1 or HTTP/2, and the faults that need the connection itself.

use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio_rustls::server::TlsStream;

use super::fault::{self, Fault, Moment, Then};
use super::received::Received;
use super::{Simulator, control};

/// The largest body that is read.
const BODY_LIMIT: usize = 32 * 1024 * 1024;

/// Numbers the requests of this process.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

/// A stream that can be reset instead of closed.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// The connection below.
    fn tcp(&self) -> &TcpStream;

    /// Whether HTTP/2 was chosen.
    fn speaks_http2(&self) -> bool;
}

impl Stream for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }

    fn speaks_http2(&self) -> bool {
        false
    }
}

impl Stream for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }

    fn speaks_http2(&self) -> bool {
        self.get_ref().1.alpn_protocol() == Some(b"h2")
    }
}

/// How a connection is to be cut, once what is buffered has been written.
#[derive(Debug, Default)]
struct Cut {
    how: AtomicU8,
    /// Wakes the connection, which does not poll the streams of HTTP/2 itself.
    asked: Notify,
    http2: bool,
}

impl Cut {
    const CLOSE: u8 = 1;
    const RESET: u8 = 2;

    fn now(&self) -> u8 {
        self.how.load(Ordering::Relaxed)
    }

    fn ask(&self, how: u8) {
        self.how.store(how, Ordering::Relaxed);
        self.asked.notify_one();
    }

    /// Asks for the cut, and waits for it.
    async fn never(&self, how: u8) -> Infallible {
        self.ask(how);
        pending().await
    }
}

/// The request is answered by resetting its stream, without the others of the connection.
#[derive(Debug, thiserror::Error)]
#[error("reset on command")]
struct StreamReset;

/// Serves a connection until either side ends it.
pub(super) async fn serve(simulator: Arc<Simulator>, number: u64, mut stream: impl Stream) {
    if let Some(fault) = simulator.fault(Moment::Connected) {
        let mut first = [0];
        // Whether a byte comes or the peer leaves first, the connection goes.
        drop(stream.read(&mut first).await);
        tokio::time::sleep(fault.delay()).await;
        return end(&stream, if matches!(fault.then, Then::Reset) { Cut::RESET } else { Cut::CLOSE });
    }
    let http2 = stream.speaks_http2();
    let cut = Arc::new(Cut { http2, ..Cut::default() });
    // Dropped after the connection: whoever closes connections waits for that.
    let generation = &mut simulator.generation.subscribe();
    let answering = |request| {
        let (simulator, cut) = (Arc::clone(&simulator), Arc::clone(&cut));
        async move { answer(&simulator, number, &cut, request).await }
    };
    let stream = TokioIo::new(stream);
    if http2 {
        let server = http2::Builder::new(TokioExecutor::new());
        return until_over(pin!(server.serve_connection(stream, service_fn(answering))), &cut, generation).await;
    }
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30));
    let mut connection = server.serve_connection(stream, service_fn(answering));
    until_over(Pin::new(&mut connection), &cut, generation).await;
    end(&connection.into_parts().io.into_inner(), cut.now());
}

/// Polls a connection until it ends, is to be cut, or is of an older generation.
async fn until_over(mut connection: Pin<&mut impl Future>, cut: &Cut, generation: &mut watch::Receiver<u64>) {
    let (mut superseded, mut asked) = (pin!(generation.changed()), pin!(cut.asked.notified()));
    poll_fn(|context| {
        let ended = connection.as_mut().poll(context).is_ready();
        // Pending means that everything buffered so far was flushed.
        let cut = asked.as_mut().poll(context).is_ready() || cut.now() != 0;
        if ended || cut || superseded.as_mut().poll(context).is_ready() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn end(stream: &impl Stream, cut: u8) {
    if cut == Cut::RESET {
        // Unsupported or not, the stream is closed when it is dropped.
        drop(stream.tcp().set_zero_linger());
    }
}

async fn answer(
    simulator: &Simulator,
    connection: u64,
    cut: &Arc<Cut>,
    request: Request<Incoming>,
) -> Result<Response<Body>, StreamReset> {
    let (head, body) = request.into_parts();
    if head.uri.path().starts_with(control::PREFIX) {
        return Ok(control::answer(simulator, &head, body).await.map(Body::whole));
    }
    // From before the request is seen to have arrived, so that no release is missed.
    let mut released = simulator.released.subscribe();
    let authenticated = simulator.authenticates(&head.headers);
    let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
    let fault = match simulator.fault(Moment::Head) {
        Some(fault) => {
            simulator.remember(Received::new(number, connection, &head, authenticated, b""));
            Some(fault)
        }
        None => None,
    };
    let unread = fault.is_some();
    let (body, fault) = if unread {
        (Bytes::new(), fault)
    } else {
        match Limited::new(body, BODY_LIMIT).collect().await {
            Ok(body) => (body.to_bytes(), simulator.fault(Moment::Body)),
            Err(_) => return Ok(refuse(StatusCode::PAYLOAD_TOO_LARGE, "the body is broken or longer than 32 MiB")),
        }
    };
    if !unread {
        simulator.remember(Received::new(number, connection, &head, authenticated, &body));
    }
    let Fault { run, then, delay_ms, .. } = fault.unwrap_or(Fault { run: true, ..Fault::default() });
    let mut decision = simulator.decide(&head, authenticated, &body);
    let execution = decision.execution.take().filter(|_| run || matches!(then, Then::Proceed | Then::Stall));
    if let Some(execution) = &execution {
        simulator.started(execution.clone());
    }
    tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    let told = |answer: String| simulator.answered(number, answer, execution.as_ref());
    let ordinary = serde_json::to_vec(&decision.body).unwrap_or_default();
    match then {
        Then::Proceed => {}
        Then::Stall => drop(released.changed().await),
        Then::Close => {
            told("by closing the connection".to_owned());
            match cut.never(Cut::CLOSE).await {}
        }
        Then::Reset if cut.http2 => {
            told("by resetting the stream".to_owned());
            return Err(StreamReset);
        }
        Then::Reset => {
            told("by resetting the connection".to_owned());
            match cut.never(Cut::RESET).await {}
        }
        Then::CloseMidAnswer => {
            told(format!("half of {}, then closed", decision.status.as_u16()));
            return Ok(json(decision.status, Body::half(ordinary, Some(Arc::clone(cut)))));
        }
        Then::StallMidAnswer => {
            told(format!("half of {}, and nothing more", decision.status.as_u16()));
            return Ok(json(decision.status, Body::half(ordinary, None)));
        }
        Then::Answer(scripted) => {
            told(scripted.status.to_string());
            return Ok(script(&scripted));
        }
    }
    told(decision.status.as_u16().to_string());
    Ok(json(decision.status, Body::whole(ordinary.into())))
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

fn script(answer: &fault::Answer) -> Response<Body> {
    let Ok(status) = StatusCode::from_u16(answer.status) else {
        return refuse(StatusCode::INTERNAL_SERVER_ERROR, "the scripted status is none");
    };
    let mut response = Response::new(Body::whole(answer.body.clone().into()));
    *response.status_mut() = status;
    for (name, value) in &answer.headers {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
            return refuse(StatusCode::INTERNAL_SERVER_ERROR, "a scripted header is none");
        };
        response.headers_mut().append(name, value);
    }
    response
}

/// A body that may break off.
pub(super) struct Body {
    bytes: Option<Bytes>,
    length: u64,
    /// What comes after the bytes, where they are not all.
    then: Option<Option<Arc<Cut>>>,
}

impl Body {
    fn whole(bytes: Bytes) -> Body {
        Body { length: bytes.len() as u64, bytes: Some(bytes), then: None }
    }

    fn half(mut bytes: Vec<u8>, cut: Option<Arc<Cut>>) -> Body {
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
                    cut.ask(Cut::CLOSE);
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
