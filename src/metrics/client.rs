//! The durations of requests to the upstream, by their target and their end.

use std::sync::Arc;
use std::time::Instant;

use hyper::StatusCode;

use crate::asteroid::execution;
use crate::asteroid::operation::Operation;
use crate::transport::error::FailureCode;

use super::duration::{Histogram, Lazy};
use super::label::{Label, STATUSES, status, status_error, status_index};

/// The target of a request to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The operation of a caller.
    Operation(Operation),
    /// A list of executions, for a look-up of the gateway's own.
    Listing,
    /// One execution, for a look-up of the gateway's own.
    Execution,
}

const TARGETS: usize = Operation::ALL.len() + 2;

impl Target {
    fn index(self) -> usize {
        match self {
            Target::Operation(operation) => operation as usize,
            Target::Listing => Operation::ALL.len(),
            Target::Execution => Operation::ALL.len() + 1,
        }
    }

    /// Returns the method and the path that an index stands for.
    fn labels(index: usize) -> (String, &'static str) {
        match Operation::ALL.get(index) {
            Some(operation) => (operation.method().to_string(), operation.template()),
            None if index == Operation::ALL.len() => ("GET".to_owned(), execution::LISTING),
            None => ("GET".to_owned(), execution::ONE),
        }
    }
}

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
pub struct UpstreamRequests(Lazy<Lazy<ByEnd, STATUSES>, TARGETS>);

/// The timer of one request, which is observed when this is dropped.
#[derive(Debug)]
pub struct UpstreamTimer {
    requests: Arc<UpstreamRequests>,
    target: Target,
    begun: Instant,
    status: u16,
    end: End,
}

impl UpstreamRequests {
    /// Starts the timer of a request that is about to be sent.
    #[must_use]
    pub fn begin(self: &Arc<Self>, target: Target) -> UpstreamTimer {
        let requests = Arc::clone(self);
        UpstreamTimer { requests, target, begun: Instant::now(), status: 0, end: End::Cancelled }
    }

    /// Returns the durations that were observed, with the labels of OpenTelemetry's conventions for HTTP clients, except the
    /// server's address.
    pub(crate) fn series(&self) -> impl Iterator<Item = (Vec<Label<'_>>, &Histogram)> {
        let by_status = self.0.used().flat_map(|(target, by_status)| by_status.used().map(move |used| (target, used)));
        let by_end =
            by_status.flat_map(|(target, (status, by_end))| by_end.used().map(move |used| (target, status, used)));
        by_end.map(|(target, status, (end, histogram))| (labels(target, status, end), histogram))
    }
}

fn labels(target: usize, status_at: usize, end: usize) -> Vec<Label<'static>> {
    let (method, template) = Target::labels(target);
    let mut labels = vec![("http_request_method", method.into()), ("url_template", template.into())];
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
        let by_status = self.requests.0.at(self.target.index());
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
