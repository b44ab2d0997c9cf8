//! The answers of each operation that did what was asked.

use crate::asteroid::operation::Operation;

/// The content of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// None.
    None,
    /// A sentence in `text/plain`.
    Text,
    /// JSON, of the [model](super::models) with this name.
    Json(&'static str),
}

/// An answer of an operation that did what was asked.
#[derive(Debug)]
pub struct Success {
    /// The status.
    pub status: u16,
    /// What the answer says, as a sentence.
    pub description: &'static str,
    /// The content.
    pub content: Content,
}

static STARTED: [Success; 1] = [success(202, "The execution was started.", Content::Json("Started"))];
static PAGE: [Success; 1] = [success(200, "A page of the tenant's executions.", Content::Json("ExecutionPage"))];
static ITEM: [Success; 1] = [success(200, "The execution.", Content::Json("Execution"))];
static ACTIVITIES: [Success; 1] = [success(200, "The activities of the execution.", Content::Json("Activities"))];
static WAITED: [Success; 2] = [
    success(200, "The execution has ended.", Content::Json("ExecutionResult")),
    success(202, "The time is up, or the execution waits for a person.", Content::Json("ExecutionResult")),
];
static STATUS_SET: [Success; 1] = [success(200, "The status was set.", Content::Text)];
static CHANGED: [Success; 1] =
    [success(200, "The execution was changed, and has this status now.", Content::Json("ExecutionStatus"))];
static MESSAGE_ADDED: [Success; 1] = [success(201, "The agent gets the message.", Content::Text)];
static DELETED: [Success; 1] = [success(204, "The execution is gone from lists and reads.", Content::None)];
static V1_STATUS: [Success; 1] = [success(200, "The status of the execution.", Content::Json("V1Status"))];
static V1_RESULT: [Success; 1] = [success(200, "The result of the execution.", Content::Json("V1Result"))];

const fn success(status: u16, description: &'static str, content: Content) -> Success {
    Success { status, description, content }
}

/// Returns the answers of an operation that did what was asked.
#[must_use]
pub fn successes(operation: Operation) -> &'static [Success] {
    match operation {
        Operation::AgentExecute | Operation::WorkflowExecute => &STARTED,
        Operation::ExecutionList => &PAGE,
        Operation::ExecutionGet => &ITEM,
        Operation::ExecutionSync => &WAITED,
        Operation::ExecutionActivities => &ACTIVITIES,
        Operation::ExecutionStatus => &STATUS_SET,
        Operation::ExecutionCancel | Operation::ExecutionPause | Operation::ExecutionResume => &CHANGED,
        Operation::ExecutionMessage => &MESSAGE_ADDED,
        Operation::ExecutionDelete => &DELETED,
        Operation::V1Status => &V1_STATUS,
        Operation::V1Result => &V1_RESULT,
    }
}
