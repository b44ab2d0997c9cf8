//! The activities of an execution, for `GET /executions/{executionId}/activities`.

use std::collections::VecDeque;
use std::time::Instant;

use serde_json::{Value, json};

use super::status::Status;

/// The activities that are remembered of an execution; the oldest make room for new ones.
pub(super) const MAX_ACTIVITIES: usize = 200;

/// The bytes of messages that are remembered of an execution, at most.
const MAX_MESSAGES: usize = 64 * 1024;

/// The user behind the API key, who is named in every message and in what triggered an execution.
pub const USER: &str = "77e1f9c8-58b5-4f2c-9d0e-4f2a6d1c8b35";

/// A part of every URL that works for whoever has it.
pub const URL_SIGNATURE: &str = "signature-of-a-simulated-url";

/// Something that happened at a time.
#[derive(Debug, Clone)]
pub(super) struct Activity {
    /// Its number among all activities of the execution, from 1.
    pub(super) number: u64,
    pub(super) at: Instant,
    kind: ActivityKind,
}

/// The kind of an activity.
#[derive(Debug, Clone)]
pub(super) enum ActivityKind {
    Entered(Status),
    StepStarted,
    Reasoned,
    FileAdded,
    StepCompleted,
    Ended(Status),
    MessageReceived(String),
}

/// The activities of an execution, newest last.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    activities: VecDeque<Activity>,
    count: u64,
}

impl History {
    pub(super) fn push(&mut self, at: Instant, mut kind: ActivityKind) {
        if let ActivityKind::MessageReceived(message) = &mut kind {
            message.truncate(message.floor_char_boundary(MAX_MESSAGES));
            message.shrink_to_fit();
        }
        self.count += 1;
        self.activities.push_back(Activity { number: self.count, at, kind });
        while self.activities.len() > MAX_ACTIVITIES || self.bytes() > MAX_MESSAGES {
            self.activities.pop_front();
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Activity> {
        self.activities.iter()
    }

    fn bytes(&self) -> usize {
        let length = |activity: &Activity| match &activity.kind {
            ActivityKind::MessageReceived(message) => message.len(),
            _ => 0,
        };
        self.activities.iter().map(length).sum()
    }
}

impl Activity {
    /// Returns the payload of an `AgentsExecutionActivity`. `file` is the id of the file that an execution adds.
    pub(super) fn payload(&self, file: &str) -> Value {
        match &self.kind {
            ActivityKind::Entered(status) => status_changed(*status),
            ActivityKind::StepStarted => json!({ "activityType": "step_started", "stepNumber": 1 }),
            ActivityKind::Reasoned => {
                json!({ "activityType": "reasoning", "reasoning": "The page shows the invoice; its total is read." })
            }
            ActivityKind::FileAdded => json!({
                "activityType": "file_added",
                "fileId": file,
                "fileName": "invoice.pdf",
                "mimeType": "application/pdf",
                "fileSize": 4711,
                "source": "download",
                "presignedUrl": format!("https://files.simulated.invalid/{file}?signature={URL_SIGNATURE}"),
            }),
            ActivityKind::StepCompleted => json!({ "activityType": "step_completed", "stepNumber": 1 }),
            ActivityKind::Ended(status) => json!({
                "activityType": "terminal",
                "reason": if *status == Status::Failed { "error" } else { "complete" },
            }),
            ActivityKind::MessageReceived(message) => {
                json!({ "activityType": "user_message_received", "message": message, "userUUID": USER })
            }
        }
    }
}

fn status_changed(status: Status) -> Value {
    let mut payload = json!({ "activityType": "status_changed", "status": status });
    let details = match status {
        Status::Completed => {
            Some(("completedPayload", json!({ "outcome": "success", "reasoning": SUCCESS, "result": result() })))
        }
        Status::Failed => Some(("failedPayload", json!({ "reason": FAILURE }))),
        Status::Cancelled => Some(("cancelledPayload", json!({ "reason": "user_requested" }))),
        Status::Paused => Some(("pausedPayload", json!({ "reason": "a user paused the execution" }))),
        Status::PausedByAgent => Some(("pausedPayload", json!({ "reason": "the agent has a question" }))),
        Status::AwaitingConfirmation => {
            Some(("awaitingConfirmationPayload", json!({ "reason": "the agent wants to send a form" })))
        }
        Status::Queued | Status::Starting | Status::Running => None,
    };
    if let (Some((name, details)), Value::Object(payload)) = (details, &mut payload) {
        payload.insert(name.to_owned(), details);
    }
    payload
}

/// The reasoning of a result after a success.
pub(super) const SUCCESS: &str = "The simulated agent did what the inputs ask for.";

/// The reasoning of a result after a failure.
pub(super) const FAILURE: &str = "The simulated page did not load.";

/// Returns the result of an execution that completed.
pub(super) fn result() -> Value {
    json!({ "total": "47.11", "currency": "EUR" })
}
