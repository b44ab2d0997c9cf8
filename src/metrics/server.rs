//! Requests of callers, by their labels and by how they ended.

use crate::facts::{ErrorCode, Facts};

use super::duration::{Histogram, Lazy};
use super::label::{COMBINATIONS, Label, RequestLabels, STATUSES, status, status_error, status_index};

/// The error type of a request that ended before it was answered.
const CANCELLED: &str = "cancelled";

/// By error: 0 stands for none.
type ByError = Lazy<Histogram, { 1 + ErrorCode::ALL.len() }>;
type ByStatus = Lazy<ByError, STATUSES>;

/// The durations of requests.
#[derive(Debug, Default)]
pub(crate) struct Requests(Lazy<ByStatus, COMBINATIONS>);

impl Requests {
    /// Counts a request that has ended.
    pub(crate) fn observe(&self, labels: RequestLabels, facts: &Facts) {
        let error = facts.error.map_or(0, |error| 1 + error as usize);
        let by_status = self.0.at(labels.index(facts.route()));
        let by_error = by_status.and_then(|by_status| by_status.at(status_index(facts.status)));
        if let Some(histogram) = by_error.and_then(|by_error| by_error.at(error)) {
            histogram.observe(facts.took());
        }
    }

    /// Returns what was observed, with the labels of OpenTelemetry's conventions for HTTP servers.
    pub(crate) fn series(&self) -> impl Iterator<Item = (Vec<Label<'_>>, &Histogram)> {
        let by_status = self.0.used().flat_map(|(at, by_status)| by_status.used().map(move |used| (at, used)));
        let by_error =
            by_status.flat_map(|(at, (status, by_error))| by_error.used().map(move |used| (at, status, used)));
        by_error.map(|(at, status, (error, histogram))| (labels(at, status, error), histogram))
    }
}

fn labels(combination: usize, at: usize, error: usize) -> Vec<Label<'static>> {
    let (scheme, method, route) = RequestLabels::labels(combination);
    let mut labels = vec![("http_request_method", method.into()), ("url_scheme", scheme.into())];
    labels.extend(route.map(|route| ("http_route", route.into())));
    labels.extend(status(at).map(|status| ("http_response_status_code", status)));
    let cancelled = Some(CANCELLED).filter(|_| at == 0);
    let error = error.checked_sub(1).and_then(|error| ErrorCode::ALL.get(error)).map(|error| error.as_str());
    let error = error.or(cancelled).map(Into::into).or_else(|| status_error(at, "5"));
    labels.extend(error.map(|error| ("error_type", error)));
    labels
}
