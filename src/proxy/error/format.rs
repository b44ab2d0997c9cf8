//! The media type of an error's answer.

use hyper::HeaderMap;

use crate::media_type::{self, Offer};

const JSON: Offer = Offer { essence: "application/json", version: None };
const PROBLEM: Offer = Offer { essence: "application/problem+json", version: None };

/// The media type of an error's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorFormat {
    /// `application/json`, as the API's own errors.
    Json,
    /// `application/problem+json`, for callers that name it in `Accept` and want it at least as much.
    Problem,
}

impl ErrorFormat {
    /// What a caller's headers ask for.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> ErrorFormat {
        if media_type::prefers(headers, PROBLEM, JSON) { ErrorFormat::Problem } else { ErrorFormat::Json }
    }

    pub(super) const fn media_type(self) -> &'static str {
        match self {
            ErrorFormat::Json => JSON.essence,
            ErrorFormat::Problem => PROBLEM.essence,
        }
    }
}
