//! The table of the gateway's errors: a row for each.

use hyper::StatusCode;

use super::{Error, idempotency, inquiry};
use crate::asteroid::operation;
use crate::audit;
use crate::facts::ErrorCode;

const DENIED: &str = "http_request_denied";
const BAD: &str = "http_request_error";
const INTERNAL: &str = "proxy_internal_error";

/// A row of the table.
pub(super) struct Row {
    pub(super) status: StatusCode,
    pub(super) code: ErrorCode,
    pub(super) title: &'static str,
    /// The error type of RFC 9209, section 2.3.
    pub(super) proxy_status: &'static str,
}

const fn row(status: StatusCode, code: ErrorCode, title: &'static str, proxy_status: &'static str) -> Row {
    Row { status, code, title, proxy_status }
}

impl Error {
    /// Returns its row of the table.
    pub(super) fn row(&self) -> Row {
        use operation::Error as Operation;
        match self {
            Error::Target => row(StatusCode::BAD_REQUEST, ErrorCode::Target, "Unsupported request target", BAD),
            Error::Malformed(_) => row(StatusCode::BAD_REQUEST, ErrorCode::Malformed, "Malformed request", BAD),
            Error::Host => row(StatusCode::BAD_REQUEST, ErrorCode::Host, "Invalid Host header", BAD),
            Error::Misdirected(_) => {
                row(StatusCode::MISDIRECTED_REQUEST, ErrorCode::Misdirected, "Unknown Host", DENIED)
            }
            Error::Browser(_) => row(StatusCode::FORBIDDEN, ErrorCode::Browser, "Browsers are not callers", DENIED),
            Error::Tenant(_) => row(StatusCode::UNAUTHORIZED, ErrorCode::Tenant, "Unknown tenant", DENIED),
            Error::Limit(_) => row(StatusCode::TOO_MANY_REQUESTS, ErrorCode::Limit, "Limit reached", DENIED),
            Error::Operation(Operation::NotServed { .. }) => {
                row(StatusCode::NOT_FOUND, ErrorCode::OperationNotServed, "Operation not served", DENIED)
            }
            Error::OperationClosed { .. } => {
                row(StatusCode::FORBIDDEN, ErrorCode::OperationClosed, "Operation closed", DENIED)
            }
            Error::NotFound => row(StatusCode::NOT_FOUND, ErrorCode::NotFound, "No such execution", DENIED),
            Error::Ownership(error) => ownership_row(error),
            Error::Answer(_) => row(
                StatusCode::BAD_GATEWAY,
                ErrorCode::AnswerUnreadable,
                "Unreadable answer",
                "http_response_incomplete",
            ),
            Error::AnswerTooLarge(_) => {
                row(StatusCode::BAD_GATEWAY, ErrorCode::AnswerTooLarge, "Answer too large", "http_response_body_size")
            }
            Error::ForeignExecution => row(
                StatusCode::BAD_GATEWAY,
                ErrorCode::ForeignExecution,
                "Executions of others",
                "http_response_incomplete",
            ),
            Error::UnexpectedBody => row(StatusCode::BAD_REQUEST, ErrorCode::UnexpectedBody, "Unexpected body", BAD),
            Error::Operation(Operation::Id(_)) => {
                row(StatusCode::BAD_REQUEST, ErrorCode::Id, "Invalid id in the path", BAD)
            }
            Error::Operation(Operation::Method { .. }) => {
                row(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Method, "Method not allowed", DENIED)
            }
            Error::Query(_) => row(StatusCode::BAD_REQUEST, ErrorCode::Query, "Invalid query", BAD),
            Error::Audit(audit::Error::Full) => {
                row(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::AuditFull, "Audit is full", INTERNAL)
            }
            Error::Audit(audit::Error::Share) => row(
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorCode::AuditShare,
                "Too many starts and changes under way",
                INTERNAL,
            ),
            Error::MediaType { .. } => {
                row(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorCode::MediaType, "Unsupported media type", BAD)
            }
            Error::ContentCoding(_) => {
                row(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorCode::MediaType, "Unsupported content coding", BAD)
            }
            Error::BodyTooLarge { .. } => {
                row(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::BodyTooLarge, "Body too large", BAD)
            }
            Error::UploadTooLarge { .. } => {
                row(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::BodyTooLarge, "Upload too large", BAD)
            }
            Error::UploadStalled(_) => row(StatusCode::REQUEST_TIMEOUT, ErrorCode::BodyTimeout, "Upload stalled", BAD),
            Error::Multipart(_) => row(StatusCode::BAD_REQUEST, ErrorCode::Multipart, "Invalid upload", BAD),
            Error::BodyTimeout(_) => row(StatusCode::REQUEST_TIMEOUT, ErrorCode::BodyTimeout, "Body too slow", BAD),
            Error::BodyMemory => {
                row(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::BodyMemory, "Too many bodies", INTERNAL)
            }
            Error::BodyBroken(_) => row(StatusCode::BAD_REQUEST, ErrorCode::BodyBroken, "Unreadable body", BAD),
            Error::CallerLeft(_) => row(StatusCode::BAD_REQUEST, ErrorCode::CallerLeft, "Incomplete body", BAD),
            Error::Body(_) => row(StatusCode::BAD_REQUEST, ErrorCode::Body, "Invalid body", BAD),
            Error::Idempotency(error) => idempotency_row(error),
            Error::Tagging(_) => {
                row(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Tagging, "Fault of the gateway", INTERNAL)
            }
            Error::Unreachable(reason) => {
                row(StatusCode::BAD_GATEWAY, ErrorCode::Unreachable, "Upstream unreachable", reason.code().as_str())
            }
            Error::NoKey(_) => {
                row(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::NoKey, "No key yet", "proxy_configuration_error")
            }
            Error::KeyRefused => row(
                StatusCode::BAD_GATEWAY,
                ErrorCode::KeyRefused,
                "Upstream refused the key",
                "proxy_configuration_error",
            ),
            Error::UpstreamTimeout(..) => row(
                StatusCode::GATEWAY_TIMEOUT,
                ErrorCode::UpstreamTimeout,
                "No answer in time",
                "http_response_timeout",
            ),
            Error::UpstreamBroke(..) => {
                row(StatusCode::GATEWAY_TIMEOUT, ErrorCode::UpstreamBroke, "Incomplete answer", "connection_terminated")
            }
        }
    }

    /// Returns the status of its answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.row().status
    }

    /// Returns its code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.row().code
    }
}

fn ownership_row(error: &inquiry::Error) -> Row {
    let of =
        |status, proxy_status| row(status, ErrorCode::OwnershipUnknown, "Owner of the execution unknown", proxy_status);
    match error {
        inquiry::Error::NoCredential(_) => of(StatusCode::SERVICE_UNAVAILABLE, "proxy_configuration_error"),
        inquiry::Error::Memory => of(StatusCode::SERVICE_UNAVAILABLE, INTERNAL),
        inquiry::Error::Status { retry_after: Some(_), .. } => {
            of(StatusCode::SERVICE_UNAVAILABLE, "destination_unavailable")
        }
        inquiry::Error::Unreachable(reason) => of(StatusCode::BAD_GATEWAY, reason.code().as_str()),
        inquiry::Error::Status { .. } => of(StatusCode::BAD_GATEWAY, "destination_unavailable"),
        inquiry::Error::TooLarge(_) => of(StatusCode::BAD_GATEWAY, "http_response_body_size"),
        inquiry::Error::Timeout => of(StatusCode::GATEWAY_TIMEOUT, "http_response_timeout"),
        inquiry::Error::Broke(_) => of(StatusCode::GATEWAY_TIMEOUT, "connection_terminated"),
    }
}

fn idempotency_row(error: &idempotency::Error) -> Row {
    use idempotency::Error as Idempotency;
    match error {
        Idempotency::NotTaken
        | Idempotency::Off
        | Idempotency::Missing
        | Idempotency::Repeated
        | Idempotency::Malformed => {
            row(StatusCode::BAD_REQUEST, ErrorCode::IdempotencyKey, "Invalid Idempotency-Key", BAD)
        }
        Idempotency::InFlight => row(StatusCode::CONFLICT, ErrorCode::IdempotencyInFlight, "Key in flight", DENIED),
        Idempotency::Mismatch => {
            row(StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::IdempotencyMismatch, "Key of another request", DENIED)
        }
        Idempotency::Full => {
            row(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::IdempotencyFull, "Keys cannot be remembered", INTERNAL)
        }
        Idempotency::Unknown { .. } | Idempotency::UnknownRerun | Idempotency::Several { .. } => {
            row(StatusCode::GATEWAY_TIMEOUT, ErrorCode::IdempotencyUnknown, "Outcome unknown", DENIED)
        }
        Idempotency::Lookup(_) => row(
            StatusCode::GATEWAY_TIMEOUT,
            ErrorCode::IdempotencyLookup,
            "Outcome not found out",
            "destination_unavailable",
        ),
    }
}
