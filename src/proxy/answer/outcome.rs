//! Marks answers whose outcome is unknown, and rounds `Retry-After`.

use std::time::SystemTime;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue, RETRY_AFTER};

use crate::facts::Outcome;
use crate::proxy::retry_after;

/// The header on every answer that leaves open whether the request took effect.
pub const NAME: HeaderName = HeaderName::from_static("execution-outcome");

/// Marks an answer whose outcome is unknown. Such an answer must not invite a retry, so it loses its `Retry-After`.
pub fn mark(outcome: Outcome, headers: &mut HeaderMap) {
    // A header of the upstream would be taken for the gateway's.
    headers.remove(NAME);
    if outcome == Outcome::Unknown {
        headers.insert(NAME, HeaderValue::from_static(Outcome::Unknown.code()));
        headers.remove(RETRY_AFTER);
    } else if headers.contains_key(RETRY_AFTER) {
        retry_after::round(headers, SystemTime::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_outcome_is_said_and_invites_no_retry_and_no_other_answer_says_it() {
        let headers = || -> HeaderMap {
            [(RETRY_AFTER, HeaderValue::from_static("1")), (NAME, HeaderValue::from_static("upstream's own"))]
                .into_iter()
                .collect()
        };
        let mut unknown = headers();
        mark(Outcome::Unknown, &mut unknown);
        assert_eq!((unknown[NAME].as_bytes(), unknown.get(RETRY_AFTER)), (&b"unknown"[..], None));
        for outcome in [Outcome::NotStarted, Outcome::Answered] {
            let mut known = headers();
            mark(outcome, &mut known);
            assert_eq!((known.get(NAME), known[RETRY_AFTER].as_bytes()), (None, &b"1"[..]));
        }
    }
}
