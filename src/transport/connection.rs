//! A connection that carries a request, whichever protocol it speaks.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Request, Response};

use super::body::Body;
use super::error::AttemptError;
use super::link::LinkState;
use super::{http1, http2};

/// What carries one request.
#[derive(Debug)]
pub enum Connection {
    /// A connection for this request alone.
    Http1(http1::Connection),
    /// A stream of a connection that other requests share.
    Http2(http2::Stream),
}

impl Connection {
    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    ///
    /// [`AttemptError`].
    pub async fn send(&mut self, request: Request<Body>) -> Result<Response<Incoming>, AttemptError> {
        match self {
            Connection::Http1(connection) => connection.send(request).await,
            // Boxed, as it would double the size of every exchange's future.
            Connection::Http2(stream) => Box::pin(stream.send(request)).await,
        }
    }

    /// Closes the connection when its request ends, because the service has answered it before the end of its stream. Over HTTP/1.1,
    /// such a connection closes in any case.
    pub fn close_at_end(&self) {
        if let Connection::Http2(stream) = self {
            stream.close_at_end();
        }
    }

    /// Returns the connection if other requests may share it.
    #[must_use]
    pub fn shared(&self) -> Option<http2::Connection> {
        match self {
            Connection::Http1(_) => None,
            Connection::Http2(stream) => Some(stream.connection()),
        }
    }

    /// Returns the state of the bytes below it.
    #[must_use]
    pub fn link(&self) -> Arc<LinkState> {
        match self {
            Connection::Http1(connection) => connection.link(),
            Connection::Http2(stream) => stream.link(),
        }
    }
}
