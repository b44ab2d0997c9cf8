//! A caller's connection over HTTP/1.1.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::proxy::Proxy;
use crate::proxy::snapshot::Listener;

/// How long a drain waits for the first request of a connection that has not brought one.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// Serves a connection to its end.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    listener: Arc<Listener>,
    proxy: Arc<Proxy>,
) {
    // Holds a permit from the first request on.
    let begun = Notify::new();
    let service = service_fn(|request| {
        begun.notify_one();
        async { Ok::<_, std::convert::Infallible>(proxy.handle(&listener, peer, request).await) }
    });
    let mut server = http1::Builder::new();
    // Runs from the end of one request to the end of the next one's head.
    server.timer(TokioTimer::new()).header_read_timeout(proxy.snapshot.idle_timeout);
    let connection = server.serve_connection(TokioIo::new(stream), service);
    let mut draining = proxy.draining.clone();
    let closing = async {
        draining.closing().await;
        // A connection that was just taken from the queue may carry a request that nobody has read yet.
        drop(timeout(FIRST_REQUEST, begun.notified()).await);
    };
    tokio::pin!(connection, closing);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = closing => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "the connection ended early");
    }
}
