//! The upstream of one worker: sends a request over a pooled or a new connection, and knows whether anything was written.
//!
//! A pool of our own over hyper's connections, instead of a general client, because a start must be re-sent exactly where
//! the upstream cannot have seen it, and a general client does not tell.

pub mod body;
pub mod connect;
pub mod pool;
pub mod tls;

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, Response};
use tokio::time::{Instant, timeout_at};

use crate::tasks::Tasks;

use body::Body;
use connect::Connector;
use pool::Pool;

/// One worker's way to the upstream.
#[derive(Debug)]
pub struct Upstream {
    connector: Connector,
    pool: Arc<Pool>,
    tasks: Tasks,
}

/// Why no answer came.
#[derive(Debug)]
pub enum Failure {
    /// The upstream has not seen a byte of the request.
    NotSent(connect::Error),
    /// The connection broke after the request was written, in part or whole.
    Broke(hyper::Error),
    /// The deadline passed after the request was handed to a connection.
    Timeout,
}

/// The connection that an answer is being read from.
///
/// [`Lease::release`] gives it back to the pool once the answer was read to its end; dropped before that, it closes.
#[derive(Debug)]
pub struct Lease {
    connection: SendRequest<Body>,
    pool: Arc<Pool>,
}

impl Lease {
    /// The answer was read to its end: the connection may carry another request.
    pub fn release(self) {
        self.pool.put(self.connection);
    }
}

impl Upstream {
    /// An upstream whose unused connections close after `idle`.
    #[must_use]
    pub fn new(connector: Connector, idle: Duration, tasks: Tasks) -> Upstream {
        let pool = Arc::new(Pool::new(idle));
        tasks.spawn_unwaited(Arc::clone(&pool).sweep());
        Upstream { connector, pool, tasks }
    }

    /// Sends a request and waits for the head of its answer, until `response` has passed since it was handed to a
    /// connection; returns the deadline for the rest of the answer.
    ///
    /// A connection that turns out to be closed before anything was written is replaced; nothing is ever sent twice.
    ///
    /// # Errors
    ///
    /// [`Failure`], which says whether the upstream may have seen the request.
    pub async fn send(
        &self,
        mut request: Request<Body>,
        response: Duration,
    ) -> Result<(Response<Incoming>, Lease, Instant), Failure> {
        loop {
            let (mut connection, reused) = match self.pool.take() {
                Some(connection) => (connection, true),
                None => (self.connector.connect(&self.tasks).await.map_err(Failure::NotSent)?, false),
            };
            let deadline = Instant::now() + response;
            match timeout_at(deadline, connection.try_send_request(request)).await {
                Err(_elapsed) => return Err(Failure::Timeout),
                Ok(Ok(answer)) => {
                    return Ok((answer, Lease { connection, pool: Arc::clone(&self.pool) }, deadline));
                }
                Ok(Err(mut error)) => match error.take_message() {
                    Some(unsent) if reused => request = unsent,
                    Some(_unsent) => return Err(Failure::NotSent(connect::Error::Closed)),
                    None => return Err(Failure::Broke(error.into_error())),
                },
            }
        }
    }
}
