//! Why a start is not sent under its idempotency key.

use crate::state::{ClaimError, IdempotencyDigest, IdempotencyResult};

use super::recovery;

/// The reason why a start is not sent under its key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operation takes no key.
    #[error("only starts take an Idempotency-Key, and this operation starts nothing; leave it out")]
    NotTaken,
    /// The tenant's starts must not carry a key.
    #[error(
        "this tenant's starts must not carry an Idempotency-Key, as `idempotency` is off for it and a retry could start twice; leave \
         it out, or have the operator of this gateway set `idempotency: optional`"
    )]
    Off,
    /// The tenant's starts must carry a key.
    #[error(
        "an Idempotency-Key is required and none was sent; send a new value with each start, and the same with its retries"
    )]
    Missing,
    /// The header came more than once.
    #[error("Idempotency-Key came more than once; send it once")]
    Repeated,
    /// The header is not a valid key.
    #[error(
        "Idempotency-Key is not valid; send 1 to 255 characters of visible ASCII without comma, quote and backslash, or a quoted \
         string"
    )]
    Malformed,
    /// See [`ClaimError::InFlight`].
    #[error("an earlier request with this Idempotency-Key is in flight; retry later with the same key")]
    InFlight,
    /// See [`ClaimError::Mismatch`].
    #[error(
        "this Idempotency-Key was used with another body, or for a start that waits in place of one that does not; use another key for \
         another start"
    )]
    Mismatch,
    /// See [`ClaimError::Full`].
    #[error(
        "there is no memory for another Idempotency-Key of this tenant, so a retry could start twice; retry later, or have the \
         operator of this gateway raise `idempotency.memory`"
    )]
    Full,
    /// The key's start may have started an execution.
    #[error(
        "an earlier start with this Idempotency-Key may have started an execution, so none is started now; look for an execution \
         with the metadata {tag}: {digest}, and if there is none, start with a new key"
    )]
    Unknown {
        /// The metadata key by which it can be found.
        tag: String,
        /// The value.
        digest: IdempotencyDigest,
    },
    /// The key's rerun may have started an execution.
    #[error(
        "an earlier rerun with this Idempotency-Key may have started an execution, so none is started now; look for an execution of \
         this tenant that is newer than the rerun, and if there is none, rerun with a new key"
    )]
    UnknownRerun,
    /// Several executions carry the key's digest, and do not show which of them the first start made.
    #[error(
        "several executions carry the tag of this Idempotency-Key and do not show which of them it started, so none is started or \
         named now; look at the executions with the metadata {tag}: {digest}"
    )]
    Several {
        /// The metadata key by which they can be found.
        tag: String,
        /// The value.
        digest: IdempotencyDigest,
    },
    /// The look-up of an earlier start failed.
    #[error("an earlier start with this Idempotency-Key could not be looked up, so none is started now: {0}")]
    Lookup(recovery::Error),
}

impl Error {
    /// Returns the result that the metrics count; none if there was no key to claim.
    pub(in crate::proxy) fn metric(&self) -> Option<IdempotencyResult> {
        match self {
            Error::NotTaken | Error::Off | Error::Missing | Error::Repeated | Error::Malformed => None,
            Error::InFlight => Some(IdempotencyResult::InFlight),
            Error::Mismatch => Some(IdempotencyResult::Mismatch),
            Error::Full => Some(IdempotencyResult::Full),
            Error::Unknown { .. } | Error::UnknownRerun | Error::Several { .. } => Some(IdempotencyResult::Unknown),
            Error::Lookup(_) => Some(IdempotencyResult::LookupFailed),
        }
    }
}

impl From<ClaimError> for Error {
    fn from(error: ClaimError) -> Error {
        match error {
            ClaimError::InFlight => Error::InFlight,
            ClaimError::Mismatch => Error::Mismatch,
            ClaimError::Full => Error::Full,
        }
    }
}
