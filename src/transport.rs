//! Connections to one service: sends a request over a pooled or a new connection, and knows whether anything was written.
//!
//! This is a pool over hyper's connections, instead of a general client, because a start must be sent again only if the
//! service cannot have seen it, and a general client does not tell. Nothing here knows the configuration, counts, or
//! what is asked.

pub mod body;
pub mod cause;
pub mod connect;
pub mod dial;
pub mod endpoint;
mod frames;
pub mod http2;
pub mod link;
pub mod pool;
pub mod resolve;
pub mod response;
pub mod timer;
pub mod tls;
pub mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, Response};
use rustls::AlertDescription;
use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use crate::tasks::Tasks;

use body::Body;
use cause::Cause;
use connect::{Connector, Made};
use link::LinkState;
use pool::{Pool, Pooled};
use response::ResponseBody;
use timer::ResponseTimer;

/// How often a request is sent again that the upstream said it did not look at.
const REFUSALS: usize = 3;

/// No answer in time; this name and the next one are error types of RFC 9209.
pub const TIMED_OUT: &str = "http_response_timeout";

/// The connection broke before the answer's end.
pub const BROKEN: &str = "connection_terminated";

/// One worker's connections to one service.
#[derive(Debug)]
pub struct Transport {
    connector: Connector,
    pool: Arc<Pool>,
    /// Whether the last connection was one that is shared: then one of a burst makes the next, and the others wait for it.
    shares: AtomicBool,
    making: Mutex<()>,
    tasks: Tasks,
}

/// Why no answer came.
#[derive(Debug)]
pub enum Failure {
    /// The upstream has not seen a byte of the request, or says that it has not looked at it.
    NotSent(connect::Error),
    /// The connection broke after the request was written, in part or whole.
    Broke(Cause),
    /// The deadline passed after the request was handed to a connection.
    Timeout,
}

impl Failure {
    /// Its error type in RFC 9209.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Failure::NotSent(reason) => reason.kind(),
            Failure::Broke(_) => BROKEN,
            Failure::Timeout => TIMED_OUT,
        }
    }
}

/// Why one connection brought no answer.
#[derive(Debug)]
pub enum Failed {
    /// It had ended before anything was written; the request may go over another.
    Unsent(Box<Request<Body>>, Cause),
    /// The upstream says that it has not looked at the request: it may be sent again.
    Refused(Box<Request<Body>>),
    /// The upstream refused the TLS handshake, after the request was written and without looking at it.
    Handshake(AlertDescription),
    /// See [`Failure::Broke`].
    Broke(Cause),
}

/// What carries one request.
#[derive(Debug)]
pub enum Connection {
    /// A connection for this request alone.
    Http1(Http1),
    /// A place on a shared one.
    Http2(http2::Stream),
}

/// A connection for one request at a time.
#[derive(Debug)]
pub struct Http1 {
    sender: SendRequest<Body>,
    /// What drives it.
    task: AbortHandle,
    /// See [`Connector::generation`].
    generation: u64,
    link: Arc<LinkState>,
}

/// The connection that an answer is being read from.
///
/// [`Lease::release`] gives it back to the pool once the answer was read to its end. Dropped before that, it closes; a
/// shared one only drops this answer.
#[derive(Debug)]
pub struct Lease {
    connection: Connection,
    /// Whether it may carry another request.
    reusable: bool,
    pool: Arc<Pool>,
}

impl Lease {
    /// The answer was read to its end: the connection may carry another request.
    pub fn release(self) {
        let connection = match self.connection {
            Connection::Http1(connection) => connection,
            Connection::Http2(stream) => return stream.finish(),
        };
        if self.reusable && connection.sender.is_ready() {
            self.pool.put(connection);
        } else {
            // It may still be writing a request that was answered early, to an upstream that does not read it.
            connection.task.abort();
        }
    }

    /// The rest of the answer did not come in time: the connection carries nothing new.
    pub fn retire(&self) {
        self.connection.shared().iter().for_each(http2::Connection::retire);
    }
}

impl Connection {
    async fn send(&mut self, request: Request<Body>) -> Result<Response<Incoming>, Failed> {
        match self {
            Connection::Http1(Http1 { sender, link, .. }) => {
                link.expect_answer();
                let sent = sender.try_send_request(request).await;
                link.expect_content();
                sent.map_err(|mut error| {
                    let unsent = error.take_message();
                    failed(unsent.map(Box::new), &error.into_error(), link)
                })
            }
            // Boxed, as it would double the size of every exchange's future.
            Connection::Http2(stream) => Box::pin(stream.send(request)).await,
        }
    }

    /// Returns the connection if other requests share it.
    fn shared(&self) -> Option<http2::Connection> {
        match self {
            Connection::Http1(_) => None,
            Connection::Http2(stream) => Some(stream.connection()),
        }
    }

    fn link(&self) -> Arc<LinkState> {
        match self {
            Connection::Http1(connection) => Arc::clone(&connection.link),
            Connection::Http2(stream) => stream.link(),
        }
    }
}

/// Says how a connection failed; `unsent` is the request, if hyper has returned it.
fn failed(unsent: Option<Box<Request<Body>>>, error: &hyper::Error, link: &LinkState) -> Failed {
    if let Some(alert) = link.handshake_refusal() {
        return Failed::Handshake(alert);
    }
    let cause = Cause::of(error).with(link.cause().as_ref());
    match unsent {
        Some(unsent) => Failed::Unsent(unsent, cause),
        None => Failed::Broke(cause),
    }
}

impl Transport {
    /// Creates one whose unused connections close after `idle`.
    #[must_use]
    pub fn new(connector: Connector, idle: Duration, tasks: Tasks) -> Transport {
        let pool = Arc::new(Pool::new(idle));
        tasks.spawn_untracked(Arc::clone(&pool).sweep());
        let shares = AtomicBool::new(connector.may_share());
        Transport { connector, pool, shares, making: Mutex::default(), tasks }
    }

    /// Says what is in the pool whenever it is asked, without keeping it.
    pub fn pooled(&self) -> impl Fn() -> Pooled + Send + Sync + 'static {
        let pool = Arc::downgrade(&self.pool);
        move || pool.upgrade().map(|pool| pool.count()).unwrap_or_default()
    }

    /// Begins to look up the upstream's name, so that the first request does not wait for it.
    pub fn prepare(&self) {
        self.connector.prepare(&self.tasks);
    }

    /// Sends a request and waits for the head of its answer, as long as the timer allows. The lease is to be held until the
    /// rest of the answer was read.
    ///
    /// Nothing is ever sent twice, unless the service cannot have seen it or says that it has not looked at it.
    ///
    /// # Errors
    ///
    /// [`Failure`], which says whether the service may have seen the request.
    pub async fn send(
        &self,
        mut request: Request<Body>,
        timer: &ResponseTimer,
    ) -> Result<(Response<ResponseBody>, Lease), Failure> {
        let mut refusals = 0;
        loop {
            let (mut connection, reused) = self.connection().await.map_err(Failure::NotSent)?;
            // If it were sent again now, its answer would be waited for no longer.
            if !timer.begin() {
                return Err(Failure::NotSent(connect::Error::Timeout { after: timer.response() }));
            }
            let shared = connection.shared();
            // A connection that owes an answer may owe the next one, too, and so may others that have been unused as long.
            let overdue = || match &shared {
                Some(shared) => shared.retire(),
                None if reused => self.pool.close_unused(),
                None => {}
            };
            let failed = match timer.run(connection.send(request), overdue).await {
                Err(_elapsed) => return Err(Failure::Timeout),
                Ok(Ok(answer)) => {
                    response::check_transfer_coding(&answer).map_err(Failure::Broke)?;
                    let answer = ResponseBody::of(answer, connection.link());
                    let reusable = response::has_one_length(&answer);
                    return Ok((answer, Lease { connection, reusable, pool: Arc::clone(&self.pool) }));
                }
                Ok(Err(failed)) => failed,
            };
            request = match failed {
                Failed::Unsent(unsent, _) if reused => *unsent,
                Failed::Unsent(_, cause) => return Err(Failure::NotSent(connect::Error::Closed(cause))),
                Failed::Handshake(alert) => return Err(Failure::NotSent(self.connector.refused_by(alert))),
                Failed::Refused(refused) if refusals < REFUSALS => {
                    refusals += 1;
                    *refused
                }
                Failed::Refused(_) => return Err(Failure::NotSent(connect::Error::Declined)),
                Failed::Broke(error) => return Err(Failure::Broke(error)),
            };
        }
    }

    /// A connection, and whether it was in the pool: then it may have closed meanwhile.
    async fn connection(&self) -> Result<(Connection, bool), connect::Error> {
        if let Some(connection) = self.pool.take(self.connector.generation()) {
            return Ok((connection, true));
        }
        // Connecting is a future of 8 KiB, which ordinary requests need not carry around.
        Box::pin(self.make()).await
    }

    async fn make(&self) -> Result<(Connection, bool), connect::Error> {
        let deadline = Instant::now() + self.connector.within();
        let making = if self.shares.load(Ordering::Relaxed) {
            let making = timeout_at(deadline, self.making.lock()).await;
            let making = making.map_err(|_| connect::Error::Timeout { after: self.connector.within() })?;
            if let Some(connection) = self.pool.take(self.connector.generation()) {
                return Ok((connection, true));
            }
            // Where the connection that was waited for is not shared, each of the waiting makes its own, at once.
            Some(making).filter(|_| self.shares.load(Ordering::Relaxed))
        } else {
            None
        };
        let generation = self.connector.generation();
        let made = self.connector.connect(deadline, &self.tasks).await?;
        self.shares.store(matches!(made, Made::Http2(_)), Ordering::Relaxed);
        let connection = match made {
            Made::Http1(sender, task, link) => Connection::Http1(Http1 { sender, task, generation, link }),
            Made::Http2(shared) => {
                let stream = shared.stream().ok_or(connect::Error::Declined)?;
                self.pool.share(shared, generation);
                Connection::Http2(stream)
            }
        };
        drop(making);
        Ok((connection, false))
    }
}
