//! Requests to the upstream, by what they ask for and how they ended.

use std::sync::Arc;
use std::time::Instant;

use hyper::StatusCode;

use crate::asteroid::execution;
use crate::asteroid::operation::Operation;
use crate::transport::error::{BROKEN, TIMED_OUT};

use super::duration::{Histogram, Lazy};
use super::label::{Label, STATUSES, name, name_index, status, status_error, status_index};

/// What is asked of the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// What a caller asked for.
    Operation(Operation),
    /// Which executions there are: a look-up of the gateway's own.
    Listing,
    /// One execution: a look-up of the gateway's own.
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

    /// The method and the path.
    fn labels(index: usize) -> (String, &'static str) {
        match Operation::ALL.get(index) {
            Some(operation) => (operation.method().to_string(), operation.template()),
            None if index == Operation::ALL.len() => ("GET".to_owned(), execution::LISTING),
            None => ("GET".to_owned(), execution::ONE),
        }
    }
}

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
pub struct Requests(Lazy<Lazy<ByFailure, STATUSES>, TARGETS>);

/// One request; observed when this is dropped.
#[derive(Debug)]
pub struct Sent {
    requests: Arc<Requests>,
    target: Target,
    begun: Instant,
    status: u16,
    failure: Option<&'static str>,
}

impl Requests {
    /// A request is about to be sent.
    #[must_use]
    pub fn begin(self: &Arc<Self>, target: Target) -> Sent {
        let requests = Arc::clone(self);
        Sent { requests, target, begun: Instant::now(), status: 0, failure: Some(CANCELLED) }
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
    let (method, template) = Target::labels(target);
    let mut labels = vec![("http_request_method", method.into()), ("url_template", template.into())];
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
        let by_status = self.requests.0.at(self.target.index());
        let by_failure = by_status.and_then(|by_status| by_status.at(status_index(self.status)));
        if let Some(histogram) = by_failure.and_then(|by_failure| by_failure.at(name_index(&FAILURES, self.failure))) {
            histogram.observe(self.begun.elapsed());
        }
    }
}
