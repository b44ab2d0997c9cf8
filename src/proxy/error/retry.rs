//! Whether a request is worth a retry, as callers are told.

use hyper::StatusCode;
use serde::{Serialize, Serializer};

use super::{Error, inquiry};
use crate::facts::Outcome;

/// Whether to send a request again, and with which idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// With the same idempotency key and the same body. That starts nothing twice.
    SameKey,
    /// With a new idempotency key, as the request is another one than the one that the key was used for.
    NewKey,
    /// After a while, as it was sent.
    Later,
    /// Not as it was sent: it would get the same answer, or could take effect twice.
    Never,
}

impl Retry {
    /// Returns its code in answers.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Retry::SameKey => "same-key",
            Retry::NewKey => "new-key",
            Retry::Later => "later",
            Retry::Never => "never",
        }
    }
}

impl Serialize for Retry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl Error {
    /// Returns whether to send the request again, which may have carried an idempotency key.
    #[must_use]
    pub fn retry(&self, has_idempotency_key: bool) -> Retry {
        match (self, self.row().status) {
            (_, StatusCode::CONFLICT) => Retry::SameKey,
            (_, StatusCode::UNPROCESSABLE_ENTITY) => Retry::NewKey,
            (_, StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT) if has_idempotency_key => Retry::SameKey,
            _ if self.outcome() == Outcome::Unknown => Retry::Never,
            // The upstream would answer in the same way.
            (Error::AnswerTooLarge(_) | Error::ForeignExecution | Error::Ownership(inquiry::Error::TooLarge(_)), _) => {
                Retry::Never
            }
            (
                _,
                StatusCode::REQUEST_TIMEOUT
                | StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT,
            ) => Retry::Later,
            _ => Retry::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::examples;
    use super::*;

    #[test]
    fn every_error_says_whether_and_with_which_key_to_retry() {
        for example in examples::all() {
            let (error, [without_key, with_key]) = (example.error, example.retries);
            assert_eq!(error.retry(false), without_key.unwrap_or(error.retry(false)), "without a key: {error:?}");
            assert_eq!(error.retry(true), with_key.unwrap_or(error.retry(true)), "with a key: {error:?}");
        }
    }

    #[test]
    fn no_error_of_unknown_outcome_invites_a_retry_that_could_take_effect_twice() {
        for example in examples::all() {
            if example.error.outcome() == Outcome::Unknown {
                assert_eq!(example.error.retry(false), Retry::Never, "{:?}", example.error);
                assert_eq!(example.error.retry(true), Retry::SameKey, "{:?}", example.error);
            }
        }
    }

    #[test]
    fn an_error_with_retry_after_is_worth_a_retry() {
        for example in examples::all().into_iter().filter(|example| example.error.retry_after().is_some()) {
            let keyed = [false, true].map(|has_key| example.error.retry(has_key));
            assert!(!keyed.contains(&Retry::Never) && !keyed.contains(&Retry::NewKey), "{:?}", example.error);
        }
    }
}
