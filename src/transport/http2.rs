//! One HTTP/2 connection to a service, shared by as many requests as the service allows.
//!
//! For each request that failed it is known whether the service can have seen it. Three things prove that it cannot:
//!
//! - `RST_STREAM` with `REFUSED_STREAM` of the service: nothing was processed (RFC 9113, section 8.7). If it comes after an
//!   interim answer, the service is believed about no request of that connection;
//! - `GOAWAY` with a lower last stream: h2 fails with a remote `GOAWAY` only the streams above that one, and those that were
//!   never opened because of it;
//! - hyper returns the request: the connection had ended before the request was taken from the queue.

use std::error::Error as _;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::header::HOST;
use hyper::http::uri::{Authority, Scheme};
use hyper::{Request, Response, Uri, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio_rustls::client::TlsStream;

use crate::tasks::{Tasks, UntrackedExecutor};

use super::body::Body;
use super::cause::Cause;
use super::error::AttemptError;
use super::link::{Link, LinkState};

/// The most requests that share one connection, also if the service allows more.
const MAX_STREAMS: usize = 128;

/// How much of one answer may wait here for a slow reader, in bytes.
const STREAM_WINDOW: u32 = 128 * 1024;

/// How much of all answers may wait, in bytes: as much as all streams together, so that no slow reader holds up the others.
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

/// The largest head of an answer, in bytes.
const MAX_HEAD_BYTES: u32 = 64 * 1024;

/// How long a connection that carries requests may be silent before it is pinged.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// How long the answer to a ping may take before new requests go to another connection.
const UNRESPONSIVE_AFTER: Duration = Duration::from_secs(2);

/// How long the answer to a ping may take before the requests fail, as on a broken connection.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request waits at least, if giving it up unanswered takes its connection out of use.
const RETIRE_AFTER: Duration = Duration::from_secs(3);

type Driver = http2::Connection<TokioIo<Link<TlsStream<TcpStream>>>, Body, UntrackedExecutor>;

/// A connection that requests share.
#[derive(Debug, Clone)]
pub struct Connection(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    sender: SendRequest<Body>,
    /// The connection itself. Its task polls it until it ends; it tells how many streams the service allows.
    driver: Arc<Mutex<Option<Driver>>>,
    authority: Authority,
    /// See [`super::connect::Connector::generation`].
    generation: u64,
    link: Arc<LinkState>,
    streams: AtomicUsize,
    /// When its first stream was taken, or its last one returned.
    changed: Mutex<Instant>,
    /// Whether it gets no new requests, because an answer did not come in time.
    is_retired: AtomicBool,
    task: AbortHandle,
}

impl Connection {
    /// Begins HTTP/2 on a TLS connection and waits for the SETTINGS of the service, which say how many requests it may carry.
    ///
    /// # Errors
    ///
    /// The cause, if the connection ends before they come.
    pub async fn begin(
        link: Link<TlsStream<TcpStream>>,
        settings: oneshot::Receiver<()>,
        authority: Authority,
        generation: u64,
        tasks: &Tasks,
    ) -> Result<Connection, Cause> {
        let state = link.state();
        let begun = http2::Builder::new(UntrackedExecutor(tasks.clone()))
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEAD_BYTES)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .handshake(TokioIo::new(link))
            .await;
        let ended = || Cause::new("it ended before HTTP/2 began").with(state.cause().as_ref());
        let (sender, driver) = begun.map_err(|_| ended())?;
        let driver = Arc::new(Mutex::new(Some(driver)));
        let driven = Arc::clone(&driver);
        // A request that waits for its answer learns of a failure from the sender.
        let task = tasks.spawn_untracked(poll_fn(move |context| {
            let driver = &mut *lock(&driven);
            let ended = driver.as_mut().is_none_or(|driver| Pin::new(driver).poll(context).is_ready());
            if !ended {
                return Poll::Pending;
            }
            // Dropping it returns the requests that wait in its queue, and refuses new ones.
            *driver = None;
            Poll::Ready(())
        }));
        settings.await.map_err(|_| ended())?;
        Ok(Connection(Arc::new(Shared {
            sender,
            driver,
            authority,
            generation,
            link: state,
            streams: AtomicUsize::new(0),
            changed: Mutex::new(Instant::now()),
            is_retired: AtomicBool::new(false),
            task,
        })))
    }

    /// Returns a stream for one request, if the service allows another one and has not been silent for too long. With
    /// `is_exclusive`, it must be the only one.
    #[must_use]
    pub fn stream(&self, is_exclusive: bool) -> Option<Stream> {
        let Shared { sender, driver, streams, changed, is_retired, .. } = &*self.0;
        let now = Instant::now();
        let allowed = lock(driver).as_ref().map_or(0, Driver::current_max_send_streams);
        let allowed = allowed.min(if is_exclusive { 1 } else { MAX_STREAMS });
        let used = streams.load(Ordering::Relaxed);
        if sender.is_closed() || used >= allowed || is_retired.load(Ordering::Relaxed) || self.is_unresponsive(now) {
            return None;
        }
        if streams.fetch_add(1, Ordering::Relaxed) == 0 {
            *lock(changed) = now;
        }
        Some(Stream {
            connection: self.clone(),
            begun: now,
            is_finished: AtomicBool::new(false),
            closes_connection: AtomicBool::new(false),
        })
    }

    /// Returns whether it was pinged, and nothing has come for too long.
    fn is_unresponsive(&self, now: Instant) -> bool {
        let Shared { link, streams, changed, .. } = &*self.0;
        // It is not pinged while it carries no request.
        let pinged_at = (link.received_at() + PING_INTERVAL).max(*lock(changed));
        streams.load(Ordering::Relaxed) > 0 && now.saturating_duration_since(pinged_at) > UNRESPONSIVE_AFTER
    }

    /// Takes it out of use for new requests; it finishes those that it carries.
    pub fn retire(&self) {
        self.0.is_retired.store(true, Ordering::Relaxed);
    }

    /// Closes it, with all that it carries.
    fn close(&self) {
        self.retire();
        lock(&self.0.driver).take();
        self.0.task.abort();
    }

    /// Returns the generation of what the connection was made with.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.generation
    }

    /// Returns how many requests it carries.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.0.streams.load(Ordering::Relaxed)
    }

    /// Returns whether it is open, and carries requests or has been idle for less than `idle_timeout`.
    #[must_use]
    pub fn is_alive(&self, now: Instant, idle_timeout: Duration) -> bool {
        let Shared { sender, streams, changed, is_retired, .. } = &*self.0;
        let is_used = streams.load(Ordering::Relaxed) > 0;
        let is_kept =
            || now.saturating_duration_since(*lock(changed)) < idle_timeout && !is_retired.load(Ordering::Relaxed);
        !sender.is_closed() && (is_used || is_kept())
    }
}

/// The stream of one request on a connection, returned when this is dropped.
#[derive(Debug)]
pub struct Stream {
    connection: Connection,
    begun: Instant,
    /// Whether the request was answered to the end, or the service ended it.
    is_finished: AtomicBool,
    /// Whether the connection closes with it, because no other request uses that.
    closes_connection: AtomicBool,
}

impl Drop for Stream {
    fn drop(&mut self) {
        let Shared { streams, changed, .. } = &*self.connection.0;
        if !self.is_finished.load(Ordering::Relaxed) && self.begun.elapsed() >= RETIRE_AFTER {
            self.connection.retire();
        }
        if streams.fetch_sub(1, Ordering::Relaxed) == 1 {
            *lock(changed) = Instant::now();
        }
        if self.closes_connection.load(Ordering::Relaxed) {
            self.connection.close();
        }
    }
}

impl Stream {
    /// Closes the connection when this is dropped. To be called only for a stream that is the only one.
    ///
    /// A service that has answered a request may leave the rest of its stream untaken for ever, without resetting it.
    pub fn close_at_end(&self) {
        self.closes_connection.store(true, Ordering::Relaxed);
    }

    /// Returns the stream after the answer was read to its end.
    pub fn finish(self) {
        self.is_finished.store(true, Ordering::Relaxed);
    }

    /// Returns the connection, which other requests share.
    #[must_use]
    pub fn connection(&self) -> Connection {
        self.connection.clone()
    }

    /// Returns the state of the bytes below it.
    #[must_use]
    pub fn link(&self) -> Arc<LinkState> {
        Arc::clone(&self.connection.0.link)
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    ///
    /// [`AttemptError`].
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, AttemptError> {
        let Shared { sender, authority, link, .. } = &*self.connection.0;
        link.expect_another_answer();
        let error = match sender.clone().try_send_request(with_authority(request, authority)).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        self.is_finished.store(true, Ordering::Relaxed);
        if error.message().is_none() && is_refusal(error.error()) && !link.contradicts_itself() {
            return Err(AttemptError::Declined);
        }
        Err(AttemptError::new(error, link))
    }
}

/// Returns whether the service says that it has not looked at the request.
fn is_refusal(error: &hyper::Error) -> bool {
    let Some(error) = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>()) else { return false };
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    error.is_remote() && (refused || error.is_go_away())
}

/// Moves the authority from `Host` to the target, as HTTP/2 has it.
fn with_authority(mut request: Request<Body>, authority: &Authority) -> Request<Body> {
    request.headers_mut().remove(HOST);
    *request.version_mut() = Version::HTTP_2;
    let mut target = std::mem::take(request.uri_mut()).into_parts();
    target.scheme = Some(Scheme::HTTPS);
    target.authority = Some(authority.clone());
    // It fails only if a part is missing, and all three are there; h2 would send nothing then.
    *request.uri_mut() = Uri::from_parts(target).unwrap_or_default();
    request
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
