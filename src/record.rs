//! The record of one request: filled as the request proceeds, written once, when the record is dropped.
//!
//! It travels with whatever answers: the error's answer, the exchange that survives its caller, the answer's body. So
//! there is a line for every request, however it ends.

use std::sync::Arc;

use hyper::header::HeaderValue;

use crate::asteroid::operation::Call;
use crate::audit::{Audit, Full, Place};
use crate::caller::Peer;
use crate::facts::Facts;
use crate::facts::request_id::RequestId;
use crate::log::Log;
use crate::metrics::{Asked, Metrics};
use crate::state::{Hold, Meters, Share};
use crate::trace::{Trace, Tracer};

/// Where the record of a request goes when it is closed.
#[derive(Debug, Default)]
pub struct Sinks {
    /// Its line; absent where lines of this level are not wanted.
    pub log: Option<Log>,
    /// Its spans, where they are exported.
    pub tracer: Option<Tracer>,
    /// The audit, where there is one.
    pub audit: Option<Arc<Audit>>,
    /// What it counts for.
    pub metrics: Metrics,
}

/// One request, from its head to the end of its answer.
#[derive(Debug)]
pub struct Record {
    sinks: Arc<Sinks>,
    /// Its part in a trace.
    pub trace: Trace,
    /// What was asked for, as it is counted.
    pub asked: Asked,
    /// Where the tenant that was identified is counted.
    pub meters: Option<Arc<Meters>>,
    /// The value of `RateLimit-Policy` for its tenant.
    pub rate_limit_policy: Option<HeaderValue>,
    /// The memory that is charged for it until its answer is delivered.
    pub memory: Option<Hold>,
    /// The place of its record in the audit.
    place: Option<Place>,
    /// What is written.
    pub facts: Facts,
}

/// Proof that the record of a request has its place in the audit, if it needs one. Only [`Record::enter`] makes it.
#[derive(Debug)]
pub struct Entered(());

impl Record {
    /// Begins the record of a request.
    #[must_use]
    pub fn new(sinks: Arc<Sinks>, peer: Peer, request_id: RequestId) -> Box<Record> {
        sinks.metrics.begin();
        // It is handed on many times, and is large.
        Box::new(Record {
            sinks,
            trace: Trace::default(),
            asked: Asked::default(),
            meters: None,
            rate_limit_policy: None,
            memory: None,
            place: None,
            facts: Facts::new(peer, request_id),
        })
    }

    /// Notes the tenant: its name, its counters and the value of its `RateLimit-Policy`.
    pub fn set_tenant(&mut self, name: &Arc<str>, meters: &Arc<Meters>, rate_limit_policy: Option<&HeaderValue>) {
        self.facts.tenant = Some(Arc::clone(name));
        self.meters = Some(Arc::clone(meters));
        self.rate_limit_policy = rate_limit_policy.cloned();
    }

    /// Notes the operation and its ids.
    pub fn set_call(&mut self, call: &Call<'_>) {
        self.facts.set_call(call);
    }

    /// Makes it a part of a trace.
    pub fn join(&mut self, trace: Trace) {
        self.facts.trace_id = trace.id();
        self.trace = trace;
    }

    /// Takes a place in the audit if the operation that was selected starts an execution, as every one does. Its tenant may
    /// have as many starts under way as it leaves places for others, and any number if it is the `only` one.
    ///
    /// # Errors
    ///
    /// [`Full`].
    pub async fn enter(&mut self, starts: &Arc<Share>, only: bool) -> Result<Entered, Full> {
        if let Some(audit) = self.facts.operation.and(self.sinks.audit.as_ref()) {
            self.place = Some(audit.place(starts, only).await?);
        }
        Ok(Entered(()))
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let Sinks { log, tracer, audit: _, metrics } = &*self.sinks;
        metrics.close(self.asked, self.meters.as_deref(), &self.facts);
        if let Some(place) = self.place.take() {
            place.fill(&self.facts);
        }
        if let Some(log) = log {
            log.request(&self.facts);
        }
        if let Some(tracer) = tracer {
            tracer.close(&self.trace, &self.facts);
        }
    }
}
