//! HTTP/2 on one connection, over TLS alone.
//!
//! hyper bounds neither the life of an unused HTTP/2 connection nor a stream whose window the caller never opens. Both are
//! bounded here by one measure: a connection on which the gateway has nothing to do and nothing moves is ended.

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

use crate::peer::Peer;
use crate::proxy::Proxy;
use crate::proxy::answer::{Body, Broken};
use crate::proxy::snapshot::Current;

use super::connection::{BUFFER_BYTES, FIRST_REQUEST, HEAD_BYTES};

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

/// Serves a connection to its end.
pub async fn serve<S>(stream: S, peer: Peer, current: Arc<Current>, proxy: Arc<Proxy>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::new());
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
    let service = service_fn(|request| {
        activity.begun.notify_one();
        let working = Working::new(Arc::clone(&activity));
        let (current, proxy) = (Arc::clone(&current), Arc::clone(&proxy));
        async move {
            let response = proxy.handle(&current, peer, request).await;
            Ok::<_, Infallible>(response.map(|body| Stream { body, activity: Arc::clone(&working.0), waiting: None }))
        }
    });
    let connection = server.serve_connection(TokioIo::new(stream), service);
    let leaving = async {
        draining.leaving().await;
        // A caller that has connected may bring one request, as over HTTP/1.1, before it is told to go.
        tokio::select! {
            () = activity.begun.notified() => true,
            () = async {
                draining.closing().await;
                tokio::time::sleep(FIRST_REQUEST).await;
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
        begun = leaving => {
            connection.as_mut().graceful_shutdown();
            // hyper still waits for the preface where none has come, and h2 for an answer to its ping.
            let unused = async {
                if begun || timeout(GOODBYE, activity.begun.notified()).await.is_ok() {
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
        tracing::debug!(%peer, %error, "the connection ended early");
    }
}

/// What happens on one connection.
#[derive(Debug)]
struct Activity {
    /// Holds a permit from the first request on.
    begun: Notify,
    /// Requests for which the gateway or the upstream has to do something, rather than the caller.
    working: AtomicUsize,
    since: Instant,
    /// When something last moved, in milliseconds from `since`.
    moved: AtomicU64,
}

impl Activity {
    fn new() -> Activity {
        Activity { begun: Notify::new(), working: AtomicUsize::new(0), since: Instant::now(), moved: AtomicU64::new(0) }
    }

    /// Resolves when nothing was to be done and nothing has moved for this long.
    async fn idle(&self, patience: Duration) {
        let mut check = self.since + patience;
        loop {
            sleep_until(check).await;
            let moved = self.since + Duration::from_millis(self.moved.load(Ordering::Relaxed));
            let (now, due) = (Instant::now(), moved + patience);
            check = match self.working.load(Ordering::Relaxed) {
                0 if due <= now => return,
                0 => due,
                _ => now + patience,
            };
        }
    }
}

/// Held while a request waits for something else than its caller.
#[derive(Debug)]
struct Working(Arc<Activity>);

impl Working {
    fn new(activity: Arc<Activity>) -> Working {
        activity.working.fetch_add(1, Ordering::Relaxed);
        Working(activity)
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let moved = u64::try_from(self.0.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.moved.store(moved, Ordering::Relaxed);
        self.0.working.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer's body; asked for more only while the caller's window is open.
#[derive(Debug)]
struct Stream {
    body: Body,
    activity: Arc<Activity>,
    waiting: Option<Working>,
}

impl hyper::body::Body for Stream {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let working = self.waiting.take().unwrap_or_else(|| Working::new(Arc::clone(&self.activity)));
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if frame.is_pending() {
            self.waiting = Some(working);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
