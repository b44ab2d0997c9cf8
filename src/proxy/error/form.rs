//! The media type of an error's answer.

use hyper::HeaderMap;

use crate::media_type::{self, Offer};

const JSON: Offer = Offer { essence: "application/json", version: None };
const PROBLEM: Offer = Offer { essence: "application/problem+json", version: None };

/// The media type of an error's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `application/json`, as the API's own errors.
    Json,
    /// `application/problem+json`, for callers that name it in `Accept` and want it at least as much.
    Problem,
}

impl Form {
    /// What a caller's headers ask for.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Form {
        if media_type::prefers(headers, PROBLEM, JSON) { Form::Problem } else { Form::Json }
    }

    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Form::Json => JSON.essence,
            Form::Problem => PROBLEM.essence,
        }
    }
}
