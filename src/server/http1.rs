//! HTTP/1.1 on one connection, until the caller closes it, it is idle for too long, it is evicted, or the drain ends it.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::{sleep, timeout};

use crate::caller::Caller;
use crate::event;
use crate::proxy::Proxy;
use crate::proxy::answer::AnswerBody;
use crate::proxy::delivery::Deliveries;
use crate::proxy::generation::ActiveGeneration;
use crate::proxy::payload::{DISCARD_BYTES, DISCARD_TIME};

use super::activity::Activity;
use super::bounds::{BUFFER_BYTES, FIRST_REQUEST_GRACE, HEAD_BYTES};
use super::eviction::late_or_evicted;
use super::monitor::{self, CallerConnection, Monitor};

/// How long a drain waits for the next request of a connection whose last answer did not announce that it closes.
const NEXT_REQUEST_GRACE: Duration = Duration::from_millis(200);

/// Serves a connection to its end.
pub async fn serve<S: CallerConnection>(
    mut stream: S,
    caller: &Caller,
    activity: &Arc<Activity>,
    active: &Arc<ActiveGeneration>,
    proxy: &Arc<Proxy>,
) {
    let closing_answer = AtomicBool::new(false);
    let deliveries = Arc::new(Deliveries::default());
    let service = service_fn(|request: Request<Incoming>| {
        let guard = activity.begin_request();
        let (closing_answer, deliveries) = (&closing_answer, Arc::clone(&deliveries));
        let version = request.version();
        async move {
            let mut response = proxy.handle(active, caller, request.map(|body| guard.upload(body))).await;
            if version == Version::HTTP_10 {
                adapt_to_http10(&mut response);
            }
            // The gateway sends no `Connection` other than `close`.
            closing_answer.store(response.headers().contains_key(CONNECTION), Ordering::Relaxed);
            Ok::<_, Infallible>(response.map(|body| guard.download(body.with_deliveries(deliveries))))
        }
    });
    let mut server = http1::Builder::new();
    server.max_header_size(HEAD_BYTES.into()).max_buf_size(BUFFER_BYTES);
    // A caller may end its sending side after its request, and still waits for its answer.
    server.half_close(true);
    // This time-out runs from the end of one request to the end of the next head.
    server.timer(TokioTimer::new()).header_read_timeout(active.load().generation.caller_idle);
    let ended = {
        let monitor = Monitor::new(&mut stream, Arc::clone(&deliveries), activity);
        let connection = server.serve_connection(TokioIo::new(monitor), service);
        let mut draining = proxy.draining.clone();
        let closing = async {
            draining.closing().await;
            // A request may be under way that is not read yet; its answer then ends the connection.
            sleep(if activity.has_request() { NEXT_REQUEST_GRACE } else { FIRST_REQUEST_GRACE }).await;
        };
        tokio::pin!(connection, closing);
        tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            () = closing => {
                connection.as_mut().graceful_shutdown();
                // hyper still waits for the rest of a first head if a part of it has arrived.
                let unused = async {
                    sleep(NEXT_REQUEST_GRACE).await;
                    if activity.has_request() {
                        pending().await
                    }
                };
                tokio::select! {
                    biased;
                    ended = connection.as_mut() => ended,
                    () = unused => return,
                }
            }
            () = late_or_evicted(activity, active, proxy) => {
                tracing::debug!(
                    event = event::CONNECTION_CLOSED,
                    peer = %caller.peer,
                    "connection closed: its first request was late, or it was evicted"
                );
                return;
            }
        }
    };
    if ended.is_ok() {
        monitor::await_acknowledgement(stream.socket(), &deliveries).await;
    }
    deliveries.fail();
    let malformed = ended.as_ref().is_err_and(hyper::Error::is_parse);
    match ended {
        // hyper has answered with an empty 400, 414 or 431, and no record was written.
        Err(error) if malformed => {
            tracing::info!(event = event::REQUEST_MALFORMED, peer = %caller.peer, %error, "malformed HTTP was refused")
        }
        Err(error) => {
            tracing::debug!(event = event::CONNECTION_FAILED, peer = %caller.peer, %error, "the connection ended with an error")
        }
        Ok(()) => {}
    }
    if malformed || closing_answer.into_inner() {
        discard(&mut stream).await;
    }
}

/// Adapts an answer to HTTP/1.0, which has no chunks: an answer of unknown length ends with its connection, and hyper does not
/// announce that.
fn adapt_to_http10(response: &mut Response<AnswerBody>) {
    if response.body().size_hint().exact().is_none() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if response.headers().contains_key(CONNECTION) {
        // Otherwise, hyper adds `keep-alive` beside it.
        *response.version_mut() = Version::HTTP_10;
    }
}

/// Reads and discards the bytes that arrive after the last answer, within bounds. A socket that is closed with unread bytes is
/// reset, and the reset can overtake the answer.
async fn discard(stream: &mut (impl AsyncRead + Unpin)) {
    let reading = async {
        let mut read = 0;
        let mut buffer = [0; 1024];
        while let Ok(more @ 1..) = stream.read(&mut buffer).await {
            read += more;
            if read > DISCARD_BYTES {
                break;
            }
        }
    };
    // Whether it has ended or not, the connection is closed now.
    drop(timeout(DISCARD_TIME, reading).await);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn behind_a_last_answer_at_most_4_mib_are_read_and_for_a_second() {
        let begun = tokio::time::Instant::now();
        let mut endless = tokio::io::repeat(b'x').take(u64::MAX);
        discard(&mut endless).await;
        let read = u64::MAX - endless.limit();
        assert!(read <= 4 * 1024 * 1024 + 1024, "{read}");
        let (mut silent, _other) = tokio::io::duplex(16);
        discard(&mut silent).await;
        assert_eq!(begun.elapsed().as_secs(), 1);
    }
}
