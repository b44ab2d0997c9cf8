//! Connections to one service: a request is sent over a pooled or a new one, and it is known whether anything was written.
//!
//! This is a pool over hyper's connections instead of a general client. A start may be sent again only if the service cannot
//! have seen it, and a general client does not tell. Nothing here reads the configuration, counts, or knows what is asked.

pub mod body;
pub mod cause;
pub mod connect;
pub mod connection;
pub mod dial;
pub mod endpoint;
pub mod error;
mod frames;
pub mod http1;
pub mod http2;
pub mod lease;
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

use hyper::{Request, Response};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::tasks::Tasks;

use body::Body;
use connect::{Connector, NewConnection};
use connection::Connection;
use error::{AttemptError, ConnectError, SendError};
use lease::Lease;
use pool::{Pool, PoolCounts, Usage};
use response::ResponseBody;
use timer::ResponseTimer;

/// How often a request is sent again that the service says it has not looked at.
const MAX_DECLINED: usize = 3;

/// Makes the request: once for every connection that it is tried on, so that no copy of it has to be kept. Returns none if a part
/// of its body has left and cannot be made again.
pub type Recipe<'a> = dyn FnMut() -> Option<Request<Body>> + Send + 'a;

/// One worker's connections to one service.
#[derive(Debug)]
pub struct Transport {
    connector: Connector,
    pool: Arc<Pool>,
    /// Whether the last connection was one that requests share. Then one request of a burst connects, and the others wait
    /// for its connection.
    is_shared: AtomicBool,
    connecting: Mutex<()>,
    tasks: Tasks,
}

impl Transport {
    /// Creates a transport whose idle connections close after `idle_timeout`.
    #[must_use]
    pub fn new(connector: Connector, idle_timeout: Duration, tasks: Tasks) -> Transport {
        let pool = Arc::new(Pool::new(idle_timeout));
        tasks.spawn_untracked(Arc::clone(&pool).sweep());
        let is_shared = AtomicBool::new(connector.may_share());
        Transport { connector, pool, is_shared, connecting: Mutex::default(), tasks }
    }

    /// Returns a function that counts what is in the pool, without keeping the pool.
    pub fn pool_counts(&self) -> impl Fn() -> PoolCounts + Send + Sync + 'static {
        let pool = Arc::downgrade(&self.pool);
        move || pool.upgrade().map(|pool| pool.counts()).unwrap_or_default()
    }

    /// Begins to look up the service's name, so that the first request does not wait for it.
    pub fn prepare(&self) {
        self.connector.prepare(&self.tasks);
    }

    /// Sends a request and waits for the head of its answer, as long as the timer allows. The lease is held until the rest of
    /// the answer was read.
    ///
    /// The request is made again only if the service cannot have seen it: a connection from the pool had closed before a
    /// byte was written, or the service says that it has not looked at the request, three times at most. A request with a stream
    /// is not made again once a part of that has left.
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
            let usage = if timer.has_stream() { Usage::Exclusive } else { Usage::Shared };
            let (mut connection, is_pooled) = self.connection(usage).await.map_err(SendError::NotSent)?;
            // A request that is sent after the time-out would have no time for its answer.
            if !timer.begin() {
                return Err(SendError::NotSent(ConnectError::Timeout { after: timer.timeout() }));
            }
            let shared = connection.shared();
            // A connection that owes an answer may owe the next one, too, and so may others that have been idle as long.
            let on_timeout = || match &shared {
                Some(shared) => shared.retire(),
                None if is_pooled => self.pool.close_idle(),
                None => {}
            };
            // The service has refused it before, as only then a part of its body has left.
            let Some(request) = recipe() else { return Err(SendError::NotSent(ConnectError::Declined)) };
            let error = match timer.run(connection.send(request), on_timeout).await {
                Err(_elapsed) => return Err(SendError::Timeout),
                Ok(Ok(answer)) => {
                    response::check_transfer_coding(&answer).map_err(SendError::Broke)?;
                    if timer.is_sending() {
                        connection.close_at_end();
                    }
                    let answer = ResponseBody::of(answer, connection.link());
                    let reusable = response::has_one_length(&answer);
                    return Ok((answer, Lease::new(connection, reusable, &self.pool)));
                }
                Ok(Err(error)) => error,
            };
            match error {
                AttemptError::Unsent(_) if is_pooled => {}
                AttemptError::Unsent(cause) => return Err(SendError::NotSent(ConnectError::Closed(cause))),
                AttemptError::Handshake(alert) => return Err(SendError::NotSent(self.connector.refused_by(alert))),
                AttemptError::Declined if declined < MAX_DECLINED => declined += 1,
                AttemptError::Declined => return Err(SendError::NotSent(ConnectError::Declined)),
                AttemptError::Broke(cause) => return Err(SendError::Broke(cause)),
            }
        }
    }

    /// Returns a connection, and whether it was in the pool: then it may have closed meanwhile.
    async fn connection(&self, usage: Usage) -> Result<(Connection, bool), ConnectError> {
        if let Some(connection) = self.pool.take(self.connector.generation(), usage) {
            return Ok((connection, true));
        }
        // Connecting is a future of 8 KiB, which ordinary requests need not carry around.
        Box::pin(self.connect(usage)).await
    }

    async fn connect(&self, usage: Usage) -> Result<(Connection, bool), ConnectError> {
        let deadline = Instant::now() + self.connector.timeout();
        let connecting = if usage == Usage::Shared && self.is_shared.load(Ordering::Relaxed) {
            let connecting = timeout_at(deadline, self.connecting.lock()).await;
            let connecting = connecting.map_err(|_| ConnectError::Timeout { after: self.connector.timeout() })?;
            if let Some(connection) = self.pool.take(self.connector.generation(), usage) {
                return Ok((connection, true));
            }
            // If the connection that was waited for is not shared, each of those that waited connects at once.
            Some(connecting).filter(|_| self.is_shared.load(Ordering::Relaxed))
        } else {
            None
        };
        let new = self.connector.connect(deadline, &self.tasks).await?;
        self.is_shared.store(matches!(new, NewConnection::Http2(_)), Ordering::Relaxed);
        let connection = match new {
            NewConnection::Http1(connection) => Connection::Http1(connection),
            NewConnection::Http2(shared) => {
                let stream = shared.stream(usage == Usage::Exclusive).ok_or(ConnectError::Declined)?;
                self.pool.keep(shared, usage);
                Connection::Http2(stream)
            }
        };
        drop(connecting);
        Ok((connection, false))
    }
}
