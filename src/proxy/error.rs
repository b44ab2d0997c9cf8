//! The errors with which the gateway itself answers a request: their texts, their `table` and their `answer`.

mod answer;
mod format;
mod table;

use std::time::Duration;

use crate::asteroid::operation;
use crate::asteroid::start::Refusal;
use crate::credential::CredentialError;
use crate::facts::Outcome;
use crate::json::Misplaced;
use crate::proxy::{idempotency, limit, recovery};

use crate::transport::error::ConnectError;
use crate::{audit, identity};

pub use format::ErrorFormat;

/// The reason why the gateway itself answers a request. The caller reads its text in `message` and `detail`.
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
    Audit(#[from] audit::Error),
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
    Unreachable(ConnectError),
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

impl Error {
    /// Returns whether an execution may have been started by the request.
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

    /// Returns whether the request was malformed, so that the bytes after it on its connection cannot be trusted.
    #[must_use]
    pub fn ends_connection(&self) -> bool {
        matches!(self, Error::Target | Error::Malformed(_) | Error::Host | Error::BodyBroken(_) | Error::CallerLeft(_))
    }

    /// Returns after how many seconds a retry is worth it.
    fn retry_after(&self) -> Option<u64> {
        use idempotency::Error::{Full, InFlight};
        match self {
            Error::Limit(error) => Some(error.retry_after),
            // Others end within their time-outs, most of them at once.
            Error::BodyMemory => Some(1),
            // A disk is not made room on in a moment.
            Error::Audit(audit::Error::Full) => Some(5),
            // Most starts end at once.
            Error::Audit(audit::Error::Share) => Some(1),
            // A file that comes is seen within a second or two.
            Error::NoKey(_) => Some(2),
            // When the other one ends is not known: a second is worth trying.
            Error::Idempotency(InFlight) => Some(1),
            // What fills the memory goes when its time is over.
            Error::Idempotency(Full) => Some(60),
            _ => None,
        }
    }

    /// Returns its text for the log: without the content of a body, and with the cause, which is of no use to callers.
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
}

/// Returns the beginning of a text that a caller may have made long.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(256)).unwrap_or(text)
}
