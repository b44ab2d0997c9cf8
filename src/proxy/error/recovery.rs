//! Why the look-up of a start failed.

use hyper::StatusCode;

use crate::asteroid::execution::Filter;
use crate::credential::CredentialError;
use crate::state::LookupFailure;
use crate::transport::error::ConnectError;

use super::inquiry;

/// The reason why a look-up failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no API key to ask with.
    #[error(transparent)]
    NoCredential(#[from] CredentialError),
    /// The upstream could not be reached.
    #[error("the upstream could not be reached: {0}; retry with the same key")]
    Unreachable(ConnectError),
    /// The connection broke before the answer's end; the cause is for the log.
    #[error("the connection to the upstream broke before its answer was complete; retry with the same key")]
    Broke(String),
    /// No answer came in time.
    #[error("the upstream did not answer in time; retry with the same key")]
    Timeout,
    /// The upstream does not let the key list executions.
    #[error("the upstream answered {0}; the operator of this gateway must let its API key list executions")]
    Denied(StatusCode),
    /// The upstream answered with another error.
    #[error("the upstream answered {status}; retry with the same key")]
    Refused {
        /// The upstream's status.
        status: StatusCode,
    },
    /// The upstream refuses both filters.
    #[error(
        "the upstream answered 400 to both metadata filters; if the API key of this gateway spans organisations, its operator must \
         set `upstream.organization_id`"
    )]
    Rejected,
    /// The answer is no listing.
    #[error(
        "the upstream's answer is not a listing of executions; the operator of this gateway must check the upstream"
    )]
    Unreadable,
    /// There is no memory for the answer.
    #[error("there is no memory for the upstream's answer; retry with the same key")]
    Memory,
    /// The upstream ignores both filters.
    #[error(
        "the upstream's listing ignores both metadata filters; the operator of this gateway must turn `idempotency.recovery` off"
    )]
    Unfiltered,
    /// The upstream no longer takes the filter that is known to find executions.
    #[error(
        "the upstream no longer takes the filter {} by which executions were found before, so a listing without the execution \
         proves nothing; the operator of this gateway must check whether the API has changed, and restart the gateway", .0.name()
    )]
    Unproven(Filter),
}

impl From<inquiry::Error> for Error {
    fn from(error: inquiry::Error) -> Error {
        match error {
            inquiry::Error::NoCredential(error) => Error::NoCredential(error),
            inquiry::Error::Unreachable(reason) => Error::Unreachable(reason),
            inquiry::Error::Broke(cause) => Error::Broke(cause),
            inquiry::Error::Timeout => Error::Timeout,
            inquiry::Error::Status { status: status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN), .. } => {
                Error::Denied(status)
            }
            inquiry::Error::Status { status, .. } => Error::Refused { status },
            inquiry::Error::TooLarge(_) => Error::Unreadable,
            inquiry::Error::Memory => Error::Memory,
        }
    }
}

impl Error {
    /// Returns the failure without its details.
    #[must_use]
    pub fn failure(&self) -> LookupFailure {
        match self {
            Error::NoCredential(_) => LookupFailure::NoCredential,
            Error::Unreachable(_) => LookupFailure::Unreachable,
            Error::Broke(_) => LookupFailure::Broke,
            Error::Timeout => LookupFailure::Timeout,
            Error::Refused { .. } => LookupFailure::Refused,
            Error::Denied(_) => LookupFailure::Denied,
            Error::Rejected => LookupFailure::Rejected,
            Error::Unreadable => LookupFailure::Unreadable,
            Error::Memory => LookupFailure::Memory,
            Error::Unfiltered => LookupFailure::Unfiltered,
            Error::Unproven(_) => LookupFailure::Unproven,
        }
    }

    /// Returns its name in spans.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.failure().code()
    }
}
