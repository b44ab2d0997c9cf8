//! The request to the upstream, as a recipe: it is made anew each time it is sent.
//!
//! It is built from nothing: what is not named here does not leave.

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::http::uri::PathAndQuery;
use hyper::{HeaderMap, Method, Request, Uri};

use crate::asteroid::operation::{self, Call, Operation};
use crate::facts::request_id::{self, RequestId};
use crate::json::Pieces;
use crate::state::Permit;
use crate::trace::Trace;
use crate::transport::body::Body;

use super::credential::ChosenVersion;
use super::generation::Generation;

/// The headers of a caller that go along, beside its trace context. All others stay behind, credentials of any name among them.
const KEPT: [HeaderName; 3] = [ACCEPT, CONTENT_TYPE, USER_AGENT];

/// A request that can be sent, as often as it may be.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// The operation that it asks for.
    pub(super) operation: Operation,
    generation: Arc<Generation>,
    path: PathAndQuery,
    /// The caller's, of which [`KEPT`] and the trace context go along.
    headers: HeaderMap,
    request_id: RequestId,
    payload: Pieces,
}

impl Outgoing {
    /// Creates the recipe for a call that came to this target, with the caller's headers.
    ///
    /// # Errors
    ///
    /// If base and path are no path together, which those of a resolved configuration and a selected call are.
    pub(super) fn for_call(
        generation: &Arc<Generation>,
        call: &Call<'_>,
        target: &Uri,
        headers: HeaderMap,
        request_id: RequestId,
        payload: Pieces,
    ) -> Result<Outgoing, operation::Error> {
        let path = match target.path_and_query() {
            // Shared, not parsed again.
            Some(sent) if call.leaves_as(&generation.base_path, sent.as_str()) => sent.clone(),
            _ => parsed(call.path(&generation.base_path))?,
        };
        let (operation, generation) = (call.operation, Arc::clone(generation));
        Ok(Outgoing { operation, generation, path, headers, request_id, payload })
    }

    /// Creates the recipe for a question of the gateway's own, with a path and query below the base, and on behalf of a caller
    /// with these headers.
    ///
    /// # Errors
    ///
    /// If base and path are no path together.
    pub(super) fn for_question(
        generation: &Arc<Generation>,
        operation: Operation,
        path: &str,
        caller: &HeaderMap,
        request_id: RequestId,
    ) -> Result<Outgoing, operation::Error> {
        let path = parsed([&generation.base_path, path].concat())?;
        let mut headers = Trace::context_of(caller);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let generation = Arc::clone(generation);
        Ok(Outgoing { operation, generation, path, headers, request_id, payload: Pieces::default() })
    }

    /// Makes the request that is sent on behalf of an admitted one. It carries a part of the trace of its own, and the
    /// credential.
    pub(super) fn request(&self, trace: &Trace, credential: &ChosenVersion, permit: &Permit) -> Request<Body> {
        let mut headers = HeaderMap::with_capacity(12);
        headers.insert(HOST, self.generation.authority.clone());
        // An answer that is not content-coded can be read, and is passed on as it came.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(request_id::NAME, self.request_id.header_value());
        for (name, value) in self.headers.iter().filter(|(name, _)| KEPT.contains(name)) {
            headers.append(name, value.clone());
        }
        let mut request = Request::new(Body::from(self.payload.clone()));
        *request.method_mut() = self.method();
        *request.uri_mut() = Uri::from(self.path.clone());
        *request.headers_mut() = headers;
        trace.pass_on(&self.headers, &mut request);
        credential.inject(permit, &mut request);
        request
    }

    fn method(&self) -> Method {
        self.operation.rules().method.clone()
    }
}

fn parsed(path: String) -> Result<PathAndQuery, operation::Error> {
    PathAndQuery::from_maybe_shared(Bytes::from(path)).map_err(|_| operation::Error::Path)
}
