//! HTTP/2 on one connection, over TLS alone.
//!
//! hyper bounds neither the life of an unused HTTP/2 connection nor a stream whose window the caller never opens. Both are
//! bounded here by one measure: a connection on which the gateway has nothing to do and nothing moves is ended.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::caller::Peer;
use crate::event;
use crate::proxy::Proxy;
use crate::proxy::generation::Current;

use super::activity::Activity;
use super::bounds::{BUFFER_BYTES, FIRST_REQUEST_GRACE, HEAD_BYTES};
use super::eviction::late_or_evicted;

/// Requests that one connection may have open.
const STREAMS: u32 = 100;

/// Streams that a caller may reset before they were looked at; one more ends the connection (h2's own default).
const RESETS_PENDING: usize = 20;

/// Streams that a caller may have reset by errors of its own; one more ends the connection (hyper's default is 1024).
const RESETS_BY_ERROR: usize = 100;

/// What of one request's body, and of all bodies of one connection, may be on its way, in bytes.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// How often a caller is asked whether it is still there, and how long it has to say so.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// How long an unused connection has to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// How long one has whose place is needed.
const LAST_WORD: Duration = Duration::from_millis(50);

/// Serves a connection to its end.
pub async fn serve<S>(stream: S, peer: Peer, activity: Arc<Activity>, current: Arc<Current>, proxy: Arc<Proxy>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let idle = activity.idle(current.load().snapshot.caller_idle);
    let mut draining = proxy.draining.clone();
    let mut server = http2::Builder::new(proxy.tasks.clone());
    server
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(RESETS_PENDING)
        .max_local_error_reset_streams(RESETS_BY_ERROR)
        .max_header_list_size(HEAD_BYTES.into())
        .max_send_buf_size(BUFFER_BYTES)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    let service = service_fn(|request: Request<Incoming>| {
        let serving = activity.begin();
        let (current, proxy) = (Arc::clone(&current), Arc::clone(&proxy));
        async move {
            let response = proxy.handle(&current, peer, request.map(|body| serving.upload(body))).await;
            Ok::<_, Infallible>(response.map(|body| serving.download(body)))
        }
    });
    let connection = server.serve_connection(TokioIo::new(stream), service);
    let leaving = async {
        draining.leaving().await;
        // A caller that has connected may bring one request, as over HTTP/1.1, before it is told to go.
        tokio::select! {
            () = activity.begun() => true,
            () = async {
                draining.closing().await;
                tokio::time::sleep(FIRST_REQUEST_GRACE).await;
            } => false,
        }
    };
    tokio::pin!(connection, idle, leaving);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = &mut idle => {
            connection.as_mut().graceful_shutdown();
            timeout(GOODBYE, connection).await.unwrap_or(Ok(()))
        }
        () = late_or_evicted(&activity, &current, &proxy) => {
            connection.as_mut().graceful_shutdown();
            loop {
                match timeout(LAST_WORD, connection.as_mut()).await {
                    Ok(ended) => break ended,
                    // A request that crossed the GOAWAY is answered.
                    Err(_) if activity.is_working() => {}
                    Err(_) => break Ok(()),
                }
            }
        }
        begun = leaving => {
            connection.as_mut().graceful_shutdown();
            // hyper still waits for the preface where none has come, and h2 for an answer to its ping.
            let unused = async {
                if begun || timeout(GOODBYE, activity.begun()).await.is_ok() {
                    pending().await
                }
            };
            tokio::select! {
                ended = connection => ended,
                () = &mut idle => Ok(()),
                () = unused => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(event = event::CONNECTION_FAILED, %peer, %error, "the connection ended early");
    }
}
