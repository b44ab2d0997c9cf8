//! The operator's listener, apart from the data: `/livez` and `/readyz`.

pub mod health;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::tasks::Tasks;

use health::Health;

/// How long a request to this listener may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a whole connection may take.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(20);

/// How many callers are served at a time; more wait in the queue.
const CONNECTIONS: usize = 64;

/// Answers until it is dropped.
pub async fn serve(socket: TcpListener, health: Arc<Health>, tasks: Tasks) -> Infallible {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let Ok((stream, _)) = socket.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let health = Arc::clone(&health);
        let service = service_fn(move |request| {
            let response = answer(&request, &health);
            async { Ok::<_, Infallible>(response) }
        });
        let mut server = http1::Builder::new();
        // One request a connection: a probe that holds on to one takes no place from the next.
        server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).keep_alive(false);
        let connection = server.serve_connection(TokioIo::new(stream), service);
        tasks.spawn_unwaited(async move {
            // A probe that leaves early is of no interest.
            drop(tokio::time::timeout(CONNECTION_TIMEOUT, connection).await);
            drop(place);
        });
    }
}

fn answer(request: &Request<Incoming>, health: &Health) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "use GET\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/livez" => text(StatusCode::OK, "ok\n"),
        "/readyz" => {
            let verbose = request.uri().query() == Some("verbose");
            let (status, word) = match health.is_ready() {
                true => (StatusCode::OK, "ok\n"),
                false => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
            };
            text(status, if verbose { health.report() + word } else { word.to_owned() })
        }
        _ => text(StatusCode::NOT_FOUND, "here are /livez and /readyz, and /readyz?verbose\n"),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
