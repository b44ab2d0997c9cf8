//! The facts about one request: data that the stages fill in, and that log, audit, metrics and traces read.

mod error_code;
pub(crate) mod json;
pub mod request_id;
mod route;
pub mod trace_context;

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::{Method, StatusCode};
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::asteroid::answer::{Proof, is_refusal};
use crate::asteroid::operation::{Call, Effect, Id, IdName, Operation};
use crate::caller::Peer;
use crate::secret::Fingerprint;
use crate::state::{IdempotencyDigest, IdempotencyOutcome, Remaining};

pub use error_code::ErrorCode;
use request_id::RequestId;
pub use route::Route;
use trace_context::TraceId;

/// The methods that OpenTelemetry knows. Metrics and spans call any other `_OTHER`.
pub static METHODS: [Method; 9] = [
    Method::POST,
    Method::GET,
    Method::CONNECT,
    Method::DELETE,
    Method::HEAD,
    Method::OPTIONS,
    Method::PATCH,
    Method::PUT,
    Method::TRACE,
];

/// The name of every other method.
pub const OTHER_METHOD: &str = "_OTHER";

/// The longest path that is kept of a request for no operation, in bytes.
const MAX_PATH: usize = 256;

/// Whether a request took effect, as callers and operators are told: whether it started an execution, or changed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// No execution was started, or changed.
    NotStarted,
    /// Bytes were sent, and no complete answer came, or one that proves nothing. An execution may run, or have changed.
    Unknown,
    /// The answer names the execution that was started, or says that the change was made.
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

    /// Returns the outcome of a change that an answer with this status proves.
    #[must_use]
    pub fn of_change(status: StatusCode) -> Outcome {
        match status {
            status if status.is_success() => Outcome::Answered,
            status if is_refusal(status) => Outcome::NotStarted,
            _ => Outcome::Unknown,
        }
    }

    /// Returns its name in answers, the log, the audit and traces.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Outcome::NotStarted => "not_started",
            Outcome::Unknown => "unknown",
            Outcome::Answered => "answered",
        }
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// The gateway's decision about a start or a change, for the audit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AuditDecision {
    /// Nothing: before that, its caller left or the drain ended.
    #[default]
    Left,
    /// It was not sent.
    Refused,
    /// It passed every check and was sent, if the upstream could be reached.
    Sent,
    /// It got the answer of an earlier start with the same idempotency key.
    Replayed,
    /// It got the execution of an earlier start with the same idempotency key, which was found at the upstream.
    Recovered,
}

impl AuditDecision {
    /// Returns its name in the audit.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            AuditDecision::Left => "left",
            AuditDecision::Refused => "refused",
            AuditDecision::Sent => "sent",
            AuditDecision::Replayed => "replayed",
            AuditDecision::Recovered => "recovered",
        }
    }
}

/// What a look-up at the upstream found of an earlier start with the same idempotency key.
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

/// The facts about one request. The stage that learns a fact sets it.
#[derive(Debug)]
pub struct Facts {
    /// The time at which its head had arrived.
    pub begun: Instant,
    /// The `X-Request-Id` that the upstream got and the answer carries.
    pub request_id: RequestId,
    /// The trace that it belongs to.
    pub trace_id: Option<TraceId>,
    /// The peer of its connection.
    pub peer: Peer,
    /// The tenant that was identified.
    pub tenant: Option<Arc<str>>,
    /// The method, if OpenTelemetry knows it; else `_OTHER`.
    pub method: &'static str,
    /// The operation that was selected.
    pub operation: Option<Operation>,
    /// Whether it asks for the gateway's description of itself.
    pub is_self_description: bool,
    /// The path, if it has no route; cut if it is long.
    pub path: Option<String>,
    /// The other ids in the path than that of an execution, as sent.
    pub ids: [Option<(IdName, String)>; 2],
    /// The execution that a rerun repeats.
    pub rerun_of: Option<Uuid>,
    /// The name of the credential that was injected.
    pub credential: Option<Arc<str>>,
    /// The fingerprint of the API key that was injected.
    pub fingerprint: Option<Fingerprint>,
    /// The gateway's decision, if it is a start or a change.
    pub decision: AuditDecision,
    /// What is left of the limits that counted it.
    pub remaining: Remaining,
    /// The status of the answer; 0 if its caller got none.
    pub status: u16,
    /// Whether it took effect.
    pub outcome: Outcome,
    /// The code of the error that the gateway answered with, or that ended an answer early.
    pub error: Option<ErrorCode>,
    /// The text of that error.
    pub detail: Option<String>,
    /// The digest of its tenant, operation and idempotency key: the value of its tag.
    pub idempotency: Option<IdempotencyDigest>,
    /// The state of its idempotency key, if it was sent.
    pub idempotency_outcome: Option<IdempotencyOutcome>,
    /// The outcome of the last look-up at the upstream.
    pub lookup: Option<LookupOutcome>,
    /// Whether the answer is that of an earlier start with the same idempotency key.
    pub replayed: bool,
    /// Whether the upstream sent the API key back, which was overwritten.
    pub key_echoed: bool,
    /// The execution that the path names, or that the upstream says it started.
    pub execution_id: Option<Uuid>,
    /// How many bytes of the caller's body were read.
    pub bytes_in: usize,
    /// Whether the caller got the whole answer.
    pub delivered: bool,
}

impl Facts {
    /// Creates the facts that are known when the head of a request has arrived.
    #[must_use]
    pub fn new(peer: Peer, request_id: RequestId) -> Facts {
        Facts {
            begun: Instant::now(),
            request_id,
            trace_id: None,
            peer,
            tenant: None,
            method: OTHER_METHOD,
            operation: None,
            is_self_description: false,
            path: None,
            ids: [None, None],
            rerun_of: None,
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

    /// Returns whether it can start or change an execution, as far as is known. A read has no outcome.
    #[must_use]
    pub fn may_take_effect(&self) -> bool {
        self.route().is_none_or(|route| route.effect() != Effect::Read)
    }

    /// Returns its route, as far as it is known.
    #[must_use]
    pub fn route(&self) -> Option<Route> {
        let operation = self.operation.map(Route::Operation);
        if self.is_self_description { Some(Route::SelfDescription) } else { operation }
    }

    /// Sets the method and the path of the request.
    pub fn set_target(&mut self, method: &Method, path: &str) {
        self.method = METHODS.iter().find(|known| *known == method).map_or(OTHER_METHOD, |known| known.as_str());
        self.path = Some(path.get(..path.floor_char_boundary(MAX_PATH)).unwrap_or_default().to_owned());
    }

    /// Makes it a request for the gateway's description of itself. The path tells no more then.
    pub fn set_self_description(&mut self) {
        self.path = None;
        self.is_self_description = true;
    }

    /// Sets the operation that was selected, and the ids in its path. The path tells no more then.
    pub fn set_call(&mut self, call: &Call<'_>) {
        self.path = None;
        self.operation = Some(call.operation);
        // The execution of a start is the one that it makes.
        let execution = call.execution();
        (self.execution_id, self.rerun_of) =
            if call.rules().effect == Effect::Start { (None, execution) } else { (execution, None) };
        let is_other = |id: &Id<'_>| id.name != IdName::Execution;
        self.ids = call.ids.map(|id| id.filter(is_other).map(|id| (id.name, id.text.to_owned())));
    }
}
