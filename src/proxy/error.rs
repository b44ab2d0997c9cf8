//! The errors with which the gateway itself answers a request: their texts, their `table` and their `answer`.

mod answer;
#[cfg(test)]
mod documented;
#[cfg(test)]
mod examples;
mod expected;
mod format;
pub mod idempotency;
pub mod inquiry;
pub mod judgement;
pub mod limit;
pub mod recovery;
mod retry;
mod table;

use std::sync::Arc;
use std::time::Duration;

use crate::asteroid::body::Refusal;
use crate::asteroid::group::Group;
use crate::asteroid::multipart;
use crate::asteroid::operation::{self, Effect};
use crate::asteroid::query;
use crate::credential::CredentialError;
use crate::facts::Outcome;
use crate::json::SpliceError;
use crate::transport::error::ConnectError;
use crate::{audit, identity};

pub use answer::FailedRequest;
pub use expected::Expected;
pub use format::ErrorFormat;
pub use retry::Retry;

/// The reason why the gateway itself answers a request. The caller reads its text in `message` and `detail`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request target is neither in origin form nor an HTTP URL.
    #[error(
        "the request target is not a path; send a path, for example /agents/{{agentId}}/execute, or http://HOST before such a path"
    )]
    Target,
    /// The request has a fault that hyper lets through. The text names it.
    #[error("{0}")]
    Malformed(&'static str),
    /// `Host` is absent, repeated or not a host.
    #[error(
        "the request must carry exactly one valid Host: a name or an address, and after a colon a port up to 65535; over HTTP/2, it \
         must agree with :authority if both are sent"
    )]
    Host,
    /// `Host` is not one of this listener's names.
    #[error(
        "this listener does not answer for the Host {:?}; use a name of the listener, or have the operator of this gateway add this \
         one to its `hosts`", cut(.0)
    )]
    Misdirected(String),
    /// A browser sent the request for a web page. Names the header that says so.
    #[error(
        "requests of browsers are refused, as this gateway needs no credential and so no web page may use it; {0} was sent; call the \
         gateway from a program"
    )]
    Browser(&'static str),
    /// The request is for no operation.
    #[error(transparent)]
    Operation(#[from] operation::Error),
    /// The operator has closed the group of the operation for the tenant.
    #[error(
        "{operation} is closed for tenant {tenant}; the operator of this gateway can open it with `operations.{}: true`", .group.code()
    )]
    OperationClosed {
        /// The name of the operation.
        operation: &'static str,
        /// Its group.
        group: Group,
        /// The name of the tenant.
        tenant: Arc<str>,
    },
    /// The query is not what the operation takes.
    #[error(transparent)]
    Query(#[from] query::Error),
    /// The tenant has no such execution, as far as it may know.
    #[error("this tenant has no execution with this id; correct the id")]
    NotFound,
    /// It is not known whether the execution belongs to the tenant.
    #[error("it is not known whether the execution belongs to this tenant: {}; nothing was changed, so {}", .0, ownership_advice(.0))]
    Ownership(#[from] inquiry::Error),
    /// An answer with executions or files cannot be read, so it cannot be passed on.
    #[error(
        "the upstream's answer was not passed on, because {0}; if that persists, tell the operator of this gateway"
    )]
    Answer(#[from] judgement::Error),
    /// An answer with executions or files is longer than `answer_limit`, in bytes.
    #[error(
        "the upstream's answer is longer than {0} bytes, the `answer_limit` of this gateway; in a listing, ask for fewer executions \
         with `pageSize`; otherwise have the operator of this gateway raise the limit"
    )]
    AnswerTooLarge(usize),
    /// A listing had executions of others.
    #[error(
        "the upstream's listing contained executions of others, so it was not passed on; do not retry, and give the operator of this \
         gateway the X-Request-Id"
    )]
    ForeignExecution,
    /// The request names no tenant.
    #[error(transparent)]
    Tenant(#[from] identity::Error),
    /// A limit of the tenant is reached.
    #[error(transparent)]
    Limit(#[from] limit::Error),
    /// The audit has no slot for the record of the start.
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// The body has another media type.
    #[error("the body must be {}; {found} came; send Content-Type: {} once", .expected.name(), .expected.media_type())]
    MediaType {
        /// The media type that the operation takes.
        expected: Expected,
        /// The media type that came.
        found: String,
    },
    /// The body has a content coding. Names what came.
    #[error(
        "the body must not be compressed, and its Content-Encoding is {0}; send it uncompressed, without Content-Encoding"
    )]
    ContentCoding(String),
    /// The body is longer than `body_limit`.
    #[error(
        "the body is longer than {limit} bytes, the `body_limit` of this gateway; send a shorter one, or have the operator of this \
         gateway raise the limit"
    )]
    BodyTooLarge {
        /// The bound, in bytes.
        limit: usize,
    },
    /// The body of an upload is longer than `upload_limit`.
    #[error(
        "the upload is longer than {limit} bytes, the `upload_limit` of this gateway; send fewer or shorter files at once, or have the \
         operator of this gateway raise the limit"
    )]
    UploadTooLarge {
        /// The bound, in bytes.
        limit: u64,
    },
    /// Nothing more of an upload came.
    #[error(
        "nothing more of the upload came for {}; send it without pauses, or have the operator of this gateway raise `timeouts.body`",
        humantime::format_duration(*.0)
    )]
    UploadStalled(Duration),
    /// The body of an upload is not as it must be.
    #[error(transparent)]
    Multipart(#[from] multipart::Fault),
    /// The operation takes no body.
    #[error("this operation takes no body, and one came; leave it out")]
    UnexpectedBody,
    /// The body did not arrive in time.
    #[error(
        "the body did not arrive within {}; send it faster, or have the operator of this gateway raise `timeouts.body`",
        humantime::format_duration(*.0)
    )]
    BodyTimeout(Duration),
    /// The request would take more memory than there is for bodies, or than its tenant's share of it.
    #[error(
        "there is no memory for another body: the requests of this gateway use up `body_memory`, or those of this tenant their share \
         of it; nothing was started or changed, so retry in a second"
    )]
    BodyMemory,
    /// The body's framing is broken; the cause is for the log.
    #[error(
        "the body could not be read: its transfer coding or length is broken, or it has trailers; send it whole, without trailers"
    )]
    BodyBroken(String),
    /// The caller ended its connection or its stream in the middle of the body; the cause is for the log.
    #[error("the connection ended before the body was complete; send the whole body")]
    CallerLeft(String),
    /// The body is not what the operation takes.
    #[error(transparent)]
    Body(#[from] Refusal),
    /// The start is not sent under its idempotency key.
    #[error(transparent)]
    Idempotency(#[from] idempotency::Error),
    /// The changes to the body do not fit it: a fault of the gateway.
    #[error(
        "the gateway could not write its tags into the body, so nothing was started; this is a fault of the gateway, so tell its \
         operator"
    )]
    Tagging(#[from] SpliceError),
    /// The upstream could not be reached. It has received nothing.
    #[error("the upstream could not be reached: {0}; nothing was started or changed, so retry later")]
    Unreachable(ConnectError),
    /// There is no API key to send.
    #[error(transparent)]
    NoKey(#[from] CredentialError),
    /// The upstream refused the API key.
    #[error(
        "the upstream refused the API key of this gateway. Retry later; if it persists, contact the operator of this gateway"
    )]
    KeyRefused,
    /// The upstream did not answer in time.
    #[error("the upstream did not answer within {}; {}", humantime::format_duration(*.0), advice(*.1))]
    UpstreamTimeout(Duration, Effect),
    /// The connection broke after the request was written; the cause is for the log.
    #[error("the connection to the upstream broke before its answer was complete; {}", advice(*.1))]
    UpstreamBroke(String, Effect),
}

/// Returns the advice to a caller whose execution could not be looked up.
fn ownership_advice(error: &inquiry::Error) -> &'static str {
    match error {
        inquiry::Error::TooLarge(_) => "have the operator of this gateway raise that limit",
        inquiry::Error::Status { status, .. } if status.is_client_error() => {
            "retry later; if it persists, tell the operator of this gateway"
        }
        _ => "retry later",
    }
}

/// Returns the advice to a caller whose request was sent and got no whole answer.
fn advice(effect: Effect) -> &'static str {
    match effect {
        Effect::Read => "nothing was changed, so retry",
        Effect::Change => "the execution may have been changed, so read it before you retry",
        Effect::Start => {
            "an execution may have been started, so retry with the same Idempotency-Key, or look for an execution first"
        }
    }
}

impl Error {
    /// Returns whether the request took effect: whether an execution may have been started, or changed.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Error::UpstreamTimeout(_, Effect::Start | Effect::Change)
            | Error::UpstreamBroke(_, Effect::Start | Effect::Change)
            | Error::Idempotency(
                idempotency::Error::Unknown { .. }
                | idempotency::Error::UnknownRerun
                | idempotency::Error::Several { .. }
                | idempotency::Error::Lookup(_),
            ) => Outcome::Unknown,
            Error::UpstreamTimeout(_, Effect::Read)
            | Error::UpstreamBroke(_, Effect::Read)
            | Error::Target
            | Error::Malformed(_)
            | Error::Host
            | Error::Misdirected(_)
            | Error::Browser(_)
            | Error::Operation(_)
            | Error::OperationClosed { .. }
            | Error::Query(_)
            | Error::NotFound
            | Error::Ownership(_)
            | Error::Answer(_)
            | Error::AnswerTooLarge(_)
            | Error::ForeignExecution
            | Error::UnexpectedBody
            | Error::Tenant(_)
            | Error::Limit(_)
            | Error::Audit(_)
            | Error::MediaType { .. }
            | Error::ContentCoding(_)
            | Error::UploadTooLarge { .. }
            | Error::UploadStalled(_)
            | Error::Multipart(_)
            | Error::BodyTooLarge { .. }
            | Error::BodyTimeout(_)
            | Error::BodyMemory
            | Error::BodyBroken(_)
            | Error::CallerLeft(_)
            | Error::Body(_)
            | Error::Idempotency(
                idempotency::Error::NotTaken
                | idempotency::Error::Off
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

    /// Returns whether the request was malformed, so that the bytes after it on its connection cannot be trusted, or was not read to
    /// its end.
    #[must_use]
    pub fn ends_connection(&self) -> bool {
        matches!(
            self,
            Error::Target
                | Error::Malformed(_)
                | Error::Host
                | Error::BodyBroken(_)
                | Error::CallerLeft(_)
                | Error::UploadTooLarge { .. }
                | Error::UploadStalled(_)
                | Error::Multipart(_)
        )
    }

    /// Returns after how many seconds a retry is worth it.
    fn retry_after(&self) -> Option<u64> {
        use idempotency::Error::{Full, InFlight};
        match self {
            Error::Limit(error) => Some(error.retry_after),
            // Others end within their time-outs, most of them at once.
            Error::BodyMemory => Some(1),
            // Space on a disk is not freed in a moment.
            Error::Audit(audit::Error::Full) => Some(5),
            // Most starts end at once.
            Error::Audit(audit::Error::Share) => Some(1),
            // A new file is noticed within a second or two.
            Error::NoKey(_) | Error::Ownership(inquiry::Error::NoCredential(_)) => Some(2),
            // The upstream is busy, and says when to ask again.
            Error::Ownership(inquiry::Error::Status { retry_after, .. }) => *retry_after,
            Error::Ownership(inquiry::Error::Memory) => Some(1),
            // When the other one ends is not known; a second is worth a retry.
            Error::Idempotency(InFlight) => Some(1),
            // Memory is freed when answers have been kept for as long as configured.
            Error::Idempotency(Full) => Some(60),
            _ => None,
        }
    }

    /// Returns its text for the log: without the content of a body or a value of a query, and with the cause, which is of no use to callers.
    #[must_use]
    pub fn logged(&self) -> String {
        match self {
            Error::Body(refusal) => format!("faults in the body: {}", refusal.faults.len()),
            Error::Query(error) => error.logged(),
            Error::MediaType { expected, .. } => format!("the body is not declared as {}", expected.media_type()),
            Error::ContentCoding(_) => "the body is declared as content-coded".to_owned(),
            Error::BodyBroken(cause) => format!("the body could not be read: {cause}"),
            Error::CallerLeft(cause) => format!("the caller left before its body was complete: {cause}"),
            Error::UpstreamBroke(cause, _) => format!("the upstream broke off: {cause}"),
            Error::Ownership(inquiry::Error::Broke(cause)) => {
                format!("the upstream broke off its answer to a look-up: {cause}")
            }
            Error::Idempotency(idempotency::Error::Lookup(recovery::Error::Broke(cause))) => {
                format!("the upstream broke off its answer to a look-up: {cause}")
            }
            error => error.to_string(),
        }
    }
}

/// Returns the beginning of a text that a caller may have made long.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(256)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_start_or_a_change_that_got_no_whole_answer_may_have_taken_effect() {
        for (effect, outcome) in
            [(Effect::Read, Outcome::NotStarted), (Effect::Change, Outcome::Unknown), (Effect::Start, Outcome::Unknown)]
        {
            let [late, broken] =
                [Error::UpstreamTimeout(Duration::from_secs(1), effect), Error::UpstreamBroke(String::new(), effect)];
            for error in [late, broken] {
                assert_eq!(error.outcome(), outcome, "{error:?}");
                assert_eq!(error.to_string().contains("started"), effect == Effect::Start, "{error}");
            }
        }
    }
}
