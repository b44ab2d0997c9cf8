//! The record of one request: filled as the request proceeds, written once, when the record is dropped.
//!
//! It travels with whatever answers: the error's answer, the exchange that survives its caller, the answer's body. So
//! there is a line for every request, however it ends.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::header::HeaderValue;
use serde::{Serialize, Serializer};

use crate::state::{Hold, IdempotencyDigest, Meters, Remaining};

use super::Sinks;
use super::audit::{self, Audit};
use super::line;
use super::log::{Format, Log};
use super::metrics::Asked;
use super::request_id::RequestId;
use super::trace::Trace;
use super::trace::context::TraceId;
use crate::asteroid::answer::Proof;
use crate::asteroid::operation::{Call, Operation};
use crate::peer::Peer;

/// What may have been spent, as callers and operators are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// No execution was started.
    NotStarted,
    /// Bytes were sent, and no complete answer came, or one that proves nothing: an execution may run.
    Unknown,
    /// The answer names the execution that was started.
    Answered,
}

impl Outcome {
    /// Returns the outcome that an answer proves.
    #[must_use]
    pub fn of(proof: Proof) -> Outcome {
        match proof {
            Proof::Started(_) => Outcome::Answered,
            Proof::NotStarted => Outcome::NotStarted,
            Proof::Inconclusive => Outcome::Unknown,
        }
    }

    /// What it is called in answers and in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::NotStarted => "not_started",
            Outcome::Unknown => "unknown",
            Outcome::Answered => "answered",
        }
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One request, from its head to the end of its answer.
#[derive(Debug)]
pub struct Record {
    sinks: Arc<Sinks>,
    begun: Instant,
    /// Its part in a trace.
    pub trace: Trace,
    /// What is left of the limits by which it was counted.
    pub remaining: Remaining,
    /// The value of `RateLimit-Policy` for its tenant.
    pub rate_limit_policy: Option<HeaderValue>,
    /// What was asked for, as it is counted.
    pub asked: Asked,
    /// Where the tenant that was identified is counted.
    pub meters: Option<Arc<Meters>>,
    /// The memory that is charged for it until its answer is delivered.
    pub memory: Option<Hold>,
    /// What the audit has of it beside the line.
    pub audit: audit::Entry,
    /// What is written; set by the stage that learns it.
    pub line: Line,
}

/// The fields of a line, in the order in which they are written; what is not known is left out.
#[derive(Debug)]
pub struct Line {
    /// The `X-Request-Id` that the upstream got and the answer carries.
    pub request_id: RequestId,
    /// The trace that it belongs to.
    pub trace_id: Option<TraceId>,
    /// Who connected.
    pub peer: Peer,
    /// The tenant that was identified.
    pub tenant: Option<Arc<str>>,
    /// The operation's name in the specification.
    pub operation: Option<&'static str>,
    /// The agent that was asked for, as sent.
    pub agent_id: Option<String>,
    /// The workflow that was asked for, as sent.
    pub workflow_id: Option<String>,
    /// The name of the credential that was injected.
    pub credential: Option<Arc<str>>,
    /// The answer's status.
    pub status: u16,
    /// What may have been spent.
    pub outcome: Outcome,
    /// The gateway's error, by the last part of its `type`.
    pub error: Option<&'static str>,
    /// What the error's answer said.
    pub detail: Option<String>,
    /// The digest of the start's tenant, operation and idempotency key: the value of its tag.
    pub idempotency: Option<IdempotencyDigest>,
    /// What a start that was sent made of its key: `answered`, `unknown` (nothing is started under it again), `free`, or
    /// `in_flight` (it is read on after its time-out).
    pub key: Option<&'static str>,
    /// What a look-up at the upstream found: `one`, `none`, `several`, or `failed`.
    pub looked_up: Option<&'static str>,
    /// Whether the answer is that of an earlier start with the same key.
    pub replayed: bool,
    /// Whether the upstream sent the injected key back, which was overwritten.
    pub key_echoed: bool,
    /// The execution that the upstream says it started.
    pub execution_id: Option<String>,
    /// Bytes of the caller's body that were read.
    pub bytes_in: usize,
    /// Whether the caller got the whole answer.
    pub delivered: bool,
}

impl Record {
    /// Begins the record of a request.
    #[must_use]
    pub fn new(sinks: Arc<Sinks>, peer: Peer, request_id: RequestId) -> Box<Record> {
        let line = Line {
            request_id,
            trace_id: None,
            peer,
            tenant: None,
            operation: None,
            agent_id: None,
            workflow_id: None,
            credential: None,
            status: 0,
            outcome: Outcome::NotStarted,
            error: None,
            detail: None,
            idempotency: None,
            key: None,
            looked_up: None,
            replayed: false,
            key_echoed: false,
            execution_id: None,
            bytes_in: 0,
            delivered: false,
        };
        sinks.metrics.begin();
        // It is handed on many times, and is large.
        Box::new(Record {
            sinks,
            begun: Instant::now(),
            trace: Trace::default(),
            remaining: Remaining::default(),
            rate_limit_policy: None,
            asked: Asked::default(),
            meters: None,
            memory: None,
            audit: audit::Entry::default(),
            line,
        })
    }

    /// What was asked for.
    pub fn set_call(&mut self, call: &Call<'_>) {
        self.asked.operation = Some(call.operation);
        self.line.set_call(call);
    }

    /// Makes it a part of a trace.
    pub fn join(&mut self, trace: Trace) {
        self.line.trace_id = trace.id();
        self.trace = trace;
    }

    /// The audit, if the request asks for an operation: every one starts an execution.
    pub(super) fn audit_of_start(&self) -> Option<&Arc<Audit>> {
        self.line.operation.and(self.sinks.audit.as_ref())
    }

    pub(super) fn took(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(super) fn write_to(&self, log: &Log) {
        let took = self.took();
        log.append(|lines| match log.format() {
            Format::Json => line::json(lines, &self.line, took),
            Format::Text => text(lines, &self.line, took.as_secs_f64() * 1e3),
        });
    }
}

impl Line {
    /// What was asked for, its id under the name of what it is.
    fn set_call(&mut self, call: &Call<'_>) {
        self.operation = Some(call.operation.name());
        let id = Some(call.id.to_owned());
        match call.operation {
            Operation::AgentExecute => self.agent_id = id,
            Operation::WorkflowExecute => self.workflow_id = id,
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let place = self.audit.leave();
        self.sinks.close(self, place);
    }
}

fn text(lines: &mut Vec<u8>, line: &Line, duration_ms: f64) -> io::Result<()> {
    write!(lines, "{} {}", line.status, line.operation.unwrap_or("-"))?;
    let named = [
        ("tenant", line.tenant.as_deref()),
        ("agent", line.agent_id.as_deref()),
        ("workflow", line.workflow_id.as_deref()),
        ("execution", line.execution_id.as_deref()),
        ("error", line.error),
        ("detail", line.detail.as_deref()),
    ];
    for (name, value) in named.iter().filter_map(|(name, value)| value.map(|value| (name, value))) {
        write!(lines, " {name}={value}")?;
    }
    if line.replayed {
        write!(lines, " (replayed)")?;
    }
    if line.key_echoed {
        write!(lines, " (sent the key back)")?;
    }
    if line.outcome == Outcome::Unknown {
        write!(lines, " outcome=unknown")?;
    }
    if !line.delivered {
        write!(lines, " (the caller left)")?;
    }
    writeln!(lines, " {duration_ms:.1} ms")
}
