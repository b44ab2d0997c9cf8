//! What is known of one request: data that the stages fill and that log, audit, metrics and traces read.

pub(crate) mod json;
pub mod request_id;
pub mod trace_context;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

use crate::asteroid::answer::Proof;
use crate::asteroid::operation::{Call, IdName, Operation};
use crate::caller::Peer;
use crate::secret::Fingerprint;
use crate::state::{IdempotencyDigest, IdempotencyOutcome, Remaining};

use request_id::RequestId;
use trace_context::TraceId;

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

/// What the gateway decided about a start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AuditDecision {
    /// Nothing: its caller left, or the drain ended, before that.
    #[default]
    Left,
    /// It was not sent.
    Refused,
    /// It passed every check and was sent, as far as the upstream could be reached.
    Sent,
    /// The answer of an earlier start with the same key was given again.
    Replayed,
    /// An earlier start with the same key was found at the upstream.
    Recovered,
}

impl AuditDecision {
    /// Returns its name in the audit.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            AuditDecision::Left => "left",
            AuditDecision::Refused => "refused",
            AuditDecision::Sent => "sent",
            AuditDecision::Replayed => "replayed",
            AuditDecision::Recovered => "recovered",
        }
    }
}

/// What a look-up at the upstream found of a start with an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupOutcome {
    /// The execution that the start made.
    One,
    /// No execution.
    None,
    /// Executions that do not show which of them the start made.
    Several,
    /// Nothing, as the look-up failed.
    Failed,
}

impl LookupOutcome {
    /// Returns its name in the log, the audit and traces.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            LookupOutcome::One => "one",
            LookupOutcome::None => "none",
            LookupOutcome::Several => "several",
            LookupOutcome::Failed => "failed",
        }
    }
}

/// Everything that is said of one request; the stage that learns a fact sets it.
#[derive(Debug)]
pub struct Facts {
    /// When its head had come.
    pub begun: Instant,
    /// The `X-Request-Id` that the upstream got and the answer carries.
    pub request_id: RequestId,
    /// The trace that it belongs to.
    pub trace_id: Option<TraceId>,
    /// Who connected.
    pub peer: Peer,
    /// The tenant that was identified.
    pub tenant: Option<Arc<str>>,
    /// The operation that was selected.
    pub operation: Option<Operation>,
    /// The agent that was asked for, as sent.
    pub agent_id: Option<String>,
    /// The workflow that was asked for, as sent.
    pub workflow_id: Option<String>,
    /// The name of the credential that was injected.
    pub credential: Option<Arc<str>>,
    /// The fingerprint of what was injected.
    pub fingerprint: Option<Fingerprint>,
    /// What the gateway decided, if it is a start.
    pub decision: AuditDecision,
    /// What is left of the limits by which it was counted.
    pub remaining: Remaining,
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
    /// What became of the idempotency key, if the start was sent.
    pub idempotency_outcome: Option<IdempotencyOutcome>,
    /// The outcome of the last look-up of the start at the upstream.
    pub lookup: Option<LookupOutcome>,
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

impl Facts {
    /// Returns what is known of a request when its head has come.
    #[must_use]
    pub fn new(peer: Peer, request_id: RequestId) -> Facts {
        Facts {
            begun: Instant::now(),
            request_id,
            trace_id: None,
            peer,
            tenant: None,
            operation: None,
            agent_id: None,
            workflow_id: None,
            credential: None,
            fingerprint: None,
            decision: AuditDecision::default(),
            remaining: Remaining::default(),
            status: 0,
            outcome: Outcome::NotStarted,
            error: None,
            detail: None,
            idempotency: None,
            idempotency_outcome: None,
            lookup: None,
            replayed: false,
            key_echoed: false,
            execution_id: None,
            bytes_in: 0,
            delivered: false,
        }
    }

    /// Returns how long the request has taken so far.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.begun.elapsed()
    }

    /// What was asked for, its id under the name of what it is.
    pub fn set_call(&mut self, call: &Call<'_>) {
        self.operation = Some(call.operation);
        let id = Some(call.id.to_owned());
        match call.id_name {
            IdName::Agent => self.agent_id = id,
            IdName::Workflow => self.workflow_id = id,
        }
    }
}
