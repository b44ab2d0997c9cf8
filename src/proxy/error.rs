//! Every way in which the gateway itself refuses or fails a request, and the one table of what is answered.

mod form;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};
use serde::Serialize;

use crate::asteroid::operation;
use crate::asteroid::start::{Fault, Refusal};
use crate::credential::CredentialError;
use crate::facts::Outcome;
use crate::json::Misplaced;
use crate::proxy::{idempotency, limit, recovery};
use crate::state::Limit;
use crate::{audit, identity, transport};

pub use form::Form;

/// A scheme of the gateway's own: callers hold no credential, somebody else says who they are.
const TENANT_CHALLENGE: &str = "Tenant realm=\"asteroid-gateway\"";

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// Why a request was not answered by the upstream. `Display` is what the caller reads in `message` and `detail`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request target is neither in origin form nor an HTTP URL.
    #[error(
        "the request target must be a path, for example /agents/{{agentId}}/execute, or such a path behind http://HOST"
    )]
    Target,
    /// What hyper lets through and this gateway does not; the text says what.
    #[error("{0}")]
    Malformed(&'static str),
    /// `Host` is absent, repeated or not a host.
    #[error(
        "the request must carry exactly one valid Host: a name or an address, and after a colon a port up to 65535; over HTTP/2, :authority must say the same, if both are sent"
    )]
    Host,
    /// `Host` is not one of this listener's names.
    #[error(
        "this listener does not answer for the Host {:?}; if callers reach it by that name, add it to the listener's `hosts`", cut(.0)
    )]
    Misdirected(String),
    /// A web page asked.
    #[error(
        "requests of browsers are refused: this gateway needs no credential, so no web page may use it ({0} was sent)"
    )]
    Browser(&'static str),
    /// No operation is asked for.
    #[error(transparent)]
    Operation(#[from] operation::Error),
    /// No tenant could be identified.
    #[error(transparent)]
    Tenant(#[from] identity::Error),
    /// One of the tenant's limits.
    #[error(transparent)]
    Limit(#[from] limit::Error),
    /// Nothing is started without a record.
    #[error(transparent)]
    Audit(#[from] audit::Full),
    /// The body's media type; what came.
    #[error("the body must be JSON in UTF-8, with Content-Type: application/json once; {0} came")]
    MediaType(String),
    /// The body is coded; what came.
    #[error(
        "the body must not be compressed, and its Content-Encoding is {0}; send it as it is, without Content-Encoding"
    )]
    ContentCoding(String),
    /// The body is longer than `body_limit`.
    #[error("the body is longer than {limit} bytes, the body_limit of this gateway")]
    BodyTooLarge {
        /// The bound, in bytes.
        limit: usize,
    },
    /// The body did not arrive in time.
    #[error("the body did not arrive within {}", humantime::format_duration(*.0))]
    BodyTimeout(Duration),
    /// The request would take more memory than there is for bodies, or than its tenant's share of it.
    #[error(
        "this gateway holds as many requests and bodies as `body_memory` allows, or as this tenant's share of it does; nothing \
         was started, retry in a second"
    )]
    BodyMemory,
    /// The body's framing is broken; the cause is for the log.
    #[error(
        "the body could not be read: its transfer coding or length is broken, or it has trailers; send it without trailers"
    )]
    BodyBroken(String),
    /// The caller ended its connection or its stream in the middle of the body; the cause is for the log.
    #[error("the connection ended before the body was complete; send the whole body")]
    CallerLeft(String),
    /// The body is not what the operation takes.
    #[error(transparent)]
    Body(#[from] Refusal),
    /// The start does not go out under its idempotency key.
    #[error(transparent)]
    Idempotency(#[from] idempotency::Error),
    /// The changes to the body do not fit it: a fault of the gateway.
    #[error("the gateway could not write the tags into the body; this is a fault of the gateway")]
    Tagging(#[from] Misplaced),
    /// The upstream could not be reached; it has seen nothing.
    #[error("the upstream could not be reached: {0}")]
    Unreachable(transport::connect::Error),
    /// There is no key to send.
    #[error(transparent)]
    NoKey(#[from] CredentialError),
    /// The upstream did not accept the gateway's key.
    #[error(
        "the upstream refused the API key of this gateway. Retry later; if it persists, contact the operator of this gateway"
    )]
    KeyRefused,
    /// The upstream did not answer in time.
    #[error("the upstream did not answer within {}; an execution may have been started", humantime::format_duration(*.0))]
    UpstreamTimeout(Duration),
    /// The connection broke after the request was written; the cause is for the log.
    #[error("the connection to the upstream broke before its answer was complete; an execution may have been started")]
    UpstreamBroke(String),
}

/// One row of the table.
struct Row {
    status: StatusCode,
    /// The last part of the problem's `type`, and what the log calls it.
    slug: &'static str,
    title: &'static str,
    /// The error type of RFC 9209, section 2.3.
    proxy_status: &'static str,
}

const fn row(status: StatusCode, slug: &'static str, title: &'static str, proxy_status: &'static str) -> Row {
    Row { status, slug, title, proxy_status }
}

impl Error {
    fn row(&self) -> Row {
        use operation::Error as Operation;
        const DENIED: &str = "http_request_denied";
        const BAD: &str = "http_request_error";
        match self {
            Error::Target => row(StatusCode::BAD_REQUEST, "target", "Unsupported request target", BAD),
            Error::Malformed(_) => row(StatusCode::BAD_REQUEST, "malformed", "Malformed request", BAD),
            Error::Host => row(StatusCode::BAD_REQUEST, "host", "Invalid Host header", BAD),
            Error::Misdirected(_) => row(StatusCode::MISDIRECTED_REQUEST, "misdirected", "Unknown Host", DENIED),
            Error::Browser(_) => row(StatusCode::FORBIDDEN, "browser", "Browsers are not callers", DENIED),
            Error::Tenant(_) => row(StatusCode::UNAUTHORIZED, "tenant", "Unknown tenant", DENIED),
            Error::Limit(_) => row(StatusCode::TOO_MANY_REQUESTS, "limit", "Limit reached", DENIED),
            Error::Operation(Operation::Path) => row(StatusCode::NOT_FOUND, "path", "No such operation", DENIED),
            Error::Operation(Operation::Id(_)) => row(StatusCode::BAD_REQUEST, "id", "Invalid id in the path", BAD),
            Error::Operation(Operation::Method { .. }) => {
                row(StatusCode::METHOD_NOT_ALLOWED, "method", "Method not allowed", DENIED)
            }
            Error::Operation(Operation::Query) => row(StatusCode::BAD_REQUEST, "query", "Unexpected query string", BAD),
            Error::Audit(audit::Full::Everywhere) => {
                row(StatusCode::SERVICE_UNAVAILABLE, "audit-full", "Audit is full", "proxy_internal_error")
            }
            Error::Audit(audit::Full::Share) => {
                row(StatusCode::SERVICE_UNAVAILABLE, "audit-share", "Too many starts under way", "proxy_internal_error")
            }
            Error::MediaType(_) => row(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "Unsupported media type", BAD),
            Error::ContentCoding(_) => {
                row(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "Unsupported content coding", BAD)
            }
            Error::BodyTooLarge { .. } => row(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "Body too large", BAD),
            Error::BodyTimeout(_) => row(StatusCode::REQUEST_TIMEOUT, "body-timeout", "Body too slow", BAD),
            Error::BodyMemory => {
                row(StatusCode::SERVICE_UNAVAILABLE, "body-memory", "Too many bodies", "proxy_internal_error")
            }
            Error::BodyBroken(_) => row(StatusCode::BAD_REQUEST, "body-broken", "Unreadable body", BAD),
            Error::CallerLeft(_) => row(StatusCode::BAD_REQUEST, "caller-left", "Incomplete body", BAD),
            Error::Body(_) => row(StatusCode::BAD_REQUEST, "body", "Invalid body", BAD),
            Error::Idempotency(error) => idempotency_row(error),
            Error::Tagging(_) => {
                row(StatusCode::INTERNAL_SERVER_ERROR, "tagging", "Fault of the gateway", "proxy_internal_error")
            }
            Error::Unreachable(reason) => {
                row(StatusCode::BAD_GATEWAY, "unreachable", "Upstream unreachable", reason.kind())
            }
            Error::NoKey(_) => {
                row(StatusCode::SERVICE_UNAVAILABLE, "no-key", "No key yet", "proxy_configuration_error")
            }
            Error::KeyRefused => {
                row(StatusCode::BAD_GATEWAY, "key-refused", "Upstream refused the key", "proxy_configuration_error")
            }
            Error::UpstreamTimeout(_) => {
                row(StatusCode::GATEWAY_TIMEOUT, "upstream-timeout", "No answer in time", "http_response_timeout")
            }
            Error::UpstreamBroke(_) => {
                row(StatusCode::GATEWAY_TIMEOUT, "upstream-broke", "Incomplete answer", "connection_terminated")
            }
        }
    }

    /// Whether money may have been spent on the request that failed so.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Error::UpstreamTimeout(_)
            | Error::UpstreamBroke(_)
            | Error::Idempotency(
                idempotency::Error::Unknown { .. } | idempotency::Error::Several { .. } | idempotency::Error::Lookup(_),
            ) => Outcome::Unknown,
            Error::Target
            | Error::Malformed(_)
            | Error::Host
            | Error::Misdirected(_)
            | Error::Browser(_)
            | Error::Operation(_)
            | Error::Tenant(_)
            | Error::Limit(_)
            | Error::Audit(_)
            | Error::MediaType(_)
            | Error::ContentCoding(_)
            | Error::BodyTooLarge { .. }
            | Error::BodyTimeout(_)
            | Error::BodyMemory
            | Error::BodyBroken(_)
            | Error::CallerLeft(_)
            | Error::Body(_)
            | Error::Idempotency(
                idempotency::Error::Off
                | idempotency::Error::Missing
                | idempotency::Error::Repeated
                | idempotency::Error::Malformed
                | idempotency::Error::InFlight
                | idempotency::Error::Mismatch
                | idempotency::Error::Full,
            )
            | Error::Tagging(_)
            | Error::Unreachable(_)
            | Error::NoKey(_)
            | Error::KeyRefused => Outcome::NotStarted,
        }
    }

    /// Whether the request was malformed, so that nothing that follows it on its connection can be trusted.
    #[must_use]
    pub fn ends_connection(&self) -> bool {
        matches!(self, Error::Target | Error::Malformed(_) | Error::Host | Error::BodyBroken(_) | Error::CallerLeft(_))
    }

    /// After how many seconds another try is worth it.
    fn retry_after(&self) -> Option<u64> {
        use idempotency::Error::{Full, InFlight};
        match self {
            Error::Limit(error) => Some(error.retry_after),
            // Others end within their time-outs, most of them at once.
            Error::BodyMemory => Some(1),
            // A disk is not made room on in a moment.
            Error::Audit(audit::Full::Everywhere) => Some(5),
            // Most starts end at once.
            Error::Audit(audit::Full::Share) => Some(1),
            // A file that comes is seen within a second or two.
            Error::NoKey(_) => Some(2),
            // When the other one ends is not known: a second is worth trying.
            Error::Idempotency(InFlight) => Some(1),
            // What fills the memory goes when its time is over.
            Error::Idempotency(Full) => Some(60),
            _ => None,
        }
    }

    /// The name under which the log has it.
    #[must_use]
    pub fn slug(&self) -> &'static str {
        self.row().slug
    }

    /// What the log says of it: nothing of a body's content, but the cause that callers have no use for.
    #[must_use]
    pub fn logged(&self) -> String {
        match self {
            Error::Body(refusal) => format!("faults in the body: {}", refusal.faults.len()),
            Error::BodyBroken(cause) => format!("the body could not be read: {cause}"),
            Error::CallerLeft(cause) => format!("the caller left before its body was complete: {cause}"),
            Error::UpstreamBroke(cause) => format!("the upstream broke off: {cause}"),
            Error::Idempotency(idempotency::Error::Lookup(recovery::Error::Broke(cause))) => {
                format!("the upstream broke off its answer to a look-up: {cause}")
            }
            error => error.to_string(),
        }
    }

    /// The answer, with `{code, message}` as the API's contract has it and the members of RFC 9457 beside them.
    ///
    /// `close` ends the connection after it: set where the request was not read to its end.
    #[must_use]
    pub fn answer(&self, request_id: &str, form: Form, close: bool) -> Response<Bytes> {
        let row = self.row();
        let detail = self.to_string();
        let problem = Problem {
            code: row.status.as_u16(),
            message: &detail,
            r#type: Slug(row.slug),
            title: row.title,
            status: row.status.as_u16(),
            detail: &detail,
            instance: format_args!("urn:request:{request_id}"),
            errors: if let Error::Body(refusal) = self { &refusal.faults } else { &[] },
            limit: if let Error::Limit(error) = self { Some(error.limit) } else { None },
            outcome: self.outcome(),
        };
        // Serialising strings and integers into memory does not fail; an empty body would still carry the status.
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = row.status;
        let answer = response.headers_mut();
        answer.insert(CONTENT_TYPE, HeaderValue::from_static(form.media_type()));
        if let Ok(value) = HeaderValue::try_from(format!("asteroid-gateway; error={}", row.proxy_status)) {
            answer.insert(PROXY_STATUS, value);
        }
        if let Error::Operation(operation::Error::Method { allow }) = self
            && let Ok(allow) = HeaderValue::from_str(allow)
        {
            answer.insert(ALLOW, allow);
        }
        // The value that would be taken (RFC 9110, section 15.5.16).
        if let Error::MediaType(_) = self {
            answer.insert(ACCEPT, HeaderValue::from_static("application/json"));
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
        if close {
            answer.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

fn idempotency_row(error: &idempotency::Error) -> Row {
    use idempotency::Error as Idempotency;
    const DENIED: &str = "http_request_denied";
    match error {
        Idempotency::Off | Idempotency::Missing | Idempotency::Repeated | Idempotency::Malformed => {
            row(StatusCode::BAD_REQUEST, "idempotency-key", "Invalid Idempotency-Key", "http_request_error")
        }
        Idempotency::InFlight => row(StatusCode::CONFLICT, "idempotency-in-flight", "Key in flight", DENIED),
        Idempotency::Mismatch => {
            row(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-mismatch", "Key of another request", DENIED)
        }
        Idempotency::Full => row(
            StatusCode::SERVICE_UNAVAILABLE,
            "idempotency-full",
            "Keys cannot be remembered",
            "proxy_internal_error",
        ),
        Idempotency::Unknown { .. } | Idempotency::Several { .. } => {
            row(StatusCode::GATEWAY_TIMEOUT, "idempotency-unknown", "Outcome unknown", DENIED)
        }
        Idempotency::Lookup(_) => {
            row(StatusCode::GATEWAY_TIMEOUT, "idempotency-lookup", "Outcome not found out", "destination_unavailable")
        }
    }
}

/// The beginning of a text that a caller may have made long.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(256)).unwrap_or(text)
}

#[derive(Serialize)]
struct Problem<'a> {
    code: u16,
    message: &'a str,
    r#type: Slug,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: fmt::Arguments<'a>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Fault],
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<Limit>,
    outcome: Outcome,
}

struct Slug(&'static str);

impl Serialize for Slug {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("urn:asteroid-gateway:error:{}", self.0))
    }
}
