//! The admin listener, for operators: `/livez`, `/readyz`, `/metrics`, `/openapi.json` and `/version`.

pub mod exposition;
mod guard;
pub mod health;

use std::convert::Infallible;
use std::env::consts::{ARCH, OS};
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
use serde_json::json;
use tokio::net::TcpListener;

use crate::caller::Peer;
use crate::openapi;
use crate::server::accept::{SHORTAGE_PAUSE, is_shortage};
use crate::server::capacity::Capacity;
use crate::tasks::Tasks;

use exposition::{Exposition, ExpositionFormat};
use guard::GuardError;
use health::Health;

/// The deadline for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest head of a request, and how much of an answer is buffered, in bytes.
const HEAD_BYTES: usize = 16 * 1024;
const BUFFER_BYTES: usize = 64 * 1024;

/// The deadline for a whole connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);

/// How many connections are served at a time. A further one evicts the connection that has been silent longest, from the peer with
/// the most connections. So a probe is always served.
const CONNECTIONS: usize = 64;

/// Serves the admin listener until the future is dropped. Answers requests whose `Host` is an IP address, localhost or one of
/// `hosts`.
pub async fn serve(
    socket: TcpListener,
    hosts: Vec<String>,
    health: Arc<Health>,
    exposition: Exposition,
    tasks: Tasks,
) -> Infallible {
    let hosts: Arc<[String]> = hosts.into();
    let capacity = Capacity::new(1, CONNECTIONS);
    loop {
        let (stream, peer) = match socket.accept().await {
            Ok((stream, peer)) => (stream, Peer::Tcp(peer)),
            Err(error) if is_shortage(&error) => {
                tokio::time::sleep(SHORTAGE_PAUSE).await;
                continue;
            }
            // The error is about one connection, which has ended.
            Err(_) => {
                tokio::task::yield_now().await;
                continue;
            }
        };
        let permit = capacity.acquire(0, peer, || ()).await;
        let (health, exposition, hosts) = (Arc::clone(&health), exposition.clone(), Arc::clone(&hosts));
        let activity = Arc::clone(permit.activity());
        let service = service_fn(move |request| {
            // Records progress, so that silent connections are evicted first.
            drop(activity.begin_request());
            let response = match guard::check(&hosts, &request) {
                Ok(()) => answer(&request, &health, &exposition),
                Err(GuardError(status, reason)) => respond_text(status, reason),
            };
            async { Ok::<_, Infallible>(response) }
        });
        let mut server = http1::Builder::new();
        server.max_header_size(HEAD_BYTES).max_buf_size(BUFFER_BYTES);
        // One request per connection, so that a probe that keeps its connection takes no permit from the next.
        server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).keep_alive(false);
        // A probe that ends its sending side still waits for its answer.
        server.half_close(true);
        let connection = server.serve_connection(TokioIo::new(stream), service);
        tasks.spawn_untracked(async move {
            tokio::select! {
                // A probe that hangs up early is of no interest.
                ended = tokio::time::timeout(CONNECTION_TIMEOUT, connection) => drop(ended),
                () = permit.activity().evicted() => {}
            }
            drop(permit);
        });
    }
}

fn answer(request: &Request<Incoming>, health: &Health, exposition: &Exposition) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = respond_text(StatusCode::METHOD_NOT_ALLOWED, "this listener takes GET and HEAD; use GET\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/livez" => respond_text(StatusCode::OK, "ok\n"),
        "/readyz" => {
            let verbose = request.uri().query() == Some("verbose");
            let obstacle = health.obstacle();
            let (status, result) = match obstacle {
                None => (StatusCode::OK, "ok".to_owned()),
                Some(obstacle) => (StatusCode::SERVICE_UNAVAILABLE, obstacle.to_string()),
            };
            respond_text(status, if verbose { health.report(obstacle) } else { String::new() } + &result + "\n")
        }
        "/metrics" => {
            let format = ExpositionFormat::of(request.headers());
            respond(StatusCode::OK, format.media_type(), exposition.text(format))
        }
        "/openapi.json" => respond(StatusCode::OK, "application/json", openapi::text()),
        "/version" => answer_version(),
        _ => respond_text(
            StatusCode::NOT_FOUND,
            "there is no such path; use /livez, /readyz, /readyz?verbose, /metrics, /openapi.json or /version\n",
        ),
    }
}

/// Returns the version. The commit is present if the environment variable was set when the gateway was compiled.
fn answer_version() -> Response<Full<Bytes>> {
    let version = json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "commit": option_env!("ASTEROID_GATEWAY_COMMIT"),
        "os": OS,
        "architecture": ARCH,
    });
    respond(StatusCode::OK, "application/json", format!("{version}\n"))
}

fn respond_text(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", text)
}

fn respond(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
