//! A plain client for the gateway's own questions: one at a time over a kept connection, every one bounded in time and in the
//! size of its answer.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::http::uri::PathAndQuery;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use tokio::time::timeout;

use crate::transport::body::Body;
use crate::transport::error::{ConnectError, SendError};
use crate::transport::response::ResponseBody;
use crate::transport::timer::ResponseTimer;
use crate::transport::{Lease, Transport};

/// The longest answer that is read, in bytes.
const LONGEST: usize = 64 * 1024;

const AGENT: &str = concat!("asteroid-gateway/", env!("CARGO_PKG_VERSION"));

/// Asks one service at one address.
#[derive(Debug)]
pub struct Client {
    connections: Transport,
    authority: HeaderValue,
    target: PathAndQuery,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, whole.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was sent.
    #[error("no connection: {0}")]
    Unreachable(ConnectError),
    /// The connection broke before the head of the answer.
    #[error("the connection broke: {0}")]
    Broke(String),
    /// The answer has this status, and the rest of it broke off or is longer than 64 KiB.
    #[error("it answered {0}, and the rest of the answer could not be read: {1}")]
    Incomplete(StatusCode, String),
    /// No answer came in time.
    #[error("no answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
}

impl Client {
    /// A client that asks for `target` over these connections, with `authority` as its `Host`.
    #[must_use]
    pub fn new(connections: Transport, authority: HeaderValue, target: PathAndQuery) -> Client {
        Client { connections, authority, target }
    }

    /// Posts a body and reads the answer, within `patience` in all.
    ///
    /// # Errors
    ///
    /// [`Error`]; only [`Error::Unreachable`] proves that nothing was sent.
    pub async fn post(&self, media_type: &'static str, body: Bytes, patience: Duration) -> Result<Answer, Error> {
        let mut request = self.request(Method::POST, body);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        let exchange = async {
            let (response, lease) = self.send(request, patience).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, LONGEST).collect().await;
            let body = body.map_err(|error| Error::Incomplete(head.status, error.to_string()))?;
            lease.release();
            Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
        };
        timeout(patience, exchange).await.unwrap_or(Err(Error::Timeout(patience)))
    }

    /// A question without a body, to be completed and sent.
    #[must_use]
    pub fn get(&self) -> Request<Body> {
        let mut request = self.request(Method::GET, Bytes::new());
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        request
    }

    /// Sends a question, and reads no more of its answer than the status, within `patience`.
    ///
    /// # Errors
    ///
    /// As [`Client::post`].
    pub async fn status(&self, request: Request<Body>, patience: Duration) -> Result<StatusCode, Error> {
        // With its body unread, the answer's connection closes.
        let exchange = async { Ok(self.send(request, patience).await?.0.status()) };
        timeout(patience, exchange).await.unwrap_or(Err(Error::Timeout(patience)))
    }

    fn request(&self, method: Method, body: Bytes) -> Request<Body> {
        let mut request = Request::new(body.into());
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from(self.target.clone());
        let headers = request.headers_mut();
        headers.insert(HOST, self.authority.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        request
    }

    async fn send(&self, request: Request<Body>, patience: Duration) -> Result<(Response<ResponseBody>, Lease), Error> {
        match self.connections.send(&mut || request.clone(), &ResponseTimer::new(patience, None)).await {
            Ok((response, lease)) => Ok((response, lease)),
            Err(SendError::NotSent(reason)) => Err(Error::Unreachable(reason)),
            Err(SendError::Broke(reason)) => Err(Error::Broke(reason.to_string())),
            Err(SendError::Timeout) => Err(Error::Timeout(patience)),
        }
    }
}
