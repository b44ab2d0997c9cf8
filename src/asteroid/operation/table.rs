//! The table of operations, a row for each.

use hyper::Method;

use super::rules::{AnswerRule, BodyRule, Effect, Part, Rules};
use crate::asteroid::group::Group;
use crate::asteroid::query::QueryRule;

/// The length of a short answer, in bytes.
pub const SHORT_ANSWER: usize = 64 * 1024;

static GET: Method = Method::GET;
static POST: Method = Method::POST;
static DELETE: Method = Method::DELETE;

/// Short answers are read as a whole, so that one that breaks off is an error. The id of a started execution is in this part.
const SHORT: AnswerRule = AnswerRule::Head(SHORT_ANSWER);
/// Long answers are passed on as they come.
const STREAM: AnswerRule = AnswerRule::Head(0);

pub(super) static AGENT_EXECUTE: Rules = start("/agents/{agentId}/execute", "AgentExecutePost");
pub(super) static WORKFLOW_EXECUTE: Rules = start("/workflows/{workflowId}/execute", "WorkflowExecutePost");
pub(super) static AGENT_EXECUTE_SYNC: Rules = sync_start("/agents/{agentId}/execute/sync", "AgentExecuteSyncPost");
pub(super) static WORKFLOW_EXECUTE_SYNC: Rules =
    sync_start("/workflows/{workflowId}/execute/sync", "WorkflowExecuteSyncPost");
pub(super) static AGENT_VERSION_EXECUTE: Rules =
    version_start("/agents/{agentId}/workflows/{workflowId}/execute", "AgentWorkflowsExecute");
pub(super) static WORKFLOW_VERSION_EXECUTE: Rules =
    version_start("/workflows/{workflowId}/versions/{versionId}/execute", "WorkflowVersionsExecute");
/// It carries the metadata of the execution that it repeats, and no others can be sent.
pub(super) static EXECUTION_RERUN: Rules =
    Rules { group: Group::Rerun, body: BodyRule::Rerun, ..start("/executions/{executionId}/rerun", "ExecutionRerun") };
pub(super) static EXECUTION_LIST: Rules = Rules {
    group: Group::List,
    query: QueryRule::Listing,
    answer: AnswerRule::Page,
    ..read("/executions", "ExecutionsList")
};
pub(super) static EXECUTION_GET: Rules =
    Rules { answer: AnswerRule::Item, ..read("/executions/{executionId}", "ExecutionGet") };
pub(super) static EXECUTION_SYNC: Rules =
    Rules { query: QueryRule::Sync, ..read("/executions/{executionId}/sync", "ExecutionSyncGet") };
pub(super) static EXECUTION_ACTIVITIES: Rules = Rules {
    query: QueryRule::Activities,
    answer: STREAM,
    ..read("/executions/{executionId}/activities", "ExecutionActivitiesGet")
};
pub(super) static EXECUTION_STATUS: Rules =
    Rules { body: BodyRule::Status, ..change("/executions/{executionId}/status", "ExecutionStatusUpdate") };
pub(super) static EXECUTION_CANCEL: Rules = change("/executions/{executionId}/cancel", "ExecutionCancel");
pub(super) static EXECUTION_PAUSE: Rules = change("/executions/{executionId}/pause", "ExecutionPause");
pub(super) static EXECUTION_RESUME: Rules = change("/executions/{executionId}/resume", "ExecutionResume");
pub(super) static EXECUTION_MESSAGE: Rules = Rules {
    group: Group::Message,
    body: BodyRule::Message,
    ..change("/executions/{executionId}/user-messages", "ExecutionUserMessagesAdd")
};
pub(super) static EXECUTION_DELETE: Rules =
    Rules { method: &DELETE, group: Group::Delete, ..change("/executions/{executionId}", "ExecutionDelete") };
pub(super) static CONTEXT_FILES: Rules =
    Rules { answer: STREAM, ..file_read("/executions/{executionId}/context-files", "ExecutionContextFilesGet") };
pub(super) static CONTEXT_FILES_UPLOAD: Rules =
    upload("/executions/{executionId}/context-files", "ExecutionContextFilesUpload");
pub(super) static CONTEXT_FILE_DOWNLOAD: Rules =
    file_read("/executions/{executionId}/context-files/{fileId}/download", "ExecutionContextFileDownloadRedirect");
pub(super) static EXECUTION_FILES: Rules =
    Rules { answer: AnswerRule::Files, ..file_read("/executions/{executionId}/files", "ExecutionFilesGet") };
pub(super) static EXECUTION_FILE_DOWNLOAD: Rules =
    file_read("/executions/{executionId}/files/{fileId}/download", "ExecutionFileDownloadRedirect");
pub(super) static DEBUG_FILE_DOWNLOAD: Rules =
    file_read("/executions/{executionId}/debug-files/{fileId}/download", "ExecutionDebugFileDownloadRedirect");
pub(super) static AGENT_FILES: Rules =
    Rules { answer: AnswerRule::Files, ..file_read("/executions/{executionId}/agent-files", "ExecutionAgentFilesGet") };
pub(super) static AGENT_FILE_DOWNLOAD: Rules =
    file_read("/executions/{executionId}/agent-files/{fileId}/download", "ExecutionAgentFileDownloadRedirect");
pub(super) static EXECUTION_RECORDING: Rules = Rules {
    query: QueryRule::Recording,
    ..file_read("/executions/{executionId}/recording", "ExecutionRecordingRedirect")
};
pub(super) static TEMP_FILES_UPLOAD: Rules =
    Rules { query: QueryRule::Organization, answer: AnswerRule::Staged, ..upload("/temp-files", "TempFilesUpload") };
pub(super) static TEMP_FILES_STAGE: Rules =
    Rules { answer: AnswerRule::Staged, ..upload("/temp-files/{organizationId}", "TempFilesStage") };
pub(super) static V1_STATUS: Rules = v1("/execution/{executionId}/status", "V1ExecutionStatusGet");
pub(super) static V1_RESULT: Rules = v1("/execution/{executionId}/result", "V1ExecutionResultGet");
pub(super) static V1_RECORDING: Rules = Rules {
    group: Group::Files,
    ..v1("/execution/{executionId}/browser_session/recording", "V1ExecutionRecordingGet")
};

const fn start(template: &'static str, name: &'static str) -> Rules {
    Rules {
        method: &POST,
        template,
        name,
        group: Group::Start,
        part: Part::Agents,
        effect: Effect::Start,
        query: QueryRule::None,
        body: BodyRule::Start,
        answer: SHORT,
    }
}

const fn sync_start(template: &'static str, name: &'static str) -> Rules {
    Rules { body: BodyRule::SyncStart, answer: AnswerRule::Started, ..start(template, name) }
}

const fn version_start(template: &'static str, name: &'static str) -> Rules {
    Rules { body: BodyRule::VersionStart, ..start(template, name) }
}

const fn file_read(template: &'static str, name: &'static str) -> Rules {
    Rules { group: Group::Files, ..read(template, name) }
}

const fn upload(template: &'static str, name: &'static str) -> Rules {
    Rules { group: Group::Files, body: BodyRule::Files, ..change(template, name) }
}

const fn read(template: &'static str, name: &'static str) -> Rules {
    Rules {
        method: &GET,
        template,
        name,
        group: Group::Read,
        part: Part::Agents,
        effect: Effect::Read,
        query: QueryRule::None,
        body: BodyRule::None,
        answer: SHORT,
    }
}

const fn v1(template: &'static str, name: &'static str) -> Rules {
    Rules { part: Part::V1, ..read(template, name) }
}

const fn change(template: &'static str, name: &'static str) -> Rules {
    Rules { method: &POST, group: Group::Control, effect: Effect::Change, ..read(template, name) }
}
