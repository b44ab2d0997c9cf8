//! The answer to a request that the gateway itself refuses or fails.

use std::fmt;

use bytes::Bytes;
use hyper::Response;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use serde::Serialize;

use super::Error;
use super::format::ErrorFormat;
use super::retry::Retry;
use crate::asteroid::body::Fault;
use crate::asteroid::operation;
use crate::facts::{ErrorCode, Outcome};
use crate::state::Limit;

/// A scheme of the gateway's own: callers hold no credential; something before the gateway says which tenant they are.
const TENANT_CHALLENGE: &str = "Tenant realm=\"asteroid-gateway\"";

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// The parts of a failed request that its answer depends on.
#[derive(Debug, Clone, Copy)]
pub struct FailedRequest<'a> {
    /// Its id.
    pub id: &'a str,
    /// Whether it carried a valid idempotency key.
    pub has_idempotency_key: bool,
    /// The media type of its answer.
    pub format: ErrorFormat,
    /// Whether its connection ends after the answer, because it was not read to its end.
    pub ends_connection: bool,
}

impl Error {
    /// Returns the answer: `{code, message}`, as the contract of the API has it, and the members of RFC 9457.
    #[must_use]
    pub fn answer(&self, request: FailedRequest<'_>) -> Response<Bytes> {
        let row = self.row();
        let detail = self.to_string();
        let problem = Problem {
            code: row.status.as_u16(),
            message: &detail,
            r#type: ProblemType(row.code),
            title: row.title,
            status: row.status.as_u16(),
            detail: &detail,
            instance: format_args!("urn:request:{}", request.id),
            errors: if let Error::Body(refusal) = self { &refusal.faults } else { &[] },
            limit: if let Error::Limit(error) = self { Some(error.limit) } else { None },
            outcome: self.outcome(),
            retry: self.retry(request.has_idempotency_key),
        };
        // Serialising strings and integers into memory does not fail; an empty body would still carry the status.
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = row.status;
        let answer = response.headers_mut();
        answer.insert(CONTENT_TYPE, HeaderValue::from_static(request.format.media_type()));
        if let Ok(value) = HeaderValue::try_from(format!("asteroid-gateway; error={}", row.proxy_status)) {
            answer.insert(PROXY_STATUS, value);
        }
        if let Error::Operation(operation::Error::Method { allow }) = self
            && let Ok(allow) = HeaderValue::from_str(allow)
        {
            answer.insert(ALLOW, allow);
        }
        // The value that would be taken (RFC 9110, section 15.5.16).
        if let Error::MediaType { expected, .. } = self {
            answer.insert(ACCEPT, HeaderValue::from_static(expected.media_type()));
        }
        if let Error::ContentCoding(_) = self {
            answer.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if let Error::Tenant(_) = self {
            answer.insert(WWW_AUTHENTICATE, HeaderValue::from_static(TENANT_CHALLENGE));
        }
        if let Some(after) = self.retry_after() {
            answer.insert(RETRY_AFTER, HeaderValue::from(after));
        }
        if request.ends_connection {
            answer.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The body of the answer.
#[derive(Serialize)]
struct Problem<'a> {
    code: u16,
    message: &'a str,
    r#type: ProblemType,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: fmt::Arguments<'a>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Fault],
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<Limit>,
    outcome: Outcome,
    retry: Retry,
}

/// The `type` of a problem.
struct ProblemType(ErrorCode);

impl Serialize for ProblemType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("urn:asteroid-gateway:error:{}", self.0.as_str()))
    }
}
