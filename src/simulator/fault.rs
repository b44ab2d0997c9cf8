//! How a request can be made to fail.

use std::time::Duration;

use serde::Deserialize;

/// What happens to a request instead of the ordinary answer.
///
/// As JSON: `{"when": "body", "delay_ms": 0, "run": false, "then": "close"}`; all members may be left out.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fault {
    /// How far the request is read before anything happens.
    pub when: Moment,
    /// How long it then waits, in milliseconds.
    pub delay_ms: u64,
    /// Whether the execution is started all the same.
    pub run: bool,
    /// What happens then.
    pub then: Then,
}

/// How far a request is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
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
pub enum Then {
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
    Answer(Answer),
}

/// An answer as it is to be sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
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
}
