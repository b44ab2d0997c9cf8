//! A client for the gateway's own questions to a service. Each is bounded in time and in the size of its answer.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, Response, StatusCode, Uri};
use tokio::time::{Instant, timeout_at};

use crate::tasks::Tasks;
use crate::transport::connect::{Connector, EndpointError};
use crate::transport::endpoint::Endpoint;
use crate::transport::error::{ConnectError, SendError};
use crate::transport::timer::ResponseTimer;
use crate::transport::{Transport, tls};

/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("asteroid-gateway/", env!("CARGO_PKG_VERSION")));

/// A client of one service.
#[derive(Debug)]
pub struct Client {
    transport: Transport,
    authority: HeaderValue,
}

/// Why there is no whole answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was sent.
    #[error("no connection: {0}")]
    Unreachable(ConnectError),
    /// The connection broke before the head of the answer.
    #[error("the connection broke: {0}")]
    Broke(String),
    /// The answer has this status, and the rest of it broke off, did not come in time or is longer than 64 KiB.
    #[error("it answered {0}, and the rest of the answer could not be read: {1}")]
    Incomplete(StatusCode, String),
    /// No answer came in time.
    #[error("no answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
}

/// Creates a question with a body for a path of a service.
#[must_use]
pub fn post(target: &PathAndQuery, media_type: &'static str, body: Bytes) -> Request<Bytes> {
    let mut request = request(Method::POST, target, body);
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    request
}

/// Creates a question without a body, to be answered in JSON.
#[must_use]
pub fn get(target: &PathAndQuery) -> Request<Bytes> {
    let mut request = request(Method::GET, target, Bytes::new());
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    request
}

fn request(method: Method, target: &PathAndQuery, body: Bytes) -> Request<Bytes> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from(target.clone());
    request.headers_mut().insert(USER_AGENT, AGENT);
    request
}

impl Client {
    /// Creates a client with connections of its own, which `tasks` drives and which close once unused for `idle_timeout`.
    ///
    /// # Errors
    ///
    /// [`EndpointError`].
    pub fn new(
        endpoint: &Endpoint,
        tls: &Arc<tls::ClientTls>,
        connect_timeout: Duration,
        idle_timeout: Duration,
        tasks: Tasks,
    ) -> Result<Client, EndpointError> {
        let transport = Transport::new(Connector::new(endpoint, tls, connect_timeout)?, idle_timeout, tasks);
        Ok(Client { transport, authority: HeaderValue::try_from(endpoint.authority.as_str())? })
    }

    /// Sends a question and reads its answer to the end, within `timeout` for both.
    ///
    /// # Errors
    ///
    /// [`Error`]; only [`Error::Unreachable`] proves that nothing was sent.
    pub async fn send(&self, mut question: Request<Bytes>, timeout: Duration) -> Result<Response<Bytes>, Error> {
        question.headers_mut().insert(HOST, self.authority.clone());
        let deadline = Instant::now() + timeout;
        let timer = ResponseTimer::new(timeout, None);
        let mut recipe = || Some(question.clone().map(Into::into));
        // Making a connection is part of the question.
        let sent = timeout_at(deadline, self.transport.send(&mut recipe, &timer)).await;
        let (response, lease) = match sent.unwrap_or(Err(SendError::Timeout)) {
            Ok(answered) => answered,
            Err(SendError::NotSent(reason)) => return Err(Error::Unreachable(reason)),
            Err(SendError::Broke(cause)) => return Err(Error::Broke(cause.to_string())),
            Err(SendError::Timeout) => return Err(Error::Timeout(timeout)),
        };
        let (head, body) = response.into_parts();
        let body = read(body, deadline).await.map_err(|reason| Error::Incomplete(head.status, reason))?;
        lease.release();
        Ok(Response::from_parts(head, body))
    }
}

/// Reads a body to its end; returns why that failed, if it did.
async fn read<B>(body: B, deadline: Instant) -> Result<Bytes, String>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn StdError + Send + Sync>>>,
{
    match timeout_at(deadline, Limited::new(body, MAX_ANSWER_BYTES).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_elapsed) => Err("it did not come in time".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_read_to_its_end_and_not_beyond_its_bounds() {
        let deadline = Instant::now() + Duration::from_secs(1);
        let whole = Bytes::from(vec![b'x'; MAX_ANSWER_BYTES]);
        assert_eq!(read(Full::new(whole.clone()), deadline).await, Ok(whole));
        assert!(read(Full::new(Bytes::from(vec![b'x'; MAX_ANSWER_BYTES + 1])), deadline).await.is_err());
        let silent = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        assert!(read(silent, deadline).await.is_err());
        assert_eq!(Instant::now(), deadline);
    }
}
