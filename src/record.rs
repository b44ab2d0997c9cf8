//! The record of one request: filled as the request proceeds, and written once, when it is dropped.
//!
//! It belongs to whatever will answer: an error, an exchange that outlives its caller, the body of the answer. So every request
//! has its line, however it ends.

use std::sync::Arc;

use hyper::header::HeaderValue;

use crate::asteroid::operation::Call;
use crate::audit::{self, Audit, AuditSlot};
use crate::caller::Peer;
use crate::facts::Facts;
use crate::facts::request_id::RequestId;
use crate::log::Log;
use crate::metrics::{Metrics, RequestLabels};
use crate::state::{Hold, Meters, Permit, Share};
use crate::trace::{Trace, Tracer};

/// The sinks that the record of a request is written to.
#[derive(Debug, Default)]
pub struct Sinks {
    /// The log; absent if its level excludes the lines of requests.
    pub log: Option<Log>,
    /// The spans, if they are exported.
    pub tracer: Option<Tracer>,
    /// The audit, if the configuration has one.
    pub audit: Option<Arc<Audit>>,
    /// The metrics.
    pub metrics: Metrics,
}

/// One request, from its head to the end of its answer.
#[derive(Debug)]
pub struct Record {
    sinks: Arc<Sinks>,
    /// Its part in a trace.
    pub trace: Trace,
    /// Its labels in the metrics.
    pub labels: RequestLabels,
    /// The meters of the tenant that was identified.
    pub meters: Option<Arc<Meters>>,
    /// The value of `RateLimit-Policy` for its tenant.
    pub rate_limit_policy: Option<HeaderValue>,
    /// The memory that is charged for it until its answer is delivered.
    pub memory: Option<Hold>,
    /// The slot of its record in the audit.
    slot: Option<AuditSlot>,
    /// The data that is written.
    pub facts: Facts,
}

/// The proof that the record of a request has its slot in the audit, if it needs one. Only [`Record::reserve_audit_slot`] makes
/// it.
#[derive(Debug)]
pub struct AuditReservation(());

impl Record {
    /// Begins the record of a request.
    #[must_use]
    pub fn new(sinks: Arc<Sinks>, peer: Peer, request_id: RequestId) -> Box<Record> {
        sinks.metrics.begin();
        // Boxed, as it is large and is moved many times.
        Box::new(Record {
            sinks,
            trace: Trace::default(),
            labels: RequestLabels::default(),
            meters: None,
            rate_limit_policy: None,
            memory: None,
            slot: None,
            facts: Facts::new(peer, request_id),
        })
    }

    /// Sets the tenant: its name, its counters and the value of its `RateLimit-Policy`.
    pub fn set_tenant(&mut self, name: &Arc<str>, meters: &Arc<Meters>, rate_limit_policy: Option<&HeaderValue>) {
        self.facts.tenant = Some(Arc::clone(name));
        self.meters = Some(Arc::clone(meters));
        self.rate_limit_policy = rate_limit_policy.cloned();
    }

    /// Sets the operation that was selected, and the id in its path.
    pub fn set_call(&mut self, call: &Call<'_>) {
        self.facts.set_call(call);
    }

    /// Makes the request a part of a trace.
    pub fn join(&mut self, trace: Trace) {
        self.facts.trace_id = trace.id();
        self.trace = trace;
    }

    /// Reserves a slot in the audit if the operation of the call is recorded there. The slot counts against the `share` of its tenant, unless
    /// that `is_only`.
    ///
    /// To be called when admission is decided and before a refusal is returned, as a start that a limit refuses is recorded, too.
    ///
    /// # Errors
    ///
    /// [`audit::Error`].
    pub async fn reserve_audit_slot<E>(
        &mut self,
        call: Option<&Call<'_>>,
        _admission: &Result<Permit, E>,
        share: &Arc<Share>,
        is_only: bool,
    ) -> Result<AuditReservation, audit::Error> {
        let is_audited = call.is_some_and(|call| call.rules().effect.is_audited());
        if let Some(audit) = self.sinks.audit.as_ref().filter(|_| is_audited) {
            self.slot = Some(audit.reserve(share, is_only).await?);
        }
        Ok(AuditReservation(()))
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let Sinks { log, tracer, audit: _, metrics } = &*self.sinks;
        metrics.close(self.labels, self.meters.as_deref(), &self.facts);
        if let Some(slot) = self.slot.take() {
            slot.write(&self.facts);
        }
        if let Some(log) = log {
            log.append_request(&self.facts);
        }
        if let Some(tracer) = tracer {
            tracer.close(&self.trace, &self.facts);
        }
    }
}
