//! The recipe of a request to the upstream. The request is made anew each time it is sent.
//!
//! It begins empty: a header that this module does not add is not sent.

use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Body as _;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::http::uri::PathAndQuery;
use hyper::{HeaderMap, Method, Request, Uri};

use crate::asteroid::operation::{Call, Operation};
use crate::facts::request_id::{self, RequestId};
use crate::json::Pieces;
use crate::proxy::error::Error;
use crate::state::Permit;
use crate::trace::{QueryOrigin, Trace};
use crate::transport::body::Body;

use super::credential::ChosenVersion;
use super::generation::Generation;
use super::upload::Upload;

/// The headers of a caller that are forwarded, beside its trace context. No others are, so that no credential of the caller
/// leaves, whatever its name.
const FORWARDED_HEADERS: [HeaderName; 3] = [ACCEPT, CONTENT_TYPE, USER_AGENT];

/// The recipe of a request, which makes it as often as it is sent.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// The operation that it asks for.
    pub(super) operation: Operation,
    generation: Arc<Generation>,
    path: PathAndQuery,
    query: QueryOrigin,
    /// The caller's headers, of which [`FORWARDED_HEADERS`] and the trace context are forwarded.
    headers: HeaderMap,
    request_id: RequestId,
    payload: Payload,
}

/// The body of a request.
#[derive(Debug)]
pub(super) enum Payload {
    /// Pieces in memory, which can be sent again.
    Pieces(Pieces),
    /// A stream, which cannot be sent again once a part of it has left.
    Upload(Arc<Upload>),
}

impl Outgoing {
    /// Creates the recipe for a call that came to this target, with the caller's headers. The call is sent with this query.
    ///
    /// # Errors
    ///
    /// [`Error::Target`], if the upstream has no base for the call's part of the API, or if base and path do not form a path. Those
    /// of a resolved configuration and a call that passed every check do.
    pub(super) fn for_call(
        generation: &Arc<Generation>,
        call: &Call<'_>,
        target: &Uri,
        headers: HeaderMap,
        request_id: RequestId,
        query: Option<String>,
        payload: Payload,
    ) -> Result<Outgoing, Error> {
        let base = generation.base(call.rules().part).ok_or(Error::Target)?;
        let path = match (query, target.path_and_query()) {
            // Shared, not parsed again.
            (None, Some(sent)) if call.matches_target(base, sent.as_str()) => sent.clone(),
            (None, _) => parse_path(call.path(base))?,
            (Some(query), _) => parse_path(call.path(base) + "?" + &query)?,
        };
        let (operation, generation) = (call.operation, Arc::clone(generation));
        Ok(Outgoing { operation, generation, path, query: QueryOrigin::Caller, headers, request_id, payload })
    }

    /// Creates the recipe for an inquiry: a path and query below the base, on behalf of a caller with these headers.
    ///
    /// # Errors
    ///
    /// [`Error::Target`], if base and path do not form a path.
    pub(super) fn for_inquiry(
        generation: &Arc<Generation>,
        operation: Operation,
        path: &str,
        caller: &HeaderMap,
        request_id: RequestId,
    ) -> Result<Outgoing, Error> {
        let path = parse_path([&generation.base_path, path].concat())?;
        let mut headers = Trace::context_of(caller);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let generation = Arc::clone(generation);
        let (query, payload) = (QueryOrigin::Gateway, Payload::Pieces(Pieces::default()));
        Ok(Outgoing { operation, generation, path, query, headers, request_id, payload })
    }

    /// Returns the upload that is its body, if it has one.
    pub(super) fn upload(&self) -> Option<&Arc<Upload>> {
        match &self.payload {
            Payload::Pieces(_) => None,
            Payload::Upload(upload) => Some(upload),
        }
    }

    /// Returns whether its body can be sent again.
    pub(super) fn can_be_sent_again(&self) -> bool {
        self.upload().is_none_or(|upload| !upload.has_left())
    }

    /// Returns the request to send on behalf of an admitted one, unless a part of its stream has left. It carries the credential, and
    /// a span of its own in the trace.
    pub(super) fn request(&self, trace: &Trace, credential: &ChosenVersion, permit: &Permit) -> Option<Request<Body>> {
        let body = match &self.payload {
            Payload::Pieces(pieces) => Body::from(pieces.clone()),
            Payload::Upload(upload) => Body::stream(upload.body()?),
        };
        let mut headers = HeaderMap::with_capacity(12);
        headers.insert(HOST, self.generation.authority.clone());
        // An answer without a content coding can be read here, and is passed on unchanged.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(request_id::NAME, self.request_id.header_value());
        for (name, value) in self.headers.iter().filter(|(name, _)| FORWARDED_HEADERS.contains(name)) {
            headers.append(name, value.clone());
        }
        let method = self.method();
        if body.size_hint().exact() == Some(0) && method == Method::POST {
            // hyper announces no empty body, and some servers ask for a length.
            headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
        }
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from(self.path.clone());
        *request.headers_mut() = headers;
        trace.pass_on(&self.headers, self.query, &mut request);
        credential.inject(permit, &mut request);
        Some(request)
    }

    fn method(&self) -> Method {
        self.operation.rules().method.clone()
    }
}

fn parse_path(path: String) -> Result<PathAndQuery, Error> {
    PathAndQuery::from_maybe_shared(Bytes::from(path)).map_err(|_| Error::Target)
}
