//! Requests to the upstream, by what they ask for and how they ended.

use std::sync::Arc;
use std::time::Instant;

use hyper::StatusCode;

use crate::asteroid::operation::Operation;
use crate::transport::{BROKEN, TIMED_OUT};

use super::duration::{Histogram, Lazy};
use super::label::{Label, STATUSES, name, name_index, status, status_error, status_index};

/// Nobody waited for the answer any more: a look-up ran out of time, or its caller left.
const CANCELLED: &str = "cancelled";

/// How a request fails.
const FAILURES: [&str; 8] = [
    CANCELLED,
    TIMED_OUT,
    BROKEN,
    "connection_refused",
    "connection_timeout",
    "destination_unavailable",
    "dns_error",
    "tls_protocol_error",
];

type ByFailure = Lazy<Histogram, { 1 + FAILURES.len() + 1 }>;

/// Their durations.
#[derive(Debug, Default)]
pub struct Requests(Lazy<Lazy<ByFailure, STATUSES>, { Operation::ALL.len() }>);

/// One request; observed when this is dropped.
#[derive(Debug)]
pub struct Sent {
    requests: Arc<Requests>,
    operation: Operation,
    begun: Instant,
    status: u16,
    failure: Option<&'static str>,
}

impl Requests {
    /// A request is about to be sent.
    #[must_use]
    pub fn begin(self: &Arc<Self>, operation: Operation) -> Sent {
        let requests = Arc::clone(self);
        Sent { requests, operation, begun: Instant::now(), status: 0, failure: Some(CANCELLED) }
    }

    /// What was observed, with the labels of OpenTelemetry's conventions for HTTP clients, save the server's address.
    pub(crate) fn series(&self) -> impl Iterator<Item = (Vec<Label<'_>>, &Histogram)> {
        let by_status = self.0.used().flat_map(|(target, by_status)| by_status.used().map(move |used| (target, used)));
        let by_failure = by_status
            .flat_map(|(target, (status, by_failure))| by_failure.used().map(move |used| (target, status, used)));
        by_failure.map(|(target, at, (failure, histogram))| (labels(target, at, failure), histogram))
    }
}

fn labels(target: usize, at: usize, failure: usize) -> Vec<Label<'static>> {
    let rules = Operation::ALL.get(target).map(|operation| operation.rules());
    let mut labels: Vec<Label<'_>> = Vec::new();
    labels.extend(rules.map(|rules| ("http_request_method", rules.method.as_str().into())));
    labels.extend(rules.map(|rules| ("url_template", rules.template.into())));
    labels.extend(status(at).map(|status| ("http_response_status_code", status)));
    let error = name(&FAILURES, failure).map(Into::into).or_else(|| status_error(at, "4"));
    labels.extend(error.map(|error| ("error_type", error)));
    labels
}

impl Sent {
    /// An answer began.
    pub fn answered(&mut self, status: StatusCode) {
        self.status = status.as_u16();
        self.failure = None;
    }

    /// No complete answer came, for this reason: an error type of RFC 9209.
    pub fn failed(&mut self, failure: &'static str) {
        self.failure = Some(failure);
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        let by_status = self.requests.0.at(self.operation as usize);
        let by_failure = by_status.and_then(|by_status| by_status.at(status_index(self.status)));
        if let Some(histogram) = by_failure.and_then(|by_failure| by_failure.at(name_index(&FAILURES, self.failure))) {
            histogram.observe(self.begun.elapsed());
        }
    }
}
