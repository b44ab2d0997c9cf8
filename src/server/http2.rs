//! HTTP/2 on one connection, only over TLS.
//!
//! hyper bounds neither the life of an idle HTTP/2 connection nor that of a stream whose window the caller never opens. Here, one
//! rule bounds both: a connection ends if for `timeouts.caller_idle`, the gateway had nothing to do for it, and nothing progressed.

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

use crate::caller::Caller;
use crate::event;
use crate::proxy::Proxy;
use crate::proxy::generation::ActiveGeneration;

use super::activity::Activity;
use super::bounds::{BUFFER_BYTES, FIRST_REQUEST_GRACE, HEAD_BYTES};
use super::eviction::late_or_evicted;

/// The most requests that may be in progress on one connection.
const MAX_STREAMS: u32 = 100;

/// The most streams that a caller may reset before they are accepted; one more ends the connection (h2's own default).
const MAX_PENDING_RESETS: usize = 20;

/// The most streams that may be reset because of a caller's errors; one more ends the connection (hyper's default is 1024).
const MAX_ERROR_RESETS: usize = 100;

/// How much of one request's body, and of all bodies of one connection, may be in transit, in bytes.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// How often a caller is pinged, and how long it has to answer.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// How long an idle connection may take for its graceful shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// How long an evicted connection may take for its graceful shutdown.
const EVICTION_TIMEOUT: Duration = Duration::from_millis(50);

/// Serves a connection to its end.
pub async fn serve<S>(
    stream: S,
    caller: Arc<Caller>,
    activity: Arc<Activity>,
    active: Arc<ActiveGeneration>,
    proxy: Arc<Proxy>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let idle = activity.idle_timeout(active.load().generation.caller_idle);
    let mut draining = proxy.draining.clone();
    let mut server = http2::Builder::new(proxy.tasks.clone());
    server
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_ERROR_RESETS)
        .max_header_list_size(HEAD_BYTES.into())
        .max_send_buf_size(BUFFER_BYTES)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let service = service_fn(|request: Request<Incoming>| {
        let guard = activity.begin_request();
        let (caller, active, proxy) = (Arc::clone(&caller), Arc::clone(&active), Arc::clone(&proxy));
        async move {
            let response = proxy.handle(&active, &caller, request.map(|body| guard.upload(body))).await;
            Ok::<_, Infallible>(response.map(|body| guard.download(body)))
        }
    });
    let connection = server.serve_connection(TokioIo::new(stream), service);
    let leaving = async {
        draining.draining().await;
        // As over HTTP/1.1, a caller that has connected may send one request before the connection is shut down.
        tokio::select! {
            () = activity.first_request() => true,
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
            timeout(SHUTDOWN_TIMEOUT, connection).await.unwrap_or(Ok(()))
        }
        () = late_or_evicted(&activity, &active, &proxy) => {
            connection.as_mut().graceful_shutdown();
            loop {
                match timeout(EVICTION_TIMEOUT, connection.as_mut()).await {
                    Ok(ended) => break ended,
                    // A request that crossed the GOAWAY is answered.
                    Err(_) if activity.is_working() => {}
                    Err(_) => break Ok(()),
                }
            }
        }
        has_request = leaving => {
            connection.as_mut().graceful_shutdown();
            // hyper still waits for the preface if none has arrived, and h2 for an answer to its ping.
            let unused = async {
                if has_request || timeout(SHUTDOWN_TIMEOUT, activity.first_request()).await.is_ok() {
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
        tracing::debug!(event = event::CONNECTION_FAILED, peer = %caller.peer, %error, "the connection ended with an error");
    }
}
