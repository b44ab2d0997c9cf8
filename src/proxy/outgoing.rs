//! The request to the upstream, built from nothing: what is not named here does not leave.

use bytes::Bytes;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::{HeaderMap, Request, Uri};

use crate::asteroid::operation::{self, Call};
use crate::telemetry::request_id::{self, RequestId};
use crate::upstream::body::Body;

use super::snapshot::Snapshot;

/// What a caller's request keeps. Everything else of it, credentials of any name among it, stays behind.
const KEPT: [HeaderName; 5] =
    [ACCEPT, CONTENT_TYPE, USER_AGENT, HeaderName::from_static("traceparent"), HeaderName::from_static("tracestate")];

/// The request for a call, without the key.
///
/// # Errors
///
/// Where base and path are no path together, which those of a resolved configuration and a selected call are.
pub fn build(
    snapshot: &Snapshot,
    call: &Call<'_>,
    caller: &Parts,
    request_id: &RequestId,
    body: Body,
) -> Result<Request<Body>, operation::Error> {
    let path = match caller.uri.path_and_query() {
        // Shared, not parsed again.
        Some(sent) if call.leaves_as(&snapshot.base_path, sent.as_str()) => sent.clone(),
        _ => {
            let path = Bytes::from(call.path(&snapshot.base_path));
            PathAndQuery::from_maybe_shared(path).map_err(|_| operation::Error::Path)?
        }
    };
    let mut request = Request::new(body);
    *request.method_mut() = caller.method.clone();
    *request.uri_mut() = Uri::from(path);
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(HOST, snapshot.authority.clone());
    for (name, value) in caller.headers.iter().filter(|(name, _)| KEPT.contains(name)) {
        headers.append(name, value.clone());
    }
    // An answer that is not content-coded can be read, and is passed on as it came.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(request_id::NAME, request_id.header_value());
    *request.headers_mut() = headers;
    Ok(request)
}
