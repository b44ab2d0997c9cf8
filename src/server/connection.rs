//! One caller's connection, in the protocol that it speaks, until it closes, is unused for too long, or the drain ends
//! it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;

use crate::proxy::Proxy;
use crate::proxy::snapshot::Listener;

use super::http1;

/// Serves a connection to its end.
pub async fn serve(stream: TcpStream, peer: SocketAddr, listener: Arc<Listener>, proxy: Arc<Proxy>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "the caller left before it was served");
        return;
    }
    http1::serve(stream, peer, listener, proxy).await;
}
