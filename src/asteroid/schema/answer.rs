//! The answers of each operation that did what was asked.

use crate::asteroid::operation::Operation;

/// The content of an answer. That of a redirect is of no use.
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
static ENDED: [Success; 2] = [
    success(200, "The execution was started, and has ended.", Content::Json("ExecutionResult")),
    success(
        202,
        "The execution was started. The time is up, or it waits for a person.",
        Content::Json("ExecutionResult"),
    ),
];
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
static CONTEXT_FILES: [Success; 1] = [success(
    200,
    "The files that the execution was given. Each has a signed URL: treat it as a secret.",
    Content::Json("ContextFiles"),
)];
static FILES_ADDED: [Success; 1] = [success(200, "The execution has the files.", Content::Text)];
static FILES: [Success; 1] = [success(200, "The files by directory.", Content::Json("ExecutionFiles"))];
static DOWNLOAD: [Success; 1] =
    [success(303, "The file is at `Location`, a signed URL that expires soon: treat it as a secret.", Content::None)];
static RECORDING: [Success; 1] = [success(
    307,
    "The recording is at `Location`, a signed URL that expires soon: treat it as a secret.",
    Content::None,
)];
static STAGED: [Success; 1] =
    [success(200, "The files are kept for 60 minutes, for `tempFiles` of a start.", Content::Json("StagedFiles"))];
static V1_STATUS: [Success; 1] = [success(200, "The status of the execution.", Content::Json("V1Status"))];
static V1_RESULT: [Success; 1] = [success(200, "The result of the execution.", Content::Json("V1Result"))];
static V1_RECORDING: [Success; 1] =
    [success(200, "Where the recording is, by a signed URL: treat it as a secret.", Content::Json("V1Recording"))];

const fn success(status: u16, description: &'static str, content: Content) -> Success {
    Success { status, description, content }
}

/// Returns the answers of an operation that did what was asked.
#[must_use]
pub fn successes(operation: Operation) -> &'static [Success] {
    match operation {
        Operation::AgentExecute
        | Operation::WorkflowExecute
        | Operation::AgentVersionExecute
        | Operation::WorkflowVersionExecute
        | Operation::ExecutionRerun => &STARTED,
        Operation::AgentExecuteSync | Operation::WorkflowExecuteSync => &ENDED,
        Operation::ExecutionList => &PAGE,
        Operation::ExecutionGet => &ITEM,
        Operation::ExecutionSync => &WAITED,
        Operation::ExecutionActivities => &ACTIVITIES,
        Operation::ExecutionStatus => &STATUS_SET,
        Operation::ExecutionCancel | Operation::ExecutionPause | Operation::ExecutionResume => &CHANGED,
        Operation::ExecutionMessage => &MESSAGE_ADDED,
        Operation::ExecutionDelete => &DELETED,
        Operation::ContextFiles => &CONTEXT_FILES,
        Operation::ContextFilesUpload => &FILES_ADDED,
        Operation::ExecutionFiles | Operation::AgentFiles => &FILES,
        Operation::ContextFileDownload
        | Operation::ExecutionFileDownload
        | Operation::DebugFileDownload
        | Operation::AgentFileDownload => &DOWNLOAD,
        Operation::ExecutionRecording => &RECORDING,
        Operation::TempFilesUpload | Operation::TempFilesStage => &STAGED,
        Operation::V1Status => &V1_STATUS,
        Operation::V1Result => &V1_RESULT,
        Operation::V1Recording => &V1_RECORDING,
    }
}
