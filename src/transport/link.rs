//! The bytes of one connection: when the last ones came, why the connection failed, and how many came beside content.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustls::{AlertDescription, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::client::TlsStream;

use super::cause::Cause;
use super::frames::Frames;

/// How much may come before the head of an answer over HTTP/1.1, in bytes: interim answers, and the head itself.
const BEFORE_ANSWER: i64 = 1 << 20;

/// How much may come over HTTP/2 beside content and windows before the first request, in bytes.
const CONTROL: i64 = 1 << 20;

/// How much more may come for each request, in bytes.
const CONTROL_FOR_REQUEST: i64 = 64 * 1024;

/// The most that may come at a time, however many requests were sent, in bytes.
const MAX_CONTROL: i64 = 8 << 20;

/// The state of a connection, shared by its reader and by those that decide about it.
#[derive(Debug)]
pub struct LinkState {
    begun: Instant,
    /// When the last bytes came, in milliseconds after `begun`.
    received: AtomicU64,
    has_received: AtomicBool,
    /// How much may still come that is no content.
    allowance: AtomicI64,
    is_tls13: bool,
    contradicts: AtomicBool,
    failure: Mutex<Option<Failure>>,
}

/// Why reading or writing failed.
#[derive(Debug, Clone)]
struct Failure {
    cause: Cause,
    alert: Option<AlertDescription>,
}

impl LinkState {
    pub(super) fn new(is_tls13: bool) -> LinkState {
        LinkState {
            begun: Instant::now(),
            received: AtomicU64::new(0),
            has_received: AtomicBool::new(false),
            allowance: AtomicI64::new(CONTROL),
            is_tls13,
            contradicts: AtomicBool::new(false),
            failure: Mutex::default(),
        }
    }

    /// Returns when the last bytes came; at first, when the connection was made.
    #[must_use]
    pub fn received_at(&self) -> Instant {
        self.begun + Duration::from_millis(self.received.load(Ordering::Relaxed))
    }

    /// Notes that a request is about to be sent over HTTP/1.1.
    pub fn expect_answer(&self) {
        self.allowance.store(BEFORE_ANSWER, Ordering::Relaxed);
    }

    /// Notes that the head of the answer has come over HTTP/1.1; its content has no bound here.
    pub fn expect_content(&self) {
        self.allowance.store(i64::MAX, Ordering::Relaxed);
    }

    /// Notes that another request is about to be sent over HTTP/2.
    pub fn expect_another_answer(&self) {
        let more = |allowance: i64| Some(allowance.saturating_add(CONTROL_FOR_REQUEST).min(MAX_CONTROL));
        // The function always returns a value, so the update cannot fail.
        self.allowance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok();
    }

    /// Returns whether the upstream has refused a request as not looked at, after it had begun to answer it. Then it is not
    /// believed about other requests either.
    #[must_use]
    pub fn contradicts_itself(&self) -> bool {
        self.contradicts.load(Ordering::Relaxed)
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

    /// Returns the alert by which the upstream refused the TLS handshake, if one proves that it looked at no request.
    ///
    /// In TLS 1.3 the handshake ends for the client before the upstream has seen the client's last messages. A request may
    /// be written by then, and the upstream reads it only if it accepts them.
    #[must_use]
    pub fn handshake_refusal(&self) -> Option<AlertDescription> {
        let is_first = self.is_tls13 && !self.has_received.load(Ordering::Relaxed);
        self.alert().filter(|alert| is_first && refuses_handshake(*alert))
    }

    fn failure(&self) -> std::sync::MutexGuard<'_, Option<Failure>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, error: &io::Error) {
        let alert = match error.get_ref().and_then(|cause| cause.downcast_ref()) {
            Some(rustls::Error::AlertReceived(alert)) => Some(*alert),
            _ => None,
        };
        // The first failure is the cause of those that follow.
        self.failure().get_or_insert_with(|| Failure { cause: Cause::of(error), alert });
    }

    /// Notes that bytes have come, of which so many are no content; fails if those are too many.
    fn receive(&self, counted: usize) -> io::Result<()> {
        self.has_received.store(true, Ordering::Relaxed);
        let since = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.received.store(since, Ordering::Relaxed);
        let counted = i64::try_from(counted).unwrap_or(i64::MAX);
        if self.allowance.fetch_sub(counted, Ordering::Relaxed) >= counted {
            return Ok(());
        }
        let error = io::Error::other("the upstream sends interim answers or control frames without end");
        self.fail(&error);
        Err(error)
    }
}

/// Whether an alert is about the client's last messages of a handshake. Others may be about what was sent after it.
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

/// A stream whose bytes are counted and whose failures are kept.
#[derive(Debug)]
pub struct Link<S> {
    stream: S,
    state: Arc<LinkState>,
    /// Walks over what comes, if HTTP/2 is spoken.
    frames: Option<Frames>,
    /// Told when the first bytes arrive, which over HTTP/2 are the upstream's SETTINGS.
    heard: Option<oneshot::Sender<()>>,
    /// The failure of a write, until everything that the upstream sent before was read.
    unwritten: Option<io::Error>,
}

impl Link<TcpStream> {
    /// Creates a connection in cleartext, over HTTP/1.1.
    #[must_use]
    pub fn plain(stream: TcpStream) -> Link<TcpStream> {
        Link { stream, state: Arc::new(LinkState::new(false)), frames: None, heard: None, unwritten: None }
    }
}

impl Link<TlsStream<TcpStream>> {
    /// Creates a connection over TLS and HTTP/1.1.
    #[must_use]
    pub fn tls(stream: TlsStream<TcpStream>) -> Link<TlsStream<TcpStream>> {
        let is_tls13 = stream.get_ref().1.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        Link { stream, state: Arc::new(LinkState::new(is_tls13)), frames: None, heard: None, unwritten: None }
    }

    /// Creates a connection over TLS and HTTP/2; the receiver resolves when the first bytes come.
    #[must_use]
    pub fn http2(stream: TlsStream<TcpStream>) -> (Link<TlsStream<TcpStream>>, oneshot::Receiver<()>) {
        let (heard, first) = oneshot::channel();
        (Link { frames: Some(Frames::default()), heard: Some(heard), ..Link::tls(stream) }, first)
    }
}

impl<S> Link<S> {
    /// Returns its state.
    #[must_use]
    pub fn state(&self) -> Arc<LinkState> {
        Arc::clone(&self.state)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Link<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Link { stream, state, frames, heard, .. } = self.get_mut();
        let before = buffer.filled().len();
        let read = std::task::ready!(Pin::new(stream).poll_read(context, buffer));
        if let Err(error) = &read {
            state.fail(error);
        }
        let received = buffer.filled().get(before..).unwrap_or_default();
        let first = heard.take();
        if received.is_empty() {
            return Poll::Ready(read);
        }
        if let Some(heard) = first {
            // Fails only if connecting was given up.
            heard.send(()).ok();
        }
        let counted = frames.as_mut().map_or(received.len(), |frames| frames.count(received));
        if frames.as_ref().is_some_and(Frames::are_contradictory) {
            state.contradicts.store(true, Ordering::Relaxed);
        }
        Poll::Ready(read.and(state.receive(counted)))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// Keeps the failure of a write. An upstream that closes a new connection may have sent an alert before: that is read
    /// first, so that it becomes the cause.
    fn written<T>(&mut self, context: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let error = match result {
            Poll::Ready(Err(error)) => error,
            other => return other,
        };
        if !self.state.has_received.load(Ordering::Relaxed) {
            let mut bytes = [0; 256];
            if Pin::new(&mut *self).poll_read(context, &mut ReadBuf::new(&mut bytes)).is_pending() {
                // A connection that fails to be written is about to end for its reader, too.
                self.unwritten = Some(error);
                return Poll::Pending;
            }
        }
        self.state.fail(&error);
        Poll::Ready(Err(error))
    }

    /// Takes the failure of an earlier write, which waited for what can be read.
    fn unwritten<T>(&mut self) -> Option<Poll<io::Result<T>>> {
        self.unwritten.take().map(|error| Poll::Ready(Err(error)))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Link<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let earlier = self.unwritten();
        let result = earlier.unwrap_or_else(|| Pin::new(&mut self.stream).poll_write(context, bytes));
        self.written(context, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let earlier = self.unwritten();
        let result = earlier.unwrap_or_else(|| Pin::new(&mut self.stream).poll_write_vectored(context, slices));
        self.written(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let earlier = self.unwritten();
        let result = earlier.unwrap_or_else(|| Pin::new(&mut self.stream).poll_flush(context));
        self.written(context, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_content_has_a_bound_that_each_request_raises() {
        let state = LinkState::new(false);
        let bound = usize::try_from(CONTROL).unwrap();
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
            state.fail(&io::Error::new(io::ErrorKind::InvalidData, rustls::Error::AlertReceived(alert)));
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
