//! One caller's connection: TLS if the listener has a certificate, then HTTP/2 if the caller chose it there, else HTTP/1.1.

use std::sync::Arc;

use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use crate::caller::Caller;
use crate::event;
use crate::proxy::Proxy;
use crate::proxy::generation::ActiveGeneration;

use super::activity::Activity;
use super::bounds::FIRST_REQUEST_GRACE;
use super::eviction::late_or_evicted;
use super::stream::{Stream, TimedStream, set_nodelay, with_write_timeout};
use super::{http1, http2, tls};

/// Serves a connection to its end.
pub async fn serve(
    stream: Stream,
    caller: Arc<Caller>,
    activity: Arc<Activity>,
    active: Arc<ActiveGeneration>,
    proxy: Arc<Proxy>,
    tls: Option<TlsAcceptor>,
) {
    if let Err(error) = set_nodelay(&stream) {
        tracing::debug!(event = event::CONNECTION_FAILED, peer = %caller.peer, %error, "the caller hung up before its connection was served");
        return;
    }
    let stream = with_write_timeout(stream, active.load().generation.caller_idle);
    match tls {
        None => http1::serve(stream, &caller, &activity, &active, &proxy).await,
        // Boxed, so that plain connections do not pay for its size.
        Some(tls) => Box::pin(serve_tls(tls, stream, caller, activity, active, proxy)).await,
    }
}

async fn serve_tls(
    acceptor: TlsAcceptor,
    stream: TimedStream,
    caller: Arc<Caller>,
    activity: Arc<Activity>,
    active: Arc<ActiveGeneration>,
    proxy: Arc<Proxy>,
) {
    let mut draining = proxy.draining.clone();
    let closing = async {
        draining.closing().await;
        sleep(FIRST_REQUEST_GRACE).await;
    };
    let handshake = tokio::select! {
        biased;
        handshake = acceptor.accept(stream) => handshake,
        () = closing => {
            tracing::debug!(event = event::CONNECTION_HANDSHAKE_FAILED, peer = %caller.peer, "the drain aborted a TLS handshake");
            return;
        }
        () = late_or_evicted(&activity, &active, &proxy) => {
            tracing::debug!(
                event = event::CONNECTION_HANDSHAKE_FAILED,
                peer = %caller.peer,
                "the TLS handshake was aborted: it took too long, or the connection was evicted"
            );
            return;
        }
    };
    let stream = match handshake {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(event = event::CONNECTION_HANDSHAKE_FAILED, peer = %caller.peer, %error, "the TLS handshake failed");
            return;
        }
    };
    if stream.get_ref().1.alpn_protocol() == Some(tls::HTTP2) {
        http2::serve(stream, caller, activity, active, proxy).await;
    } else {
        http1::serve(stream, &caller, &activity, &active, &proxy).await;
    }
}
