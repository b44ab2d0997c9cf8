//! One HTTP/1.1 connection to a service, for one request at a time.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Error, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;

use crate::tasks::Tasks;

use super::body::Body;
use super::error::AttemptError;
use super::link::{Link, LinkState};

/// How many bytes of an answer are read at once. A head of more than twice as many is always refused; one of more than this
/// is refused unless all of it is there at once.
const BUFFER_BYTES: usize = 128 * 1024;

/// A connection for one request at a time. It goes on in a task of its own.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Body>,
    task: AbortHandle,
    generation: u64,
    link: Arc<LinkState>,
}

impl Connection {
    /// Begins HTTP/1.1 on a connection of this generation (see [`super::connect::Connector::generation`]).
    ///
    /// # Errors
    ///
    /// hyper's error if the connection is closed already: HTTP/1.1 has no handshake of its own.
    pub async fn begin<S>(link: Link<S>, generation: u64, tasks: &Tasks) -> Result<Connection, Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let state = link.state();
        let (sender, connection) = builder().handshake(TokioIo::new(link)).await?;
        // A request that waits for its answer learns of a failure from the sender; between requests it is just the end.
        let task = tasks.spawn_untracked(async move { drop(connection.await) });
        Ok(Connection { sender, task, generation, link: state })
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    ///
    /// [`AttemptError`].
    pub async fn send(&mut self, request: Request<Body>) -> Result<Response<Incoming>, AttemptError> {
        let Connection { sender, link, .. } = self;
        link.expect_answer();
        let sent = sender.try_send_request(request).await;
        link.expect_content();
        sent.map_err(|error| AttemptError::new(error, link))
    }

    /// Returns the generation of what the connection was made with.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns whether it can carry a request now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Returns whether it has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Returns the state of the bytes below it.
    #[must_use]
    pub fn link(&self) -> Arc<LinkState> {
        Arc::clone(&self.link)
    }
}

impl Drop for Connection {
    /// Ends it. If a request is under way, it ends at once: hyper would write the rest of it first, and wait for a service that
    /// does not read.
    fn drop(&mut self) {
        if !self.sender.is_ready() {
            self.task.abort();
        }
    }
}

/// Returns how HTTP/1.1 is spoken to services.
pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.max_buf_size(BUFFER_BYTES);
    builder
}

#[cfg(test)]
pub(in crate::transport) mod tests {
    use tokio::io::DuplexStream;
    use tokio::runtime::Handle;

    use super::*;

    /// Creates a connection that is ready for a request, and returns its other end.
    pub(in crate::transport) async fn connection(generation: u64) -> (Connection, DuplexStream) {
        let (near, far) = tokio::io::duplex(1024);
        let link = Link::plain(near);
        let mut connection = Connection::begin(link, generation, &Tasks::new(Handle::current())).await.unwrap();
        connection.sender.ready().await.unwrap();
        (connection, far)
    }

    #[tokio::test]
    async fn a_connection_that_is_dropped_in_the_middle_of_a_request_ends_though_its_service_does_not_read() {
        let (mut connection, _far) = connection(0).await;
        let task = connection.task.clone();
        let request = Request::new(Body::from(bytes::Bytes::from(vec![b'x'; 64 * 1024])));
        let late = tokio::time::timeout(std::time::Duration::from_millis(20), connection.send(request)).await;
        assert!(late.is_err() && !task.is_finished());
        drop(connection);
        let ended = async {
            while !task.is_finished() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), ended).await.expect("it ends");
    }

    /// Waits until a connection has noticed that its other end is gone.
    pub(in crate::transport) async fn closed(connection: &Connection) {
        while !connection.task.is_finished() {
            tokio::task::yield_now().await;
        }
    }
}
