//! A monitor of a caller's connection below HTTP/1.1: whether the caller is still connected, and whether it receives its answers.
//!
//! A caller that ends its sending side still waits for its answer (RFC 9112, section 9.6). A caller that has closed its connection
//! looks the same until something is written to it; then its system answers with a reset.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{io, mem};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep};
use tokio_rustls::server::TlsStream;

use crate::proxy::delivery::Deliveries;

use super::activity::Activity;
use super::stream::{CallerSide, Stream, TimedStream, is_over, poll_caller_side, take_error};

/// How long the system of a caller that has ended its sending side may take to acknowledge the last answer.
const ACKNOWLEDGEMENT_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection, plain or encrypted, whose socket can be asked about its caller.
pub trait CallerConnection: AsyncRead + AsyncWrite + Unpin {
    /// Returns the underlying socket.
    fn socket(&self) -> &Stream;
}

impl CallerConnection for TimedStream {
    fn socket(&self) -> &Stream {
        self.get_ref()
    }
}

impl CallerConnection for TlsStream<TimedStream> {
    fn socket(&self) -> &Stream {
        self.get_ref().0.get_ref()
    }
}

/// A connection that passes all bytes on, and notices a caller that has ended its sending side or reset the connection.
#[derive(Debug)]
pub struct Monitor<'c, S> {
    connection: &'c mut S,
    deliveries: Arc<Deliveries>,
    activity: &'c Activity,
    /// Whether hyper has read since it last flushed. If it has, it sees an error by itself, and reports what the error interrupted.
    has_read: bool,
}

impl<'c, S: CallerConnection> Monitor<'c, S> {
    /// Creates a monitor that records in `deliveries` whether answers arrive.
    pub fn new(connection: &'c mut S, deliveries: Arc<Deliveries>, activity: &'c Activity) -> Monitor<'c, S> {
        Monitor { connection, deliveries, activity, has_read: false }
    }
}

/// Waits until it is known whether a caller that has ended its sending side received its last answer.
pub async fn await_acknowledgement(socket: &Stream, deliveries: &Deliveries) {
    let (deadline, mut pause) = (Instant::now() + ACKNOWLEDGEMENT_TIMEOUT, Duration::from_millis(1));
    while !deliveries.is_empty() {
        if take_error(socket).is_some() {
            deliveries.fail();
        } else if is_over(socket) || Instant::now() >= deadline {
            deliveries.confirm();
        } else {
            sleep(pause).await;
            pause *= 2;
        }
    }
}

impl<S: CallerConnection> AsyncRead for Monitor<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.has_read = true;
        Pin::new(&mut *self.connection).poll_read(context, buffer)
    }
}

impl<S: CallerConnection> AsyncWrite for Monitor<'_, S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.connection).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.connection).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    /// hyper flushes whenever it is polled, also while it waits for the answer.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut *self.connection).poll_flush(context))?;
        if !self.activity.has_request() {
            // Nothing waits for an answer. An error would hide from the log what was malformed.
            return Poll::Ready(Ok(()));
        }
        let has_read = mem::take(&mut self.has_read);
        let socket = self.connection.socket();
        let side = poll_caller_side(socket, context);
        // The system reports an error only once. If it were taken here, the next read would find an ordinary end instead.
        let error = if has_read || side == CallerSide::Open { None } else { take_error(socket) };
        match (side, error) {
            (CallerSide::Open, _) => {}
            // Its system's acknowledgement will show whether the caller still receives; see `await_acknowledgement`.
            (CallerSide::HalfClosed, None) => self.deliveries.doubt(),
            (CallerSide::Closed, None) if has_read => self.deliveries.fail(),
            (_, error) => {
                self.deliveries.fail();
                return Poll::Ready(Err(error.unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())));
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.connection).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_util::either::Either;

    use super::super::stream::with_write_timeout;
    use super::*;

    #[tokio::test]
    async fn a_reset_that_a_flush_notices_first_is_still_an_error_for_the_read_that_waits() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let caller = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = with_write_timeout(Either::Left(stream), Duration::from_secs(1));
        let activity = Arc::<Activity>::default();
        let _request = activity.begin_request();
        let mut monitor = Monitor::new(&mut stream, Arc::default(), &activity);
        let mut byte = [0];
        poll_fn(|context| {
            assert!(Pin::new(&mut monitor).poll_read(context, &mut ReadBuf::new(&mut byte)).is_pending());
            Poll::Ready(())
        })
        .await;
        caller.set_zero_linger().unwrap();
        drop(caller);
        poll_fn(|context| match poll_caller_side(monitor.connection.socket(), context) {
            CallerSide::Open => Poll::Pending,
            CallerSide::HalfClosed | CallerSide::Closed => Poll::Ready(()),
        })
        .await;
        poll_fn(|context| Pin::new(&mut monitor).poll_flush(context)).await.unwrap();
        assert_eq!(monitor.read(&mut byte).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
    #[tokio::test]
    async fn before_the_first_request_a_caller_that_has_left_does_not_hide_what_was_malformed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let caller = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = with_write_timeout(Either::Left(stream), Duration::from_secs(1));
        let activity = Activity::default();
        let mut monitor = Monitor::new(&mut stream, Arc::default(), &activity);
        drop(caller);
        assert_eq!(monitor.read(&mut [0]).await.unwrap(), 0);
        // The caller's system answers this with a reset.
        monitor.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let is_closed = |context: &mut Context<'_>| {
            Poll::Ready(poll_caller_side(monitor.connection.socket(), context) == CallerSide::Closed)
        };
        while !poll_fn(is_closed).await {
            tokio::task::yield_now().await;
        }
        monitor.has_read = false;
        poll_fn(|context| Pin::new(&mut monitor).poll_flush(context)).await.unwrap();
    }
}
