//! Why the upstream could not be asked.

use std::time::SystemTime;

use hyper::header::RETRY_AFTER;
use hyper::{HeaderMap, StatusCode};

use crate::credential::CredentialError;
use crate::proxy::retry_after;
use crate::transport::error::ConnectError;

/// The reason why an inquiry has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no API key to ask with.
    #[error(transparent)]
    NoCredential(#[from] CredentialError),
    /// The upstream could not be reached.
    #[error("the upstream could not be reached: {0}")]
    Unreachable(ConnectError),
    /// The connection broke before the answer's end; the cause is for the log.
    #[error("the connection to the upstream broke before its answer was complete")]
    Broke(String),
    /// No answer came in time.
    #[error("the upstream did not answer in time")]
    Timeout,
    /// The upstream answered with another status than 200.
    #[error("the upstream answered {status}")]
    Status {
        /// The status.
        status: StatusCode,
        /// After how many seconds the upstream may be asked again, if it is busy.
        retry_after: Option<u64>,
    },
    /// The answer is longer than `answer_limit`, in bytes.
    #[error("the upstream's answer is longer than {0} bytes, the `answer_limit` of this gateway")]
    TooLarge(usize),
    /// There is no memory for the answer.
    #[error("there is no memory for the upstream's answer")]
    Memory,
}

impl Error {
    /// Returns the error for an answer with this status and these headers.
    #[must_use]
    pub fn of_status(status: StatusCode, headers: &HeaderMap) -> Error {
        let is_busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let wait =
            || headers.get(RETRY_AFTER).and_then(|value| retry_after::seconds(value, SystemTime::now())).unwrap_or(1);
        Error::Status { status, retry_after: is_busy.then(wait) }
    }

    /// Returns its name in spans.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Error::NoCredential(_) => "no_credential",
            Error::Unreachable(_) => "unreachable",
            Error::Broke(_) => "broke",
            Error::Timeout => "timeout",
            Error::Status { .. } => "refused",
            Error::TooLarge(_) => "too_large",
            Error::Memory => "memory",
        }
    }
}
