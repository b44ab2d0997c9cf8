//! One connection over HTTP/1.1 or HTTP/2, which may be closed or reset on command.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;

use super::cut::ConnectionCut;
use super::fault::{FaultAction, FaultStage, FaultTarget};
use super::{Simulator, exchange};

/// A stream that can be reset instead of closed.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// Returns the TCP connection below.
    fn tcp(&self) -> &TcpStream;

    /// Returns whether HTTP/2 was negotiated.
    fn speaks_http2(&self) -> bool;

    /// Returns the scheme of the URLs of this server.
    fn scheme(&self) -> &'static str;
}

impl Stream for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }

    fn speaks_http2(&self) -> bool {
        false
    }

    fn scheme(&self) -> &'static str {
        "http"
    }
}

impl Stream for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }

    fn speaks_http2(&self) -> bool {
        self.get_ref().1.alpn_protocol() == Some(b"h2")
    }

    fn scheme(&self) -> &'static str {
        "https"
    }
}

/// Serves a connection until either side ends it.
pub(super) async fn serve(simulator: Arc<Simulator>, number: u64, mut stream: impl Stream) {
    if let Some(fault) = simulator.take_fault(|stage| stage == FaultStage::Connected, FaultTarget::default()) {
        let mut first = [0];
        // The connection ends in any case, whether a byte arrives or the peer hangs up.
        drop(stream.read(&mut first).await);
        tokio::time::sleep(fault.delay()).await;
        return end(
            &stream,
            if matches!(fault.then, FaultAction::Reset) { ConnectionCut::RESET } else { ConnectionCut::CLOSE },
        );
    }
    let http2 = stream.speaks_http2();
    let cut = Arc::new(ConnectionCut::new(http2));
    let scheme = stream.scheme();
    // Dropped after the connection, because `close_connections` waits until no receiver is left.
    let generation = &mut simulator.generation.subscribe();
    let answering = |request| {
        let (simulator, cut) = (Arc::clone(&simulator), Arc::clone(&cut));
        async move { exchange::answer(&simulator, exchange::Line { number, scheme, cut: &cut }, request).await }
    };
    let stream = TokioIo::new(stream);
    if http2 {
        let server = http2::Builder::new(TokioExecutor::new());
        return until_over(pin!(server.serve_connection(stream, service_fn(answering))), &cut, generation).await;
    }
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30));
    let mut connection = server.serve_connection(stream, service_fn(answering));
    until_over(Pin::new(&mut connection), &cut, generation).await;
    end(&connection.into_parts().io.into_inner(), cut.mode());
}

/// Polls a connection until it ends, must be cut, or belongs to an older generation.
async fn until_over(mut connection: Pin<&mut impl Future>, cut: &ConnectionCut, generation: &mut watch::Receiver<u64>) {
    let (mut superseded, mut requested) = (pin!(generation.changed()), pin!(cut.requested.notified()));
    poll_fn(|context| {
        let ended = connection.as_mut().poll(context).is_ready();
        // Pending means that everything buffered so far was flushed.
        let cut = requested.as_mut().poll(context).is_ready() || cut.mode() != 0;
        if ended || cut || superseded.as_mut().poll(context).is_ready() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn end(stream: &impl Stream, cut: u8) {
    if cut == ConnectionCut::RESET {
        // If the system does not support this, dropping the stream closes it without a reset.
        drop(stream.tcp().set_zero_linger());
    }
}
