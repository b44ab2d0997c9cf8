//! Faults: the ways in which a request can be made to fail.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Deserialize;

/// A fault, which replaces the ordinary answer to a request.
///
/// As JSON: `{"method": "POST", "when": "body", "delay_ms": 0, "run": false, "then": "close"}`; all members are optional.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fault {
    /// The method of the requests to which it applies; without one, it applies to all.
    pub method: Option<Method>,
    /// How far the request is read before the fault happens.
    pub when: FaultStage,
    /// The delay before `then`, in milliseconds.
    pub delay_ms: u64,
    /// Whether the execution is started nevertheless.
    pub run: bool,
    /// The action that replaces the ordinary answer.
    pub then: FaultAction,
}

/// The methods that a fault can select.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reads the listing.
    Get,
    /// Starts an execution.
    Post,
}

/// The point in a request at which a fault happens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultStage {
    /// A new connection has received its first bytes, which stay unread. No request is recorded.
    Connected,
    /// The head was read, but not the body.
    Head,
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

    /// Returns whether it applies to a request with this method; a new connection has none.
    fn is_for(&self, method: Option<&hyper::Method>) -> bool {
        match self.method {
            None => true,
            Some(Method::Get) => method == Some(&hyper::Method::GET),
            Some(Method::Post) => method == Some(&hyper::Method::POST),
        }
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
    /// Faults for another method are skipped. A fault at a later stage of this request is not, because a fault after it
    /// would overtake it.
    pub(super) fn take(&mut self, moment: FaultStage, method: Option<&hyper::Method>) -> Option<Fault> {
        let position = self.0.iter().position(|(_, fault)| fault.is_for(method))?;
        let (times, fault) = self.0.get_mut(position).filter(|(_, fault)| fault.when == moment)?;
        let fault = fault.clone();
        *times -= 1;
        if *times == 0 {
            self.0.remove(position);
        }
        Some(fault)
    }
}
