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
pub mod error;
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
use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use crate::tasks::Tasks;

use body::Body;
use connect::{Connector, NewConnection};
use error::{AttemptError, ConnectError, SendError};
use link::LinkState;
use pool::{Pool, Pooled};
use response::ResponseBody;
use timer::ResponseTimer;

/// How often a request is sent again that the service says it has not looked at.
const MAX_DECLINED: usize = 3;

/// Makes the request: once for every connection that it is tried on, so that no copy of it has to be kept.
pub type Recipe<'a> = dyn FnMut() -> Request<Body> + Send + 'a;

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
    async fn send(&mut self, request: Request<Body>) -> Result<Response<Incoming>, AttemptError> {
        match self {
            Connection::Http1(Http1 { sender, link, .. }) => {
                link.expect_answer();
                let sent = sender.try_send_request(request).await;
                link.expect_content();
                sent.map_err(|error| AttemptError::new(error, link))
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

impl Transport {
    /// Creates one whose unused connections close after `idle`.
    #[must_use]
    pub fn new(connector: Connector, idle: Duration, tasks: Tasks) -> Transport {
        let pool = Arc::new(Pool::new(idle));
        tasks.spawn_unwaited(Arc::clone(&pool).sweep());
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
    /// The request is made again only if the service cannot have seen it: a connection from the pool had closed before a
    /// byte was written, or the service says that it has not looked at the request, three times at most.
    ///
    /// # Errors
    ///
    /// [`SendError`], which says whether the service may have seen the request.
    pub async fn send(
        &self,
        recipe: &mut Recipe<'_>,
        timer: &ResponseTimer,
    ) -> Result<(Response<ResponseBody>, Lease), SendError> {
        let mut declined = 0;
        loop {
            let (mut connection, reused) = self.connection().await.map_err(SendError::NotSent)?;
            // If it were sent again now, its answer would be waited for no longer.
            if !timer.begin() {
                return Err(SendError::NotSent(ConnectError::Timeout { after: timer.response() }));
            }
            let shared = connection.shared();
            // A connection that owes an answer may owe the next one, too, and so may others that have been unused as long.
            let overdue = || match &shared {
                Some(shared) => shared.retire(),
                None if reused => self.pool.close_unused(),
                None => {}
            };
            let error = match timer.run(connection.send(recipe()), overdue).await {
                Err(_elapsed) => return Err(SendError::Timeout),
                Ok(Ok(answer)) => {
                    response::check_transfer_coding(&answer).map_err(SendError::Broke)?;
                    let answer = ResponseBody::of(answer, connection.link());
                    let reusable = response::has_one_length(&answer);
                    return Ok((answer, Lease { connection, reusable, pool: Arc::clone(&self.pool) }));
                }
                Ok(Err(error)) => error,
            };
            match error {
                AttemptError::Unsent(_) if reused => {}
                AttemptError::Unsent(cause) => return Err(SendError::NotSent(ConnectError::Closed(cause))),
                AttemptError::Handshake(alert) => return Err(SendError::NotSent(self.connector.refused_by(alert))),
                AttemptError::Declined if declined < MAX_DECLINED => declined += 1,
                AttemptError::Declined => return Err(SendError::NotSent(ConnectError::Declined)),
                AttemptError::Broke(cause) => return Err(SendError::Broke(cause)),
            }
        }
    }

    /// A connection, and whether it was in the pool: then it may have closed meanwhile.
    async fn connection(&self) -> Result<(Connection, bool), ConnectError> {
        if let Some(connection) = self.pool.take(self.connector.generation()) {
            return Ok((connection, true));
        }
        // Connecting is a future of 8 KiB, which ordinary requests need not carry around.
        Box::pin(self.make()).await
    }

    async fn make(&self) -> Result<(Connection, bool), ConnectError> {
        let deadline = Instant::now() + self.connector.within();
        let making = if self.shares.load(Ordering::Relaxed) {
            let making = timeout_at(deadline, self.making.lock()).await;
            let making = making.map_err(|_| ConnectError::Timeout { after: self.connector.within() })?;
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
        self.shares.store(matches!(made, NewConnection::Http2(_)), Ordering::Relaxed);
        let connection = match made {
            NewConnection::Http1(sender, task, link) => Connection::Http1(Http1 { sender, task, generation, link }),
            NewConnection::Http2(shared) => {
                let stream = shared.stream().ok_or(ConnectError::Declined)?;
                self.pool.share(shared, generation);
                Connection::Http2(stream)
            }
        };
        drop(making);
        Ok((connection, false))
    }
}
