//! The bytes of one connection: when the last ones came, how many of them were no content, and why the connection failed.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rustls::{AlertDescription, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::client::TlsStream;

use super::cause::Cause;
use super::frames::Frames;

/// The most bytes before the content of an answer over HTTP/1.1: interim answers, and the head itself.
const MAX_BEFORE_CONTENT: i64 = 1 << 20;

/// The most bytes over HTTP/2 beside content and windows, before the first request.
const CONTROL_ALLOWANCE: i64 = 1 << 20;

/// How many more of them each request allows.
const CONTROL_ALLOWANCE_PER_REQUEST: i64 = 64 * 1024;

/// The most that are allowed at a time, however many requests were sent.
const MAX_CONTROL_ALLOWANCE: i64 = 8 << 20;

/// The state of a connection's bytes, shared by its reader and by the code that decides about the connection.
#[derive(Debug)]
pub struct LinkState {
    begun: Instant,
    /// When the last bytes came, in milliseconds after `begun`.
    received: AtomicU64,
    has_received: AtomicBool,
    /// How many bytes may still come that are no content.
    allowance: AtomicI64,
    is_tls13: bool,
    is_contradictory: AtomicBool,
    failure: Mutex<Option<LinkFailure>>,
}

/// Why reading or writing failed.
#[derive(Debug, Clone)]
struct LinkFailure {
    cause: Cause,
    alert: Option<AlertDescription>,
}

impl LinkState {
    pub(super) fn new(is_tls13: bool) -> LinkState {
        LinkState {
            begun: Instant::now(),
            received: AtomicU64::new(0),
            has_received: AtomicBool::new(false),
            allowance: AtomicI64::new(CONTROL_ALLOWANCE),
            is_tls13,
            is_contradictory: AtomicBool::new(false),
            failure: Mutex::default(),
        }
    }

    /// Returns when the last bytes came; at first, when the connection was made.
    #[must_use]
    pub fn received_at(&self) -> Instant {
        self.begun + Duration::from_millis(self.received.load(Ordering::Relaxed))
    }

    /// Sets the bound for the answer to a request that is about to be sent over HTTP/1.1.
    pub fn expect_answer(&self) {
        self.allowance.store(MAX_BEFORE_CONTENT, Ordering::Relaxed);
    }

    /// Removes the bound when the head of the answer has come over HTTP/1.1: content has none here.
    pub fn expect_content(&self) {
        self.allowance.store(i64::MAX, Ordering::Relaxed);
    }

    /// Raises the bound for another request that is about to be sent over HTTP/2.
    pub fn expect_another_answer(&self) {
        let more =
            |allowance: i64| Some(allowance.saturating_add(CONTROL_ALLOWANCE_PER_REQUEST).min(MAX_CONTROL_ALLOWANCE));
        // The function always returns a value, so the update cannot fail.
        self.allowance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok();
    }

    /// Returns whether the service has refused a request as not looked at, after it had begun to answer it. Then it is not
    /// believed about other requests either.
    #[must_use]
    pub fn contradicts_itself(&self) -> bool {
        self.is_contradictory.load(Ordering::Relaxed)
    }

    /// Returns why reading or writing failed.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        self.failure().as_ref().map(|failure| failure.cause.clone())
    }

    /// Returns the TLS alert that ended the connection.
    #[must_use]
    pub fn alert(&self) -> Option<AlertDescription> {
        self.failure().as_ref().and_then(|failure| failure.alert)
    }

    /// Returns the alert with which the service refused the TLS handshake, if it proves that no request was looked at.
    ///
    /// In TLS 1.3 the handshake ends for the client before the service has seen the client's last messages. A request may be
    /// written by then, and the service reads it only if it accepts those messages.
    #[must_use]
    pub fn handshake_refusal(&self) -> Option<AlertDescription> {
        let is_first = self.is_tls13 && !self.has_received.load(Ordering::Relaxed);
        self.alert().filter(|alert| is_first && refuses_handshake(*alert))
    }

    fn failure(&self) -> std::sync::MutexGuard<'_, Option<LinkFailure>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record_failure(&self, error: &io::Error) {
        let alert = match error.get_ref().and_then(|cause| cause.downcast_ref()) {
            Some(rustls::Error::AlertReceived(alert)) => Some(*alert),
            _ => None,
        };
        // The first failure is the cause of those that follow.
        self.failure().get_or_insert_with(|| LinkFailure { cause: Cause::of(error), alert });
    }

    /// Records that bytes have come, `counted` of which are no content.
    ///
    /// # Errors
    ///
    /// If more of those have come than may.
    fn receive(&self, counted: usize) -> io::Result<()> {
        self.has_received.store(true, Ordering::Relaxed);
        let since = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.received.store(since, Ordering::Relaxed);
        let counted = i64::try_from(counted).unwrap_or(i64::MAX);
        if self.allowance.fetch_sub(counted, Ordering::Relaxed) >= counted {
            return Ok(());
        }
        let error = io::Error::other("the service sends interim answers or control frames without end");
        self.record_failure(&error);
        Err(error)
    }
}

/// Returns whether an alert is about the client's last messages of a handshake. Others may be about later ones.
fn refuses_handshake(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::HandshakeFailure
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
            | Alert::ProtocolVersion
            | Alert::InsufficientSecurity
            | Alert::CertificateRequired
    )
}

/// A stream whose bytes are counted and whose failures are recorded.
#[derive(Debug)]
pub struct Link<S> {
    stream: S,
    state: Arc<LinkState>,
    /// Reads the frames that come over HTTP/2.
    frames: Option<Frames>,
    /// Signals that the first bytes have come, which over HTTP/2 are the SETTINGS of the service.
    first_bytes: Option<oneshot::Sender<()>>,
    /// The failure of a write, until everything that the service sent before it was read; and the waker of its writer.
    write_error: Option<(io::Error, Waker)>,
    /// Bytes that were read when a write failed.
    unread: BytesMut,
    /// Whether nothing more can be read from the stream.
    is_read_to_end: bool,
}

impl<S> Link<S> {
    /// Creates a link in cleartext, over HTTP/1.1.
    #[must_use]
    pub fn plain(stream: S) -> Link<S> {
        Link::new(stream, false)
    }

    fn new(stream: S, is_tls13: bool) -> Link<S> {
        let state = Arc::new(LinkState::new(is_tls13));
        let (unread, is_read_to_end) = (BytesMut::new(), false);
        Link { stream, state, frames: None, first_bytes: None, write_error: None, unread, is_read_to_end }
    }

    /// Returns its state.
    #[must_use]
    pub fn state(&self) -> Arc<LinkState> {
        Arc::clone(&self.state)
    }
}

impl Link<TlsStream<TcpStream>> {
    /// Creates a link over TLS and HTTP/1.1.
    #[must_use]
    pub fn tls(stream: TlsStream<TcpStream>) -> Link<TlsStream<TcpStream>> {
        let is_tls13 = stream.get_ref().1.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        Link::new(stream, is_tls13)
    }

    /// Creates a link over TLS and HTTP/2; the receiver resolves when the first bytes come.
    #[must_use]
    pub fn http2(stream: TlsStream<TcpStream>) -> (Link<TlsStream<TcpStream>>, oneshot::Receiver<()>) {
        let (first_bytes, receiver) = oneshot::channel();
        (Link { frames: Some(Frames::default()), first_bytes: Some(first_bytes), ..Link::tls(stream) }, receiver)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Link<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Link { stream, state, frames, first_bytes, write_error, unread, is_read_to_end } = self.get_mut();
        if !unread.is_empty() {
            buffer.put_slice(&unread.split_to(unread.len().min(buffer.remaining())));
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = std::task::ready!(Pin::new(stream).poll_read(context, buffer));
        if let Err(error) = &read {
            state.record_failure(error);
        }
        let received = buffer.filled().get(before..).unwrap_or_default();
        let first_bytes = first_bytes.take();
        if received.is_empty() {
            *is_read_to_end = true;
            write_error.iter().for_each(|(_, waker)| waker.wake_by_ref());
            return Poll::Ready(read);
        }
        if let Some(first_bytes) = first_bytes {
            // Fails only if connecting was given up.
            first_bytes.send(()).ok();
        }
        let counted = frames.as_mut().map_or(received.len(), |frames| frames.count(received));
        if frames.as_ref().is_some_and(Frames::are_contradictory) {
            state.is_contradictory.store(true, Ordering::Relaxed);
        }
        Poll::Ready(read.and(state.receive(counted)))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// Records the failure of a write. A service that closes a connection may have sent an alert before, or an answer to a request
    /// that it does not want to read to its end. That is read first.
    fn end_write<T>(&mut self, context: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let error = match result {
            Poll::Ready(Err(error)) => error,
            other => return other,
        };
        if !self.state.has_received.load(Ordering::Relaxed) {
            // The reader may not have begun.
            let mut bytes = [0; 256];
            let mut buffer = ReadBuf::new(&mut bytes);
            if Pin::new(&mut *self).poll_read(context, &mut buffer).is_ready() {
                self.unread.extend_from_slice(buffer.filled());
                context.waker().wake_by_ref();
            }
        }
        if !self.is_read_to_end {
            // A connection that cannot be written is about to end for its reader, too.
            self.write_error = Some((error, context.waker().clone()));
            return Poll::Pending;
        }
        self.state.record_failure(&error);
        Poll::Ready(Err(error))
    }

    /// Returns the failure of an earlier write, once everything was read.
    fn earlier_failure<T>(&mut self) -> Option<Poll<io::Result<T>>> {
        if self.write_error.is_some() && !self.is_read_to_end {
            return Some(Poll::Pending);
        }
        self.write_error.take().map(|(error, _)| Poll::Ready(Err(error)))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Link<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let earlier = self.earlier_failure();
        let result = earlier.unwrap_or_else(|| Pin::new(&mut self.stream).poll_write(context, bytes));
        self.end_write(context, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let earlier = self.earlier_failure();
        let result = earlier.unwrap_or_else(|| Pin::new(&mut self.stream).poll_write_vectored(context, slices));
        self.end_write(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let earlier = self.earlier_failure();
        let result = earlier.unwrap_or_else(|| Pin::new(&mut self.stream).poll_flush(context));
        self.end_write(context, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_answer_that_comes_before_a_connection_breaks_is_read_before_writing_fails() {
        for greeting in ["", "hello"] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut link = Link::plain(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
            let (mut service, _) = listener.accept().await.unwrap();
            service.write_all(greeting.as_bytes()).await.unwrap();
            link.read_exact(&mut vec![0; greeting.len()]).await.unwrap();
            link.write_all(b"request").await.unwrap();
            service.write_all(b"answer").await.unwrap();
            // It has not read everything, so it resets the connection.
            drop(service);
            let (mut reading, mut writing) = tokio::io::split(link);
            let write = async {
                while writing.write_all(&[b'x'; 1024]).await.is_ok() {}
                "write failed"
            };
            let mut answer = [0; 6];
            let read = async {
                reading.read_exact(&mut answer).await.unwrap();
                let ended = reading.read_exact(&mut [0]).await;
                assert!(ended.is_err(), "nothing follows");
                "read to the end"
            };
            // In one task, as a connection has.
            let ended = tokio::time::timeout(std::time::Duration::from_secs(20), async { tokio::join!(read, write) });
            assert_eq!(ended.await, Ok(("read to the end", "write failed")));
            assert_eq!(&answer, b"answer");
        }
    }

    #[test]
    fn what_is_no_content_has_a_bound_that_each_request_raises() {
        let state = LinkState::new(false);
        let bound = usize::try_from(CONTROL_ALLOWANCE).unwrap();
        assert!(state.receive(bound).is_ok());
        assert!(state.receive(1).is_err());
        let state = LinkState::new(false);
        state.expect_another_answer();
        assert!(state.receive(bound + 1).is_ok());
    }

    #[test]
    fn an_alert_proves_that_nothing_was_looked_at_if_it_is_the_first_that_comes_and_about_the_handshake() {
        let refusal = |is_tls13: bool, received: usize, alert: AlertDescription| {
            let state = LinkState::new(is_tls13);
            if received > 0 {
                state.receive(received).unwrap();
            }
            state.record_failure(&io::Error::new(io::ErrorKind::InvalidData, rustls::Error::AlertReceived(alert)));
            assert_eq!(state.alert(), Some(alert));
            state.handshake_refusal()
        };
        use AlertDescription as Alert;
        for alert in [Alert::CertificateRequired, Alert::UnknownCA, Alert::ProtocolVersion] {
            assert_eq!(refusal(true, 0, alert), Some(alert));
            assert_eq!(refusal(true, 1, alert), None, "something was answered before");
            assert_eq!(refusal(false, 0, alert), None, "in TLS 1.2 the handshake is over");
        }
        for alert in [Alert::InternalError, Alert::BadRecordMac, Alert::UserCanceled, Alert::DecodeError] {
            assert_eq!(refusal(true, 0, alert), None);
        }
    }
}
