//! The request to the upstream, built from nothing: what is not named here does not leave.

use bytes::Bytes;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::{HeaderMap, Method, Request, Uri};

use crate::asteroid::operation::{self, Call};
use crate::facts::request_id::{self, RequestId};
use crate::json::Pieces;
use crate::record::Record;
use crate::transport::body::Body;

use super::generation::Snapshot;

/// What a caller's request keeps, beside its trace context. Everything else of it, credentials of any name among it, stays behind.
const KEPT: [HeaderName; 3] = [ACCEPT, CONTENT_TYPE, USER_AGENT];

/// The request for a call, without the key.
///
/// # Errors
///
/// Where base and path are no path together, which those of a resolved configuration and a selected call are.
pub fn build(
    snapshot: &Snapshot,
    call: &Call<'_>,
    caller: &Parts,
    record: &Record,
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
    let mut request = request(snapshot, caller.method.clone(), path, &record.facts.request_id, body);
    for (name, value) in caller.headers.iter().filter(|(name, _)| KEPT.contains(name)) {
        request.headers_mut().append(name, value.clone());
    }
    record.trace.pass_on(&caller.headers, &mut request);
    Ok(request)
}

/// A question of the gateway's own below the base and without the key.
///
/// # Errors
///
/// Where base and path are no path together.
pub fn look_up(snapshot: &Snapshot, path: &str, request_id: &RequestId) -> Result<Request<Body>, operation::Error> {
    let path = [&snapshot.base_path, path].concat();
    let path = PathAndQuery::from_maybe_shared(Bytes::from(path)).map_err(|_| operation::Error::Path)?;
    let mut request = request(snapshot, Method::GET, path, request_id, Body::from(Pieces::default()));
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    Ok(request)
}

fn request(
    snapshot: &Snapshot,
    method: Method,
    path: PathAndQuery,
    request_id: &RequestId,
    body: Body,
) -> Request<Body> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from(path);
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(HOST, snapshot.authority.clone());
    // An answer that is not content-coded can be read, and is passed on as it came.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(request_id::NAME, request_id.header_value());
    *request.headers_mut() = headers;
    request
}
