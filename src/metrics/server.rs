//! Requests of callers, by what was labels for and how it ended.

use crate::facts::Facts;

use super::duration::{Histogram, Lazy};
use super::label::{COMBINATIONS, RequestLabels, STATUSES, name, name_index, status, status_error, status_index};

/// The gateway's own errors, by the last part of their `type`; another is shown as `_OTHER`.
const ERRORS: [&str; 32] = [
    "limit",
    "body",
    "unreachable",
    "key-refused",
    "no-key",
    "upstream-timeout",
    "upstream-broke",
    "idempotency-key",
    "idempotency-in-flight",
    "idempotency-mismatch",
    "idempotency-full",
    "idempotency-unknown",
    "idempotency-lookup",
    "tenant",
    "path",
    "id",
    "method",
    "query",
    "media-type",
    "body-too-large",
    "body-timeout",
    "body-memory",
    "body-broken",
    "caller-left",
    "target",
    "malformed",
    "host",
    "misdirected",
    "browser",
    "audit-full",
    "audit-share",
    "tagging",
];

/// What is said of a request that ended before anybody was answered.
const CANCELLED: &str = "cancelled";

type ByError = Lazy<Histogram, { 1 + ERRORS.len() + 1 }>;
type ByStatus = Lazy<ByError, STATUSES>;

/// Their durations.
#[derive(Debug, Default)]
pub(crate) struct Requests(Lazy<ByStatus, COMBINATIONS>);

impl Requests {
    pub(crate) fn observe(&self, labels: RequestLabels, facts: &Facts) {
        let by_status = self.0.at(labels.index(facts.operation));
        let by_error = by_status.and_then(|by_status| by_status.at(status_index(facts.status)));
        if let Some(histogram) = by_error.and_then(|by_error| by_error.at(name_index(&ERRORS, facts.error))) {
            histogram.observe(facts.took());
        }
    }

    /// What was observed, with the labels of OpenTelemetry's conventions for HTTP servers.
    pub(crate) fn series(&self) -> impl Iterator<Item = (Vec<super::label::Label<'_>>, &Histogram)> {
        let by_status = self.0.used().flat_map(|(at, by_status)| by_status.used().map(move |used| (at, used)));
        let by_error =
            by_status.flat_map(|(at, (status, by_error))| by_error.used().map(move |used| (at, status, used)));
        by_error.map(|(at, status, (error, histogram))| (labels(at, status, error), histogram))
    }
}

fn labels(combination: usize, at: usize, error: usize) -> Vec<super::label::Label<'static>> {
    let (scheme, method, route) = RequestLabels::labels(combination);
    let mut labels = vec![("http_request_method", method.into()), ("url_scheme", scheme.into())];
    labels.extend(route.map(|route| ("http_route", route.into())));
    labels.extend(status(at).map(|status| ("http_response_status_code", status)));
    let unanswered = Some(CANCELLED).filter(|_| at == 0);
    let error = name(&ERRORS, error).or(unanswered).map(Into::into).or_else(|| status_error(at, "5"));
    labels.extend(error.map(|error| ("error_type", error)));
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_in_the_table_of_answers_has_a_place() {
        let table = include_str!("../proxy/error.rs");
        let slugs: Vec<&str> = table.split("StatusCode::").skip(1).filter_map(|row| row.split('"').nth(1)).collect();
        for slug in &slugs {
            assert!(ERRORS.contains(slug), "{slug} has none");
        }
        for error in ERRORS {
            assert!(slugs.contains(&error), "{error} is none of the table");
        }
    }
}
