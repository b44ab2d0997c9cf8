//! One connection: requests in order, and the faults that need the connection itself.

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
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
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
}

impl Stream for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Stream for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// How a connection is to be cut, once what is buffered has been written.
#[derive(Debug, Default)]
struct Cut(AtomicU8);

impl Cut {
    const CLOSE: u8 = 1;
    const RESET: u8 = 2;

    fn now(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    /// Asks for the cut, and waits for it.
    async fn never(&self, how: u8) -> Infallible {
        self.0.store(how, Ordering::Relaxed);
        pending().await
    }
}

/// Serves a connection until either side ends it.
pub(super) async fn serve(simulator: Arc<Simulator>, number: u64, mut stream: impl Stream) {
    if let Some(fault) = simulator.fault(Moment::Connected) {
        let mut first = [0];
        // Whether a byte comes or the peer leaves first, the connection goes.
        drop(stream.read(&mut first).await);
        tokio::time::sleep(fault.delay()).await;
        return end(&stream, if matches!(fault.then, Then::Reset) { Cut::RESET } else { Cut::CLOSE });
    }
    let cut = Arc::new(Cut::default());
    let answering = |request| {
        let (simulator, cut) = (Arc::clone(&simulator), Arc::clone(&cut));
        async move { Ok::<_, Infallible>(answer(&simulator, number, &cut, request).await) }
    };
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30));
    let mut connection = server.serve_connection(TokioIo::new(stream), service_fn(answering));
    let mut generation = simulator.generation.subscribe();
    {
        let mut superseded = pin!(generation.changed());
        let served = poll_fn(|context| {
            let ended = Pin::new(&mut connection).poll(context).is_ready();
            // Pending means that everything buffered so far was flushed.
            let over = ended || cut.now() != 0 || superseded.as_mut().poll(context).is_ready();
            if over { Poll::Ready(()) } else { Poll::Pending }
        });
        served.await;
    }
    end(&connection.into_parts().io.into_inner(), cut.now());
}

fn end(stream: &impl Stream, cut: u8) {
    if cut == Cut::RESET {
        // Unsupported or not, the stream is closed when it is dropped.
        drop(stream.tcp().set_zero_linger());
    }
}

async fn answer(simulator: &Simulator, connection: u64, cut: &Arc<Cut>, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    if head.uri.path().starts_with(control::PREFIX) {
        return control::answer(simulator, &head, body).await.map(Body::whole);
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
            Err(_) => return refuse(StatusCode::PAYLOAD_TOO_LARGE, "the body is broken or longer than 32 MiB"),
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
        Then::Reset => {
            told("by resetting the connection".to_owned());
            match cut.never(Cut::RESET).await {}
        }
        Then::CloseMidAnswer => {
            told(format!("half of {}, then closed", decision.status.as_u16()));
            return json(decision.status, Body::half(ordinary, Some(Arc::clone(cut))));
        }
        Then::StallMidAnswer => {
            told(format!("half of {}, and nothing more", decision.status.as_u16()));
            return json(decision.status, Body::half(ordinary, None));
        }
        Then::Answer(scripted) => {
            told(scripted.status.to_string());
            return script(&scripted);
        }
    }
    told(decision.status.as_u16().to_string());
    json(decision.status, Body::whole(ordinary.into()))
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
                    cut.0.store(Cut::CLOSE, Ordering::Relaxed);
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
