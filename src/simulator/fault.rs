//! How a request can be made to fail.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Deserialize;

/// What happens to a request instead of the ordinary answer.
///
/// As JSON: `{"method": "POST", "when": "body", "delay_ms": 0, "run": false, "then": "close"}`; all members may be left
/// out.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fault {
    /// The method of the request that it waits for; where there is none, it takes the next.
    pub method: Option<Method>,
    /// How far the request is read before anything happens.
    pub when: FaultStage,
    /// How long it then waits, in milliseconds.
    pub delay_ms: u64,
    /// Whether the execution is started all the same.
    pub run: bool,
    /// What happens then.
    pub then: FaultAction,
}

/// The methods that are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reads the listing.
    Get,
    /// Starts an execution.
    Post,
}

/// How far a request is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultStage {
    /// A new connection has brought its first bytes, which stay unread. Nothing is remembered.
    Connected,
    /// The head was read, the body was not.
    Head,
    /// The request was read to its end.
    #[default]
    Body,
}

/// What happens to a request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultAction {
    /// The ordinary answer; with a delay, a slow one.
    #[default]
    Proceed,
    /// The connection is closed.
    Close,
    /// The connection is reset; over HTTP/2, the stream.
    Reset,
    /// Nothing, until the faults are cleared; then the ordinary answer.
    Stall,
    /// The head and half of the body of the ordinary answer, then the connection is closed.
    CloseMidAnswer,
    /// The head and half of the body, and nothing more.
    StallMidAnswer,
    /// Another answer.
    Answer(ScriptedAnswer),
}

/// An answer as it is to be sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedAnswer {
    /// The status.
    pub status: u16,
    /// The headers, besides the framing.
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

    /// Whether it is for a request with this method; a new connection has none.
    fn is_for(&self, method: Option<&hyper::Method>) -> bool {
        match self.method {
            None => true,
            Some(Method::Get) => method == Some(&hyper::Method::GET),
            Some(Method::Post) => method == Some(&hyper::Method::POST),
        }
    }
}

/// The faults that wait, and how often each is still to be taken.
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

    /// Takes the fault that waits for such a request, if it applies at this moment.
    ///
    /// What waits for another method is passed over. What waits for a later moment of this request is not, or a fault
    /// behind it would overtake it.
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
