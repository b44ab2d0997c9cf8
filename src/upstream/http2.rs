//! One HTTP/2 connection to the upstream, shared by as many requests as the upstream allows.
//!
//! It knows of each request that failed whether the upstream can have seen it. What proves that it cannot:
//!
//! - `RST_STREAM` of the upstream's with `REFUSED_STREAM`: nothing was processed (RFC 9113, section 8.7);
//! - `GOAWAY` with a lower last stream: h2 fails with a remote `GOAWAY` only the streams above it, and those that were
//!   never opened because of it;
//! - hyper returns the request: the connection had ended before it was taken from the queue.

use std::error::Error as _;
use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::header::HOST;
use hyper::http::uri::{Authority, Scheme};
use hyper::{Request, Response, Uri, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::client::TlsStream;

use crate::tasks::{Tasks, Unwaited};

use super::body::Body;
use super::{Failed, connect};

/// The most requests that share one connection, also where the upstream allows more.
const STREAMS: usize = 128;

/// How much of one answer may wait here for a slow caller, in bytes.
const STREAM_WINDOW: u32 = 128 * 1024;

/// Enough for all of them, so that no slow caller holds up the others: 128 times 128 KiB.
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

/// The largest head of an answer, in bytes.
const MAX_HEAD: u32 = 64 * 1024;

/// How long a connection that carries requests may be silent before it is asked for a sign of life.
const PING_AFTER: Duration = Duration::from_secs(20);

/// How long the sign of life may take; the requests then fail as on a broken connection.
const PING_WITHIN: Duration = Duration::from_secs(10);

type Driver = http2::Connection<TokioIo<Wire>, Body, Unwaited>;

/// A connection that is shared.
#[derive(Debug, Clone)]
pub struct Connection(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    sender: SendRequest<Body>,
    /// Polled by its task until it ends; here it is asked how many streams the upstream allows.
    driver: Arc<Mutex<Option<Driver>>>,
    authority: Authority,
    streams: AtomicUsize,
    unused_since: Mutex<Instant>,
}

impl Connection {
    /// Begins HTTP/2 on a TLS connection and waits for the upstream's SETTINGS, which say how many requests it may carry.
    ///
    /// # Errors
    ///
    /// [`connect::Error::Closed`].
    pub async fn begin(
        stream: TlsStream<TcpStream>,
        authority: Authority,
        tasks: &Tasks,
    ) -> Result<Connection, connect::Error> {
        let (heard, settings) = oneshot::channel();
        let wire = Wire { stream, heard: Some(heard) };
        let shaken = http2::Builder::new(Unwaited(tasks.clone()))
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEAD)
            .keep_alive_interval(PING_AFTER)
            .keep_alive_timeout(PING_WITHIN)
            .handshake(TokioIo::new(wire))
            .await;
        let (sender, driver) = shaken.map_err(|_| connect::Error::Closed)?;
        let driver = Arc::new(Mutex::new(Some(driver)));
        let driven = Arc::clone(&driver);
        // Whoever waits for an answer is told of a failure by the sender.
        tasks.spawn_unwaited(poll_fn(move |context| {
            let driver = &mut *lock(&driven);
            let ended = driver.as_mut().is_none_or(|driver| Pin::new(driver).poll(context).is_ready());
            if !ended {
                return Poll::Pending;
            }
            // Only when it is dropped are requests that wait in its queue returned, and new ones refused.
            *driver = None;
            Poll::Ready(())
        }));
        settings.await.map_err(|_| connect::Error::Closed)?;
        let unused_since = Mutex::new(Instant::now());
        Ok(Connection(Arc::new(Shared { sender, driver, authority, streams: AtomicUsize::new(0), unused_since })))
    }

    /// A place for one request, where the upstream allows one more.
    #[must_use]
    pub fn stream(&self) -> Option<Stream> {
        let Shared { sender, driver, streams, .. } = &*self.0;
        let allowed = lock(driver).as_ref().map_or(0, Driver::current_max_send_streams).min(STREAMS);
        if sender.is_closed() || streams.load(Ordering::Relaxed) >= allowed {
            return None;
        }
        streams.fetch_add(1, Ordering::Relaxed);
        Some(Stream(self.clone()))
    }

    /// How many requests it carries.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.0.streams.load(Ordering::Relaxed)
    }

    /// Whether it is open and in use, or unused for less than `idle`.
    #[must_use]
    pub fn is_alive(&self, now: Instant, idle: Duration) -> bool {
        let used = self.0.streams.load(Ordering::Relaxed) > 0;
        !self.0.sender.is_closed() && (used || now.saturating_duration_since(*lock(&self.0.unused_since)) < idle)
    }
}

/// One request's place on a connection, free again when this is dropped.
#[derive(Debug)]
pub struct Stream(Connection);

impl Drop for Stream {
    fn drop(&mut self) {
        let Shared { streams, unused_since, .. } = &*self.0.0;
        if streams.fetch_sub(1, Ordering::Relaxed) == 1 {
            *lock(unused_since) = Instant::now();
        }
    }
}

impl Stream {
    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    ///
    /// [`Failed`], with the request where the upstream cannot have seen it.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, Failed> {
        let Shared { sender, authority, .. } = &*self.0.0;
        let kept = Box::new(request.clone());
        let mut error = match sender.clone().try_send_request(with_authority(request, authority)).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if error.take_message().is_some() {
            return Err(Failed::Unsent(kept));
        }
        let error = error.into_error();
        Err(if is_refusal(&error) { Failed::Refused(kept) } else { Failed::Broke(error) })
    }
}

/// Whether the upstream says that it has not looked at the request.
fn is_refusal(error: &hyper::Error) -> bool {
    let Some(error) = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>()) else { return false };
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    error.is_remote() && (refused || error.is_go_away())
}

/// HTTP/2 has the authority in the target, and no `Host`.
fn with_authority(mut request: Request<Body>, authority: &Authority) -> Request<Body> {
    request.headers_mut().remove(HOST);
    *request.version_mut() = Version::HTTP_2;
    let mut target = std::mem::take(request.uri_mut()).into_parts();
    target.scheme = Some(Scheme::HTTPS);
    target.authority = Some(authority.clone());
    // All three parts are there, which is all that could be amiss; without them h2 sends nothing.
    *request.uri_mut() = Uri::from_parts(target).unwrap_or_default();
    request
}

/// What the connection reads and writes.
#[derive(Debug)]
struct Wire {
    stream: TlsStream<TcpStream>,
    /// Told when the upstream's first bytes arrive, which are its SETTINGS.
    heard: Option<oneshot::Sender<()>>,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready()
            && let Some(heard) = self.heard.take()
            && buffer.filled().len() > before
        {
            // Nobody listens where connecting was given up.
            heard.send(()).ok();
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
