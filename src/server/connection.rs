//! One caller's connection: TLS where the listener has it, then HTTP/2 if the caller chose it there, else HTTP/1.1.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use crate::caller::Peer;
use crate::event;
use crate::metrics::CloseReason;
use crate::proxy::Proxy;
use crate::proxy::generation::Current;

use super::activity::Activity;
use super::patient::Patient;
use super::socket::Stream;
use super::{http1, http2, tls};

/// How long a drain waits for the first request of a connection that has not brought one.
pub(super) const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// How long a connection has for its TLS handshake and the head of its first request together, if `timeouts.caller_idle`
/// is not shorter.
const FIRST_HEAD: Duration = Duration::from_secs(10);

/// The largest head of a request, in bytes, in either protocol.
pub(super) const HEAD_BYTES: u16 = 16 * 1024;

/// How much of an answer or a body is held for one request, in bytes, in either protocol.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;

/// Serves a connection to its end.
pub async fn serve(
    stream: Stream,
    peer: Peer,
    activity: Arc<Activity>,
    current: Arc<Current>,
    proxy: Arc<Proxy>,
    tls: Option<TlsAcceptor>,
) {
    if let Err(error) = stream.set_nodelay() {
        tracing::debug!(event = event::CONNECTION_FAILED, %peer, %error, "the caller left before it was served");
        return;
    }
    let stream = Patient::new(stream, current.load().snapshot.caller_idle);
    match tls {
        None => http1::serve(stream, peer, &activity, &current, &proxy).await,
        // In a box, so that plain connections do not pay for its size.
        Some(tls) => Box::pin(encrypted(tls, stream, peer, activity, current, proxy)).await,
    }
}

/// Resolves when the connection is to be closed although its caller may still want something: it has brought no first head
/// in time, or its place is needed.
pub(super) async fn unwanted(activity: &Activity, current: &Current, proxy: &Proxy) {
    let first_head = FIRST_HEAD.min(current.load().snapshot.caller_idle);
    let closed = tokio::select! {
        () = activity.is_late(first_head) => CloseReason::Late,
        () = activity.evicted() => CloseReason::Evicted,
    };
    proxy.sinks.metrics.closed(closed);
}

async fn encrypted(
    acceptor: TlsAcceptor,
    stream: Patient<Stream>,
    peer: Peer,
    activity: Arc<Activity>,
    current: Arc<Current>,
    proxy: Arc<Proxy>,
) {
    let mut draining = proxy.draining.clone();
    let closing = async {
        draining.closing().await;
        sleep(FIRST_REQUEST).await;
    };
    let shaken = tokio::select! {
        biased;
        shaken = acceptor.accept(stream) => shaken,
        () = closing => {
            tracing::debug!(event = event::CONNECTION_HANDSHAKE_FAILED, %peer, "the drain ended a TLS handshake");
            return;
        }
        () = unwanted(&activity, &current, &proxy) => {
            tracing::debug!(event = event::CONNECTION_HANDSHAKE_FAILED, %peer, "the TLS handshake took too long, or its place was needed");
            return;
        }
    };
    let stream = match shaken {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(event = event::CONNECTION_HANDSHAKE_FAILED, %peer, %error, "the TLS handshake failed");
            return;
        }
    };
    if stream.get_ref().1.alpn_protocol() == Some(tls::HTTP2) {
        http2::serve(stream, peer, activity, current, proxy).await;
    } else {
        http1::serve(stream, peer, &activity, &current, &proxy).await;
    }
}
