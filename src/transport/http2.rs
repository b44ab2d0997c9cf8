//! One HTTP/2 connection to the upstream, shared by as many requests as the upstream allows.
//!
//! It knows of each request that failed whether the upstream can have seen it. What proves that it cannot:
//!
//! - the upstream's `RST_STREAM` with `REFUSED_STREAM`: nothing was processed (RFC 9113, section 8.7). If it comes after an
//!   interim answer, the upstream is believed about no request of that connection;
//! - `GOAWAY` with a lower last stream: h2 fails with a remote `GOAWAY` only the streams above it, and those that were
//!   never opened because of it;
//! - hyper returns the request: the connection had ended before it was taken from the queue.

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
use tokio_rustls::client::TlsStream;

use crate::tasks::{Tasks, Unwaited};

use super::body::Body;
use super::cause::Cause;
use super::error::AttemptError;
use super::link::{Link, LinkState};

/// The most requests that share one connection, also where the upstream allows more.
const STREAMS: usize = 128;

/// How much of one answer may wait here for a slow caller, in bytes.
const STREAM_WINDOW: u32 = 128 * 1024;

/// Enough for all of them, so that no slow caller holds up the others: 128 times 128 KiB.
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

/// The largest head of an answer, in bytes.
const MAX_HEAD: u32 = 64 * 1024;

/// How long a connection that carries requests may be silent before it is asked for a sign of life.
const PING_AFTER: Duration = Duration::from_secs(5);

/// How long the sign of life may take before new requests go elsewhere.
const DOUBT_AFTER: Duration = Duration::from_secs(2);

/// How long the sign of life may take; the requests then fail as on a broken connection.
const PING_WITHIN: Duration = Duration::from_secs(10);

/// After how long a request that is given up unanswered takes its connection out of use.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(3);

type Driver = http2::Connection<TokioIo<Link<TlsStream<TcpStream>>>, Body, Unwaited>;

/// A connection that is shared.
#[derive(Debug, Clone)]
pub struct Connection(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    sender: SendRequest<Body>,
    /// Polled by its task until it ends; here it is asked how many streams the upstream allows.
    driver: Arc<Mutex<Option<Driver>>>,
    authority: Authority,
    link: Arc<LinkState>,
    streams: AtomicUsize,
    /// When it was last taken into use, or out of it.
    changed: Mutex<Instant>,
    /// Whether it gets nothing new, because an answer did not come in time.
    is_retired: AtomicBool,
}

impl Connection {
    /// Begins HTTP/2 on a TLS connection and waits for the upstream's SETTINGS, which say how many requests it may carry.
    ///
    /// # Errors
    ///
    /// The cause, if the connection ends before they come.
    pub async fn begin(
        link: Link<TlsStream<TcpStream>>,
        settings: oneshot::Receiver<()>,
        authority: Authority,
        tasks: &Tasks,
    ) -> Result<Connection, Cause> {
        let state = link.state();
        let shaken = http2::Builder::new(Unwaited(tasks.clone()))
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEAD)
            .keep_alive_interval(PING_AFTER)
            .keep_alive_timeout(PING_WITHIN)
            .handshake(TokioIo::new(link))
            .await;
        let ended = || Cause::new("it ended before HTTP/2 began").with(state.cause().as_ref());
        let (sender, driver) = shaken.map_err(|_| ended())?;
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
        settings.await.map_err(|_| ended())?;
        Ok(Connection(Arc::new(Shared {
            sender,
            driver,
            authority,
            link: state,
            streams: AtomicUsize::new(0),
            changed: Mutex::new(Instant::now()),
            is_retired: AtomicBool::new(false),
        })))
    }

    /// Returns a place for one request, if the upstream allows one more and nothing is amiss.
    #[must_use]
    pub fn stream(&self) -> Option<Stream> {
        let Shared { sender, driver, streams, changed, is_retired, .. } = &*self.0;
        let now = Instant::now();
        let allowed = lock(driver).as_ref().map_or(0, Driver::current_max_send_streams).min(STREAMS);
        let used = streams.load(Ordering::Relaxed);
        if sender.is_closed() || used >= allowed || is_retired.load(Ordering::Relaxed) || self.is_doubtful(now) {
            return None;
        }
        if streams.fetch_add(1, Ordering::Relaxed) == 0 {
            *lock(changed) = now;
        }
        Some(Stream { connection: self.clone(), since: now, is_finished: AtomicBool::new(false) })
    }

    /// Whether it was asked for a sign of life, and none has come for too long.
    fn is_doubtful(&self, now: Instant) -> bool {
        let Shared { link, streams, changed, .. } = &*self.0;
        // While it is unused, nothing is asked.
        let asked_at = (link.received_at() + PING_AFTER).max(*lock(changed));
        streams.load(Ordering::Relaxed) > 0 && now.saturating_duration_since(asked_at) > DOUBT_AFTER
    }

    /// Has it finish the requests that it carries and take no new ones.
    pub fn retire(&self) {
        self.0.is_retired.store(true, Ordering::Relaxed);
    }

    /// How many requests it carries.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.0.streams.load(Ordering::Relaxed)
    }

    /// Whether it is open and in use, or unused for less than `idle`.
    #[must_use]
    pub fn is_alive(&self, now: Instant, idle: Duration) -> bool {
        let Shared { sender, streams, changed, is_retired, .. } = &*self.0;
        let is_used = streams.load(Ordering::Relaxed) > 0;
        let is_kept = || now.saturating_duration_since(*lock(changed)) < idle && !is_retired.load(Ordering::Relaxed);
        !sender.is_closed() && (is_used || is_kept())
    }
}

/// One request's place on a connection, free again when this is dropped.
#[derive(Debug)]
pub struct Stream {
    connection: Connection,
    since: Instant,
    /// Whether the request was answered to the end, or the upstream ended it.
    is_finished: AtomicBool,
}

impl Drop for Stream {
    fn drop(&mut self) {
        let Shared { streams, changed, .. } = &*self.connection.0;
        if !self.is_finished.load(Ordering::Relaxed) && self.since.elapsed() >= GIVEN_UP_AFTER {
            self.connection.retire();
        }
        if streams.fetch_sub(1, Ordering::Relaxed) == 1 {
            *lock(changed) = Instant::now();
        }
    }
}

impl Stream {
    /// The answer was read to its end.
    pub fn finish(self) {
        self.is_finished.store(true, Ordering::Relaxed);
    }

    /// Returns the connection, which others share.
    #[must_use]
    pub fn connection(&self) -> Connection {
        self.connection.clone()
    }

    /// What is known of the connection.
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
