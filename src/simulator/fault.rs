//! Faults: the ways in which a request can be made to fail.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Deserialize;

use super::operation::{Call, Operation};

/// A fault, which replaces the ordinary answer to a request.
///
/// As JSON: `{"method": "POST", "operation": "start", "when": "body", "delay_ms": 0, "run": false, "then": "close"}`; all
/// members are optional.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fault {
    /// The method of the requests to which it applies; without one, it applies to all.
    pub method: Option<Method>,
    /// The operation of the requests to which it applies; without one, it applies to all.
    pub operation: Option<Operation>,
    /// How far the request is read before the fault happens.
    pub when: FaultStage,
    /// The delay before `then`, in milliseconds.
    pub delay_ms: u64,
    /// Whether what the request asks for is done nevertheless.
    pub run: bool,
    /// The action that replaces the ordinary answer.
    pub then: FaultAction,
}

/// The methods that a fault can select.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reads.
    Get,
    /// Starts or changes an execution.
    Post,
    /// Deletes an execution.
    Delete,
}

/// The point in a request at which a fault happens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultStage {
    /// A new connection has received its first bytes, which stay unread. No request is recorded.
    Connected,
    /// The head was read, but not the body.
    Head,
    /// At least so many bytes of the body were read, or all of it if it is shorter. The rest is read only if the fault sends an
    /// ordinary answer, and after its delay or stall.
    Bytes(u64),
    /// The request was read to its end.
    #[default]
    Body,
}

/// The action of a fault.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultAction {
    /// The ordinary answer is sent; after a delay, it is a slow one.
    #[default]
    Proceed,
    /// The connection is closed.
    Close,
    /// The connection is reset; over HTTP/2, the stream.
    Reset,
    /// Nothing is sent until the faults are removed; then the ordinary answer is.
    Stall,
    /// The head and half of the body of the ordinary answer are sent, then the connection is closed.
    CloseMidAnswer,
    /// The head and half of the body are sent, and nothing more.
    StallMidAnswer,
    /// Another answer is sent.
    Answer(ScriptedAnswer),
    /// The ordinary answer is sent, but names another execution. A listing stays as it is.
    OtherId,
    /// The ordinary answer is sent, made longer to this number of bytes.
    Pad(usize),
    /// The ordinary answer is sent slowly.
    Trickle(Trickle),
}

/// How slowly an answer is sent.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trickle {
    /// The bytes that are sent at once.
    pub bytes: usize,
    /// The pause after them, in milliseconds.
    pub every_ms: u64,
}

/// An answer that is sent as it is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedAnswer {
    /// The status.
    pub status: u16,
    /// The headers, without those of the framing.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(default)]
    pub body: String,
}

impl Fault {
    pub(super) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }

    /// Returns whether what the request asks for is done.
    pub(super) fn carries_out(&self) -> bool {
        let sends_ordinary = match self.then {
            FaultAction::Proceed
            | FaultAction::Stall
            | FaultAction::OtherId
            | FaultAction::Pad(_)
            | FaultAction::Trickle(_) => true,
            FaultAction::Close
            | FaultAction::Reset
            | FaultAction::CloseMidAnswer
            | FaultAction::StallMidAnswer
            | FaultAction::Answer(_) => false,
        };
        self.run || sends_ordinary
    }

    /// Returns whether the ordinary answer is made, for which the body is read to its end, and of which at least a part is sent.
    pub(super) fn answers(&self) -> bool {
        !matches!(self.then, FaultAction::Close | FaultAction::Reset | FaultAction::Answer(_))
    }

    /// Returns why no request can have this fault.
    pub(super) fn check(&self) -> Result<(), String> {
        match self.when {
            FaultStage::Connected if self.method.is_some() || self.operation.is_some() => {
                Err("a connection has neither \"method\" nor \"operation\"".to_owned())
            }
            FaultStage::Bytes(_) if self.run && !self.answers() => {
                Err("what is not read to its end cannot \"run\"".to_owned())
            }
            FaultStage::Connected | FaultStage::Head | FaultStage::Bytes(_) | FaultStage::Body => Ok(()),
        }
    }

    fn is_for(&self, target: FaultTarget<'_>) -> bool {
        let is_method = |method: Method| {
            let own = match method {
                Method::Get => hyper::Method::GET,
                Method::Post => hyper::Method::POST,
                Method::Delete => hyper::Method::DELETE,
            };
            target.method == Some(&own)
        };
        self.method.is_none_or(is_method) && self.operation.is_none_or(|operation| target.operation == Some(operation))
    }
}

/// That of a request by which a fault selects it; a new connection has none of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FaultTarget<'a> {
    method: Option<&'a hyper::Method>,
    operation: Option<Operation>,
}

impl FaultTarget<'_> {
    pub(super) fn of<'m>(method: &'m hyper::Method, path: &str) -> FaultTarget<'m> {
        FaultTarget { method: Some(method), operation: Call::of(method, path).ok().map(|call| call.operation) }
    }
}

/// The queued faults, each with the number of requests to which it still applies.
#[derive(Debug, Default)]
pub(super) struct Faults(VecDeque<(u32, Fault)>);

impl Faults {
    pub(super) fn push(&mut self, times: u32, fault: Fault) {
        if times > 0 {
            self.0.push_back((times, fault));
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes the first fault for such a request, if it happens at this stage.
    ///
    /// Faults for another method or operation are skipped. A fault at a later stage of this request is not, because a fault after it
    /// would overtake it.
    pub(super) fn take(&mut self, moment: impl Fn(FaultStage) -> bool, target: FaultTarget<'_>) -> Option<Fault> {
        let position = self.0.iter().position(|(_, fault)| fault.is_for(target))?;
        let (times, fault) = self.0.get_mut(position).filter(|(_, fault)| moment(fault.when))?;
        let fault = fault.clone();
        *times -= 1;
        if *times == 0 {
            self.0.remove(position);
        }
        Some(fault)
    }
}
