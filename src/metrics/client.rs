//! The durations of requests to the upstream, by their operation and their end.

use std::sync::Arc;
use std::time::Instant;

use hyper::StatusCode;

use crate::asteroid::operation::Operation;
use crate::transport::error::FailureCode;

use super::duration::{Histogram, Lazy};
use super::label::{Label, STATUSES, status, status_error, status_index};

/// The end of a request that neither was answered nor failed: the time for a look-up was over, or its caller left.
const CANCELLED: &str = "cancelled";

/// The end of a request.
#[derive(Debug, Clone, Copy)]
enum End {
    Answered,
    Cancelled,
    Failed(FailureCode),
}

const ENDS: usize = 2 + FailureCode::ALL.len();

impl End {
    fn index(self) -> usize {
        match self {
            End::Answered => 0,
            End::Cancelled => 1,
            End::Failed(code) => 2 + code as usize,
        }
    }

    /// Returns the label of the end that an index stands for, if it is a failure.
    fn label(index: usize) -> Option<&'static str> {
        match index.checked_sub(1)?.checked_sub(1) {
            None => Some(CANCELLED),
            Some(index) => FailureCode::ALL.get(index).map(|code| code.as_str()),
        }
    }
}

type ByEnd = Lazy<Histogram, ENDS>;

/// The durations of all requests.
#[derive(Debug, Default)]
pub struct UpstreamRequests(Lazy<Lazy<ByEnd, STATUSES>, { Operation::ALL.len() }>);

/// The timer of one request, which is observed when this is dropped.
#[derive(Debug)]
pub struct UpstreamTimer {
    requests: Arc<UpstreamRequests>,
    operation: Operation,
    begun: Instant,
    status: u16,
    end: End,
}

impl UpstreamRequests {
    /// Starts the timer of a request that is about to be sent.
    #[must_use]
    pub fn begin(self: &Arc<Self>, operation: Operation) -> UpstreamTimer {
        let requests = Arc::clone(self);
        UpstreamTimer { requests, operation, begun: Instant::now(), status: 0, end: End::Cancelled }
    }

    /// Returns the durations that were observed, with the labels of OpenTelemetry's conventions for HTTP clients, except the
    /// server's address.
    pub(crate) fn series(&self) -> impl Iterator<Item = (Vec<Label<'_>>, &Histogram)> {
        let by_status =
            self.0.used().flat_map(|(operation, by_status)| by_status.used().map(move |used| (operation, used)));
        let by_end = by_status
            .flat_map(|(operation, (status, by_end))| by_end.used().map(move |used| (operation, status, used)));
        by_end.map(|(operation, status, (end, histogram))| (labels(operation, status, end), histogram))
    }
}

fn labels(operation: usize, status_at: usize, end: usize) -> Vec<Label<'static>> {
    let rules = Operation::ALL.get(operation).map(|operation| operation.rules());
    let mut labels: Vec<Label<'_>> = Vec::new();
    labels.extend(rules.map(|rules| ("http_request_method", rules.method.as_str().into())));
    labels.extend(rules.map(|rules| ("url_template", rules.template.into())));
    labels.extend(status(status_at).map(|status| ("http_response_status_code", status)));
    let error = End::label(end).map(Into::into).or_else(|| status_error(status_at, "4"));
    labels.extend(error.map(|error| ("error_type", error)));
    labels
}

impl UpstreamTimer {
    /// Records that the head of an answer came.
    pub fn answered(&mut self, status: StatusCode) {
        self.status = status.as_u16();
        self.end = End::Answered;
    }

    /// Records that no complete answer came.
    pub fn failed(&mut self, code: FailureCode) {
        self.end = End::Failed(code);
    }
}

impl Drop for UpstreamTimer {
    fn drop(&mut self) {
        let by_status = self.requests.0.at(self.operation as usize);
        let by_end = by_status.and_then(|by_status| by_status.at(status_index(self.status)));
        if let Some(histogram) = by_end.and_then(|by_end| by_end.at(self.end.index())) {
            histogram.observe(self.begun.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_its_own_index_and_is_shown_under_its_own_name() {
        let failed = FailureCode::ALL.into_iter().map(|code| (End::Failed(code), Some(code.as_str())));
        let ends = [(End::Answered, None), (End::Cancelled, Some(CANCELLED))].into_iter().chain(failed);
        let mut indices = Vec::new();
        for (end, label) in ends {
            assert_eq!(End::label(end.index()), label, "{end:?}");
            indices.push(end.index());
        }
        assert_eq!(indices, (0..ENDS).collect::<Vec<_>>());
    }
}
