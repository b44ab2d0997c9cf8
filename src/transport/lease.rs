//! The connection that an answer is read from.

use std::sync::Arc;

use super::connection::Connection;
use super::http2;
use super::pool::Pool;

/// The connection that an answer is read from, until [`Lease::release`] gives it back to the pool.
///
/// If it is dropped before that, the connection closes. A connection that is shared ends this answer alone.
#[derive(Debug)]
pub struct Lease {
    connection: Connection,
    /// Whether it may carry another request.
    reusable: bool,
    pool: Arc<Pool>,
}

impl Lease {
    pub(super) fn new(connection: Connection, reusable: bool, pool: &Arc<Pool>) -> Lease {
        Lease { connection, reusable, pool: Arc::clone(pool) }
    }

    /// Gives the connection back, after the answer was read to its end.
    pub fn release(self) {
        match self.connection {
            Connection::Http2(stream) => stream.finish(),
            Connection::Http1(connection) if self.reusable && connection.is_ready() => self.pool.put(connection),
            Connection::Http1(_) => {}
        }
    }

    /// Takes a connection that is shared out of use for new requests, after the rest of an answer did not come in time.
    pub fn retire(&self) {
        self.connection.shared().iter().for_each(http2::Connection::retire);
    }
}
